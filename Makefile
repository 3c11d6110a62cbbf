# make test                                       the whole suite: lint, types, tests
# make demo [IMAGE=photo.jpg] [RATE=2000]         stream a photograph over a slow link
#
# Both set up their own environment in .venv first.  On Linux, plain pip brings a torch with
# gigabytes of CUDA libraries; where https://download.pytorch.org can be reached,
#   export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
# before the first run takes the CPU build, which is all that is needed.

PYTHON ?= python3
IMAGE ?=
RATE ?= 2000

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TYPED := diffc_stream build/typing/diffc_server build/typing/diffc_client \
         build/typing/diffc_viewer build/typing/diffc_benchmarks examples tests training

.PHONY: test lint demo clean

test: lint
	$(BIN)/python -m pytest

lint: .venv/.ready-to-test build/typing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)

demo: .venv/.ready-to-demo
	$(BIN)/python -m examples.demo --rate $(RATE) $(if $(IMAGE),--image "$(IMAGE)")

clean:
	rm -rf .venv build demo *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make every run but the first (and those after a change of what is needed) quick.
.venv/.ready-to-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[test]'
	touch $@

.venv/.ready-to-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[demo]'
	$(BIN)/python -c "from diffc_stream import codec; codec.prepare()"
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv .venv

# Type checkers cannot see what an editable install maps, so they are shown links.
build/typing: Makefile
	mkdir -p $@
	ln -sfn ../../server $@/diffc_server
	ln -sfn ../../client $@/diffc_client
	ln -sfn ../../client/viewer $@/diffc_viewer
	ln -sfn ../../benchmarks $@/diffc_benchmarks
	touch $@

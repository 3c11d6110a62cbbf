"""docs/seeds.md names modules and tests that exist, and every paper that the code names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "seeds.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in DOCUMENT.splitlines()
    if line.startswith("| ") and "`" in line
]
PAPER = re.compile(r"\b\d{4}\.\d{5}\b")


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the names of the test functions of a file."""
    body = ast.parse((ROOT / path).read_text()).body
    return frozenset(n.name for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_method_has_a_test_that_exists() -> None:
    assert len(ROWS) > 20
    for method, _, _, shown in ROWS:
        for named in shown.split(", "):
            found = re.fullmatch(r"`(tests/test_\w+\.py)::(test_\w+)`", named)
            assert found, f"{method}: {named}"
            assert found[2] in named_in(found[1]), f"{method}: {named}"


def test_every_place_named_is_there() -> None:
    for method, _, where, _ in ROWS:
        for name in re.findall(r"`([\w./]+)`", where):
            assert (ROOT / name).exists() or (ROOT / "diffc_stream" / name).exists(), method
        for link in re.findall(r"\]\(([^)]+)\)", where):
            assert (ROOT / "docs" / link).exists(), method


def test_every_scheme_of_the_paper_is_there() -> None:
    for scheme in ("DiffC-A:", "DiffC-F:", "DiffC-A*:", "DiffC-F*:"):
        assert sum(row[0].startswith(scheme) for row in ROWS) == 1


def test_every_paper_that_the_code_names_is_there() -> None:
    folders = ("diffc_stream", "server", "client", "benchmarks", "training")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    named = {paper for path in sources for paper in PAPER.findall(path.read_text())}
    listed = set(PAPER.findall(DOCUMENT))
    evaluation = {"1710.10196"}  # of measures and data, not of a method of the codec
    assert named - evaluation <= listed

"""docs/claims.md names tests that exist, and leaves no claim out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "claims.md").read_text()
CLAIMS = 20


def rows(label: str) -> list[list[str]]:
    """Return the cells of the table rows whose first cell matches ``label``."""
    lines = re.findall(rf"^\| ({label} \|.*) \|$", DOCUMENT, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


@cache
def named_in(path: str) -> frozenset[str]:
    """Return the names of the test functions of a file."""
    body = ast.parse((ROOT / path).read_text()).body
    functions = (n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(f.name for f in functions if f.name.startswith("test_"))


@cache
def claims() -> list[list[str]]:
    """Return number, words, module and tests of every claim."""
    return rows(r"\d+")


def test_no_claim_is_left_out_or_counted_twice() -> None:
    assert [int(number) for number, *_ in claims()] == list(range(1, CLAIMS + 1))


def test_every_claim_has_a_test_that_exists() -> None:
    for number, words, module, shown in claims():
        assert words, number
        assert module, number
        for named in shown.split(", "):
            found = re.fullmatch(r"`(tests/test_\w+\.py)::(test_\w+)`", named)
            assert found, f"{number}: {named}"
            assert found[2] in named_in(found[1]), f"{number}: {named}"


def test_every_test_named_elsewhere_exists() -> None:
    for path, name in re.findall(r"`(tests/test_\w+\.py)::(test_\w+)`", DOCUMENT):
        assert name in named_in(path)


def test_every_module_named_is_there() -> None:
    for number, _, module, _ in claims():
        for name in re.findall(r"`([^`]+)`", module):
            assert (ROOT / name).exists() or (ROOT / "diffc_stream" / name).exists(), number


def test_every_test_of_claims_is_named() -> None:
    for name in named_in("tests/test_claims.py"):
        assert f"`tests/test_claims.py::{name}`" in DOCUMENT

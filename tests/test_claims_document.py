"""docs/claims.md names tests that exist, and leaves no claim out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from string import ascii_uppercase

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


def test_every_element_has_a_test_that_exists_or_is_not_yet_there() -> None:
    elements = rows("[A-Z]")
    assert elements
    for letter, claimed, known, module, shown in elements:
        assert claimed, letter
        assert known in ("abstract", "description"), letter
        if shown.startswith("not yet"):
            assert not module, letter
            continue
        assert module, letter
        for named in shown.split(", "):
            found = re.fullmatch(r"`(tests/test_\w+\.py)::(test_\w+)`", named)
            assert found, f"{letter}: {named}"
            assert found[2] in named_in(found[1]), f"{letter}: {named}"


def test_every_module_named_is_there() -> None:
    for letter, _, _, module, _ in rows("[A-Z]"):
        for name in re.findall(r"`([^`]+)`", module):
            assert (ROOT / name).exists() or (ROOT / "diffc_stream" / name).exists(), letter


def test_elements_are_lettered_without_a_gap() -> None:
    letters = "".join(row[0] for row in rows("[A-Z]"))
    assert letters == ascii_uppercase[: len(letters)]


def test_no_claim_is_left_out_or_counted_twice() -> None:
    letters = {row[0] for row in rows("[A-Z]")}
    numbers: list[int] = []
    for claims, elements in rows(r"\d+(?:-\d+)?"):
        first, _, last = claims.partition("-")
        numbers += range(int(first), int(last or first) + 1)
        assert elements == "not compared" or set(elements.split(", ")) <= letters, claims
    assert numbers == list(range(1, CLAIMS + 1))


def test_every_test_of_claims_is_named() -> None:
    for name in named_in("tests/test_claims.py"):
        assert f"`tests/test_claims.py::{name}`" in DOCUMENT

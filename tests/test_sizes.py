"""Modules and functions are short enough to be read at once, and so are files of tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("diffc_stream", "server", "client")
MODULE, FUNCTION = 400, 60
"""Most lines of each."""


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        found = sorted((ROOT / folder).rglob("*.py"))
        yield from (path for path in found if "node_modules" not in path.parts)


@pytest.mark.parametrize("folders", [PACKAGES, ("tests",)], ids=["packages", "tests"])
def test_modules(folders: tuple[str, ...]) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules(*folders)}
    assert len(lengths) > 100
    assert not {str(path): lines for path, lines in lengths.items() if lines > MODULE}


def test_functions() -> None:
    long = []
    for path in modules(*PACKAGES):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno + 1 > FUNCTION:
                    long.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not long

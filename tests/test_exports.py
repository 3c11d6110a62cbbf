"""The names that ``import diffc_stream`` promises."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import diffc_stream


@pytest.mark.parametrize("name", diffc_stream.__all__)
def test_every_name_resolves(name: str) -> None:
    value = getattr(diffc_stream, name)
    home = importlib.import_module(f"diffc_stream.{diffc_stream._HOMES[name]}")
    assert value is getattr(home, name)
    assert value is getattr(diffc_stream, name)


def test_type_checkers_are_told_the_same() -> None:
    """The branch for type checkers exports what the table does, from the same modules."""
    source = ast.parse(Path(diffc_stream.__file__).read_text())
    branch = next(node for node in source.body if isinstance(node, ast.If))
    told = {}
    for node in branch.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module is not None
        for alias in node.names:
            assert alias.asname == alias.name, "re-exports need `import x as x`"
            told[alias.name] = node.module.removeprefix("diffc_stream.")
    assert told == diffc_stream._HOMES


def test_all_is_in_order_and_shown() -> None:
    assert diffc_stream.__all__ == sorted(diffc_stream.__all__)
    assert set(diffc_stream.__all__) <= set(dir(diffc_stream))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = diffc_stream.nonsense  # type: ignore[attr-defined]

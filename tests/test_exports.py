"""The names that packages promise and import on demand."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

import diffc_client
import diffc_server
import diffc_stream
import diffc_stream.codec

PACKAGES = (diffc_stream, diffc_stream.codec, diffc_server, diffc_client)
each = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PACKAGES for name in package.__all__]
)
def test_every_name_resolves(package: ModuleType, name: str) -> None:
    value = getattr(package, name)
    home = importlib.import_module(f"{package.__name__}.{package._HOMES[name]}")
    assert value is getattr(home, name)
    assert value is getattr(package, name)


@each
def test_type_checkers_are_told_the_same(package: ModuleType) -> None:
    """The branch for type checkers exports what the table does, from the same modules."""
    assert package.__file__ is not None
    source = ast.parse(Path(package.__file__).read_text())
    branch = next(node for node in source.body if isinstance(node, ast.If))
    told = {}
    for node in branch.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module is not None
        for alias in node.names:
            assert alias.asname == alias.name, "re-exports need `import x as x`"
            told[alias.name] = node.module.removeprefix(f"{package.__name__}.")
    assert told == package._HOMES


@each
def test_all_is_in_order_and_shown(package: ModuleType) -> None:
    constants_first = sorted(package.__all__, key=lambda name: (not name.isupper(), name))
    assert package.__all__ == constants_first
    assert set(package.__all__) <= set(dir(package))


@each
def test_unknown_names_are_attribute_errors(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = package.nonsense

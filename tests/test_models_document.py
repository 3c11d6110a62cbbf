"""What docs/models.md says is said where it is said to be."""

from __future__ import annotations

from pathlib import Path

from diffc_stream.diffusion.weights import read_description
from diffc_stream.errors import UnknownModel

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "models.md").read_text()


def test_what_is_said_of_a_missing_model() -> None:
    shown = " ".join(DOCUMENT.split())
    assert f"diffc: {UnknownModel('1f2e3d4c')}" in shown
    assert f"exit code {UnknownModel.exit_code}" in shown


def test_the_files_named_are_there() -> None:
    for name in ("diffc_stream/diffusion/collection.py", "tests/vectors/models.json"):
        assert f"`{name}`" in DOCUMENT
        assert (ROOT / name).is_file()


def test_the_example_lists_a_released_model() -> None:
    facts = read_description(ROOT / "diffc_stream" / "models" / "small-6c137b2c.safetensors")
    line = f"{facts.name}  {facts.fingerprint}   {facts.parameters:,} parameters"
    assert line in DOCUMENT
    assert f"{facts.bytes:,} bytes" in DOCUMENT

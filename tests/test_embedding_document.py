"""What docs/embedding.md names is there."""

from __future__ import annotations

import re
from pathlib import Path

import diffc_client
from diffc_stream import errors

DOCUMENT = Path(__file__).parent.parent / "docs" / "embedding.md"
TEXT = DOCUMENT.read_text()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert len(links) >= 4
    assert [link for link in links if not (DOCUMENT.parent / link).exists()] == []


def test_names_are_those_of_the_packages() -> None:
    foreign = {"RuntimeError"}
    # Names with underscores are of the environment.
    words = set(re.findall(r"`(?:diffc_stream\.)?([A-Z][A-Za-z]+)(?!\w)", TEXT)) - foreign
    assert {"Watcher", "FileStream", "LinkLost"} <= words
    assert [
        word for word in words if not (hasattr(diffc_client, word) or hasattr(errors, word))
    ] == []


def test_methods_are_those_of_their_classes() -> None:
    for name, method in re.findall(r"`([A-Z]\w+)\.(\w+)\(", TEXT):
        assert hasattr(getattr(diffc_client, name), method), (name, method)

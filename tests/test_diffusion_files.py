"""Whatever lies where a file of a model should is told in one line, and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffc_stream import cli
from diffc_stream.diffusion import graph
from diffc_stream.diffusion.collection import DEFAULT, Collection, ModelFile
from diffc_stream.diffusion.files import contents, line, shown
from diffc_stream.errors import UnreadableModel

NAME = "a.safetensors"


def put(folder: Path, kind: str) -> Path:
    """Put something of a kind where a model is looked for, and return its path."""
    path = folder / NAME
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "link to nothing":
            path.symlink_to(folder / "nothing")
        case "link to a pipe":
            os.mkfifo(folder / "pipe")
            path.symlink_to(folder / "pipe")
        case "device":
            path.symlink_to("/dev/zero")
        case "huge":
            with path.open("wb") as file:
                file.truncate(2**40)  # sparse
        case "nested":
            header = b'{"__metadata__":' + b"[" * 100_000
            path.write_bytes(len(header).to_bytes(8, "little") + header)
        case "empty":
            path.touch()
    return path


KINDS = ("folder", "pipe", "loop", "link to nothing", "link to a pipe", "device", "huge", "nested")
each = pytest.mark.parametrize("kind", [*KINDS, "empty"])
posix = pytest.mark.skipif(os.name != "posix", reason="pipes and links are those of POSIX")


@posix
@each
def test_it_is_skipped_with_a_line(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path))
    path = put(tmp_path, kind)
    at_hand = Collection.at_hand()
    assert len(at_hand) >= 1
    [problem] = at_hand.problems
    assert str(problem).startswith(f"{path}: ")
    assert "\n" not in str(problem)
    assert cli.main(["models"]) == 0
    assert capsys.readouterr().err == f"diffc: warning: {problem}\n"
    assert cli.main(["models", "add", str(path)]) == 6
    with pytest.raises(UnreadableModel):
        ModelFile.at(path)


@posix
@each
def test_a_graph_is_refused_with_a_line(kind: str, tmp_path: Path) -> None:
    put(tmp_path, kind).rename(tmp_path / "a.onnx")
    with pytest.raises(UnreadableModel) as caught:
        graph.read_graph(tmp_path / NAME, ModelFile.at(DEFAULT).description)
    assert "\n" not in str(caught.value)


@posix
@pytest.mark.parametrize("kind", ["pipe", "loop", "huge"])
def test_so_is_the_folder_of_models(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(put(tmp_path, kind)))
    assert Collection.at_hand().problems == ()


def test_no_more_files_are_looked_at_than_anybody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path))
    monkeypatch.setattr("diffc_stream.diffusion.collection.MOST_FILES", 3)
    for number in range(5):
        (tmp_path / f"{number}.safetensors").touch()
    problems = Collection.at_hand().problems
    assert len(problems) == 4
    assert "of 5 files 3 are looked at" in str(problems[0])


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcd")
    assert contents(path, 4) == b"abcd"
    with pytest.raises(OSError, match="more than 3 bytes"):
        contents(path, 3)


def test_a_name_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    assert shown("a\x1b[2J\nb") == "a?[2J?b"
    assert line(ValueError("a\tb\nc")) == "a?b"
    with pytest.raises(UnreadableModel) as caught:
        ModelFile.at(tmp_path / "a\nb")
    assert "\n" not in str(caught.value)

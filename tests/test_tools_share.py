"""What tools/share.py makes: manuals, completion for shells, a type of file for desktops."""

from __future__ import annotations

import argparse
import configparser
import re
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image
from viewing import scene, streamed

from diffc_stream.pillow import MIME
from tools import share

NAMESPACE = "{http://www.freedesktop.org/standards/shared-mime-info}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "share"
    for name, text in share.files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stream") / "a.dfc"
    path.write_bytes(streamed(scene(64, 1), 0.4))
    return path


def options(name: str) -> set[str]:
    """Return all long options of a command."""

    def below(parser: argparse.ArgumentParser) -> Iterator[str]:
        for each in share._all(parser):
            for action in each._actions:
                if action.help != argparse.SUPPRESS:
                    yield from (word for word in action.option_strings if word.startswith("--"))

    return set(below(share.COMMANDS[name][0]()))


@pytest.mark.parametrize("name", share.COMMANDS)
def test_a_manual_says_all_that_help_says(made: Path, name: str) -> None:
    page = made / "man" / "man1" / f"{name}.1"
    text = page.read_text().replace("\\-", "-")
    assert {option for option in options(name) if option not in text} <= {"--help"}  # says -h
    assert re.match(rf'\.TH {name.upper()} "?1"? "" ', text, re.IGNORECASE)
    if shutil.which("man") is None:
        return
    shown = subprocess.run(
        ["man", "--warnings", "--local-file", page],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
    )
    assert shown.stderr == ""
    assert "NAME" in shown.stdout


@pytest.mark.parametrize("name", share.COMMANDS)
@pytest.mark.parametrize("shell", share.SHELLS)
def test_completion_knows_every_option(made: Path, name: str, shell: str) -> None:
    path = made / share.SHELLS[shell].format(name)
    text = path.read_text()
    assert {option for option in options(name) if option not in text} == set()
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n", path], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize(
    ("words", "found"), [("diffc enc", "encode"), ("diffc decode --max-s", "--max-side")]
)
def test_bash_completes(made: Path, words: str, found: str) -> None:
    script = made / "bash-completion" / "completions" / "diffc"
    [function] = re.findall(r"^complete .*-F (\w+) diffc$", script.read_text(), re.MULTILINE)
    code = (
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        f'{function}; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [found]


def test_desktops_know_a_stream(made: Path, stream: Path) -> None:
    root = ET.parse(made / "mime" / "packages" / "diffc.xml").getroot()
    kind = root.find(f"{NAMESPACE}mime-type")
    assert kind is not None
    assert kind.get("type") == MIME
    start = stream.read_bytes()[:4]
    [outer] = kind.findall(f"{NAMESPACE}magic/{NAMESPACE}match")
    assert start.startswith((outer.get("value") or "").encode())
    kinds = [int(inner.get("value") or "", 16) for inner in outer]
    assert kinds == [version << 4 for version in (1, 2, 3)]
    assert start[3] in kinds


@pytest.mark.skipif(shutil.which("file") is None, reason="no command file here")
def test_the_command_file_knows_a_stream(made: Path, stream: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"DFC\x95 something else")
    command = ["file", "--brief", "--magic-file", str(made / "misc" / "diffc.magic")]
    said = [
        subprocess.run([*command, str(path)], capture_output=True, text=True, check=True).stdout
        for path in (stream, tmp_path / "other")
    ]
    assert re.match(r"progressive picture stream \(diffc\), version \d, model \w{8}$", said[0])
    assert "progressive" not in said[1]


def test_the_thumbnailer_makes_a_thumbnail(made: Path, stream: Path, tmp_path: Path) -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.read(made / "thumbnailers" / "diffc.thumbnailer")
    thumbnailer = entry["Thumbnailer Entry"]
    assert thumbnailer["MimeType"] == f"{MIME};"
    program, *arguments = shlex.split(thumbnailer["Exec"])
    assert program == thumbnailer["TryExec"] == "diffc"
    given = {"%i": str(stream), "%o": str(tmp_path / "out.png"), "%s": "32"}
    command = [sysconfig.get_path("scripts") + f"/{program}", *(given.get(a, a) for a in arguments)]
    subprocess.run(command, check=True, capture_output=True)
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (32, 32)

"""The examples of the documentation, executed."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeDecoders
from serving import Background, pictures

import diffc_client
from diffc_client import ModelDecoders, Sender, blocking, sender

ADDRESS = "ws://localhost:8765"


class Window:
    """What a viewer shows pictures in."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def show(self, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        """Show a picture."""
        assert image.dtype == np.uint8
        self.shapes.append(image.shape)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(ModelDecoders, "load", lambda _weights=None: FakeDecoders())
    folder = pictures(tmp_path)
    (folder / "coffee.jpg").write_bytes(b"")
    with Background(folder) as address:
        yield address


def paragraphs(text: str | None) -> list[str]:
    """Return the code that a docstring shows indented."""
    blocks = re.findall(r"::?\n\n((?: {4}.*\n|\n)+)", f"{text}\n")
    return [textwrap.dedent(block) for block in blocks]


def prompted(text: str | None) -> str:
    """Return the code that a docstring shows after prompts."""
    return "\n".join(re.findall(r"^ *(?:>>>|\.\.\.) (.*)$", text or "", re.MULTILINE))


async def execute(code: str, url: str, **names: object) -> None:
    """Execute code that may await, with the sender at ``url``."""
    scope: dict[str, object] = {**vars(diffc_client), "diffc_client": diffc_client, **names}
    code = code.replace(ADDRESS, url)
    exec(f"async def example():\n{textwrap.indent(code, '    ')}", scope)
    example = scope["example"]
    assert callable(example)
    await example()


@pytest.mark.asyncio
async def test_the_package_shows_two_ways_that_work(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    window = Window()
    awaited, blocked = paragraphs(diffc_client.__doc__)
    await execute(awaited, url, window=window)
    assert set(window.shapes) == {(30, 40, 3)}
    await execute(blocked, url)
    assert capsys.readouterr().out.splitlines()[-1] == "5000 25.0"


@pytest.mark.asyncio
async def test_the_module_shows_how_to_leave_early(url: str) -> None:
    window = Window()
    [example] = paragraphs((sender.__doc__ or "").replace("one looks.", "one looks::"))
    await execute(example, url, window=window)
    assert window.shapes


@pytest.mark.asyncio
async def test_the_functions_show_what_they_do(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await execute(prompted(diffc_client.connect.__doc__), url)
    assert "'coffee.jpg'" in capsys.readouterr().out
    await execute(prompted(blocking.stream.__doc__), url)
    assert capsys.readouterr().out.splitlines()[-1] == "60 20.06"
    async with diffc_client.connect(url) as connected:
        await execute(prompted(Sender.images.__doc__), url, sender=connected)
        await execute(prompted(Sender.open.__doc__), url, sender=connected)
    bytes_, bpp, predicted = capsys.readouterr().out.split()[-3:]
    assert (bytes_, bpp, predicted) == ("4000", str(8 * 4000 / 1200), "24.0")


def test_everything_promised_is_there() -> None:
    assert sorted(diffc_client.__all__) == diffc_client.__all__
    assert all(hasattr(diffc_client, name) for name in diffc_client.__all__)

"""The notebook, cell by cell, as Jupyter would: with a loop that runs, and one namespace."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from fakes import FakeDecoders, stream_of
from PIL import Image as Pictures
from serving import Background, pictures

from diffc_client import MemoryStream, ModelDecoders

NOTEBOOK = Path(__file__).parent.parent / "examples" / "notebook.ipynb"


class Image:
    """IPython's picture."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class Handle:
    """IPython's place that what is displayed can be changed in."""

    def __init__(self) -> None:
        self.shown: list[Image] = []

    def update(self, image: Image) -> None:
        self.shown.append(image)


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """What was displayed, by an IPython that need not be installed."""
    handles: list[Handle] = []

    def display(*, display_id: bool) -> Handle:
        assert display_id
        handles.append(Handle())
        return handles[-1]

    module = ModuleType("IPython.display")
    vars(module).update(Image=Image, display=display)
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return handles


def run(cells: list[str]) -> dict[str, object]:
    """Execute cells and return the namespace they leave."""
    names: dict[str, object] = {}
    with asyncio.Runner() as runner:
        for number, cell in enumerate(cells):
            code = compile(cell, f"cell {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if inspect.iscoroutine(result):
                runner.run(result)
    return names


def test_every_cell_does_what_it_says(
    tmp_path: Path,
    handles: list[Handle],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ModelDecoders, "load", lambda *_, **__: FakeDecoders())
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell.get("outputs") for cell in cells)
    with Background(pictures(tmp_path)) as url:
        monkeypatch.setenv("DIFFC_SENDER", url)
        names = run(["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"])
    assert names["names"] == ["a.png", "b.png", "sub/c.jpg"]
    kept = names["kept"]
    assert isinstance(kept, MemoryStream)
    assert kept.read() == stream_of("a.png", 5000)
    assert capsys.readouterr().out.endswith("5,000 bytes are here\n")
    assert len(handles) == 3
    for handle in handles:
        path = tmp_path / "shown.png"
        path.write_bytes(handle.shown[-1].data)
        with Pictures.open(path) as picture:
            assert picture.size == (40, 30)

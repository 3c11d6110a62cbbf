"""The models at hand: known by their headers, loaded when needed, and never lost."""

from __future__ import annotations

import json
import math
import shutil
import sys
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from diffc_stream.channel.randomness import Purpose, normals
from diffc_stream.diffusion import collection, model
from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import (
    DEFAULT,
    RELEASED,
    Collection,
    ModelFile,
    add,
    added,
    default_model,
)
from diffc_stream.diffusion.engine import Engine
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.errors import UnreadableModel

VECTORS = Path(__file__).parent / "vectors" / "models.json"
FILES = sorted(RELEASED.glob("*.safetensors"))


def tiny(path: Path, seed: int = 0) -> str:
    """Write an untrained model and return its fingerprint."""
    torch.manual_seed(seed)
    return save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name="tiny")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of added models: this test's own, and not there yet."""
    path = tmp_path / "data" / "models"
    monkeypatch.setenv("DIFFC_MODELS", str(path))
    return path


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Paths of the models loaded so far."""
    seen: list[Path] = []

    def load(path: Path) -> Model:
        seen.append(path)
        return load_model(path)

    monkeypatch.setattr(model, "load_model", load)
    return seen


def test_what_is_at_hand_comes_in_order_of_preference(tmp_path: Path, folder: Path) -> None:
    file = tmp_path / "given.safetensors"
    given = tiny(file)
    usual = [
        default_model().fingerprint,
        *(tiny(folder / "a.safetensors", 1), tiny(folder / "b.safetensors", 2)),
        *(ModelFile.at(path).description.fingerprint for path in FILES if path != DEFAULT),
    ]
    assert list(Collection.at_hand()) == usual
    assert list(Collection.at_hand(file)) == [given, *usual]


def test_of_two_files_of_one_model_the_first_counts(tmp_path: Path, folder: Path) -> None:
    fingerprint = tiny(tmp_path / "given.safetensors")
    tiny(folder / "same.safetensors")
    at_hand = Collection.at_hand(tmp_path / "given.safetensors")
    assert list(at_hand).count(fingerprint) == 1
    assert at_hand.files[0].path == tmp_path / "given.safetensors"


def test_nothing_is_loaded_before_it_is_looked_up(folder: Path, loads: list[Path]) -> None:
    fingerprint = tiny(folder / "a.safetensors")
    at_hand = Collection.at_hand()
    assert fingerprint in at_hand
    assert "00000000" not in at_hand
    assert at_hand.get("00000000") is None
    assert len(at_hand) == len(list(at_hand)) == len(FILES) + 1
    assert loads == []
    found = at_hand.get(fingerprint)
    assert found is not None
    assert (found.name, found.fingerprint) == ("tiny", fingerprint)
    assert at_hand[fingerprint] is found
    assert loads == [folder / "a.safetensors"]


def test_threads_share_what_is_loaded(folder: Path, loads: list[Path]) -> None:
    fingerprint = tiny(folder / "a.safetensors")
    at_hand, found = Collection.at_hand(), list[Model]()
    start = threading.Barrier(4)

    def look() -> None:
        start.wait()
        found.append(at_hand[fingerprint])

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(found) == 4
    assert all(entry is found[0] for entry in found)


def test_the_preferred_model_is_the_default_or_the_one_given(tmp_path: Path) -> None:
    assert Collection.at_hand().preferred.fingerprint == default_model().fingerprint
    fingerprint = tiny(tmp_path / "given.safetensors")
    assert Collection.at_hand(tmp_path / "given.safetensors").preferred.fingerprint == fingerprint


def test_a_file_that_has_become_another_model_is_refused(folder: Path) -> None:
    fingerprint = tiny(folder / "a.safetensors")
    at_hand = Collection.at_hand()
    tiny(folder / "a.safetensors", seed=1)
    with pytest.raises(UnreadableModel, match=f"was the model {fingerprint}"):
        at_hand.get(fingerprint)
    (folder / "a.safetensors").unlink()
    with pytest.raises(UnreadableModel):
        at_hand.get(fingerprint)


def test_junk_among_the_added_models_is_left_out_and_told(folder: Path) -> None:
    fingerprint = tiny(folder / "good.safetensors")
    (folder / "bad.safetensors").write_bytes(b"hello")
    (folder / "good.md").write_text("its card")
    at_hand = Collection.at_hand()
    assert fingerprint in at_hand
    [problem] = at_hand.problems
    assert "bad.safetensors" in str(problem)
    with pytest.raises(UnreadableModel, match="bad"):
        Collection.at_hand(folder / "bad.safetensors")


def test_where_added_models_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path / "mine"))
    assert added() == tmp_path / "mine"
    monkeypatch.setenv("DIFFC_MODELS", "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert added() == tmp_path / "data" / "diffc-stream" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert added() == tmp_path / ".local" / "share" / "diffc-stream" / "models"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert added() == tmp_path / "local" / "diffc-stream" / "models"


def test_adding_a_model(tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "downloaded.safetensors"
    fingerprint = tiny(source)
    file = add(source)
    assert file.path == folder / f"tiny-{fingerprint}.safetensors"
    assert file.path.read_bytes() == source.read_bytes()
    assert fingerprint in Collection.at_hand()
    # Once more, or one that is at hand anyway, changes nothing.
    assert add(file.path) == add(source) == file
    assert add(DEFAULT).path == DEFAULT
    assert list(folder.iterdir()) == [file.path]


def test_a_graph_comes_along(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "RELEASED", folder)  # as if it had never been released
    monkeypatch.setattr(collection, "DEFAULT", other := tmp_path / "other.safetensors")
    tiny(other)
    source = tmp_path / "downloaded.safetensors"
    shutil.copyfile(DEFAULT, source)
    # First without, then it is given later.
    without = add(source)
    assert (without.graph, without.engines) == (None, (Engine.TORCH,))
    shutil.copyfile(DEFAULT.with_suffix(".onnx"), source.with_suffix(".onnx"))
    file = add(source)
    assert file.path == without.path == folder / DEFAULT.name
    assert file.graph == folder / DEFAULT.with_suffix(".onnx").name
    assert file.graph.read_bytes() == DEFAULT.with_suffix(".onnx").read_bytes()
    assert file.engines == tuple(Engine)
    # A graph that is not its own keeps the model out.
    source.with_suffix(".onnx").write_bytes(b"hello")
    with pytest.raises(UnreadableModel, match="not an ONNX graph"):
        add(source)


def test_what_is_not_sound_is_not_added(tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "damaged.safetensors"
    tiny(source)
    damaged = bytearray(source.read_bytes())
    damaged[-5] ^= 1
    source.write_bytes(damaged)
    for path in (source, tmp_path / "missing", tmp_path):
        with pytest.raises(UnreadableModel) as caught:
            add(path)
        assert "\n" not in str(caught.value)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../../evil", "a/b", "", "a\x1b[2J", "x" * 33, ".hidden"])
def test_a_name_is_safe_in_a_path_and_on_a_terminal(tmp_path: Path, name: str) -> None:
    path = tmp_path / "named.safetensors"
    save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name=name)
    with pytest.raises(UnreadableModel, match="is no name") as caught:
        ModelFile.at(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_released_models_have_names_and_cards(path: Path) -> None:
    facts = ModelFile.at(path).description
    assert path.stem == f"{facts.name}-{facts.fingerprint}"
    assert f"`{facts.fingerprint}`" in path.with_suffix(".md").read_text()
    assert path.with_suffix(".onnx").is_file()
    # What does not fit is given by path, and is no part of the package.
    assert facts.bytes <= 8_000_000


def test_no_released_model_is_ever_removed_or_computes_anything_else() -> None:
    """Streams name them: whatever becomes of the network's code, this must go on holding."""
    released = {ModelFile.at(path).description.fingerprint: path for path in FILES}
    known = json.loads(VECTORS.read_text())
    assert known.keys() <= released.keys()
    z = normals(7, Purpose.RENDERING, 0, 3 * 24 * 40).reshape(3, 24, 40)
    for (fingerprint, path), engine in product(released.items(), Engine):
        denoiser = load_model(path, engine).denoiser
        values = []
        for snr in (0.1, 2.0, 60.0):
            x_hat = denoiser(z * np.float32(math.sqrt(snr * (1 + snr))), snr)
            values += x_hat.reshape(-1)[::577].tolist()
        shown = json.dumps([round(value, 4) for value in values])
        assert fingerprint in known, f"released, so add to {VECTORS.name}: {shown}"
        assert values == pytest.approx(known[fingerprint], abs=2e-3), shown


def test_the_default_is_released() -> None:
    assert DEFAULT in FILES
    assert DEFAULT.stem.endswith(f"-{default_model().fingerprint}")
    assert default_model() is default_model()

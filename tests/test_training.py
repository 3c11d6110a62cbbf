"""The recipe learns, can be interrupted anywhere, grows networks, and ends in a model file."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffc_stream.diffusion.architecture import Architecture, field_features, noise_features
from diffc_stream.diffusion.engine import Engine, engines
from diffc_stream.diffusion.model import load_model
from diffc_stream.diffusion.unet import UNet
from training import export, train
from training.photographs import Photographs, decoded, pyramid, split

TINY = (
    *("--widths", "8,16", "--blocks", "1,1"),
    *("--batch", "2", "--threads", "1", "--graphics", "4"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for index in range(3):
        coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        size = (150 + 7 * index, 131)
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def trained(folder: Path, out: Path, iterations: int, *more: str) -> dict[str, torch.Tensor]:
    threads = torch.get_num_threads()
    flags = ("--photographs", str(folder), "--out", str(out), "--iterations", str(iterations))
    try:
        train.main([*flags, *TINY, *more])
    finally:
        torch.set_num_threads(threads)
    state = train.load(out / "checkpoint.pt", torch.device("cpu"))
    assert state["iteration"] == iterations
    weights: dict[str, torch.Tensor] = state["average"]
    return weights


def test_held_out_photographs_are_not_trained_on(folder: Path) -> None:
    training, held_out = split(folder)
    assert held_out
    assert not set(training) & set(held_out)


def test_files_can_be_left_out(folder: Path) -> None:
    training, held_out = split(folder, without=("1",))
    assert {path.name for path in (*training, *held_out)} == {"0.png", "2.png"}
    with pytest.raises(SystemExit, match="no photographs"):
        split(folder, without=("0", "1"))


def test_several_folders_are_trained_on(folder: Path, tmp_path: Path) -> None:
    trained(folder, tmp_path / "run", 1, "--photographs", str(folder), str(folder))


def test_a_pyramid_halves_until_it_is_small(folder: Path) -> None:
    sizes = [level.shape[:2] for level in pyramid(decoded(folder / "0.png"))]
    assert sizes == [(131, 150), (65, 75), (32, 37), (16, 18)]


def test_crops_are_of_pictures_and_the_same_for_the_same_seed(folder: Path) -> None:
    photographs = Photographs(split(folder)[0])
    for side in (16, 64):
        first = photographs.crops(20, side, np.random.default_rng(5))
        again = photographs.crops(20, side, np.random.default_rng(5))
        assert first.shape == (20, 3, side, side)
        assert first.abs().max() <= 2.0001
        assert torch.equal(first, again)


def test_a_share_of_the_crops_is_of_graphics(folder: Path) -> None:
    purple = np.full((80, 80, 3), (255, 0, 255), np.uint8)
    photographs = Photographs(split(folder)[0], [purple])
    crops = photographs.crops(300, 16, np.random.default_rng(6))
    flat = (crops.std(dim=(2, 3)) < 1e-3).all(dim=1)
    assert 10 <= int(flat.sum()) <= 60


def test_an_interrupted_run_is_the_run_that_was_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(folder, tmp_path / "whole", 4)

    def interrupted(run: train.Run, batch: train.Batch, rate: float) -> float:
        if run.iteration == 2:
            raise KeyboardInterrupt
        return step(run, batch, rate)

    step = train.Run.step
    monkeypatch.setattr(train.Run, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(folder, tmp_path / "parts", 4, "--save-every", "0")
    monkeypatch.undo()
    parts = trained(folder, tmp_path / "parts", 4)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_another_architecture_does_not_continue_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    trained(folder, tmp_path, 1)
    with pytest.raises(SystemExit, match="another network"):
        trained(folder, tmp_path, 2, "--blocks", "2,1")


def test_the_loss_falls(folder: Path) -> None:
    torch.manual_seed(0)
    photographs = Photographs(split(folder)[0])
    run = train.Run.begun(UNet(Architecture(widths=(8, 16), blocks=(1, 1), shaped=True)), 2e-3)
    batches = [train.draw(photographs, 4, (0, i)) for i in range(4)]
    losses = [run.step(batches[i % 4], 2e-3) for i in range(40)]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    for ratio in (0.6, 1.0):
        table = train.validate(run.average, batches[0].x, ratio)
        assert list(table) == list(train.VALIDATION_LEVELS)


@pytest.mark.parametrize(("widths", "blocks"), [((8, 16), (3, 1)), ((12, 24), (1, 2))])
def test_a_grown_network_begins_as_what_it_grew_from_and_all_of_it_learns(
    widths: tuple[int, ...], blocks: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    small = UNet(Architecture(widths=(8, 16), blocks=(1, 1)))
    with torch.no_grad():
        for name, tensor in small.named_parameters():
            if ".film." in name:  # zeros at first, which could not be told apart
                tensor.normal_(std=0.1)
    large = UNet(Architecture(widths=widths, blocks=blocks))
    train.grow(large, small.state_dict())
    z, features = torch.randn(1, 3, 16, 16), torch.tensor([noise_features(1.0)])
    with torch.no_grad():
        torch.testing.assert_close(large(z, features), small(z, features))
    optimiser = torch.optim.SGD(large.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        large(z, features).square().mean().backward()
        optimiser.step()
    for name, tensor in large.named_parameters():
        assert tensor.grad is not None, name
        assert bool((tensor.grad.reshape(len(tensor), -1) != 0).any(1).all()), name


def test_a_network_that_learns_shapes_begins_as_one_of_white_noise() -> None:
    torch.manual_seed(0)
    white = UNet(Architecture(widths=(8, 16), blocks=(1, 1)))
    shaped = UNet(Architecture(widths=(8, 16), blocks=(1, 1), shaped=True))
    train.grow(shaped, white.state_dict())
    z, shown = torch.randn(1, 3, 16, 16), torch.randn(1, 1, 16, 16)
    level, field = noise_features(1.0), field_features(1.0, 0.6, 0.5)
    with torch.no_grad():
        torch.testing.assert_close(
            shaped(torch.cat([z, shown], 1), torch.tensor([field])),
            white(z, torch.tensor([level])),
        )


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "missing.safetensors", "missing.pt"])
def test_what_nothing_can_start_from(tmp_path: Path, name: str) -> None:
    for file in ("a.safetensors", "a.pt"):
        (tmp_path / file).write_bytes(b"junk, and more of it")
    with pytest.raises(SystemExit, match=rf"^\S*{name}: [^\n]*$"):
        train.weights(tmp_path / name, torch.device("cpu"))


def test_the_rate_never_jumps() -> None:
    rates = [train.schedule(iteration, 2_000) for iteration in range(2_000)]
    assert max(rates) == 1.0
    assert rates[-1] < 0.02
    assert max(abs(after - before) for before, after in pairwise(rates)) < 0.01


@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own
def test_a_checkpoint_becomes_a_model(folder: Path, tmp_path: Path) -> None:
    trained(folder, tmp_path, 1)
    checkpoint = str(tmp_path / "checkpoint.pt")
    export.main(["--checkpoint", checkpoint, "--folder", str(tmp_path), "--name", "tiny"])
    (file,) = tmp_path.glob("*.safetensors")
    assert engines(file) == tuple(Engine)
    averaged, released = (
        train.weights(path, torch.device("cpu")) for path in (tmp_path / "checkpoint.pt", file)
    )
    assert averaged.keys() == released.keys()
    for name, values in averaged.items():
        torch.testing.assert_close(released[name], values, rtol=1e-3, atol=1e-3)
    model = load_model(file)
    assert file.stem == f"tiny-{model.fingerprint}"
    assert model.name == "tiny"
    assert model.denoiser(np.zeros((3, 20, 20), np.float32), 1.0).shape == (3, 20, 20)

"""Tiles: together the whole, each with all that matters to it, and no larger than allowed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffc_stream.codec import Decoder, Encoder
from diffc_stream.diffusion import octaves, tiles
from diffc_stream.diffusion.architecture import NOISE_FEATURES, Architecture
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.engine import Engine
from diffc_stream.diffusion.learned import EVALUATING, LearnedDenoiser, Network
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.diffusion.network import TorchNetwork, load_network, save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import read_description
from diffc_stream.work import watched
from training.onnx import write_graph

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own

Floats = NDArray[np.float32]

SMALL = Architecture(widths=(4, 6), blocks=(1, 1))
SHAPES = [
    SMALL,
    Architecture(widths=(4,), blocks=(2,)),
    Architecture(widths=(4, 6), blocks=(0, 1)),
    Architecture(widths=(4, 4, 6), blocks=(2, 1, 0)),
]


def wide_range(architecture: Architecture) -> UNet:
    """A network in which every convolution matters, as far as it reaches."""
    torch.manual_seed(0)
    network = UNet(architecture).eval().requires_grad_(False)
    for name, weight in network.named_parameters():
        if name.startswith("level") or "film" in name:
            weight.mul_(0)
        elif weight.ndim == 4:
            weight.copy_(torch.randn_like(weight) * weight[0].numel() ** -0.5)
    return network


def noise(height: int, width: int) -> Floats:
    return np.random.default_rng(0).standard_normal((3, height, width)).astype(np.float32)


def tiled(run: Network, known: Architecture, *, largest: int, halo: int | None = None) -> Denoiser:
    halo = known.halo if halo is None else halo
    return LearnedDenoiser(
        run, multiple=known.multiple, halo=halo, shaped=known.shaped, largest=largest
    )


@pytest.mark.parametrize("architecture", SHAPES, ids=str)
def test_a_halo_is_as_wide_as_it_has_to_be(architecture: Architecture) -> None:
    network = wide_range(architecture).double()
    multiple, halo = architecture.multiple, architecture.halo
    side = 2 * halo + 4 * multiple
    z = torch.randn(1, 3, side, side, dtype=torch.float64)
    features = torch.zeros(1, NOISE_FEATURES, dtype=torch.float64)
    before = network(z, features)
    middle = slice(halo + multiple, halo + 2 * multiple)
    # What is beyond the halo of this block has no say in it ...
    z[:, :, :, 2 * (halo + multiple) :] += 1
    z[:, :, :multiple] += 1
    assert torch.equal(network(z, features)[:, :, middle, middle], before[:, :, middle, middle])
    # ... and what is nearer by a block has.
    for nearer in (slice(multiple, 2 * multiple), slice(side - 3 * multiple, side - multiple)):
        changed = z.clone()
        changed[:, :, nearer] += 1
        now = network(changed, features)[:, :, middle, middle]
        assert not torch.equal(now, before[:, :, middle, middle])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "wide.safetensors"
    fingerprint = save_model(path, wide_range(SMALL), name="wide")
    path = path.rename(path.with_stem(f"wide-{fingerprint}"))
    write_graph(path)
    return path


@pytest.fixture(params=list(Engine))
def wide(request: pytest.FixtureRequest, file: Path) -> Network:
    denoiser = load_model(file, request.param).denoiser
    assert isinstance(denoiser, LearnedDenoiser)
    return denoiser._network


@pytest.mark.parametrize(
    ("size", "largest"),
    [
        ((101, 150), 6000),
        ((64, 64), 64 * 64 - 1),  # one tile does not quite do
        ((5000, 3), 900),
        ((3, 5000), 900),
        ((96, 4), 100 * 4),
        ((200, 90), 52 * 52),  # the smallest there are
    ],
)
def test_tiles_are_what_the_whole_is(wide: Network, size: tuple[int, int], largest: int) -> None:
    eta = 0.5 * noise(*size)
    whole = tiled(wide, SMALL, largest=10**9)(eta, 2.0)
    assert np.mean(np.abs(whole) == 2) < 0.01, "where it is clipped nothing is seen"
    parts = tiled(wide, SMALL, largest=largest)(eta, 2.0)
    np.testing.assert_allclose(parts, whole, atol=1e-5, rtol=0)
    smaller = SMALL.halo - SMALL.multiple
    worse = tiled(wide, SMALL, largest=largest, halo=smaller)(eta, 2.0)
    cut = tiles.grid(*size, multiple=SMALL.multiple, halo=smaller, largest=largest)
    assert (np.abs(worse - whole).max() > 1e-4) == (len(cut) > 1)


@pytest.mark.parametrize("engine", list(Engine))
def test_tiles_of_the_default_model_give_the_same_picture(engine: Engine) -> None:
    known = read_description(DEFAULT).architecture
    denoiser = load_model(DEFAULT, engine).denoiser
    assert isinstance(denoiser, LearnedDenoiser)
    eta = 2 * noise(171, 333)
    parts = tiled(denoiser._network, known, largest=320 * 176)
    for snr in (0.4, 30.0):
        one, other = parts(eta, snr), denoiser(eta, snr)
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=0)
        assert_alike(octaves.picture(one), octaves.picture(other))


def test_a_stream_decodes_by_tiles_as_it_was_encoded_without(file: Path) -> None:
    run = TorchNetwork(load_network(file))
    fingerprint = read_description(file).fingerprint
    whole, parts = (
        Model(name="wide", fingerprint=fingerprint, denoiser=tiled(run, SMALL, largest=largest))
        for largest in (10**9, 52 * 60)
    )
    picture = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    data = b"".join(Encoder(picture, whole, target_bytes=700))
    assert_alike(*(decoded(model, data) for model in (whole, parts)))


def decoded(model: Model, data: bytes) -> NDArray[np.uint8]:
    decoder = Decoder([model])
    decoder.feed(data)
    return decoder.render().image


def assert_alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> None:
    """Equal, but for values in the middle between two levels, which may be rounded either way."""
    assert np.abs(one.astype(int) - other).max() <= 1
    assert np.mean(one != other) < 1e-3


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (2000, 3000), (20_000, 300), (33, 9_000)])
@pytest.mark.parametrize("largest", [70_000, 5_000_000])
def test_tiles_cover_a_picture_once(size: tuple[int, int], largest: int) -> None:
    multiple, halo = 8, 128
    cut = tiles.grid(*size, multiple=multiple, halo=halo, largest=largest)
    rows = list(dict.fromkeys((down.kept.start, down.kept.stop) for down, _ in cut))
    columns = list(dict.fromkeys((across.kept.start, across.kept.stop) for _, across in cut))
    assert len(cut) == len(rows) * len(columns)
    for spans, side in ((rows, size[0]), (columns, size[1])):
        assert [0, *(stop for _, stop in spans)] == [*(start for start, _ in spans), side]
        assert all(stop > start for start, stop in spans)
    for tile in cut:
        evaluated = 1
        for span, side in zip(tile, size, strict=True):
            assert span.seen.start == max(0, span.kept.start - halo)
            assert span.seen.stop == min(side, span.kept.stop + halo)
            assert span.seen.start % multiple == 0
            assert span.seen.stop % multiple == 0 or span.seen.stop == side
            assert span.within.stop - span.within.start == span.kept.stop - span.kept.start
            evaluated *= -(-(span.seen.stop - span.seen.start) // multiple) * multiple
        assert evaluated <= largest


def test_photographs_of_24_megapixels_cost_a_sixth_more() -> None:
    cut = tiles.grid(4000, 6000, multiple=8, halo=128)
    seen = sum(
        (down.seen.stop - down.seen.start) * (across.seen.stop - across.seen.start)
        for down, across in cut
    )
    assert len(cut) == 6
    assert seen < 7 / 6 * 4000 * 6000


def test_small_pictures_are_one_tile_and_so_is_what_cannot_be_cut() -> None:
    assert len(tiles.grid(1536, 2048, multiple=8, halo=128)) == 1
    assert len(tiles.grid(4000, 6000, multiple=64, halo=12_800)) == 1


def test_whoever_watches_is_told_of_every_tile(wide: Network) -> None:
    told: list[tuple[str, float]] = []
    with watched(lambda what, share: told.append((what, share))):
        tiled(wide, SMALL, largest=4000)(noise(60, 100), 2.0)
    count = len(tiles.grid(60, 100, multiple=4, halo=SMALL.halo, largest=4000))
    assert count > 1
    assert told == [(EVALUATING, done / count) for done in range(count + 1)]

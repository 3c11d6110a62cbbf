"""What other formats give for the same bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import sources
from http_client import ask
from PIL import Image, ImageFile
from serving import serving
from viewer_files import viewer

from diffc_server import Catalogue
from diffc_server.http import comparison
from diffc_server.http.comparison import PREFIX, Comparison, ComparisonRequest
from diffc_stream import save_png
from diffc_stream.errors import RequestRefused
from diffc_stream.session import MAX_STREAM
from diffc_viewer import Assets, Site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "sub").mkdir(parents=True)
    save_png(folder / "sub" / "a b.png", np.tile(sources.picture(), (8, 8, 1)))
    (folder / "none.png").write_bytes(b"no picture")
    (folder / "stream.dfc").write_bytes(b"")
    return folder


def wanted(kind: str, size: int, of: int = 0, name: str = "sub/a b.png") -> ComparisonRequest:
    return ComparisonRequest(name=name, format=kind, bytes=size, of=of or size)


def test_a_side_that_no_format_has(tmp_path: Path) -> None:
    save_png(tmp_path / "wide.png", np.zeros((2, 65_530, 3), np.uint8))
    made = Comparison(Catalogue(tmp_path))
    with pytest.raises(RequestRefused, match="cannot be written"):
        made.file(wanted("jpeg", 2000, name="wide.png"))


def shown(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def test_the_best_file_of_so_many_bytes(folder: Path) -> None:
    made = Comparison(Catalogue(folder))
    files = [made.file(wanted("avif", size)) for size in (700, 1500, 6000)]
    assert [len(file) for file in files] == sorted(len(file) for file in files)
    for file, size in zip(files, (700, 1500, 6000), strict=True):
        assert size // 2 < len(file) <= size
        assert file[4:12] == b"ftypavif"
    assert made.file(wanted("avif", 1500)) == files[1]


def test_so_many_bytes_of_a_progressive_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Comparison(Catalogue(folder))
    whole = made.file(wanted("jpeg", 10**6, 6000))
    assert 3000 < len(whole) <= 6000
    assert b"\xff\xc2" in whole  # progressive
    part = made.file(wanted("jpeg", 2000, 6000))
    assert part == whole[:2000]
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    assert shown(part).size == shown(whole).size


def test_what_is_small_is_reduced(folder: Path) -> None:
    height, width = np.tile(sources.picture(), (8, 8, 1)).shape[:2]
    made = Comparison(Catalogue(folder))
    small = shown(made.file(wanted("jpeg", 900, 900)))
    assert small.width < width
    assert abs(small.width * height - small.height * width) <= 8 * max(height, width)


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (wanted("avif", 20), "it cannot be made so small"),
        (wanted("jpeg", 100, 6000), "show nothing"),
        (wanted("avif", 1000, name="gone.png"), "no picture"),
        (wanted("avif", 1000, name="../served/sub/a b.png"), "no picture"),
        (wanted("avif", 1000, name="stream.dfc"), "no original"),
        (wanted("avif", 1000, name="none.png"), "not a picture"),
    ],
)
def test_what_there_is_not(folder: Path, question: ComparisonRequest, why: str) -> None:
    with pytest.raises(RequestRefused, match=why):
        Comparison(Catalogue(folder)).file(question)


def test_pixels_of_the_original_to_measure_with(tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    original = noise.integers(0, 256, (190, 270, 3), np.uint8)
    save_png(tmp_path / "large.png", original)
    save_png(tmp_path / "small.png", original[:9, :13])
    made = Comparison(Catalogue(tmp_path))
    question = ComparisonRequest.parse(f"{PREFIX}small.png?format=sample")
    row = np.asarray(shown(made.file(question))).reshape(-1, 3)
    assert np.array_equal(row[: 9 * 13], original[:9, :13].reshape(-1, 3))
    strip = np.asarray(
        shown(made.file(ComparisonRequest.parse(f"{PREFIX}large.png?format=sample")))
    )
    assert strip.shape == (128, 128, 3)
    chosen = comparison.places(190 * 270)
    assert np.all(np.diff(chosen) > 0)
    assert np.array_equal(strip.reshape(-1, 3), original.reshape(-1, 3)[chosen])
    other = noise.integers(0, 256, original.shape, np.uint8)
    errors = (original.astype(float) - other).reshape(-1, 3) ** 2
    assert np.mean(errors[chosen]) == pytest.approx(np.mean(errors), rel=0.02)


def test_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Comparison(Catalogue(folder))
    monkeypatch.setattr(comparison, "MOST_KEPT", 5000)
    made.file(wanted("jpeg", 3000, 3000))
    assert 0 < made._kept == sum(len(tried.data) for tried in made._candidates.values()) <= 5000
    monkeypatch.setattr(comparison, "PATIENCE", 0.0)
    assert len(Comparison(Catalogue(folder)).file(wanted("jpeg", 10**5, 10**5))) <= 10**5
    monkeypatch.setattr(comparison, "MOST_PIXELS", 100)
    with pytest.raises(RequestRefused, match="too large"):
        Comparison(Catalogue(folder)).file(wanted("jpeg", 3000, 3000))


def test_questions() -> None:
    question = ComparisonRequest.parse(f"{PREFIX}sub/a%20b.png?format=jpeg&bytes=12&of=99999999")
    assert question == wanted("jpeg", 12, question.of)
    assert question.of == MAX_STREAM
    assert ComparisonRequest.parse(f"{PREFIX}a?bytes=7&format=avif") == wanted("avif", 7, name="a")


@pytest.mark.parametrize(
    "query",
    [
        *("", "format=avif", "bytes=1", "format=png&bytes=1", "format=jpeg&bytes=1"),
        *("format=avif&bytes=-1", "format=avif&bytes=1e3", "format=avif&bytes=", "&&", "bytes"),
        *("format=avif&bytes=1&bytes=2", "format=avif&bytes=%FF", "format=avif&bytes=²"),
        "format=avif&bytes=" + "9" * 5000,
        "&".join(f"x{i}=1" for i in range(20)) + "&format=avif&bytes=1",
    ],
)
def test_questions_that_make_no_sense(query: str) -> None:
    with pytest.raises(RequestRefused):
        ComparisonRequest.parse(f"{PREFIX}a.png?{query}")


@pytest.mark.asyncio
async def test_over_http(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(Assets(home=viewer(tmp_path / "viewer")))
    path = f"{PREFIX}sub/a%20b.png?format=jpeg&bytes=3000&of=3000"
    async with serving(folder, site=site, compare=True) as daemon:
        answer = await ask(daemon, path)
        assert (answer.status, answer.fields["Content-Type"]) == (200, "image/jpeg")
        assert 0 < len(answer.body) <= 3000
        assert answer.fields["Cross-Origin-Resource-Policy"] == "same-origin"
        sample = await ask(daemon, f"{PREFIX}sub/a%20b.png?format=sample")
        assert (sample.status, sample.fields["Content-Type"]) == (200, "image/png")
        assert (await ask(daemon, f"{PREFIX}gone.png?format=avif&bytes=9")).status == 404
        assert (await ask(daemon, path, "Sec-Fetch-Site: cross-site")).status == 403
        monkeypatch.setattr(comparison, "MOST_WAITING", 0)
        assert (await ask(daemon, path)).status == 503
    async with serving(folder, site=site) as daemon:
        assert (await ask(daemon, path)).status == 404

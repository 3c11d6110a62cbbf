"""Clips as files: videos, animations and folders, read and written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.clips import Footage, load_footage
from diffc_stream.clips.footage import is_footage
from diffc_stream.clips.showing import check, save
from diffc_stream.errors import DestinationError, PictureTooLarge, UnreadablePicture

Picture = NDArray[np.uint8]


def pictures(count: int = 6, size: tuple[int, int] = (36, 64)) -> list[Picture]:
    """A light square on a dark ground, a little farther to the right every time."""
    shown = []
    for number in range(count):
        picture = np.full((*size, 3), 40, np.uint8)
        picture[8:24, 4 + 4 * number : 20 + 4 * number] = (200, 180, 90)
        shown.append(picture)
    return shown


def near(one: Picture, other: Picture) -> bool:
    return bool(np.abs(one.astype(int) - other).mean() < 6)


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.png", "a.mp4", "a"])
def test_what_is_written_can_be_read(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, pictures(), 200)
    footage = load_footage(tmp_path / name, rate=5)
    assert (len(footage.pictures), footage.milliseconds) == (6, 200)
    for one, other in zip(footage.pictures, pictures(), strict=True):
        assert near(one, other)
    assert [path.name for path in tmp_path.iterdir()] == [name], "nothing else is left there"


def test_only_webp_has_a_quality(tmp_path: Path) -> None:
    sizes = []
    noise = list(np.random.default_rng(1).integers(0, 256, (2, 36, 64, 3), dtype=np.uint8))
    for quality in (10, None, 100):
        save(tmp_path / "a.webp", noise, 200, quality=quality)
        sizes.append((tmp_path / "a.webp").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]
    for name in ("a.gif", "a.png", "a.mp4", "a"):
        with pytest.raises(DestinationError, match=r"a quality to choose as \.webp only"):
            save(tmp_path / name, pictures(), 200, quality=80)
        assert not (tmp_path / name).exists()


def test_rates_seconds_and_sizes(tmp_path: Path) -> None:
    video = tmp_path / "a.mp4"
    save(video, pictures(12, (180, 320)), 100)
    footage = load_footage(video, rate=5, seconds=1, side=64)
    assert footage.milliseconds == 200
    assert [picture.shape for picture in footage.pictures] == [(36, 64, 3)] * 5
    assert len(load_footage(video, rate=20).pictures) == 24, "each is shown twice"


def test_videos_are_upright(tmp_path: Path) -> None:
    import av

    path = tmp_path / "turned.mkv"
    with av.open(path, "w") as file:
        stream = file.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "bgr0"
        for picture in pictures():
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    assert load_footage(path, rate=5).pictures[0].shape == (36, 64, 3)


def test_odd_sides_lose_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a.mp4", pictures(3, (35, 63)), 100)
    assert load_footage(tmp_path / "a.mp4", rate=10).pictures[0].shape == (36, 64, 3)


def test_transparent_animations_lie_on_white(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (32, 32), (0, 0, 200, alpha)) for alpha in (0, 255)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=100)
    shown = load_footage(tmp_path / "a.png", rate=10).pictures
    assert shown[0][0, 0].tolist() == [255, 255, 255]
    assert shown[1][0, 0].tolist() == [0, 0, 200]


def test_what_is_no_clip(tmp_path: Path) -> None:
    text, empty, single = tmp_path / "a.mp4", tmp_path / "empty", tmp_path / "one.png"
    text.write_bytes(b"#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    empty.mkdir()
    Image.new("RGB", (32, 32)).save(single)
    for path, message in (
        (text, "a.mp4: "),
        (empty, "at least two pictures, not 0"),
        (single, "one.png: a single picture, not an animation"),
        (tmp_path / "none.mp4", "none.mp4: No such file"),
        (tmp_path / "none.gif", "none.gif: No such file"),
    ):
        with pytest.raises(UnreadablePicture, match=message) as raised:
            load_footage(path)
        assert "\n" not in str(raised.value)


def test_pictures_of_several_sizes(tmp_path: Path) -> None:
    for number, size in enumerate(((32, 32), (32, 30))):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    with pytest.raises(UnreadablePicture, match="several sizes"):
        load_footage(tmp_path)


def test_more_than_a_clip_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.gif", pictures(), 100)
    monkeypatch.setattr("diffc_stream.clips.footage.MOST_PIXELS", 5 * 64 * 36)
    with pytest.raises(PictureTooLarge, match="take fewer seconds"):
        load_footage(tmp_path / "a.gif", rate=10)


def test_what_a_clip_is_not_written_as(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match=r"a folder, .webp, .gif, .png or .mp4"):
        check(tmp_path / "a.jpg")


@pytest.mark.parametrize(("name", "video"), [("a.MP4", True), ("a.webm", True), ("a.gif", False)])
def test_names_of_videos(tmp_path: Path, name: str, video: bool) -> None:
    assert is_footage(tmp_path / name) is video
    assert is_footage(tmp_path)


def test_without_what_reads_videos(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['av'] = None\n"
        "from pathlib import Path\n"
        "from diffc_stream.clips.footage import load_footage\n"
        "from diffc_stream.clips.showing import check\n"
        "for act in (lambda: load_footage(Path('a.mp4')), lambda: check(Path('a.mp4'))):\n"
        "    try: act()\n"
        "    except Exception as error: print(error)\n"
    )
    command = [sys.executable, "-c", script]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines == ["a.mp4: videos need PyAV: pip install 'diffc-stream[video]'"] * 2


def test_footage_has_one_size() -> None:
    footage = Footage(pictures=pictures(), milliseconds=100)
    assert {picture.shape for picture in footage.pictures} == {(36, 64, 3)}

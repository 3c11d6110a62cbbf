"""A folder of pictures becomes files: whole, once, and beside what others put there."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from publishing import SETTINGS, files, photographs, published

from diffc_stream.bulk import encoding
from diffc_stream.cli import main
from diffc_stream.diffusion.collection import default_model
from diffc_stream.errors import DestinationError
from diffc_stream.publishing import catalogue
from diffc_stream.publishing import publication as module
from diffc_stream.publishing.publication import stream_path
from diffc_stream.publishing.record import NAME
from diffc_viewer import PublishedViewer

PICTURES = ["a b.png", "meadow.dfc", "sub/ü.png"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photographs(tmp_path_factory.mktemp("source"))


@pytest.fixture(autouse=True)
def _small_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = PublishedViewer(index=b"the page", files={"-/0/page.js": b"its script"})
    monkeypatch.setattr(module, "published_viewer", lambda _: viewer)


def listed(folder: Path) -> list[dict[str, object]]:
    root = json.loads((folder / catalogue.ROOT).read_text())
    pages = [json.loads((folder / page["path"]).read_text()) for page in root["pages"]]
    return [picture for page in pages for picture in page["pictures"]]


def test_streams_are_those_of_diffc_encode(source: Path, tmp_path: Path) -> None:
    done = published(source, tmp_path / "site")
    assert (done.pictures, done.encoded, done.failed) == (3, 2, {})
    pictures = {str(picture["name"]): picture for picture in listed(tmp_path / "site")}
    assert list(pictures) == PICTURES
    for name, picture in pictures.items():
        stream = (tmp_path / "site" / str(picture["stream"])).read_bytes()
        assert len(stream) == picture["bytes"]
        if name.endswith(".dfc"):
            assert stream == (source / name).read_bytes()
            continue
        out = tmp_path / "one.dfc"
        assert main(["encode", str(source / name), str(out), "--bpp", str(SETTINGS.bpp)]) == 0
        assert stream == out.read_bytes()


def test_what_is_there_and_whole_is_not_made_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published(source, tmp_path)
    before = files(tmp_path)
    monkeypatch.setattr(module, "encode", None)  # would fail
    again = published(source, tmp_path)
    assert (again.encoded, again.written, again.kept) == (0, 0, first.written)
    assert files(tmp_path) == before


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_what_is_not_whole_is_made_again_or_refused(source: Path, tmp_path: Path, how: str) -> None:
    published(source, tmp_path)
    before = files(tmp_path)
    stream = next(name for name in before if name.startswith("streams/a b"))
    if how == "lost":
        (tmp_path / stream).unlink()
        done = published(source, tmp_path)
        assert (done.encoded, done.written) == (1, 1)
        assert files(tmp_path) == before
    else:
        # Nobody but its owner knows whether this is damage.
        (tmp_path / stream).write_bytes(b"mine now")
        done = published(source, tmp_path)
        assert "was not written by diffc publish" in done.failed["a b.png"]
        assert (tmp_path / stream).read_bytes() == b"mine now"


@pytest.mark.parametrize("name", ["index.html", catalogue.ROOT, "_headers", "nginx.conf"])
def test_files_of_others_are_not_touched(source: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(DestinationError, match="was not written by diffc publish"):
        published(source, tmp_path)
    assert files(tmp_path) | {NAME: b""} == {name: b"mine", NAME: b""}


def test_a_site_within_its_source(source: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes((source / "a b.png").read_bytes())
    for _ in range(2):  # what was published is no source
        assert published(tmp_path, tmp_path / "site").pictures == 1
    for site in (tmp_path, tmp_path.parent):
        with pytest.raises(DestinationError, match="holds the pictures"):
            published(tmp_path, site)


def test_a_bad_picture_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "source" / "bad.dfc").write_bytes(b"DFC\x20 damaged")
    (tmp_path / "source" / "notes.txt").write_bytes(b"no picture either")
    arguments = ["publish", str(tmp_path / "source"), str(tmp_path / "site"), "--json"]
    assert main(arguments) == 4
    out, err = capsys.readouterr()
    done = json.loads(out)
    assert (done["pictures"], sorted(done["failed"])) == (0, ["bad.dfc", "bad.jpg"])
    assert len([line for line in err.splitlines() if "bad." in line]) == 2
    assert listed(tmp_path / "site") == []


def test_whatever_a_library_raises_leaves_out_its_picture_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(data: bytes, *rest: Any) -> object:
        if data == (source / "a b.png").read_bytes():
            raise MemoryError("6.7 GiB")
        return true(data, *rest)

    true = encoding.encode
    monkeypatch.setattr(module, "encode", encode)
    done = published(source, tmp_path / "site")
    assert done.failed == {"a b.png": "MemoryError: 6.7 GiB"}
    assert [picture["name"] for picture in listed(tmp_path / "site")] == PICTURES[1:]


def test_names_that_cannot_be_sent_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "two\u2028lines.png").write_bytes(b"")
    assert main(["publish", str(tmp_path / "source"), str(tmp_path / "site"), "--json"]) == 4
    out, err = capsys.readouterr()
    assert list(json.loads(out)["failed"]) == ["two\\u2028lines.png"]
    assert "diffc: two\\u2028lines.png: its name " in err


def test_prune_deletes_what_nothing_names_any_more(source: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("one.png", "two.png"):
        (pictures / name).write_bytes((source / "a b.png").read_bytes())
    published(pictures, site)
    (site / "streams" / "mine.txt").write_text("mine")
    (pictures / "two.png").unlink()
    done = published(pictures, site)
    assert done.pruned == 0
    assert len(list((site / "streams").glob("*.dfc"))) == 2
    before = set(files(site))
    done = published(pictures, site, prune=True)
    gone = sorted(name.rpartition("/")[0] for name in before - set(files(site)))
    assert done.pruned == 2
    assert gone == ["-/catalogue", "streams"]  # its stream, and the page that listed it
    names = sorted(path.name[:4] for path in (site / "streams").iterdir())
    assert names == ["mine", "one."]


def test_prune_deletes_nothing_of_a_folder_that_cannot_be_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    published(source, site)
    before = files(site)
    scandir = os.scandir

    def scan(path: Any = ".") -> Any:
        if Path(path) == source / "sub":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        done = published(source, site, prune=True)
    assert done.failed == {"sub/": "Permission denied"}
    assert (done.pictures, done.pruned) == (2, 0)
    assert before.keys() <= files(site).keys()
    assert published(source, site, prune=True).encoded == 0


def test_the_record_survives_being_torn(source: Path, tmp_path: Path) -> None:
    published(source, tmp_path)
    before = files(tmp_path)
    record = tmp_path / NAME
    record.write_bytes(record.read_bytes() + b'{"path": "index.html", "sha2')
    done = published(source, tmp_path)
    assert (done.encoded, done.written) == (0, 0)
    assert files(tmp_path) | {NAME: b""} == before | {NAME: b""}


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from publishing import published
from diffc_stream import replacement
from diffc_stream.publishing import publication
from diffc_viewer import PublishedViewer
viewer = PublishedViewer(index=b"the page", files={{"-/0/page.js": b"its script"}})
publication.published_viewer = lambda _: viewer
put, left = replacement._put, [int(sys.argv[1])]
def dying(temporary, path):
    left[0] -= 1
    if left[0] < 0:
        os._exit(9)
    put(temporary, path)
replacement._put = dying
published(Path(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_killed_publication_goes_on(source: Path, tmp_path: Path, after: int) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    published(source, whole)
    script = KILLED.format(paths=[*sys.path])
    command = [sys.executable, "-c", script, str(after), str(source), str(torn)]
    assert subprocess.run(command, check=False).returncode == 9
    done = published(source, torn)
    assert done.encoded + after // 2 >= 2 - after  # at most the one in flight again
    expected, found = files(whole), files(torn)
    assert {**found, NAME: b""} == {**expected, NAME: b""}


def test_pages_of_a_catalogue_change_little() -> None:
    def picture(name: str) -> catalogue.Published:
        facts = {"stream": "s", "sha256": "0" * 64, "model": "m", "thumbnail": "t"}
        numbers = {"bytes": 1, "width": 1, "height": 1, "time": 1}
        return catalogue.Published(name=name, **facts, **numbers)  # type: ignore[arg-type]

    many = [picture(f"{number:05}.jpg") for number in range(10_000)]
    before = list(catalogue.pages(many))
    after = list(catalogue.pages([*many[:3], picture("00002a.jpg"), *many[3:]]))
    assert sum(page.pictures for page in before) == 10_000
    assert max(page.pictures for page in before) <= catalogue.MOST_ON_PAGE
    assert len({page.path for page in after} - {page.path for page in before}) == 1
    assert [page.first for page in before] == sorted(page.first for page in before)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.jpg", "streams/a.jpg.0123456789abcdef.dfc"),
        ("b/a.dfc", "streams/b/a.0123456789abcdef.dfc"),
        (f"{'ü' * 120}.jpg", f"streams/{'ü' * 109}.0123456789abcdef.dfc"),
    ],
)
def test_names_of_streams(name: str, path: str) -> None:
    assert stream_path(name, "0123456789abcdef" * 4) == path
    assert default_model().fingerprint  # of which the streams above are


def test_urls_are_no_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for places in (("here", "s3://bucket/site"), ("file:///here", "site")):
        with pytest.raises(SystemExit) as caught:
            main(["publish", *places])
        assert caught.value.code == 2
        assert "is a URL: publish takes folders" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

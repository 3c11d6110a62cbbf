"""The pictures of a fixed camera are published as streams that start from one another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from publishing import files, followed
from web_server import serving_files

import diffc_client
from diffc_client.__main__ import main
from diffc_stream.bulk.encoding import Settings
from diffc_stream.cli import main as diffc
from diffc_stream.codec import Decoder
from diffc_stream.container import Header
from diffc_stream.diffusion.collection import Collection, default_model
from diffc_stream.picture import load_picture
from diffc_stream.publishing import catalogue
from diffc_stream.publishing import publication as module
from diffc_stream.publishing.publication import Publication, publish
from diffc_stream.references import References, among
from diffc_viewer import PublishedViewer

SETTINGS = Settings(bpp=0.5)


@pytest.fixture(autouse=True)
def _small_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = PublishedViewer(index=b"the page", files={"-/0/page.js": b"its script"})
    monkeypatch.setattr(module, "published_viewer", lambda _: viewer)


def published(source: Path, site: Path, *, prune: bool = False) -> Publication:
    models = Collection.at_hand()
    return publish(source, site, models=models, settings=SETTINGS, key_every=180, prune=prune)


def listed(site: Path) -> dict[str, Path]:
    """Return where the stream of each picture is."""
    root = json.loads((site / catalogue.ROOT).read_text())
    pages = [json.loads((site / page["path"]).read_text()) for page in root["pages"]]
    return {one["name"]: site / one["stream"] for page in pages for one in page["pictures"]}


def starts(site: Path) -> dict[str, str | None]:
    """Return what each picture starts from: a stream beside its own."""
    streams = listed(site)
    names = {path: name for name, path in streams.items()}
    told = {}
    for name, path in streams.items():
        said = Header.parse(path.read_bytes())[0].reference
        assert said is None or said.matches((path.parent / said.name).read_bytes())
        told[name] = None if said is None else names[path.parent / said.name]
    return told


def test_they_are_found_beside_each_other_and_by_name(tmp_path: Path) -> None:
    source, site = tmp_path / "source", tmp_path / "site"
    followed(source / "gate", range(4))
    assert published(source, site).encoded == 4
    assert starts(site) == {
        "gate/0.png": None,
        "gate/1.png": "gate/0.png",
        "gate/2.png": "gate/1.png",
        "gate/3.png": None,
    }
    streams = {name: path.read_bytes() for name, path in listed(site).items()}
    models = [default_model()]
    decoder = Decoder(models, references=References(models, among(streams.values())))
    decoder.feed(streams["gate/2.png"])
    shown = decoder.render().image
    out = tmp_path / "2.png"
    with serving_files(site) as url:
        assert main(["get", f"{url}gate/2.png", "-o", str(out)]) == 0
        assert np.array_equal(load_picture(out), shown)
        path = listed(site)["gate/2.png"].relative_to(site).as_posix()
        assert main(["get", f"{url}{path}", "-o", str(out), "--plain"]) == 0
        assert np.array_equal(load_picture(out), shown)
        [*_, last] = diffc_client.stream(f"{url}gate/2.png")
        assert np.array_equal(last.image, shown)
    assert diffc(["decode", str(listed(site)["gate/2.png"]), str(out)]) == 0


def test_what_is_there_stays_and_what_follows_a_deleted_picture_is_new(tmp_path: Path) -> None:
    source, site = followed(tmp_path / "source", range(4)), tmp_path / "site"
    published(source, site)
    before = files(site)
    assert published(source, site).encoded == 0
    assert files(site) == before
    (source / "1.png").unlink()
    assert published(source, site).encoded == 1
    assert starts(site) == {"0.png": None, "2.png": "0.png", "3.png": None}
    # Whoever has the earlier catalogue still finds all that its streams start from.
    assert before.items() - files(site).items() == {
        (path, before[path]) for path in (catalogue.ROOT, ".diffc-publish.jsonl")
    }
    assert published(source, site, prune=True).pruned > 0
    assert starts(site) == {"0.png": None, "2.png": "0.png", "3.png": None}
    # A picture that cannot be used is left out; the next is a key picture.
    (source / "1.png").write_bytes(b"no picture")
    followed(source, [2])
    (source / "0.png").unlink()
    done = published(source, site)
    assert list(done.failed) == ["1.png"]
    assert starts(site) == {"2.png": None, "3.png": None}


def test_the_command(tmp_path: Path) -> None:
    source, site = followed(tmp_path / "source", range(2)), tmp_path / "site"
    command = ["publish", str(source), str(site), "--bpp", "0.5", "--follow-camera"]
    assert diffc(command) == 0
    assert starts(site) == {"0.png": None, "1.png": "0.png"}

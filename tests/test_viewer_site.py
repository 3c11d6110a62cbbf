"""What a browser is answered with."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from http import HTTPStatus
from pathlib import Path

import pytest
from viewer_files import viewer

from diffc_viewer import Assets, Facts, Site, SiteRequest, SiteResponse
from diffc_viewer.site import MAX_AGE

MAP = '{ "imports": { "diffc-client": "/-/js/index.js" } }'
PAGE = f'<!doctype html><script type="importmap">{MAP}</script><p>hello'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    viewer(tmp_path)
    (tmp_path / "page" / "index.html").write_text(PAGE)
    return Site(Assets(home=tmp_path))


def ask(
    site: Site, path: str, accepts: str = "", known: str = "", host: str = "h:1"
) -> SiteResponse:
    return site.answer(SiteRequest(path=path, host=host, accepts=accepts, known=known))


def test_the_page_may_use_threads_and_its_import_map_and_nothing_else(site: Site) -> None:
    answer = ask(site, "/")
    assert (answer.status, answer.body) == (HTTPStatus.OK, PAGE.encode())
    fields = answer.fields
    assert fields["Content-Type"] == "text/html; charset=utf-8"
    assert fields["Cross-Origin-Opener-Policy"] == "same-origin"
    assert fields["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert fields["Cross-Origin-Resource-Policy"] == "same-origin"
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Referrer-Policy"] == "no-referrer"
    policy = dict(
        part.partition(" ")[::2] for part in fields["Content-Security-Policy"].split("; ")
    )
    digest = base64.b64encode(hashlib.sha256(MAP.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'wasm-unsafe-eval' 'sha256-{digest}'"
    assert policy["connect-src"] == "'self' ws://h:1 wss://h:1"
    assert policy["worker-src"] == "'self'"
    assert policy["img-src"] == "'self' blob:"
    assert "font-src" not in policy
    for nothing in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert policy[nothing] == "'none'"


def test_a_host_that_is_not_known_is_not_repeated(site: Site) -> None:
    assert "connect-src 'self';" in ask(site, "/", host="").fields["Content-Security-Policy"]


def test_what_has_not_changed_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    answer = ask(site, "/-/page/main.js")
    assert answer.fields["Cache-Control"] == f"max-age={MAX_AGE}"
    tag = answer.fields["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}'):
        again = ask(site, "/-/page/main.js", known=known)
        assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")
        assert again.fields == answer.fields
    assert ask(site, "/-/page/main.js", known='"x"').status is HTTPStatus.OK
    (tmp_path / "page" / "main.js").write_text("other")
    assert ask(site, "/-/page/main.js", known=tag).body == b"other"


def test_compressed_copies_are_told_from_others(site: Site) -> None:
    path = "/-/vendor/onnxruntime-web/ort.wasm"
    plain, small = ask(site, path), ask(site, path, accepts="br")
    assert "Content-Encoding" not in plain.fields
    assert small.fields["Content-Encoding"] == "br"
    assert plain.fields["Vary"] == small.fields["Vary"] == "Accept-Encoding"
    assert plain.fields["ETag"] != small.fields["ETag"]
    assert small.fields["Content-Type"] == "application/wasm"


def test_what_has_no_copies_is_compressed(site: Site) -> None:
    plain, small = ask(site, "/"), ask(site, "/", accepts="br, gzip")
    assert small.fields["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    policies = {answer.fields["Content-Security-Policy"] for answer in (plain, small)}
    assert len(policies) == 1
    assert ask(site, "/", accepts="gzip", known=small.fields["ETag"]).body == b""


def test_what_is_not_there(site: Site, tmp_path: Path) -> None:
    assert ask(site, "/-/page/gone.js").status is HTTPStatus.NOT_FOUND
    (tmp_path / "page" / "main.js").unlink()
    assert ask(site, "/-/page/main.js").status is HTTPStatus.NOT_FOUND
    assert all(map(site.has, ["/", "/-/", "/-/anything"]))
    assert not any(map(site.has, ["", "/-", "/a.png.dfc", "//"]))


def test_a_viewer_that_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    answer = ask(Site(Assets(home=tmp_path)), "/")
    assert answer.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert b"<pre>make viewer</pre>" in answer.body
    assert answer.fields["Cache-Control"] == "no-store"


def test_facts(site: Site, tmp_path: Path) -> None:
    facts = json.loads(ask(site, "/-/viewer.json").body)
    assert facts.keys() == {
        *("compare", "max_pixels", "packets", "published", "sender", "rate", "version"),
    }
    assert (facts["compare"], facts["sender"], facts["rate"]) == (False, None, None)
    told = Facts(compare=True, sender="ws://h:2", rate=2000.0)
    other = Site(Assets(home=tmp_path), told)
    facts = json.loads(ask(other, "/-/viewer.json").body)
    assert (facts["compare"], facts["sender"], facts["rate"]) == (True, "ws://h:2", 2000.0)
    answer = site.answer(SiteRequest(path="/-/viewer.json"), told)
    assert json.loads(answer.body) == facts


def test_models(site: Site) -> None:
    answer = ask(site, "/-/models.json")
    assert (answer.body, answer.fields["Content-Type"]) == (b"[]", "application/json")

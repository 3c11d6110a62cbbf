"""Answers browsers' requests for the viewer's files, with the headers that they need."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version

from .assets import MEDIA_TYPES, MODELS, PREFIX, ROOT, Asset, Assets, codings
from .bodies import SMALL, Bodies, Body, entity_tag

MAX_AGE = 10
"""Seconds for which a browser need not ask whether a file has changed."""
FACTS = f"{PREFIX}viewer.json"
"""The path of :class:`Facts` as JSON."""

# A page that is isolated like this may use threads, because no other site shares its process.
_ALONE = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)
_MISSING = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>The viewer is not here yet</title>
<h1>The viewer is not here yet</h1>
<p>The sender works, but the page that shows its pictures needs a few files more. In the folder
that diffc-stream was installed from, run</p>
<pre>make viewer</pre>
<p>and start this program again. Without a browser, <code>diffc-client get</code> does.</p>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the page is told about the daemon that serves it."""

    compare: bool = False
    """Whether the daemon offers comparisons with other formats."""
    sender: str | None = None
    """The sender's address, if the page is served by another daemon."""
    rate: float | None = None
    """Bytes a second to which the link is slowed."""
    max_pixels: int | None = None
    """The page shows no larger pictures."""
    published: bool = False
    """Whether there is no daemon: pictures are files beside the page, listed in catalogue.json."""
    packets: bool = False
    """Whether the page's WebSocket carries the packets of a broadcast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRequest:
    """A request for an asset."""

    path: str
    """As in the request, without a query."""
    host: str = ""
    """The Host header, if :meth:`OriginPolicy.is_own` accepts it; else empty."""
    accepts: str = ""
    """The Accept-Encoding header."""
    known: str = ""
    """The If-None-Match header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResponse:
    """The answer to a request."""

    status: HTTPStatus
    fields: dict[str, str]
    body: bytes
    file: Body | None = None
    """The file to read the body from in pieces, if it is not in ``body``."""


class Site:
    """Answers for the page and its files."""

    def __init__(self, assets: Assets, facts: Facts | None = None) -> None:
        """Serve ``assets``, and by default ``facts``."""
        self._assets = assets
        self._facts = facts or Facts()
        self._bodies = Bodies()

    def has(self, path: str) -> bool:
        """Tell whether a path belongs to the viewer, even if there is no such file."""
        return path == ROOT or path.startswith(PREFIX)

    def answer(
        self, question: SiteRequest, facts: Facts | None = None, *, whole: bool = True
    ) -> SiteResponse:
        """Answer a request; slow, as it reads files.  ``facts`` replace those given at the start.

        Unless ``whole`` is set, the caller has to read the body of a large file in pieces.
        """
        path = question.path
        if path == FACTS:
            told = asdict(facts or self._facts) | {"version": _version()}
            return _told(json.dumps(told).encode(), question)
        if path == MODELS:
            return _told(self._assets.models, question)
        asset = self._assets.get(path)
        if asset is not None:
            try:
                return self._read(asset, question, whole=whole)
            except OSError:
                pass  # gone meanwhile
        if path == ROOT and not self._assets.complete:
            return _missing()
        text = b"there is no such file\n"
        return SiteResponse(status=HTTPStatus.NOT_FOUND, fields=_plain("text/plain"), body=text)

    def _read(self, asset: Asset, question: SiteRequest, *, whole: bool) -> SiteResponse:
        path, coding = asset.chosen(question.accepts)
        if coding is None and asset.packed is not None:
            body = self._bodies.unpacked(asset.packed)
        else:
            file = Body.at(path)
            if file.size > SMALL and not whole:
                return self._large(asset, file, coding, question)
            body = file.read(0, file.size)
        hashes = import_maps(body) if asset.path == self._assets.index else ()
        more = {"Vary": "Accept-Encoding"}
        if coding is None and _is_text(asset) and "gzip" in codings(question.accepts):
            # Our own files have no compressed copies, which would be outdated after an edit.
            body, coding = gzip.compress(body, mtime=0), "gzip"
        if coding is not None:
            more["Content-Encoding"] = coding
        fields = _described(asset.media_type, _tag(body), question.host, hashes) | more
        return _unless_known(fields, body, question)

    def _large(
        self, asset: Asset, file: Body, coding: str | None, question: SiteRequest
    ) -> SiteResponse:
        more = {"Vary": "Accept-Encoding"} | (
            {} if coding is None else {"Content-Encoding": coding}
        )
        tag = self._bodies.tag(file)
        fields = _described(asset.media_type, tag, question.host) | more
        answer = _unless_known(fields, b"", question)
        return answer if answer.status is HTTPStatus.NOT_MODIFIED else replace(answer, file=file)


def _tag(body: bytes) -> str:
    return entity_tag(hashlib.sha256(body).hexdigest())


def _is_text(asset: Asset) -> bool:
    return asset.media_type.startswith("text/") or asset.media_type == MEDIA_TYPES[".svg"]


def _told(body: bytes, question: SiteRequest) -> SiteResponse:
    fields = _described("application/json", _tag(body), question.host)
    return _unless_known(fields, body, question)


def _unless_known(fields: dict[str, str], body: bytes, question: SiteRequest) -> SiteResponse:
    known = {tag.strip().removeprefix("W/") for tag in question.known.split(",")}
    if fields["ETag"] in known:
        return SiteResponse(status=HTTPStatus.NOT_MODIFIED, fields=fields, body=b"")
    return SiteResponse(status=HTTPStatus.OK, fields=fields, body=body)


def _described(
    media_type: str, tag: str, host: str, hashes: tuple[str, ...] = ()
) -> dict[str, str]:
    return {
        "Content-Type": media_type,
        # The worker loads the page's modules a moment after the page does.  Later on, the
        # browser asks again, and mostly gets 304 Not Modified.
        "Cache-Control": f"max-age={MAX_AGE}",
        "ETag": tag,
        "Content-Security-Policy": policy(host, hashes),
        **_ALONE,
    }


def policy(host: str, hashes: tuple[str, ...] = ()) -> str:
    """Return the content security policy: load from this site only, and connect to ``host``.

    ``hashes`` are those of inline scripts.
    """
    # In some browsers 'self' does not include WebSockets of the same origin.
    sockets = f" ws://{host} wss://{host}" if host else ""
    scripts = "".join(f" '{digest}'" for digest in hashes)
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'wasm-unsafe-eval'{scripts}",
            "worker-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",  # comparison pictures, from fetch()
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def import_maps(page: bytes) -> tuple[str, ...]:
    """Return the hashes of a page's import maps, which browsers accept only inline."""
    digests = (hashlib.sha256(found).digest() for found in _MAP.findall(page))
    return tuple(f"sha256-{base64.b64encode(digest).decode()}" for digest in digests)


def _missing() -> SiteResponse:
    return SiteResponse(
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        fields=_plain("text/html"),
        body=_MISSING.encode(),
    )


def _plain(media_type: str) -> dict[str, str]:
    return {
        "Content-Type": f"{media_type}; charset=utf-8",
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy(""),
        **_ALONE,
    }


def _version() -> str | None:
    try:
        return version("diffc-stream")
    except PackageNotFoundError:  # run from a checkout, not installed
        return None

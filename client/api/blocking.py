"""Pictures for scripts, without ``await``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

from diffc_stream.session import Target, TargetOptions

from ..decoding.decoders import Decoders, Method
from ..decoding.refiner import Refinement
from ..remote.address import Address
from ..remote.credentials import Access
from ..storage.partial_stream import Kept
from .background import Background
from .demand import Demand
from .latest import Latest


def stream(
    url: str,
    *,
    render: Method = "mmse",
    previews: Method | None = None,
    kept: Kept | None = None,
    decoders: Decoders | None = None,
    patience: float | None = 60.0,
    token: str | None = None,
    ca: Path | None = None,
    **target: Unpack[TargetOptions],
) -> Iterator[Refinement]:
    """Stream the picture at ``url``, ``ws://HOST[:PORT]/IMAGE``; iterate over its refinements.

    ``http://HOST/IMAGE.dfc`` is a stream as a file on any web server.

    Receiving and decoding run on threads of their own and never wait for the loop's body; a slow
    body gets the newest picture next.  Parameters and errors are those of :func:`connect` and
    :meth:`Sender.open`; leaving the loop stops the stream.

    >>> for refinement in stream("ws://localhost:8765/coffee.jpg", bpp=0.4):
    ...     print(refinement.bytes, refinement.predicted_psnr)
    """
    address = Address.parse(url)
    image = address.picture
    newest, wanted = Latest(), Demand(Target(**target))
    link = Background(address, decoders, patience, None, Access.of(token, ca))
    try:
        link.follow(image, wanted, newest, render=render, previews=previews, kept=kept)
        while (refinement := newest.take()) is not None:
            yield refinement
    finally:
        link.close()

"""The table of all parsers of network input, for the fuzzer.

A row says how an input is generated, how it is parsed, and which exceptions are documented; any
other exception, and any message of more than one line, is a bug.  A new parser takes a function
that parses bytes, one that generates some, and a row in :func:`parsers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffc_benchmarks.hostile_names import NAMES
from diffc_client.mirror.paths import Places, Unplaceable
from diffc_client.remote.address import Address
from diffc_stream.container import (
    verified,
)
from diffc_stream.container.prefix import Prefix
from diffc_stream.errors import (
    AddressError,
    LinkLost,
    NothingDecodable,
    PeerError,
    PictureTooLarge,
    RemoteProtocolError,
    RequestRefused,
    StreamError,
    UnknownModel,
)
from diffc_stream.session import (
    decode,
)
from diffc_stream.session.fields import Name
from diffc_stream.session.messages import MAX_NAME
from diffc_viewer import Assets, Site

from .mutation import Mutator
from .nonsense import (
    ADDRESSES,
    ANSWERS,
    CATALOGUES,
    FROM_RECEIVER,
    FROM_SENDER,
    PUBLISHED,
    RANGES,
    SHOWINGS,
    VISITS,
    any_clip,
    any_conversation,
    any_message,
    any_packets,
    any_stream,
    any_text,
)
from .readers import (
    MOST_PIXELS,
    claim,
    decode_clip,
    decode_picture,
    find,
    read_answer,
    read_catalogue,
    read_curve,
    read_kept,
    read_packets,
    read_published,
    read_range,
    read_stream,
    show,
    to_receiver,
    to_sender,
    traps,
    viewer,
    visit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """A parser of bytes from outside."""

    name: str
    reads: str
    errors: tuple[type[Exception], ...]
    """The documented exceptions."""
    source: Callable[[Mutator], bytes]
    parse: Callable[[bytes], object]
    share: int = 1
    """It gets one input for so many of the others, because it is slower."""
    memory: int = 2 * 2**20
    """Bytes that it may allocate at once for one input."""
    seconds: float = 0.1
    """Time that one input may take, in seconds."""


PARSERS = (
    *("message", "sender", "receiver", "stream", "verified", "curve", "kept", "decoder"),
    *("clips", "packets", "prefix", "address", "name", "catalogue", "place", "range"),
    *("visit", "showing", "answer", "published", "mqtt"),
)
"""The names of all parsers."""


def parsers(folder: Path) -> tuple[Parser, ...]:
    """Return all parsers; ``folder`` has to be empty, and gets files that inputs may name."""
    return (*_of_the_protocol(), *_of_streams(), *_of_names(folder), *_of_http(folder))


def _of_the_protocol() -> tuple[Parser, ...]:
    """Return the parsers of sessions."""
    return (
        Parser(
            name="message",
            reads="session.decode: one message of the protocol",
            errors=(RemoteProtocolError,),
            source=any_message,
            parse=decode,
        ),
        Parser(
            name="sender",
            reads="SenderSession.receive: up to nine messages of a receiver",
            errors=(RemoteProtocolError, PeerError),
            source=lambda mutator: any_conversation(mutator, FROM_RECEIVER),
            parse=to_sender,
        ),
        Parser(
            name="receiver",
            reads="ReceiverSession.receive: up to a dozen messages of a sender",
            errors=(RemoteProtocolError, PeerError),
            source=lambda mutator: any_conversation(mutator, FROM_SENDER),
            parse=to_receiver,
        ),
    )


def _of_streams() -> tuple[Parser, ...]:
    """Return the parsers of streams."""
    return (
        Parser(
            name="stream",
            reads="StreamReader.feed: a stream in pieces of 1 to 256 bytes",
            errors=(StreamError,),
            source=any_stream,
            parse=read_stream,
        ),
        Parser(
            name="verified",
            reads="container.verified: a stream at once",
            errors=(StreamError,),
            source=any_stream,
            parse=lambda data: verified(data[1:]),
        ),
        Parser(
            name="curve",
            reads="Curve.feed, psnr, opening, and what is sent next; never raises",
            errors=(),
            source=any_stream,
            parse=read_curve,
            share=4,
        ),
        Parser(
            name="kept",
            reads="MemoryStream: the header of what is kept; never raises",
            errors=(),
            source=any_stream,
            parse=read_kept,
        ),
        Parser(
            name="decoder",
            reads=f"Decoder.feed and render: pictures of up to {MOST_PIXELS} pixels",
            errors=(StreamError, UnknownModel, PictureTooLarge, NothingDecodable),
            source=any_stream,
            parse=decode_picture,
            share=50,
            memory=32 * 2**20,
            seconds=0.5,
        ),
        Parser(
            name="clips",
            reads=f"ClipDecoder.feed and render: clips of up to {MOST_PIXELS} pixels in all",
            errors=(StreamError, UnknownModel, PictureTooLarge, NothingDecodable),
            source=any_clip,
            parse=decode_clip,
            share=50,
            memory=32 * 2**20,
            seconds=0.5,
        ),
        Parser(
            name="packets",
            reads="packets.Receiver.take, which never raises, and the stream with gaps",
            errors=(StreamError,),
            source=any_packets,
            parse=read_packets,
            share=4,
        ),
        Parser(
            name="prefix",
            reads="container.Prefix: a stream that somebody wants to be continued",
            errors=(StreamError,),
            source=any_stream,
            parse=lambda data: Prefix(data[1:]),
        ),
    )


def _of_names(folder: Path) -> tuple[Parser, ...]:
    """Return the parsers of addresses and names."""
    catalogue = traps(folder)
    places = Places(folder / "served")
    return (
        Parser(
            name="address",
            reads="Address.parse",
            errors=(AddressError,),
            source=lambda mutator: any_text(mutator, ADDRESSES),
            parse=lambda data: str(Address.parse(data.decode(errors="surrogateescape"))),
        ),
        Parser(
            name="name",
            reads="Name.parse: the name of a picture",
            errors=(ValueError,),
            source=lambda mutator: any_text(mutator, NAMES),
            parse=lambda data: Name(MAX_NAME).parse(data.decode(errors="surrogateescape")),
        ),
        Parser(
            name="catalogue",
            reads="Catalogue.path: a name to a file; what it finds is a picture in its folder",
            errors=(RequestRefused,),
            source=lambda mutator: any_text(mutator, NAMES),
            parse=lambda data: find(catalogue, folder, data),
        ),
        Parser(
            name="place",
            reads="Places.claim: a name to a file of a mirror; it is in its folder",
            errors=(ValueError, Unplaceable),
            source=lambda mutator: any_text(mutator, NAMES),
            parse=lambda data: claim(places, data),
        ),
    )


def _of_http(folder: Path) -> tuple[Parser, ...]:
    """Return the parsers of HTTP requests and answers."""
    site = Site(Assets(home=viewer(folder / "viewer")))
    return (
        Parser(
            name="range",
            reads="the HTTP headers Range, If-Range, If-Match, If-None-Match; never raises",
            errors=(),
            source=lambda mutator: any_text(mutator, RANGES),
            parse=read_range,
        ),
        Parser(
            name="visit",
            reads="what a browser asks for, with all headers alike; what it gets is listed",
            errors=(RequestRefused,),
            source=lambda mutator: any_text(mutator, VISITS),
            parse=lambda data: visit(site, data),
        ),
        Parser(
            name="showing",
            reads="the token in a request, with all headers alike; never raises",
            errors=(),
            source=lambda mutator: any_text(mutator, SHOWINGS),
            parse=show,
        ),
        Parser(
            name="answer",
            reads="HttpConnection.ask and read: what an HTTP server answers, the bodies included",
            errors=(RemoteProtocolError, LinkLost),
            source=lambda mutator: any_text(mutator, ANSWERS),
            parse=lambda data: asyncio.run(read_answer(data)),
            share=10,
            memory=10
            * 2**20,  # a regular expression takes 500 bytes for each character of a long line
        ),
        Parser(
            name="published",
            reads="published.pages and pictures: the catalogue of a published folder",
            errors=(RemoteProtocolError,),
            source=lambda mutator: any_text(mutator, CATALOGUES),
            parse=read_catalogue,
        ),
        Parser(
            name="mqtt",
            reads="Topics, Item.parse and Summary.parse: what a broker keeps",
            errors=(ValueError,),
            source=lambda mutator: any_text(mutator, PUBLISHED),
            parse=read_published,
        ),
    )

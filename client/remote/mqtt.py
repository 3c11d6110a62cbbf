"""Follows a sender whose streams an MQTT broker keeps, and fetches them piece by piece.

The broker is asked for the pieces that are wanted, by their topics, a few at a time.  So it sends
no more than a target needs, and no more than there is room for; what is lost on the way is asked
for again, and what comes twice or was not asked for is dropped.  The SHA-256 of a whole stream has
to be that of its item before the last piece is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import TYPE_CHECKING

from diffc_stream.errors import (
    LinkLost,
    RemoteProtocolError,
    SessionError,
    UnknownImage,
)
from diffc_stream.session import Catalogue, Code, Entry, Target
from diffc_stream.transport import mqtt
from diffc_stream.transport.mqtt_topics import ID, Item, Summary, Topics

from .address import Address
from .credentials import NO_ACCESS, Access
from .mqtt_stream import IncomingMqttStream

if TYPE_CHECKING:
    from diffc_stream.transport.mqtt import Client

MOST_ITEMS = 10_000
"""Pictures of one sender."""
MOST_PAGES = 256
"""Changes of the catalogue that may wait to be taken."""
STREAMS = 4
"""Streams that are fetched at once."""
PATIENCE = 30.0
"""Seconds without any message after which pieces are asked for again."""


class MqttLink:
    """A connection to a broker with the interface of :class:`.websocket.Link`."""

    streams: int | None = STREAMS
    following = True
    """Changes are told as they happen."""
    left_out = 0

    def __init__(self, broker: mqtt.Broker, *, patience: float) -> None:
        self._topics = Topics(broker.prefix)
        self._broker = broker
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._lost: SessionError | None = None
        self._items: dict[str, Item] = {}
        self._summary: Summary | None = None
        self._listed = asyncio.Event()
        """Set while all items of the summary are known."""
        self._pages: asyncio.Queue[Catalogue | SessionError] = asyncio.Queue(MOST_PAGES)
        self._followed = False
        self._told = False
        """Whether a whole catalogue has been told to who follows."""
        self._open: set[IncomingMqttStream] = set()
        self._useless: list[str] = []
        """Topics that nobody waits for any more."""
        self.patience = patience
        self.heard = 0
        """How many messages have come."""
        self._task: asyncio.Task[None]

    @classmethod
    async def dial(
        cls, address: Address, *, access: Access = NO_ACCESS, patience: float | None = None
    ) -> MqttLink:
        """Connect to a broker.

        Pieces that do not come within ``patience`` seconds without a message, by default PATIENCE,
        are asked for again.
        Raises LinkLost, Unauthorized, SafetyError or MissingPackage.
        """
        mqtt.library()  # at once, if it is missing
        broker = mqtt.Broker(
            host=address.host,
            port=address.port,
            tls=address.secure,
            prefix=mqtt.check_prefix(address.base),
        )
        mqtt.check_login(broker, access.login, exposed=access.exposed)
        link = cls(broker, patience=PATIENCE if patience is None else patience)
        link._task = asyncio.create_task(link._run(access, access.context(address)))
        await link._ready.wait()
        if link._lost is not None:
            await link.close()
            raise link._lost
        return link

    @property
    def lost(self) -> bool:
        """Whether the connection is lost."""
        return self._lost is not None

    @property
    def met(self) -> bool:
        """Whether the broker has let this client in."""
        return self._client is not None

    def follow(self, _mark: str | None = None) -> asyncio.Queue[Catalogue | SessionError]:
        """Return the queue of the catalogue's pages and changes, without end.

        It ends with the error that ends the link.
        """
        self._check()
        self._followed = True
        self._tell(tuple(map(_entry, self._items.values())))
        return self._pages

    async def catalogue(
        self, told: Callable[[Sequence[Entry]], object] | None = None
    ) -> list[Entry]:
        """Return the pictures that are published, by name.  Raises LinkLost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                await self._listed.wait()
        self._check()
        entries = sorted(map(_entry, self._items.values()), key=lambda entry: entry.name)
        if told is not None:
            told(entries)
        return entries

    def open(self, image: str, *, held: bytes, target: Target) -> IncomingMqttStream:
        """Ask for the bytes of a stream after those ``held``, as far as ``target``."""
        self._check()
        incoming = IncomingMqttStream(self, image, held, target)
        self._open.add(incoming)
        return incoming

    async def close(self) -> None:
        """Close the connection."""
        await mqtt.ended(self._task)

    async def item(self, name: str) -> Item:
        """Return what is published of a picture.  Raises UnknownImage if that is nothing."""
        if name not in self._items:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience):
                    await self._listed.wait()
        self._check()
        if name not in self._items:
            raise UnknownImage(Code.UNKNOWN_IMAGE, f"there is no {name} below {self._broker}")
        return self._items[name]

    async def ask(self, item: Item, offsets: Sequence[int]) -> list[str]:
        """Ask for pieces of a stream, and return their topics.  Raises LinkLost."""
        self._check()
        assert self._client is not None
        topics = [self._topics.piece(item, offset) for offset in offsets]
        useless, self._useless = self._useless, []
        try:
            if useless:
                await mqtt.completed(self._client.unsubscribe(useless))
            wanted = [(topic, 0) for topic in topics]
            await mqtt.completed(self._client.subscribe(wanted))
        except mqtt.library().MqttError as error:
            raise self._lost or LinkLost(f"{self._broker}: {error}") from error
        return topics

    def leave(self, incoming: IncomingMqttStream, topics: Sequence[str], *, ended: bool) -> None:
        """Take note that pieces are not waited for any more, nor, if it has ``ended``, a stream."""
        self._useless += topics
        if ended:
            self._open.discard(incoming)

    def _check(self) -> None:
        if self._lost is not None:
            raise self._lost

    async def _run(self, access: Access, tls: SSLContext | None) -> None:
        lost: SessionError = LinkLost("the connection was closed on this side")
        try:
            async with mqtt.connected(self._broker, access.login, tls=tls) as client:
                self._client = client
                listed = [(self._topics.catalogue, 1), (self._topics.pictures, 1)]
                await mqtt.completed(client.subscribe(listed))
                self._ready.set()
                async for message in client.messages:
                    data = message.payload
                    await self._take(str(message.topic), data if isinstance(data, bytes) else b"")
        except SessionError as error:
            lost = error
        finally:
            self._lose(lost)

    async def _take(self, topic: str, data: bytes) -> None:
        self.heard += 1
        piece = self._topics.placed(topic)
        if piece is not None:
            for incoming in tuple(self._open):
                incoming.take(piece.name, piece.id, piece.offset, data)
            return
        name = self._topics.named(topic)
        with contextlib.suppress(ValueError):  # what is no item of ours changes nothing
            if name is not None:
                await self._note(name, Item.parse(data) if data else None)
            elif topic == self._topics.catalogue and data:
                self._summary = Summary.parse(data)
        self._compare()

    async def _note(self, name: str, item: Item | None) -> None:
        """Note what is published of a picture; None if it was removed."""
        if item is not None and item.name != name:
            return
        before = self._items.pop(name, None)
        if item is not None:
            self._items[name] = item
        if len(self._items) > MOST_ITEMS:
            raise RemoteProtocolError(f"{self._broker} has more than {MOST_ITEMS} pictures")
        if before is not None and (item is None or item.id != before.id):
            for incoming in tuple(self._open):
                incoming.replaced(name, before.id)
        if self._followed and item != before:
            removed = () if item is not None or not self._told else (name,)
            images = () if item is None else (_entry(item),)
            await self._pages.put(
                Catalogue(images=images, removed=removed, last=self._told, changes=self._told)
            )

    def _compare(self) -> None:
        """Find out whether all items are here: then what is not among them was removed."""
        summary = self._summary
        if summary is None or summary.count != len(self._items):
            self._listed.clear()
        elif not self._listed.is_set() and summary == Summary.of(self._items.values()):
            self._listed.set()
            if self._followed:
                self._tell(())

    def _tell(self, images: tuple[Entry, ...]) -> None:
        """Tell of pictures, and, once, that these are all."""
        last = self._listed.is_set() and not self._told
        if images or last:
            page = Catalogue(images=images, last=last or self._told, changes=self._told)
            self._told = self._told or last
            self._force(page)

    def _force(self, page: Catalogue | SessionError) -> None:
        if self._pages.full():
            self._pages.get_nowait()
            self._told = False  # what was dropped has to be told again
        self._pages.put_nowait(page)

    def _lose(self, error: SessionError) -> None:
        self._lost = self._lost or error
        for incoming in tuple(self._open):
            incoming.fail(self._lost)
        self._force(self._lost)
        self._ready.set()
        self._listed.set()


def _entry(item: Item) -> Entry:
    return Entry(name=item.name, size=item.size, time=item.time, thumbprint=item.sha256[:ID])

"""Publishes the newest pictures of a catalogue as retained messages of an MQTT broker.

A subscriber that comes late, or was away, gets them from the broker.  What the broker has already
is not published again, after a restart neither.  If pictures follow each other, a stream that
starts from the one before is published only when that is there, and what it goes back to stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Self

from diffc_stream.errors import DiffcError, LinkLost, RequestRefused, SessionError
from diffc_stream.flags import MAX_PIXELS
from diffc_stream.session import Entry
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.mqtt import Broker, Login, completed, connected, ended
from diffc_stream.transport.mqtt_topics import MOST_ENTRY, Item, Summary, Topics

from ..auth.sending_budget import SendingBudget
from ..catalogue.catalogue import Catalogue
from ..encoding.pipeline import Pipeline
from ..ops.metrics import SenderMetrics
from .camera import Camera
from .holdings import Holdings
from .options import Extent
from .plan import Plan
from .streams import Stream, Streams

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model
    from diffc_stream.transport.mqtt import Client

FIRST, LONGEST = 1.0, 30.0
"""Bounds of the back-off between attempts, in seconds."""
PATIENCE = 5.0
"""Seconds that the broker gets to tell what it has; then there is nothing."""
GOODBYE = 2.0
"""Seconds that the last message may take."""
RETRY = 60.0
"""Seconds after which a picture that could not be read is tried again."""
MOST_ITEMS = 10_000
"""Pictures that are read of what the broker has."""

logger = logging.getLogger("diffc_server")


class Publisher:
    """Publishes to one broker, inside its block, connecting again after every failure.

    >>> async with Publisher(Broker.parse("mqtt://hub/cameras/gate"), catalogue, pipeline):
    ...     await stopped.wait()
    """

    def __init__(
        self,
        broker: Broker,
        catalogue: Catalogue,
        pipeline: Pipeline,
        *,
        extent: Extent | None = None,
        login: Login | None = None,
        tls: ssl.SSLContext | None = None,
        camera: Mapping[str, Model] | None = None,
        metrics: SenderMetrics | None = None,
        budget: SendingBudget | None = None,
        patience: float = PATIENCE,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Prepare to publish the pictures of ``catalogue``, as far as ``extent``.

        ``tls`` says whom to trust if the address asks for TLS.  With the models ``camera``, by
        fingerprint, Home Assistant is shown the newest picture.  ``budget`` limits what is sent.
        The broker gets ``patience`` seconds to tell what it has.  ``draw`` returns random numbers
        from 0 to 1.
        """
        self._broker = broker
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._extent = extent or Extent()
        self._streams = Streams(catalogue, pipeline, self._extent)
        self._login = login
        self._tls = tls
        self._topics = Topics(broker.prefix)
        self._metrics = metrics or SenderMetrics()
        self._budget = budget
        self._patience = patience
        self._draw = draw
        self._camera = None
        if camera is not None:
            self._camera = Camera(self._topics, camera, most_pixels=MAX_PIXELS)
        self._plan = Plan(self._streams, self._extent.pictures)
        self._changed = asyncio.Event()
        self._told: dict[str, Item] = {}
        """What it has told on this connection."""
        self._summary: Summary | None = None
        self._heard = asyncio.Event()
        self._under_way: tuple[Item, int] | None = None
        """A stream of which the broker has pieces up to an offset, but no item yet."""
        self._shown = ""
        """Hash of the stream that the camera shows."""
        self.connected = False
        """Whether the broker is connected."""
        self.complete = False
        """Whether the broker has all that it should, and no more, as far as is known."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    async def drain(self) -> None:
        """Stop publishing, and close the connection."""
        await ended(self._task)
        await self._pipeline.save()

    @property
    def published(self) -> tuple[Item, ...]:
        """What the broker has, as far as is known."""
        return tuple(self._plan.there.values())

    async def _run(self) -> None:
        backoff = Backoff(first=FIRST, longest=LONGEST, patience=None, draw=self._draw)
        told = ""
        while True:
            try:
                will = self._topics.status
                async with connected(self._broker, self._login, tls=self._tls, will=will) as client:
                    logger.info("publishing to %s", self._broker)
                    self.connected = True
                    backoff.progress()
                    await self._serve(client)
                error: SessionError = LinkLost(f"{self._broker}: the connection has ended")
            except SessionError as failure:
                error = failure
            except Exception as failure:
                # A bug, which must not stop the publisher.
                logger.exception("publishing failed")
                error = LinkLost(str(failure))
            finally:
                self.connected = self.complete = False
            # Warn once, however long the same reason lasts.
            level = logging.DEBUG if str(error) == told else logging.WARNING
            logger.log(level, "%s; trying again", error)
            told = str(error)
            await backoff.pause(error)

    async def _serve(self, client: Client) -> None:
        """Publish until the connection is lost.  Raises MqttError."""
        try:
            await _first_of(self._listen(client), self._watch(), self._publish_all(client))
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(GOODBYE):
                    await self._say(client, self._topics.status, b"offline")

    async def _listen(self, client: Client) -> None:
        """Take what the broker tells; raises MqttError when the connection is lost."""
        async for message in client.messages:
            topic, data = str(message.topic), message.payload
            assert isinstance(data, bytes)
            with contextlib.suppress(ValueError):  # somebody else's, which is replaced
                name = self._topics.named(topic)
                if topic == self._topics.catalogue and data:
                    self._summary = Summary.parse(data)
                elif name is not None and data and len(self._told) < MOST_ITEMS:
                    item = Item.parse(data)
                    if item.name == name:
                        self._told[name] = item
                self._heard.set()

    async def _watch(self) -> None:
        """Keep the entries as the catalogue says."""
        async with contextlib.aclosing(self._catalogue.changes.pages(None)) as news:
            listed: set[str] | None = set()
            async for pages in news:
                for page in (page.message for page in pages):
                    self._plan.entries.update((entry.name, entry) for entry in page.images)
                    for name in page.removed:
                        self._plan.entries.pop(name, None)
                    if listed is not None and not page.changes:
                        listed.update(entry.name for entry in page.images)
                        if page.last:
                            for name in self._plan.entries.keys() - listed:
                                del self._plan.entries[name]
                            listed = None
                            self._changed.set()
                if listed is None:
                    self._changed.set()

    async def _publish_all(self, client: Client) -> None:
        """Publish what the broker lacks, and clear what it should not have, until cancelled."""
        await self._say(client, self._topics.status, b"online")
        if self._camera is not None:
            await self._say(client, self._camera.topic, self._camera.config())
        await self._ask(client)
        while True:
            await self._changed.wait()
            self._changed.clear()
            self.complete = False
            await self._withdraw(client, self._plan.surplus())
            while (entry := await self._plan.next()) is not None:
                await self._publish(client, entry)
                await self._withdraw(client, self._plan.surplus())
            await self._show_newest(client)
            self.complete = not self._changed.is_set()

    async def _ask(self, client: Client) -> None:
        """Find out what the broker has; all of it only if it is not as known."""
        topics = self._topics
        self._summary = None
        self._told = {}
        await completed(client.subscribe(topics.catalogue, 1))
        await self._until(lambda: self._heard_summary is not None)
        summary = self._heard_summary
        if summary is not None and summary != Summary.of(self._plan.there.values()):
            await completed(client.subscribe(topics.pictures, 1))
            await self._until(lambda: self._heard_summary == Summary.of(self._told.values()))
            await completed(client.unsubscribe(topics.pictures))
            self._plan.there = Holdings(self._told)
            self._under_way = None
        elif summary is None:
            self._plan.there, self._under_way, self._shown = Holdings(), None, ""
        await completed(client.unsubscribe(topics.catalogue))

    @property
    def _heard_summary(self) -> Summary | None:
        return self._summary

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until the broker has told enough; as long as it tells anything, go on."""
        while not condition():
            self._heard.clear()
            try:
                async with asyncio.timeout(self._patience):
                    await self._heard.wait()
            except TimeoutError:
                return

    async def _publish(self, client: Client, entry: Entry) -> None:
        name, source, topics = entry.name, self._streams.source(entry), self._topics
        try:
            stream = await self._plan.read(name)
        except RequestRefused as error:
            self._refuse(name, source, error)
            return
        item = stream.item(entry, source, self._extent.piece)
        if len(item.message()) > MOST_ENTRY:
            self._plan.refused[name] = source
            return
        self._plan.refused.pop(name, None)
        before = self._plan.there.get(name)
        same = before is not None and (before.id, before.piece) == (item.id, item.piece)
        if not same:
            await self._bring(client, item, stream.data)
        await self._say(client, topics.picture(name), item.message())
        self._plan.there[name], self._under_way = item, None
        await self._sum_up(client)
        if before is not None and not same:
            await self._clear(client, before, item)
        logger.info("%s: %s, %d bytes", self._broker, name, item.size)
        await self._show(client, item, stream)

    async def _bring(self, client: Client, item: Item, data: bytes) -> None:
        """Publish a stream's pieces, from where an earlier connection broke."""
        begun, self._under_way = self._under_way, None
        first = 0
        if begun is not None and begun[0].sha256 == item.sha256:
            first = begun[1]
        elif begun is not None:
            await self._clear(client, begun[0], item)
        for offset in item.offsets:
            if offset >= first:
                piece = data[offset : offset + item.piece]
                await self._say(client, self._topics.piece(item, offset), piece)
                self._under_way = (item, offset + item.piece)

    async def _withdraw(self, client: Client, names: set[str]) -> None:
        """Remove pictures from the broker, the latest first: others start from those before."""
        for name in sorted(names, key=lambda one: (self._plan.there[one].time, one), reverse=True):
            item = self._plan.there.pop(name)
            await self._say(client, self._topics.picture(name), b"")
            await self._sum_up(client)
            await self._clear(client, item)
            logger.info("%s: %s is withdrawn", self._broker, name)

    async def _clear(self, client: Client, item: Item, but: Item | None = None) -> None:
        """Clear a stream's pieces, unless ``but`` has the same topics."""
        kept = set() if but is None else {self._topics.piece(but, offset) for offset in but.offsets}
        for offset in item.offsets:
            topic = self._topics.piece(item, offset)
            if topic not in kept:
                await self._say(client, topic, b"")

    async def _sum_up(self, client: Client) -> None:
        summary = Summary.of(self._plan.there.values())
        await self._say(client, self._topics.catalogue, summary.message())

    async def _say(self, client: Client, topic: str, data: bytes) -> None:
        if self._budget is not None:
            await self._budget.afford(len(topic) + len(data))
        await completed(client.publish(topic, data, 1, retain=True))
        self._metrics.published += len(data)

    def _refuse(self, name: str, source: str, error: RequestRefused) -> None:
        logger.warning("%s: %s is left out: %s", self._broker, name, error)
        self._plan.refused[name] = source
        if error.retry:
            wait = max(RETRY, error.after or 0.0)
            asyncio.get_running_loop().call_later(wait, self._again, name, source)

    def _again(self, name: str, source: str) -> None:
        if self._plan.refused.get(name) == source:
            del self._plan.refused[name]
            self._changed.set()

    async def _show_newest(self, client: Client) -> None:
        """Show the newest picture, also if the broker had it before this process began."""
        item = self._plan.there.get(next(iter(self._plan.wanted()), ""))
        if self._camera is not None and item is not None and self._shown != item.sha256:
            with contextlib.suppress(RequestRefused):
                await self._show(client, item, await self._plan.read(item.name))

    async def _show(self, client: Client, item: Item, stream: Stream) -> None:
        """Show the picture as the camera's, if it is the newest."""
        newest = next(iter(self._plan.wanted()), None)
        if self._camera is None or newest != item.name or self._shown == item.sha256:
            return
        try:
            files = await self._streams.files(stream)
            picture = await asyncio.to_thread(self._camera.render, stream.data, files)
        except DiffcError as error:
            logger.warning("%s: %s cannot be shown: %s", self._broker, item.name, error)
        else:
            await self._say(client, self._topics.image, picture)
            self._shown = item.sha256


async def _first_of(*work: Coroutine[Any, Any, None]) -> None:
    """Run several coroutines until the first of them ends; raise its error."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await ended(*tasks)

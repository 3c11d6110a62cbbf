"""The regions of a picture that are asked for while it streams, laid over the whole.

One is received at a time.  What an earlier one has brought stays, in the order of arrival, until
the whole picture has as many bits per pixel and is expected to be as good.  Neither alone would do:
where there is much detail the picture is worse than on average, and where there is little it takes
fewer bits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Self

from diffc_stream.errors import PeerError, StreamError, TargetError
from diffc_stream.session import Code, Rectangle, Region, covering

from ..decoding.refiner import Refinement, Sharpened
from ..storage.partial_stream import Kept, MemoryStream
from .demand import Demand, Wish

Refinements = AsyncGenerator[Refinement, None]


@dataclass(slots=True, eq=False)
class Part:
    """A region that was asked for, and what there is of it."""

    region: Region
    shown: Rectangle
    """Its pixels in the picture."""
    whole: bytes
    """The bytes of the picture's stream that its own starts from."""
    kept: MemoryStream = field(default_factory=MemoryStream)
    newest: Refinement | None = None

    def better_than(self, whole: Refinement) -> bool:
        """Tell whether it shows its place better than the whole picture does."""
        if self.newest is None:
            return False
        height, width = whole.image.shape[:2]
        spent = 8 * len(self.whole) / (height * width) + self.newest.bpp
        here, there = self.newest.predicted_psnr, whole.predicted_psnr
        return spent > whole.bpp or here is None or there is None or here > there


class Regions:
    """Lays regions over the refinements of a picture."""

    def __init__(
        self, wanted: Demand, kept: Kept, begin: Callable[[Part, Wish], Refinements]
    ) -> None:
        """Look into ``wanted`` for the region, and begin to receive it by ``begin``.

        ``kept`` has the bytes of the whole picture's stream.
        """
        self._wanted = wanted
        self._kept = kept
        self._begin = begin
        self._parts: list[Part] = []
        self._wish: Wish | None = None
        """The one that is carried out, or has been."""
        self._part: Part | None = None
        self._changed = asyncio.Event()

    async def over(self, whole: Refinements) -> Refinements:
        """Yield the refinements of the ``whole`` with all regions, and one for each of a region's.

        Only the last is complete.  Raises what receiving either does, and TargetError for a region
        that is not within the picture.
        """
        self._wanted.follow_wish(self._changed.set)
        newest: Refinement | None = None
        last: Refinement | None = None
        self._hold(None)
        async with _Steps(whole) as steps, _Steps() as parts:
            while newest is None or not newest.complete or self._busy(parts):
                fresh = False
                await self._next(steps, parts)
                if (refinement := steps.take()) is not None:
                    newest, fresh = refinement, True
                    if newest.complete:
                        await steps.end()
                elif not steps.running and newest is None:
                    return
                if self._part is not None and (sharper := await self._take(parts)) is not None:
                    self._part.newest, fresh = sharper, True
                await self._turn(parts, newest)
                self._hold(parts)
                if fresh and newest is not None:
                    last = self._laid_over(newest, complete=not self._busy(parts))
                    yield last
                    # Whoever took it may have asked for something.
                    await self._turn(parts, newest)
                    self._hold(parts)
            if last is not None and not last.complete:
                yield replace(last, complete=True)  # a region has been dropped

    def _hold(self, parts: _Steps | None) -> None:
        """Have no more of the whole picture sent while the region comes, or is to come."""
        wish = self._wanted.wish
        if wish is not None and wish != self._wish:
            self._wanted.hold(wish.after or None)
        elif parts is not None and parts.running and self._part is not None:
            self._wanted.hold(len(self._part.whole))
        else:
            self._wanted.hold(None)

    def _busy(self, parts: _Steps) -> bool:
        return parts.running or self._wanted.wish != self._wish

    async def _next(self, steps: _Steps, parts: _Steps) -> None:
        """Wait until there is something to do."""
        self._changed.clear()
        if steps.ready or parts.ready:
            return
        changed = asyncio.create_task(self._changed.wait())
        try:
            waiting = {changed, *steps.tasks, *parts.tasks}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _take(self, parts: _Steps) -> Refinement | None:
        """Return the next refinement of the region that is being received, if it is there."""
        part, wish = self._part, self._wish
        assert part is not None
        try:
            refinement = parts.take()
        except PeerError as error:
            if error.code != Code.PREFIX_MISMATCH or not part.kept.length or wish is None:
                raise
            # Another sender has gone on, which encodes otherwise.
            part.kept.restart()
            await parts.begin(self._begin(part, wish))
            return None
        if refinement is not None:
            _, _, width, height = part.shown
            if refinement.image.shape[:2] != (height, width):
                raise StreamError("the stream of the region is that of another one")
            if refinement.complete:
                await parts.end()
        return refinement

    async def _turn(self, parts: _Steps, newest: Refinement | None) -> None:
        """Turn to the region that is wanted now, once there is enough of the picture."""
        wish = self._wanted.wish
        if wish == self._wish or newest is None:
            return
        if wish is not None and newest.bytes < wish.after and not newest.complete:
            return
        self._wish = wish
        await parts.end()
        if wish is not None:
            self._part = self._part_of(wish, newest)
            await parts.begin(self._begin(self._part, wish))

    def _part_of(self, wish: Wish, newest: Refinement) -> Part:
        height, width = newest.image.shape[:2]
        cells = covering(wish.rectangle, width, height)
        if cells is None:
            raise TargetError(
                f"the region {','.join(map(str, wish.rectangle))} is not within the picture, "
                f"which has {width}x{height} pixels"
            )
        for part in self._parts:
            known = part.region
            if (known.left, known.top, known.width, known.height) == cells:
                self._parts.remove(part)
                break
        else:
            left, top, columns, rows = cells
            whole, digest = self._kept.read(), self._kept.prefix
            assert digest is not None
            region = Region(
                left=left, top=top, width=columns, height=rows, size=len(whole), digest=digest
            )
            shown = region.within(width, height)
            assert shown is not None
            part = Part(region, shown, whole)
        self._parts.append(part)
        return part

    def _laid_over(self, whole: Refinement, *, complete: bool) -> Refinement:
        """Return a refinement of the whole picture with what is better in its regions."""
        done = whole.complete and complete
        parts = [part for part in self._parts if part is self._part or part.better_than(whole)]
        self._parts = parts
        parts = [part for part in parts if part.better_than(whole)]
        if not parts:
            return whole if whole.complete is done else replace(whole, complete=done)
        image = whole.image.copy()
        shown = []
        for part in parts:
            left, top, width, height = part.shown
            assert part.newest is not None
            image[top : top + height, left : left + width] = part.newest.image
            shown.append(
                Sharpened(
                    rectangle=part.shown,
                    bytes=part.newest.bytes,
                    predicted_psnr=part.newest.predicted_psnr,
                )
            )
        return replace(whole, image=image, complete=done, regions=tuple(shown))


class _Steps:
    """The steps of a generator, or of one after the other, each taken on a task of its own."""

    def __init__(self, first: Refinements | None = None) -> None:
        self._generator = first
        self._task: asyncio.Task[Refinement] | None = None

    async def __aenter__(self) -> Self:
        self._step()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    @property
    def running(self) -> bool:
        """Whether there may be more."""
        return self._task is not None

    @property
    def ready(self) -> bool:
        """Whether take() has something to return or to raise."""
        return self._task is not None and self._task.done()

    @property
    def tasks(self) -> tuple[asyncio.Task[Refinement], ...]:
        """The task to wait for, if there is one."""
        return () if self._task is None else (self._task,)

    def take(self) -> Refinement | None:
        """Return the next refinement, if it is there.  Raises what the generator does."""
        task = self._task
        if task is None or not task.done():
            return None
        self._task = None
        try:
            refinement = task.result()
        except StopAsyncIteration:
            return None
        self._step()
        return refinement

    async def begin(self, generator: Refinements) -> None:
        """Take the steps of ``generator`` from now on."""
        await self.end()
        self._generator = generator
        self._step()

    async def end(self) -> None:
        """Take no more steps, and close the generator."""
        task, self._task = self._task, None
        generator, self._generator = self._generator, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # marks it as seen
        if generator is not None:
            await generator.aclose()

    def _step(self) -> None:
        if self._generator is not None:
            self._task = asyncio.create_task(_anext(self._generator))


async def _anext(generator: AsyncIterator[Refinement]) -> Refinement:
    return await anext(generator)

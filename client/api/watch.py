"""Pictures for programs without asyncio: a callback gets each refinement.

watch = diffc_client.watch("ws://localhost:8765/coffee.jpg", show, bpp=0.4)
...                                                # the program goes on meanwhile
watch.stop()                                       # good enough
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self, Unpack

from diffc_stream.errors import DiffcError
from diffc_stream.session import Entry, Rectangle, Target, TargetOptions, Terms

from ..decoding.decoders import Decoders, Method
from ..decoding.refiner import Refinement
from ..remote.address import Address
from ..remote.credentials import Access
from ..storage.partial_stream import Kept
from .background import Background, BackgroundDelivery
from .demand import Demand, wished
from .latest import Latest

logger = logging.getLogger("diffc_client")

OnRefinement = Callable[[Refinement], object]
OnEnd = Callable[[Exception | None], object]


def watch(
    url: str,
    on_refinement: OnRefinement,
    *,
    render: Method = "mmse",
    previews: Method | None = None,
    kept: Kept | None = None,
    on_end: OnEnd | None = None,
    decoders: Decoders | None = None,
    patience: float | None = 60.0,
    token: str | None = None,
    ca: Path | None = None,
    **target: Unpack[TargetOptions],
) -> Watch:
    """Watch the picture at ``url``, ``ws://HOST[:PORT]/IMAGE``, and return at once.

    ``http://HOST/IMAGE.dfc`` is a stream as a file on any web server.  It works as
    :meth:`Watcher.watch` does, over a link of its own, which is closed at the end; ``decoders``,
    ``patience``, ``token`` and ``ca`` are those of :func:`connect`.  Raises AddressError or
    SafetyError.

    >>> watch("ws://localhost:8765/coffee.jpg", show, bpp=0.4).wait()
    """
    address = Address.parse(url)
    image = address.picture
    link = Background(address, decoders, patience, None, Access.of(token, ca))
    newest, wanted = Latest(), Demand(Target(**target))
    following = link.follow(image, wanted, newest, render=render, previews=previews, kept=kept)
    return Watch(following, newest, on_refinement, on_end, release=link.close)


class Watcher:
    """A connection to a sender on threads of its own; any thread may call its methods.

    >>> with Watcher("ws://localhost:8765") as watcher:
    ...     watches = [watcher.watch(name, show, bpp=0.2) for name in watcher.images()]
    ...     for watch in watches:
    ...         watch.wait()
    """

    def __init__(
        self,
        url: str,
        *,
        decoders: Decoders | None = None,
        patience: float | None = 60.0,
        terms: Terms | None = None,
        token: str | None = None,
        ca: Path | None = None,
    ) -> None:
        """Begin to connect to the sender at ``url``, as connect() does, and return at once.

        Raises AddressError or SafetyError.  If the sender cannot be reached, every method and watch
        raises that error; to try again, make another Watcher.
        """
        self._link = Background(Address.parse(url), decoders, patience, terms, Access.of(token, ca))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def images(self) -> list[str]:
        """Wait for and return the names of the sender's pictures; see Sender.images()."""
        return [entry.name for entry in self.catalogue()]

    def catalogue(self) -> list[Entry]:
        """Wait for and return the catalogue: name, size, time and thumbprint of each picture."""
        return self._link.catalogue()

    def watch(
        self,
        image: str,
        on_refinement: OnRefinement,
        *,
        weight: float = 1.0,
        render: Method = "mmse",
        previews: Method | None = None,
        kept: Kept | None = None,
        on_end: OnEnd | None = None,
        **target: Unpack[TargetOptions],
    ) -> Watch:
        """Watch a picture and return at once.  Parameters and errors are those of Sender.open().

        A thread of this watch calls ``on_refinement`` with one refinement after the other, each
        better than the last.  However long that takes, neither the network nor any other watch
        waits for it: it gets the newest refinement next, and always the last one.

        At the end the same thread calls ``on_end`` once, with the error or None; without
        ``on_end`` an error is logged.  An exception of ``on_refinement`` ends the watch like any
        other error.

        Raises RuntimeError once the watcher is closed.
        """
        newest = Latest()
        wanted = Demand(Target(**target), weight)
        following = self._link.follow(
            image, wanted, newest, render=render, previews=previews, kept=kept
        )
        return Watch(following, newest, on_refinement, on_end)

    def close(self) -> None:
        """Stop all watches and close the link, without waiting for a callback that is running."""
        self._link.close()


class Watch:
    """A picture that is being watched; any thread, also a callback, may call its methods."""

    def __init__(
        self,
        following: BackgroundDelivery,
        newest: Latest,
        on_refinement: OnRefinement,
        on_end: OnEnd | None,
        *,
        release: Callable[[], object] | None = None,
    ) -> None:
        """Call ``release`` at the end, to close what only this watch uses."""
        self._following = following
        self._newest = newest
        self._on_refinement = on_refinement
        self._on_end = on_end
        self._release = release
        self._last: Refinement | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="diffc-watch", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether a callback may still be called."""
        return self._thread.is_alive()

    def update(
        self,
        *,
        weight: float = 1.0,
        **target: Unpack[TargetOptions],
    ) -> None:
        """Change target and weight, as :meth:`Delivery.update` does."""
        self._following.update(Target(**target), weight)

    def sharpen(
        self, region: Rectangle | None, *, after: int = 0, **target: Unpack[TargetOptions]
    ) -> None:
        """Have a region sent before the rest, as :meth:`Delivery.sharpen` does."""
        self._following.sharpen(wished(region, Target(**target), after))

    def stop(self) -> None:
        """Stop the stream and return at once; no further refinement is passed on.

        ``on_end`` is called once a running callback has returned.  Another watch may continue with
        the ``kept`` of this one: at once over the same link, otherwise after :meth:`wait`.
        """
        self._newest.stop()
        self._following.stop()

    def wait(self, timeout: float | None = None) -> Refinement | None:
        """Wait until all callbacks have returned; return the last refinement passed on.

        None if it was stopped before the first.  Raises the error that ended the watch,
        TimeoutError after ``timeout`` seconds, or RuntimeError in one of its own callbacks, which
        would wait for itself.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"the watch goes on after {timeout} seconds")
        if self._failure is not None:
            raise self._failure
        return self._last

    def _run(self) -> None:
        try:
            self._hand_over()
        except Exception as error:
            self._failure = error
            self.stop()
        # Only the caller uses ``kept`` from here on.
        self._following.join()
        try:
            if self._on_end is not None:
                self._on_end(self._failure)
            elif self._failure is not None:
                # Our errors are one line for users; any other is a bug, and needs its traceback.
                ours = isinstance(self._failure, DiffcError)
                logger.error("%s", self._failure, exc_info=None if ours else self._failure)
        except Exception as error:
            self._failure = self._failure or error
            logger.exception("at the end of a watch")
        finally:
            if self._release is not None:
                self._release()

    def _hand_over(self) -> None:
        while (refinement := self._newest.take()) is not None:
            self._last = refinement
            self._on_refinement(refinement)

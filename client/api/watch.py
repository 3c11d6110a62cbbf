"""For programs without an event loop: a callback gets pictures as they get better.

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
from diffc_stream.session import Entry, Target, TargetOptions, Terms

from ..decoding.decoders import Decoders, Method
from ..decoding.refiner import Refinement
from ..remote.address import Address
from ..remote.credentials import Access
from ..storage.partial_stream import Kept
from .background import Background, Following
from .demand import Demand
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

    ``http://HOST/IMAGE.dfc`` is a stream that lies on any web server.  All is as for
    :meth:`Watcher.watch`, over a link of its own, which is closed at the end; ``decoders``,
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
    """A sender, watched from threads of its own; any thread may call its methods.

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

        Raises AddressError or SafetyError.  If nobody is there, every method and watch says so, and
        another Watcher is what tries again.
        """
        self._link = Background(Address.parse(url), decoders, patience, terms, Access.of(token, ca))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def images(self) -> list[str]:
        """Wait for the names of all pictures that the sender offers; see Sender.images()."""
        return [entry.name for entry in self.catalogue()]

    def catalogue(self) -> list[Entry]:
        """Wait for what the sender offers: name, size, time and thumbprint of each picture."""
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

        ``on_refinement`` is called with one refinement after the other, each better than the one
        before, on a thread of this watch.  However long it takes, neither the network nor any
        other watch waits for it: what it gets next is the newest, and the last is never left out.

        Then ``on_end`` is called, once, on the same thread, with what went wrong or None; without
        it, what went wrong is logged.  An exception of ``on_refinement`` ends the watch so too.

        Raises RuntimeError once the watcher is closed.
        """
        newest = Latest()
        wanted = Demand(Target(**target), weight)
        following = self._link.follow(
            image, wanted, newest, render=render, previews=previews, kept=kept
        )
        return Watch(following, newest, on_refinement, on_end)

    def close(self) -> None:
        """Stop all watches and close the link.  A callback that is running is not waited for."""
        self._link.close()


class Watch:
    """A picture that is watched; any thread, a callback too, may call its methods."""

    def __init__(
        self,
        following: Following,
        newest: Latest,
        on_refinement: OnRefinement,
        on_end: OnEnd | None,
        *,
        release: Callable[[], object] | None = None,
    ) -> None:
        """Call ``release`` when it is over: what only this watch has needed is closed."""
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
        """Change how far it goes and how much it counts, as :meth:`Delivery.update` does."""
        self._following.update(Target(**target), weight)

    def stop(self) -> None:
        """Stop the stream and return at once: no refinement is handed over any more.

        Once a callback that is running has returned, ``on_end`` is called.  Another watch may go on
        with what this one kept, over the same link at once, otherwise after :meth:`wait`.
        """
        self._newest.stop()
        self._following.stop()

    def wait(self, timeout: float | None = None) -> Refinement | None:
        """Wait until all callbacks have returned, and return the last refinement handed over.

        None if it was stopped before any.  Raises what went wrong, TimeoutError after ``timeout``
        seconds, or RuntimeError in one of its own callbacks, which would wait for itself.
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
        # What was kept is nobody's but the caller's from now on.
        self._following.join()
        try:
            if self._on_end is not None:
                self._on_end(self._failure)
            elif self._failure is not None:
                # One of ours is one line for a user; of another, whoever wrote it wants to know.
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

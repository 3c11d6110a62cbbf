"""Renders prefixes of a stream on a thread of its own; a newer wish replaces one not yet begun."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..decoding.decoders import Decoders, Method, Picture, StreamDecoder

OnPicture = Callable[[Picture, Method], object]
OnError = Callable[[Exception], object]


@dataclass(frozen=True, slots=True)
class _Wish:
    prefix: bytes
    method: Method


class PrefixRenderer:
    """The newest wish is always granted; the thread ends when there is none."""

    def __init__(self, decoders: Decoders, on_picture: OnPicture, on_error: OnError) -> None:
        """Call ``on_picture`` with each picture and its method, or ``on_error``, on the thread."""
        self._decoders = decoders
        self._on_picture = on_picture
        self._on_error = on_error
        self._lock = threading.Lock()
        self._wish: _Wish | None = None
        self._thread: threading.Thread | None = None
        self._decoder: StreamDecoder | None = None
        self._fed = b""

    def wish(self, prefix: bytes, method: Method) -> None:
        """Ask for the picture of a prefix, and return at once; any thread may call this."""
        with self._lock:
            self._wish = _Wish(prefix, method)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="diffc-prefix", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Forget the wish that waits."""
        with self._lock:
            self._wish = None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all wishes are granted.  Raises TimeoutError after ``timeout`` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                raise TimeoutError(f"the picture is not there after {timeout} seconds")

    def _run(self) -> None:
        while True:
            with self._lock:
                wish, self._wish = self._wish, None
                if wish is None:
                    self._thread = None
                    return
            try:
                picture = self._picture(wish)
            except Exception as error:
                self._decoder = None
                self._on_error(error)
            else:
                self._on_picture(picture, wish.method)

    def _picture(self, wish: _Wish) -> Picture:
        # Going on costs less than beginning again, and there is no going back.
        if self._decoder is None or not wish.prefix.startswith(self._fed):
            self._decoder, self._fed = self._decoders.new(), b""
        self._decoder.feed(wish.prefix[len(self._fed) :])
        self._fed = wish.prefix
        return self._decoder.render(wish.method)

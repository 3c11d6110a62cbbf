"""An S3-compatible server on the loopback, which may be slow, fail or show old data.

    python -m benchmarks.object_server [--slow SECONDS] [--failing SHARE] [--stale SHARE]

It is moto's (extra ``bench``), with the faults in front of it, and prints its URL as JSON.  moto is
one Python package, and knows conditional puts; what it keeps is in memory.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

OLD = 2.0
"""Seconds after a write during which old data may be shown."""

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]


class Faulty:
    """Answers requests as another application does, but for faults."""

    def __init__(
        self, application: Application, *, slow: float, failing: float, stale: float, seed: int = 0
    ) -> None:
        """Delay answers by up to ``slow`` seconds; have a share of them fail or be old."""
        self.requests = 0
        self._application = application
        self._slow, self._failing, self._stale = slow, failing, stale
        self._random = random.Random(seed)
        self._before: dict[str, tuple[float, list[Any], bytes]] = {}
        """By path, when it was written, and what it was before."""
        self._lock = threading.Lock()

    def __call__(self, environ: Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        with self._lock:
            self.requests += 1
            delay, fails, old = (self._random.random() for _ in range(3))
        time.sleep(delay * self._slow)
        if fails < self._failing:
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>slow down</Message></Error>"]
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method == "GET" and old < self._stale:
            written, head, body = self._before.get(path, (float("-inf"), [], b""))
            if time.monotonic() < written + OLD:
                start(*head)
                return [body]
        if method in ("PUT", "DELETE") and self._stale:
            self._before[path] = (time.monotonic(), *self._now(environ))
        return self._application(environ, start)

    def _now(self, environ: Environment) -> tuple[list[Any], bytes]:
        """Return the answer that a GET has now."""
        head: list[Any] = []
        kept = {"wsgi.input": BytesIO(), "REQUEST_METHOD": "GET", "CONTENT_LENGTH": "0"}
        asked = {name: value for name, value in environ.items() if name != "HTTP_IF_NONE_MATCH"}
        body = b"".join(self._application(asked | kept, lambda *what: head.extend(what[:2])))
        return head, body


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.object_server")
    parser.add_argument("--slow", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--failing", type=float, default=0.0, metavar="SHARE")
    parser.add_argument("--stale", type=float, default=0.0, metavar="SHARE")
    parsed = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = Faulty(DomainDispatcherApplication(create_backend_app), **vars(parsed))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    print(json.dumps({"url": f"http://127.0.0.1:{server.port}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

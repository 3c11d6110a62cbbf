"""The log of a daemon on stderr: one line per event, for people or for machines.

Code logs with the standard library's loggers.  A line also contains the context in which it was
written (``structlog.contextvars``), such as the connection, and the ``extra`` fields of the call.
Names from outside (of a picture, a page) cannot break out of their line.  Times are UTC.

Peers cannot flood the log: see :class:`Restraint`.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any, TextIO

from .exposure import neighbourhood
from .throttle import Throttle

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("console", "json")

USUAL = 60
"""Most lines per minute of one kind about one peer, if they are not warnings or errors."""
UNUSUAL = 1
"""Most warnings or errors per minute of one kind about one peer."""
USUAL_KIND, UNUSUAL_KIND = 600, 60
"""The same two limits for one kind of line about all peers."""
ALL = 1200
"""Most lines per minute of all kinds."""
MOST_MESSAGE = 300
"""Characters of a message by which lines without a peer are told apart."""
MOST_ADDRESS = 100
"""Characters of an address and a port; longer texts are something else."""


def add_logging(group: argparse._ActionsContainer) -> None:
    """Add ``--log-level`` and ``--log-format``."""
    group.add_argument(
        "--log-level", choices=LEVELS, default="info", help="what is logged (%(default)s)"
    )
    group.add_argument(
        "--log-format",
        choices=FORMATS,
        default="console",
        help="how: lines for people, or a JSON object each (%(default)s)",
    )


def start_logging(level: str, form: str, stream: TextIO | None = None) -> None:
    """Write log lines of ``level`` and above in one of FORMATS, by default to stderr.

    Does nothing if logging has been configured already.
    """
    # Imported here because --help does not need it.
    import structlog

    render = [structlog.processors.JSONRenderer()] if form == "json" else [_console]
    _printable("\n")  # Loads the codec now: without free descriptors it could not be opened.
    handler = _Handler(stream or sys.stderr)
    handler.addFilter(Restraint())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.format_exc_info,
            ],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler])


class Restraint(logging.Filter):
    """Limits the lines per minute to what a person can read, and counts those left out.

    Lines are of the same kind if the same line of code writes them.  They are about the same peer
    if they begin with its address or, without an address, if their text is the same.  A line that
    follows some that were left out has their number, ``left_out``.  Debug lines are not limited.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._things = Throttle(clock=clock)
        self._kinds = Throttle(clock=clock)
        self._all = Throttle(clock=clock)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO:
            return True
        usual = record.levelno < logging.WARNING
        kind = (record.pathname, record.lineno, usual)
        with self._lock:
            left_out = 0
            for table, key, most in (
                (self._things, (kind, _about(record)), USUAL if usual else UNUSUAL),
                (self._kinds, kind, USUAL_KIND if usual else UNUSUAL_KIND),
                (self._all, None, ALL),
            ):
                withheld = table.due(key, most)
                if withheld is None:
                    return False
                left_out += withheld
        if left_out:
            record.left_out = left_out + getattr(record, "left_out", 0)
        return True


def _about(record: logging.LogRecord) -> str:
    """Return the peer that a line is about, or else its text."""
    first = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(first, str) and len(first) <= MOST_ADDRESS:
        address = peer_of(first)
        if address:
            return address
    return record.getMessage()[:MOST_MESSAGE]


@lru_cache(4096)
def peer_of(text: str) -> str:
    """Return what identifies the peer at ``ADDRESS`` or ``ADDRESS:PORT``; "" if it is neither."""
    for address in (text, text.rpartition(":")[0]):
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(address.partition("%")[0])
            return neighbourhood(address)
    return ""


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines, and drops those that cannot be written: a full disk must not end a daemon."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Drop the line."""


def _console(_logger: object, _method: str, facts: MutableMapping[str, Any]) -> str:
    """Return a line for people; a traceback follows on indented lines of its own."""
    time, level, event = (str(facts.pop(key)) for key in ("time", "level", "event"))
    facts.pop("logger", None)
    trace = str(facts.pop("exception", ""))
    line = [time, level.upper(), _printable(event)]
    line += [f"{key}={_quoted(value)}" for key, value in facts.items()]
    return "\n    ".join([" ".join(line), *(_printable(part) for part in trace.splitlines())])


def _quoted(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not set(text) & set(" ='\"\\")
    return text if plain else _printable(json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

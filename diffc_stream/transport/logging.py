"""What a daemon writes on stderr: one line per fact, for people or for machines.

Whoever logs uses the standard library's loggers.  A line also carries what holds where it was
written (``structlog.contextvars``): of a connection, which one; and what the call itself adds as
``extra``.  What others have named (a picture, a page) stays within its line whatever it holds.
Times are UTC.

What peers can cause is not written as often as they like: see :class:`Restraint`.
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
from typing import Any, TextIO

from .exposure import neighbourhood
from .throttle import Throttle

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("console", "json")

USUAL = 60
"""Lines a minute of one kind about one peer that say what it did, as it should;"""
UNUSUAL = 1
"""and warnings and errors."""
USUAL_KIND, UNUSUAL_KIND = 600, 60
"""The same of one kind about all peers."""
ALL = 1200
"""Lines a minute of all kinds."""
MOST_MESSAGE = 300
"""Characters that tell one thing from another."""


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
    """Write what is logged from ``level`` on as one of FORMATS, on stderr unless told otherwise.

    Does nothing where somebody has seen to logging already.
    """
    # Late, because explaining the flags can do without.
    import structlog

    render = [structlog.processors.JSONRenderer()] if form == "json" else [_console]
    _printable("\n")  # loads what it takes, which could not be opened when files are short
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
    """Lets through as many lines a minute as can be read, and counts those left out.

    Lines are of one kind if one place of the code writes them, and about one peer if they begin
    with its address, or else if they say the same.  One that comes after others were left out has
    their number, ``left_out``.  What is only written for debugging is left alone.
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
    """Return whom or what a line is about."""
    first = record.args[0] if isinstance(record.args, tuple) and record.args else None
    if isinstance(first, str):
        address = peer_of(first)
        if address:
            return address
    return record.getMessage()[:MOST_MESSAGE]


def peer_of(text: str) -> str:
    """Return what stands for the peer at ``ADDRESS`` or ``ADDRESS:PORT``; nothing if it is none."""
    for address in (text, text.rpartition(":")[0]):
        with contextlib.suppress(ValueError):
            ipaddress.ip_address(address.partition("%")[0])
            return neighbourhood(address)
    return ""


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines, and does without where they cannot be written: a full disk ends nothing."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Leave it out."""


def _console(_logger: object, _method: str, facts: MutableMapping[str, Any]) -> str:
    """Return a line for people; what went wrong inside follows on lines of its own, indented."""
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

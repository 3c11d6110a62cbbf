"""What a daemon writes on stderr: one line per fact, for people or for machines.

Whoever logs uses the standard library's loggers.  A line also carries what holds where it was
written (``structlog.contextvars``): of a connection, which one; and what the call itself adds as
``extra``.  What others have named (a picture, a page) stays within its line whatever it holds.
Times are UTC.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("console", "json")


def add_journal(group: argparse._ActionsContainer) -> None:
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


def start(level: str, form: str, stream: TextIO | None = None) -> None:
    """Write what is logged from ``level`` on as one of FORMATS, on stderr unless told otherwise.

    Does nothing where somebody has seen to logging already.
    """
    # Late, because explaining the flags can do without.
    import structlog

    render = [structlog.processors.JSONRenderer()] if form == "json" else [_console]
    handler = logging.StreamHandler(stream or sys.stderr)
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

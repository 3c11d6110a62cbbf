"""What a log's lines carry, and that nobody can make up any."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest
from logs import unattended
from structlog.contextvars import bound_contextvars

from diffc_stream import journal

HOSTILE = 'a.png\n2026-01-01T00:00:00Z INFO root logged in connection=0\r\x1b[2K\u2028\x85"} {"'


def lines(form: str) -> list[str]:
    """Log what a sender does, and return the lines."""
    stream = io.StringIO()
    with unattended() as root:
        journal.start("info", form, stream)
        _log(root)
    return stream.getvalue().split("\n")[:-1]


def _log(root: logging.Logger) -> None:
    logger = root.getChild("pump")
    logger.debug("too much")
    with bound_contextvars(connection="4f"):
        logger.info("%s has %s: %s", "peer", "a", "stopped", extra={"stream": 3, "bytes": 10})
        logger.warning("about %s", HOSTILE, extra={"image": HOSTILE})
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logger.exception("it failed")
    logger.info("done")


def test_json_is_an_object_per_line() -> None:
    ended, about, failed, done = [json.loads(line) for line in lines("json")]
    time = ended.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time)
    assert ended == {
        "event": "peer has a: stopped",
        "level": "info",
        "logger": "pump",
        "connection": "4f",
        "stream": 3,
        "bytes": 10,
    }
    assert (about["image"], about["connection"]) == (HOSTILE, "4f")
    assert "ValueError" in failed["exception"]
    assert "connection" not in done


def test_lines_for_people() -> None:
    ended, about, failed, *trace, done = lines("console")
    time, _, rest = ended.partition(" ")
    assert time.endswith("Z")
    assert rest == "INFO peer has a: stopped connection=4f stream=3 bytes=10"
    # Whatever something is called, it is one line, a field is one field, and no terminal is moved.
    assert all(line.isprintable() for line in (about, failed, *trace, done))
    field = about.partition(" image=")[2]
    assert field.startswith('"')
    assert field.endswith('"')
    assert "connection=0" not in re.sub(r'"([^"\\]|\\.)*"', "", field)
    assert failed.endswith("ERROR it failed connection=4f")
    assert all(line.startswith("    ") for line in trace)
    assert done.endswith("INFO done")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("a.png", "a.png"), ("a b", '"a b"'), ("", '""'), ("x=1", '"x=1"'), (1.5, "1.5"), ("ä", "ä")],
)
def test_values_are_quoted_where_they_must_be(value: object, shown: str) -> None:
    stream = io.StringIO()
    with unattended() as root:
        journal.start("info", "console", stream)
        root.getChild("pump").info("x", extra={"image": value})
    assert stream.getvalue().endswith(f" INFO x image={shown}\n")


def test_whoever_has_seen_to_logging_is_left_alone() -> None:
    mine = logging.NullHandler()
    with unattended() as root:
        root.addHandler(mine)
        level = root.level
        journal.start("debug", "json")
        assert (root.handlers, root.level) == ([mine], level)

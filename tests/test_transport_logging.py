"""What a log's lines carry, and that nobody can make up any."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
from logs import unattended
from structlog.contextvars import bound_contextvars

from diffc_stream.transport import logging as journal

HOSTILE = 'a.png\n2026-01-01T00:00:00Z INFO root logged in connection=0\r\x1b[2K\u2028\x85"} {"'


def lines(form: str) -> list[str]:
    """Log what a sender does, and return the lines."""
    stream = io.StringIO()
    with unattended() as root:
        journal.start_logging("info", form, stream)
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
        journal.start_logging("info", "console", stream)
        root.getChild("pump").info("x", extra={"image": value})
    assert stream.getvalue().endswith(f" INFO x image={shown}\n")


def test_whoever_has_seen_to_logging_is_left_alone() -> None:
    mine = logging.NullHandler()
    with unattended() as root:
        root.addHandler(mine)
        level = root.level
        journal.start_logging("debug", "json")
        assert (root.handlers, root.level) == ([mine], level)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Kept(logging.Handler):
    """Keeps what is written, beyond the restraint of a journal."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.lines: list[tuple[str, int]] = []
        self.addFilter(journal.Restraint(clock))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.getMessage(), getattr(record, "left_out", 0)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock) -> Iterator[Kept]:
    handler = Kept(clock)
    logger = logging.getLogger("flooded")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def flood(times: int, address: str, level: int = logging.WARNING) -> None:
    logger = logging.getLogger("flooded")
    for number in range(times):
        logger.log(level, "%s has shown token %d", f"{address}:{4000 + number}", number)


def test_a_peer_is_warned_of_once_a_minute(kept: Kept, clock: Clock) -> None:
    flood(1000, "192.0.2.1")
    flood(1, "192.0.2.2")
    clock.now += 60
    flood(3, "192.0.2.1")
    assert kept.lines == [
        ("192.0.2.1:4000 has shown token 0", 0),
        ("192.0.2.2:4000 has shown token 0", 0),
        ("192.0.2.1:4000 has shown token 0", 999),
    ]


def test_neighbours_are_one_peer(kept: Kept) -> None:
    for number in range(100):
        flood(1, f"2001:db8:1:2::{number:x}")
    assert len(kept.lines) == 1


def test_what_a_peer_does_as_it_should_is_written_sixty_times_a_minute(
    kept: Kept, clock: Clock
) -> None:
    flood(1000, "192.0.2.1", logging.INFO)
    assert len(kept.lines) == journal.USUAL
    clock.now += 60
    flood(1, "192.0.2.1", logging.INFO)
    assert kept.lines[-1][1] == 1000 - journal.USUAL


def test_many_peers_together_fill_no_log_either(kept: Kept, clock: Clock) -> None:
    for number in range(20_000):
        flood(1, f"10.0.{number // 250}.{number % 250}")
    assert len(kept.lines) == journal.UNUSUAL_KIND
    clock.now += 60
    flood(1, "192.0.2.1")
    assert kept.lines[-1][1] > 19_000


def test_all_kinds_together_have_an_end(kept: Kept) -> None:
    for kind in range(5000):
        record = logging.LogRecord("flooded", logging.INFO, f"{kind}.py", 1, "x", None, None)
        logging.getLogger("flooded").handle(record)
    assert len(kept.lines) == journal.ALL


def test_what_is_for_debugging_is_left_alone(kept: Kept) -> None:
    flood(3000, "192.0.2.1", logging.DEBUG)
    assert len(kept.lines) == 3000


def test_what_says_something_else_is_another_thing(kept: Kept) -> None:
    logger = logging.getLogger("flooded")
    for name in ("a.png", "a.png", "b.png"):
        logger.warning("%s: %s cannot be kept", "pictures", name)
    assert [line for line, _ in kept.lines] == [
        "pictures: a.png cannot be kept",
        "pictures: b.png cannot be kept",
    ]


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("192.0.2.1:80", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1:80", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6:80", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::6%eth0:80", "2001:db8:1:2::/64"),
        ("ws://192.0.2.1:80", ""),
        ("a.png", ""),
        ("", ""),
    ],
)
def test_peers_are_known_by_their_addresses(text: str, peer: str) -> None:
    assert journal.peer_of(text) == peer


def test_a_log_that_cannot_be_written_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    with unattended() as root:
        journal.start_logging("info", "console", Full())
        root.warning("the disk is full")
        for handler in root.handlers[:]:
            root.removeHandler(handler)
    assert capsys.readouterr().err == ""

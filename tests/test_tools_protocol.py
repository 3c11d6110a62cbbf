"""docs/protocol.md shows what is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from diffc_stream.session import (
    MAX_MESSAGE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    SUBPROTOCOL,
    Capability,
    Code,
    Message,
    Reason,
    Terms,
)
from diffc_stream.session.fields import Record
from diffc_stream.session.messages import CONTROL, title
from diffc_stream.session.pace import Pace
from diffc_stream.session.state import CONNECTION, STREAM
from tools import protocol

DOCUMENT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
PARTS = protocol.parts()


def test_the_document_is_up_to_date() -> None:
    # If not: python -m tools.protocol docs/protocol.md
    assert protocol.renewed(DOCUMENT) == DOCUMENT


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    places = "".join(f"<!-- {name} -->\nstale\n<!-- /{name} -->\nafter\n" for name in PARTS)
    path = tmp_path / "a.md"
    path.write_text(f"before\n{places}")
    protocol.main([str(path)])
    text = path.read_text()
    assert "stale" not in text
    assert text.startswith("before\n<!-- messages -->\n\n#### HELLO (0x01) - receiver\n")
    assert text.count("\nafter\n") == len(PARTS)
    protocol.main([str(path)])
    assert path.read_text() == text


def test_a_document_without_a_place() -> None:
    with pytest.raises(ValueError, match="no place for messages"):
        protocol.renewed("nothing")


@pytest.mark.parametrize("message", CONTROL, ids=title)
def test_every_field_of_every_message_is_shown(message: type[Message]) -> None:
    section = PARTS["messages"].split(f"#### {title(message)} ")[1].split("####")[0]
    assert section.startswith(f"(0x{message.kind:02x}) - ")
    for name, field in Record(message).fields.items():
        assert f"| `{name}` | {field} |" in section


def test_the_tables_are_shown() -> None:
    rows = [row for part in ("connection", "stream") for row in PARTS[part].splitlines()]
    said = sum(
        len(triggers)
        for table in (*CONNECTION.values(), *STREAM.values())
        for triggers in table.values()
    )
    assert len(rows) == said + 4
    assert "| receiver | READY | receives GOAWAY | LEAVING |" in rows


def test_the_exchange_in_detail_is_that_of_the_exchange() -> None:
    data = next(line for line in PARTS["exchange"].splitlines() if " DATA " in line)
    detail = DOCUMENT.split("DATA in detail:")[1].split("##")[0]
    pieces = re.findall(r"^    ((?:[0-9a-f]{2} )+)", detail, re.MULTILINE)
    assert "".join(pieces).split() == data.split()[2:]


def test_codes_and_reasons_are_explained() -> None:
    codes = [value for name, value in vars(Code).items() if name.isupper()]
    words = [value for name, value in vars(Capability).items() if name.isupper()]
    for word in [*codes, *words, *(reason.value for reason in Reason)]:
        assert f"\n| `{word}` |" in DOCUMENT


def test_limits_are_as_they_are() -> None:
    for text in (
        f"`{SUBPROTOCOL}`",
        f"until the first ACK it is {Pace.LEAST:,}",
        f"{Pace.LEAST:,} bytes at least",
        f"| message | {MAX_MESSAGE:,} bytes |",
        f"| stream | {MAX_STREAM:,} bytes |",
        f"| window | {MIN_WINDOW} to {MAX_WINDOW:,} bytes |",
        f"as WELCOME says; {Terms().streams} |",
        f"{Terms().window:,} bytes\nunless configured, {MIN_WINDOW} to {MAX_WINDOW:,}",
        f"`idle`, {Terms().idle:.0f} unless configured",
        f"waits {Terms().greeting:.0f} seconds for HELLO",
    ):
        assert text in DOCUMENT, text

"""The exchange that docs/protocol.md shows takes place."""

from __future__ import annotations

import re
from pathlib import Path

from diffc_stream.session import (
    MAX_MESSAGE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    SUBPROTOCOL,
    Code,
    Open,
    Reason,
    ReceiverSession,
    SenderSession,
    Terms,
)

DOCUMENT = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
MODELS = ("0f0f0f0f",)


def test_the_exchange() -> None:
    receiver, sender = ReceiverSession(now=0, models=MODELS), SenderSession(now=0, models=MODELS)
    said: list[tuple[str, str]] = []

    def pass_on() -> None:
        for data in receiver.transmit(0):
            said.append(("receiver", data.hex(" ")))
            event = sender.receive(data, 0)
            if isinstance(event, Open):
                sender.send(event.stream, b"diffc")
        for data in sender.transmit(0):
            said.append(("sender", data.hex(" ")))
            receiver.receive(data, 0)

    stream = receiver.open(
        "coffee.jpg", start=300, checksum=0x12345678, limit=4000, model=MODELS[0]
    )
    pass_on()
    receiver.stop(stream)
    pass_on()
    pass_on()
    shown = re.findall(r"^    (receiver|sender) +[A-Z]+ +([0-9a-f ]+)$", DOCUMENT, re.MULTILINE)
    assert shown == said


def test_codes_and_reasons_are_explained() -> None:
    codes = [value for name, value in vars(Code).items() if name.isupper()]
    for word in [*codes, *(reason.value for reason in Reason)]:
        assert f"\n| `{word}` |" in DOCUMENT


def test_limits_are_as_they_are() -> None:
    for text in (
        f"`{SUBPROTOCOL}`",
        f"| message | {MAX_MESSAGE:,} bytes |",
        f"| stream | {MAX_STREAM:,} bytes |",
        f"| window | {MIN_WINDOW} to {MAX_WINDOW:,} bytes |",
        f"as WELCOME says; {Terms().streams} |",
        f"{Terms().window:,} bytes\nunless configured, {MIN_WINDOW} to {MAX_WINDOW:,}",
        f"`idle`, {Terms().idle:.0f} unless configured",
        f"waits {Terms().greeting:.0f} seconds for HELLO",
    ):
        assert text in DOCUMENT, text

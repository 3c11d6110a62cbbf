"""Generates the parts of docs/protocol.md that follow from the code.

    python -m tools.protocol docs/protocol.md

It replaces the text between ``<!-- NAME -->`` and ``<!-- /NAME -->`` by the part of that name: the
messages with their fields, the two tables of states, and an example session in hex.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import textwrap
from functools import partial
from pathlib import Path

from diffc_stream.replacement import replacing
from diffc_stream.session.coding import decode
from diffc_stream.session.fields import Record
from diffc_stream.session.messages import (
    CONTROL,
    Capability,
    Catalogue,
    Entry,
    Message,
    Open,
    title,
)
from diffc_stream.session.prefix import PrefixHash
from diffc_stream.session.receiver import ReceiverSession
from diffc_stream.session.region import Region
from diffc_stream.session.sender import SenderSession
from diffc_stream.session.session import Session
from diffc_stream.session.state import CONNECTION, STREAM, Way, markdown
from diffc_stream.session.target import Target


def parts() -> dict[str, str]:
    """Return the generated parts, by name."""
    return {
        "messages": "\n\n".join(_message(message) for message in CONTROL),
        "exchange": _exchange(),
        "region": _region_exchange(),
        "connection": markdown(CONNECTION),
        "stream": markdown(STREAM),
    }


def renewed(text: str) -> str:
    """Return a document with its generated parts renewed."""
    for name, part in parts().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"the document has no place for {name}")
        text = f"{before}{begin}\n{part}\n\n{end}{after}"
    return text


def _message(message: type[Message]) -> str:
    heading = f"#### {title(message)} (0x{message.kind:02x}) - {_who(message)}"
    text = f"{heading}\n\n{inspect.getdoc(message)}"
    table = _fields(message)
    if table:
        text += f"\n\n{table}"
    if message is Catalogue:
        text += f"\n\nAn entry is an array too:\n\n{_fields(Entry)}"
    if message is Open:
        text += f"\n\nA region is an array too, see Regions:\n\n{_fields(Region)}"
    return text


def _who(message: type[Message]) -> str:
    ends = [
        role.value
        for role, table in CONNECTION.items()
        if any((Way.SENDS, message) in triggers for triggers in table.values())
    ]
    return ends[0] if len(ends) == 1 else "either end"


def _fields(of: type[Message | Entry | Region]) -> str:
    said = _descriptions(of)
    rows = []
    fields = dataclasses.fields(of)
    for place, field in enumerate(fields):
        kind = str(Record(of).fields[field.name])
        note = said.get(field.name, "")
        if all(later.default is not dataclasses.MISSING for later in fields[place:]):
            note = f"{note} Default {_plain(field.default)}.".strip()
        rows.append(f"| `{field.name}` | {kind} | {note} |")
    return "\n".join(["| field | holds | |", "|---|---|---|", *rows]) if rows else ""


def _plain(default: object) -> str:
    """Return a default in the terms of MessagePack."""
    if default is None or default == ():
        return "nil" if default is None else "[]"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, int | float) else str(default)


def _descriptions(of: type[object]) -> dict[str, str]:
    """Return the docstrings of a class's fields, from its source."""
    [tree] = ast.parse(textwrap.dedent(inspect.getsource(of))).body
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for node, following in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    found[node.target.id] = " ".join(text.split())
    return found


def _exchange() -> str:
    """Return a session in which a receiver with 300 bytes asks for more, gets five, and stops."""
    model = "0f0f0f0f"
    receiver = ReceiverSession(now=0, models=[model], capabilities=[Capability.DFC1])
    sender = SenderSession(now=0, models=[model], capabilities=[Capability.DFC1])
    lines: list[str] = []
    pass_on = partial(_pass_on, lines)
    held = str(PrefixHash(bytes(300)))
    stream = receiver.open(
        "coffee.jpg", start=300, prefix=held, target=Target(bytes=4000, psnr=32.5), model=model
    )
    pass_on(receiver, sender)
    pass_on(sender, receiver)
    receiver.update(stream, target=Target(bytes=4000), weight=0.5)
    receiver.stop(stream)
    pass_on(receiver, sender)
    pass_on(sender, receiver)
    sender.go_away()
    pass_on(sender, receiver)
    return "\n".join(lines)


def _region_exchange() -> str:
    """Return a session in which a receiver with 300 bytes asks for a part of the picture."""
    model = "0f0f0f0f"
    receiver = ReceiverSession(now=0, models=[model], capabilities=[Capability.DFC4])
    sender = SenderSession(now=0, models=[model], capabilities=[Capability.DFC4, Capability.REGION])
    lines: list[str] = []
    pass_on = partial(_pass_on, lines)
    pass_on(receiver, sender)
    pass_on(sender, receiver)
    region = Region(left=9, top=3, width=7, height=6, size=300, digest=str(PrefixHash(bytes(300))))
    stream = receiver.open(
        "coffee.jpg", target=Target(psnr=36), weight=100, model=model, region=region
    )
    pass_on(receiver, sender)
    pass_on(sender, receiver)
    receiver.stop(stream)
    pass_on(receiver, sender)
    pass_on(sender, receiver)
    return "\n".join(lines)


def _pass_on(lines: list[str], session: Session, peer: Session) -> None:
    """Give what one end says to the other, and note it; a sender has "diffc" of any stream."""
    for data in session.transmit(0):
        name = title(type(decode(data)))
        lines.append(f"    {session.role.value:8}  {name:7}  {data.hex(' ')}")
        event = peer.receive(data, 0)
        if isinstance(event, Open) and isinstance(peer, SenderSession):
            peer.send(event.stream, b"diffc")


def main(paths: list[str]) -> None:
    """Renew the given documents."""
    for path in map(Path, paths):
        text = renewed(path.read_text())
        with replacing(path) as file:
            file.write(text.encode())


if __name__ == "__main__":
    main(sys.argv[1:])

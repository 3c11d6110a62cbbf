"""The stream printed in docs/format.md is one, and says what the document says of it."""

import re
from pathlib import Path

from sources import SOURCE, model, picture

from diffc_stream.codec import Decoder
from diffc_stream.container import Check, Header, Kind, Payload, Step, StreamReader, grammar
from diffc_stream.container.grammar import Before
from diffc_stream.metrics import psnr

DOCUMENT = (Path(__file__).parent.parent / "docs" / "format.md").read_text()
LINE = re.compile(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)(?: {2,}(.*))?$", re.MULTILINE)


def dump() -> tuple[bytes, list[tuple[int, str]]]:
    """Return the bytes of the dump and, with where they stand, what is written beside them."""
    data, notes = b"", []
    for place, line, note in LINE.findall(DOCUMENT):
        assert int(place, 16) == len(data)
        notes.append((len(data), note.strip()))
        data += bytes.fromhex(line)
    return data, notes


def test_the_dump_is_a_whole_stream_that_decodes() -> None:
    data, _ = dump()
    assert len(data) == 100
    decoder = Decoder([model()])
    decoder.feed(data)
    assert psnr(decoder.render().image, picture()) > 19


def test_the_notes_beside_it_are_true() -> None:
    data, notes = dump()
    reader, said, place = StreamReader(), [], 0
    for event in reader.feed(data):
        if isinstance(event, Step):
            delta = f", delta code {event.delta_code}" if event.kind.name == "REFINE" else ""
            said.append((place, f"{event.kind.name.lower()}, {event.length} bytes{delta}"))
        elif isinstance(event, Payload):
            said.append((place, "payload"))
        elif isinstance(event, Check):
            assert event.good
            said.append((place, "check: CRC32C of the bytes before"))
        place = reader.offset
    written = [(place, note) for place, note in notes if note]
    assert written[4:] == said
    header = Header.parse(data)[0]
    assert header == Header(model=SOURCE.fingerprint, width=64, height=64, seed=0)
    assert written[1][1] == f"model {header.model}"


def test_the_table_of_deltas_is_the_codes() -> None:
    numbers = re.search(r"T = ([\d, ]+)\.", DOCUMENT)
    assert numbers is not None
    table = [int(number) for number in numbers.group(1).split(",")]
    assert [value / 2**20 for value in table[::2]] == [grammar.delta(64 + i) for i in range(4)]
    eight = Before(length=2**20).lengths(Kind.OPEN)[16:24]
    assert table == eight

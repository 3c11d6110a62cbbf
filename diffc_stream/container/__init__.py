"""The .dfc format, on disk and on the wire: reading and writing bytes, without any mathematics."""

from diffc_stream.container.clip import Clip, Motion, Second, Turn
from diffc_stream.container.grammar import Header, Kind, Simulator, Step, segments
from diffc_stream.container.metadata import Fact, Facts, Metadata, Place
from diffc_stream.container.prefix import Begun, Prefix
from diffc_stream.container.reader import About, Check, Lost, Payload, StreamReader, verified
from diffc_stream.container.reference import Reference
from diffc_stream.container.writer import StreamWriter

__all__ = [
    "About",
    "Begun",
    "Check",
    "Clip",
    "Fact",
    "Facts",
    "Header",
    "Kind",
    "Lost",
    "Metadata",
    "Motion",
    "Payload",
    "Place",
    "Prefix",
    "Reference",
    "Second",
    "Simulator",
    "Step",
    "StreamReader",
    "StreamWriter",
    "Turn",
    "segments",
    "verified",
]

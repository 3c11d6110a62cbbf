"""``diffc send-packets``: broadcast a stream over a link that loses packets and never answers."""

from __future__ import annotations

import argparse
from pathlib import Path

from diffc_stream.cli import streams
from diffc_stream.cli.arguments import Commands, count
from diffc_stream.cli.output import print_json, reporting
from diffc_stream.emission import send
from diffc_stream.errors import TargetError
from diffc_stream.flags import integer, number
from diffc_stream.packets import LARGEST, SMALLEST, USUAL_SIZE, Broadcast, Plan
from diffc_stream.packets.airtime import Airtime

MAX_RATE = 10**9
HOPS = 1
"""Of a group's packets: to this network only."""

_SUMMARY = "send a stream in packets of which any may be lost"

_DESCRIPTION = """\
Send a stream in packets of which any may be lost, to receivers that never answer: over UDP, into a
folder, or to standard output, each packet behind its length (u16, little-endian).  Whatever
arrives is a picture.  Nothing is encrypted, and the station's text is sent in the clear.
"""

_EXAMPLES = """\
examples:
  diffc send-packets photo.dfc udp://192.168.1.255:7000 --rate 500 --carousel
  diffc send-packets photo.dfc outbox/ --size 340 --budget 3400 --loss 0.1
  diffc send-packets photo.dfc - --size 230 --air-rate 680 --duty 1 --station DL0ABC > /dev/ttyUSB0
  diffc encode photo.jpg - --bytes 8000 | diffc send-packets - udp://239.1.2.3:7000 --rate 2000

exit codes:
  0  sent
  2  wrong usage, or an address that cannot be had
  5  the stream cannot be used
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "send-packets",
        help=_SUMMARY,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", type=Path, metavar="IN", help="a stream; - is standard input")
    add("to", metavar="TO", help="udp://HOST:PORT, a folder, or - for standard output")
    add(
        "--size",
        type=integer(SMALLEST, LARGEST),
        default=USUAL_SIZE,
        metavar="BYTES",
        help=f"of every packet, {SMALLEST} to {LARGEST} ({USUAL_SIZE})",
    )
    add("--budget", type=count, metavar="BYTES", help="of one round: the stream is cut for it")
    add("--loss", type=number(0.9), metavar="SHARE", help="expected, 0.01 to 0.9 (unknown)")
    add("--reliable", action="store_true", help="expect no loss: send no repairs")
    add("--carousel", action="store_true", help="go on from the beginning, until Ctrl-C")
    add("--seconds", type=number(10**7), metavar="S", help="stop after so long")
    add("--rate", type=integer(1, MAX_RATE), metavar="BYTES", help="a second (no limit)")
    add("--packets-per-second", type=number(10**6), metavar="N", help="(no limit)")
    add("--air-rate", type=number(MAX_RATE), metavar="BYTES", help="a second, on the air")
    add(
        "--duty",
        type=number(100.0),
        metavar="PERCENT",
        help="of the time on the air, at --air-rate: 1 on most of EU868 (100)",
    )
    add("--station", default="", metavar="TEXT", help="call sign or such, sent in the clear")
    add("--hops", type=integer(0, 255), default=HOPS, help="of a group's packets (1)")
    add("--json", action="store_true", help="print one JSON object instead")


def run(arguments: argparse.Namespace) -> None:
    """Send what is to be sent."""
    from diffc_stream.transport.carriers import opened_to

    if arguments.duty is not None and arguments.air_rate is None:
        raise TargetError("--duty needs --air-rate: how fast the radio sends")
    broadcast = Broadcast(
        streams.read(arguments.input),
        size=arguments.size,
        budget=arguments.budget,
        plan=Plan.for_loss(0.0 if arguments.reliable else arguments.loss),
        carousel=arguments.carousel,
        station=arguments.station,
    )
    airtime = Airtime(
        bytes_per_second=arguments.rate,
        packets_per_second=arguments.packets_per_second,
        air_rate=arguments.air_rate,
        duty=None if arguments.duty is None else arguments.duty / 100,
    )
    with opened_to(arguments.to, hops=arguments.hops) as sender:
        sent = send(broadcast, sender.send, airtime, seconds=arguments.seconds)
    with reporting(Path(arguments.to)):
        if arguments.json:
            facts = {
                "stream": f"{broadcast.identity:04x}",
                "packets": sent,
                "pieces": broadcast.pieces,
                "stream_bytes": broadcast.stream_bytes,
            }
            print_json(facts)
        else:
            print(
                f"{arguments.to}: {sent} packets of {broadcast.size} bytes, "
                f"{broadcast.stream_bytes} bytes of stream {broadcast.identity:04x}"
            )

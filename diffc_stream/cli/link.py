"""``diffc link``: simulate a thin link on this machine, to try your own set-up over it."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from diffc_stream.cli.arguments import Commands
from diffc_stream.cli.output import print_json
from diffc_stream.errors import SafetyError
from diffc_stream.flags import Endpoint, endpoint, integer

if TYPE_CHECKING:
    from diffc_stream.transport.impaired_link import Link
    from diffc_stream.transport.impairment import Impairment

MAX_RATE = 10**9
"""Bytes per second."""
MAX_SECONDS = 60.0
MAX_PLACE = 2**40
"""Bytes, or bits."""

_SUMMARY = "put a thin, slow or broken link between a receiver and a sender of yours"

_DESCRIPTION = """\
Put a thin link between a receiver and a sender of yours: whoever connects to LISTEN reaches TARGET,
at so many bytes a second, so late, with such faults.  Any TCP passes, wss:// and https:// too.  The
link is the same for the same --seed.  It stays until Ctrl-C.
"""

_EXAMPLES = """\
examples:
  diffc-server photos/                                   # on 127.0.0.1:8765
  diffc link 9000 8765 --rate 2000 --delay 0.3           # 16 kbit/s, 600 ms there and back
  diffc-client view ws://localhost:9000

  diffc link 9000 station:8765 --rate 60000 --up-rate 8000 --delay 0.27 --jitter 0.05  # a satellite
  diffc link 9000 8765 --rate 2000 --cut-after 5000      # every connection breaks after 5,000 bytes

Rates count the payload of TCP: a real link carries some 40 bytes more per packet.  There is no
--loss: TCP sends again what is lost, which its users see as bytes that come late (--jitter) or not
at all for a while (--stall-after).  What goes wrong after so many bytes goes wrong in each
connection, on its way from TARGET.

exit codes:
  0  told to stop
  2  wrong usage, or an address that cannot be had
"""


def add(commands: Commands) -> None:
    """Add the command."""
    link = commands.add_parser(
        "link",
        help=_SUMMARY,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    link.add_argument(
        "listen",
        metavar="LISTEN",
        type=endpoint,
        help="where to connect: PORT or HOST:PORT; port 0 is any free one",
    )
    link.add_argument(
        "target", metavar="TARGET", type=endpoint, help="what is reached: PORT or HOST:PORT"
    )
    add, rate, place = link.add_argument, integer(1, MAX_RATE), integer(0, MAX_PLACE)
    add("--rate", metavar="BYTES", type=rate, help="a second, each way (no limit)")
    add("--up-rate", metavar="BYTES", type=rate, help="a second to TARGET (as --rate)")
    add("--delay", metavar="SECONDS", type=seconds, default=0.0, help="each way (0)")
    add(
        "--jitter",
        metavar="SECONDS",
        type=seconds,
        default=0.0,
        help="up to so much more, drawn for every piece; bytes stay in order (0)",
    )
    add("--stall-after", metavar="BYTES", type=place, help="then nothing passes for a while, once")
    add("--stall", metavar="SECONDS", type=seconds, default=10.0, help="how long (10)")
    add("--cut-after", metavar="BYTES", type=place, help="then the connection is closed")
    add("--reset-after", metavar="BYTES", type=place, help="then the connection is reset")
    add(
        "--silent-after",
        metavar="BYTES",
        type=place,
        help="then nothing passes, and neither end is told",
    )
    add(
        "--flip-every",
        metavar="BITS",
        type=integer(1, MAX_PLACE),
        help="one in so many bits, on average, arrives wrong",
    )
    add("--seed", metavar="N", type=integer(0, 2**63 - 1), default=0, help="of what is drawn (0)")
    add("--insecure", action="store_true", help="let others than this machine reach TARGET so")
    add("--json", action="store_true", help="print one JSON object when it listens")


def seconds(text: str) -> float:
    """Return a number of seconds.  Raises ArgumentTypeError, or ValueError for no number."""
    value = float(text)
    if not 0 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to {MAX_SECONDS:g}")
    return value


def run(arguments: argparse.Namespace) -> None:
    """Run the link until told to stop."""
    # The only place in the library that uses its transport, and only when a link is asked for.
    from diffc_stream.transport.emulation import carry_until_told
    from diffc_stream.transport.exposure import is_loopback
    from diffc_stream.transport.impaired_link import Link

    listen, target = arguments.listen, arguments.target
    if not (is_loopback(listen.host) or arguments.insecure):
        raise SafetyError(
            f"others can reach {listen.host}, and {target} through it: listen on 127.0.0.1, or say "
            "--insecure"
        )
    down, up = _impairments(arguments)
    link = Link(
        target.host,
        target.port,
        down=down,
        up=up,
        seed=arguments.seed,
        listen=(listen.host, listen.port),
        recorded=False,
    )
    looked_at = sys.stderr.isatty() and not arguments.json

    def started(link: Link) -> None:
        here = Endpoint(host=listen.host, port=link.port)
        if arguments.json:
            print_json({"listen": str(here), "target": str(target)})
        else:
            print(f"connect to {here}: it leads to {target}, {describe(down, up)}")
        print(end="", flush=True)  # which does nothing if standard output is closed

    def moved(link: Link) -> None:
        if looked_at:
            sys.stderr.write(f"\r\x1b[K{progress(link)}")
            sys.stderr.flush()

    carry_until_told(link, started=started, moved=moved)
    if looked_at:
        sys.stderr.write(f"\r\x1b[K{progress(link)}\n")


def describe(down: Impairment, up: Impairment) -> str:
    """Say how fast and how late a link is, in a few words."""
    rates = [f"{way.rate:,.0f} bytes/s" if way.rate else "as fast as it goes" for way in (down, up)]
    same = rates[0] == rates[1]
    text = rates[0] if same else f"{rates[0]} from there and {rates[1]} to there"
    there_and_back = down.delay + up.delay
    return f"{text}, {there_and_back * 1000:,.0f} ms there and back" if there_and_back else text


def progress(link: Link) -> str:
    """Say what a link has carried so far."""
    return (
        f"{link.open} open of {link.accepted} connections, {link.carried_down:,} bytes from there, "
        f"{link.carried_up:,} to there"
    )


def _impairments(arguments: argparse.Namespace) -> tuple[Impairment, Impairment]:
    """Return the impairments of the ways from and to the target."""
    from diffc_stream.transport.impairment import Impairment

    down = Impairment(
        rate=arguments.rate,
        delay=arguments.delay,
        jitter=arguments.jitter,
        stall_after=arguments.stall_after,
        stall=arguments.stall,
        cut_after=arguments.cut_after,
        reset_after=arguments.reset_after,
        silent_after=arguments.silent_after,
        flip_every=arguments.flip_every,
    )
    up = Impairment(
        rate=arguments.up_rate or arguments.rate, delay=arguments.delay, jitter=arguments.jitter
    )
    return down, up

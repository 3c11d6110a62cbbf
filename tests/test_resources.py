"""Everything that a peer can make grow has an owner that counts it: the table in docs/security.md.

What opens, spawns or buffers is found by a walk over the code.  Each such thing belongs to a row of
the table, or is named here with the reason why no peer can make it grow.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from growth import found

from diffc_client import __main__ as client
from diffc_server import __main__ as server

ROOT = Path(__file__).parent.parent
FOLDERS = ("server", "client", "diffc_stream")


def walked() -> set[tuple[str, str]]:
    return {
        (path.relative_to(ROOT).as_posix(), thing)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "node_modules" not in path.parts
        for thing in found(ast.parse(path.read_text()))
    }


COUNTED = {
    "Newcomers": """
        diffc_stream/transport/admission.py self._places self._waiting self._when_empty
        """,
    "Connections": """
        diffc_stream/transport/listener.py socket self._servers self._doorways
        server/daemon.py socket self._open self._receivers self._requests
        """,
    "Descriptors": """
        diffc_stream/transport/fd_limit.py file self._kept
        diffc_stream/opening.py file
        server/catalogue/catalogue.py file
        """,
    "Visitors and their budgets": """
        server/auth/quotas.py self._addresses self._tokens
        """,
    "Turns of the event loop": """
        diffc_stream/transport/pacing.py timer
        """,
    "Streams of a connection": """
        server/websocket/connection.py task timer
        server/websocket/resolver.py thread
        server/websocket/connection.py self._requested
        server/websocket/scheduler.py self._outbound self._plans self._changed
        diffc_stream/session/session.py self._progress
        diffc_stream/session/state.py self._streams
        server/encoding/subscribers.py self._users
        """,
    "Messages that wait to be sent": """
        diffc_stream/session/session.py self._outbox
        diffc_stream/session/sender.py self._pages
        """,
    "Looks at the folder": """
        server/catalogue/watcher.py task thread self._looks
        server/catalogue/history.py self._touched self._marks self._pages self._moments
        server/catalogue/scan.py self.places
        server/catalogue/cameras.py file self._orders
        server/catalogue/catalogue.py self._spoken_of
        server/catalogue/thumbprints.py self._known self._unsettled
        """,
    "Streams in memory": """
        server/encoding/stream_cache.py self._streams
        server/encoding/growing_bytes.py self._data
        server/encoding/shared_stream.py task timer
        diffc_stream/codec/curve.py self._openings self._points self._psnr self._sizes
        diffc_stream/codec/curve.py self.boundaries self.offsets
        """,
    "Encoders": """
        server/encoding/slots.py self._holders self._waiting timer
        server/threads/encoder_threads.py thread self._needed
        server/threads/pools.py thread
        server/encoding/predecessor.py thread
        diffc_stream/codec/stepper.py self._coarser self._errors
        """,
    "HTTP answers": """
        server/http/handler.py thread
        server/http/response.py task
        server/encoding/stream_file.py self._tags self._asking task
        server/http/buffers.py self._by_client self._holders
        client/viewer/bodies.py self._tags self._unpacked
        """,
    "Comparisons": """
        server/http/comparison.py self._candidates thread file
        """,
    "Disk of the store": """
        server/cache/backend.py file
        server/cache/object_store.py file self._used
        server/cache/store.py self._damaged
        """,
    "Leases": """
        server/cache/lease.py self._seen
        server/cache/persister.py task
        server/cache/store.py self._owed
        server/encoding/sharing.py task
        """,
    "Who watches": """
        diffc_stream/transport/health.py socket task thread
        """,
    "Lines of the log": """
        diffc_stream/transport/throttle.py self._said
        client/mirror/log_limit.py self._since
        """,
    "Tokens that nobody has": """
        diffc_stream/transport/guesses.py self._buckets
        """,
    "Senders of a mirror": """
        client/storage/shielded.py task thread
        client/mirror/listener.py socket task thread self._links self._turns self._mirrors
        """,
    "Pictures that a sender names": """
        client/mirror/catalogue_feed.py self._left_out self._doubtful
        client/mirror/removal.py self._removing task thread
        client/mirror/deferred.py self._parked timer
        client/mirror/state.py self.images self.starts
        client/mirror/starts.py self._after
        client/remote/websocket.py self._entries self._pages self._telling
        client/mirror/scheduler.py self._heap self._waiting self._sizes
        client/mirror/paths.py self._owners
        """,
    "Streams on their way to a receiver": """
        client/remote/websocket.py self._incoming task
        client/remote/receive_buffer.py self._queue
        client/mirror/transfers.py self._running self._told task thread timer
        client/mirror/sync.py task thread
        client/mirror/tally.py thread
        client/remote/http_ranges.py self._open
        client/decoding/refiner.py self._pending thread
        diffc_stream/codec/decoder.py self._payload
        diffc_stream/clips/decoder.py self._payload
        diffc_stream/clips/remembering.py self._known
        diffc_stream/container/reader.py self._befores
        """,
    "Links that a sender leaves": """
        client/api/lasting_link.py self._left self._closing task
        """,
    "Files and folders of a mirror": """
        client/mirror/confined_folder.py file
        client/mirror/owned_folder.py file
        client/mirror/journal.py self._meanwhile self.files self.folders self.temporary
        client/mirror/paths.py file
        """,
    "Streams that a receiver keeps": """
        client/storage/partial_stream.py file self._data
        client/storage/cache.py file
        """,
    "What streams start from": """
        client/storage/references.py self._recent thread
        diffc_stream/references.py self._kept
        """,
    "Pictures to be rendered": """
        client/mirror/renderer.py task thread self._behind
        client/mirror/fair_share.py self._had self._waiting
        """,
    "Steps and pixels of a stream": """
        diffc_stream/container/prefix.py self.records
        """,
    "Packets of broadcasts": """
        diffc_stream/packets/receiver.py self.streams
        diffc_stream/packets/stream.py self._pieces self._repairs self._solved
        diffc_stream/codec/decoder.py self._lost
        diffc_stream/codec/patchwork.py self._parts
        diffc_stream/container/reader.py self._lost
        """,
    "Messages of a broker": """
        client/remote/mqtt.py self._items self._open self._useless task
        client/remote/mqtt_stream.py self._pieces self._topics self._wanted
        server/mqtt/publisher.py self._told
        """,
    "Pages that look through a receiver": """
        client/web/pages.py socket thread self._asking
        client/web/proxy.py task
        client/web/packets.py task thread self._readers
        """,
}
"""By rows of the table: what of the code belongs to each."""
OF_NOBODY_ELSE = {
    "once for each process, or at its start or end": """
        server/app.py task thread
        server/daemon.py timer
        server/auth/reloader.py task thread
        server/auth/sending_budget.py task thread
        diffc_stream/transport/systemd.py socket
        client/cli/view.py thread
        client/cli/relay_packets.py task
        client/cli/display.py thread
        diffc_stream/transport/signals.py task timer
        diffc_stream/interruption.py thread
        diffc_stream/replacement.py _unfinished
        server/ops/metrics.py self.leases self.opened
        client/cli/mirror.py task thread
        """,
    "as its user publishes or encodes, from folders of his own": """
        diffc_stream/bulk/places.py file
        diffc_stream/bulk/manifest.py file self._done self._lines
        diffc_stream/bulk/chain.py self._beginnings
        diffc_stream/bulk/run.py process self._before self._reserved
        diffc_stream/bulk/run.py self.flight self.rest self.suspects
        server/mqtt/publisher.py task thread timer
        server/mqtt/plan.py self.entries self.refused
        server/mqtt/streams.py thread
        diffc_stream/clips/encoder.py self._done self._seen
        diffc_stream/clips/footage.py file
        diffc_stream/clips/inheritance.py self._differences self.movements
        diffc_stream/clips/showing.py file
        diffc_stream/container/writer.py self._befores
        diffc_stream/publishing/folder.py file self.current
        diffc_stream/publishing/publication.py file
        diffc_stream/publishing/record.py file self._made self._written
        """,
    "as often as its user asks, in his own program": """
        client/api/background.py socket task thread self._following
        client/api/watch.py thread
        client/notebook/prefixes.py thread
        client/notebook/remembering.py file
        client/api/connection.py thread
        client/api/exchange.py task
        client/api/regions.py task self._parts
        client/cli/fetch.py socket thread
        client/mirror/plan.py file thread
        client/mirror/senders.py self._folders self._mirrors task
        client/remote/handshake.py socket
        client/remote/credentials.py thread
        diffc_stream/transport/tcp.py socket
        diffc_stream/transport/carriers.py socket
        diffc_stream/transport/tls.py socket
        server/websocket/dialler.py socket task
        diffc_stream/transport/mqtt.py task
        diffc_stream/transport/websocket.py socket
        """,
    "of a bad link, which its user puts before a receiver or sender of his own": """
        diffc_stream/transport/impaired_link.py socket task
        diffc_stream/transport/impaired_link.py self._flight self._sockets self.arrivals
        diffc_stream/transport/impaired_link.py self.connections
        """,
    "files of the operator, closed when they have been read": """
        client/remote/credentials.py file self.tokens
        diffc_stream/transport/mqtt.py file
        server/websocket/dialler.py file
        diffc_stream/transport/toml.py file
        diffc_stream/transport/tokens.py self._by_hash self.limits
        diffc_stream/cli/streams.py file
        diffc_stream/cli/references.py file
        diffc_stream/transport/carriers.py file
        diffc_stream/picture.py file
        diffc_stream/imaging/jpeg.py file
        diffc_stream/imaging/png.py file
        diffc_stream/imaging/tiff.py file
        diffc_stream/destination.py file
        diffc_stream/replacement.py file
        diffc_stream/ledger.py file
        diffc_stream/diffusion/collection.py file self._files self._loaded
        diffc_stream/diffusion/files.py file
        diffc_stream/diffusion/weights.py file
        """,
    "of a fixed set of keys, whatever a stream says": """
        diffc_stream/channel/pfr.py @rate
        diffc_stream/budget.py self.periods
        diffc_stream/packets/erasure.py @_inverse @_times
        diffc_stream/channel/rotation.py @_hadamard
        diffc_stream/channel/zipf.py @_harmonic @_model @_uniform @frequencies self._written
        """,
}
"""What no peer can make grow, by the reason why."""


def listed(what: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (module, thing)
        for lines in what.values()
        for line in lines.split("\n")
        if line.strip()
        for module, *things in [line.split()]
        for thing in things
    ]


@cache
def rows() -> dict[str, list[str]]:
    """Return the cells of each row of the table, by its first one."""
    text = (ROOT / "docs" / "security.md").read_text()
    section = text.partition("\n## Resources\n")[2].partition("\n## ")[0]
    table = section[section.index("| What |") :].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_whatever_grows_is_counted() -> None:
    known = {*listed(COUNTED), *listed(OF_NOBODY_ELSE)}
    new = sorted(walked() - known)
    assert not new, (
        "these may grow: say in COUNTED which row of the table in docs/security.md has their "
        f"limit, or in OF_NOBODY_ELSE why no peer can make them: {new}"
    )


def test_nothing_is_counted_that_is_not_there() -> None:
    known = [*listed(COUNTED), *listed(OF_NOBODY_ELSE)]
    assert sorted(set(known) - walked()) == []
    assert len(known) == len(set(known))


def test_every_row_has_something_that_grows() -> None:
    assert list(rows()) == list(COUNTED)


@pytest.mark.parametrize("row", COUNTED)
def test_a_row(row: str) -> None:
    """It names who counts, how much there may be, and a test; options and metrics exist."""
    owner, limit, option, metric, tests = rows()[row]
    owners = re.findall(r"`([\w/]+\.py)`", owner)
    assert owners
    assert all((ROOT / path).is_file() for path in owners)
    assert re.search(r"\d|none", limit)
    for flag in re.findall(r"`(--[\w-]+)`", option):
        assert flag in flags(), flag
    for name in re.findall(r"`(diffc_\w+)`", metric):
        assert name in (ROOT / "docs" / "operating.md").read_text(), name
    named = re.findall(r"`(test_\w+)`", tests)
    assert named
    assert not set(named) - defined()


@cache
def flags() -> set[str]:
    """Return the options of both commands, as far as they stay up."""
    return {
        f"--{setting.key}"
        for command in (server, client)
        for settings in command.configuration().settings.values()
        for setting in settings
    }


@cache
def defined() -> set[str]:
    """Return the names of all tests."""
    return {
        name
        for path in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize(
    ("code", "things"),
    [
        ("CACHE = {}", ["CACHE"]),
        ("SEEN: set[str] = set()", ["SEEN"]),
        ("NAMES = {1: 2}\nMORE = frozenset()", []),
        (
            "class A:\n def f(self):\n  self.a = []\n  self._b: dict[int, int] = {}",
            ["self.a", "self._b"],
        ),
        ("self.a = deque(maxlen=3)\nself.b = deque()", ["self.b"]),
        ("self.q = asyncio.Queue[int]()\nself.r = asyncio.Queue(8)", ["self.q"]),
        ("self.wake = self.awoken.set\nself.c = [1]", []),
        ("class A:\n b: list[int] = field(default_factory=list)", ["self.b"]),
        ("class A:\n b: C = field(default_factory=lambda: defaultdict(list))", ["self.b"]),
        ("@cache\ndef f(n): pass\n@cache\ndef once(): pass\n@lru_cache(3)\ndef g(n): pass", ["@f"]),
        ("open(p)\np.open('rb')\nos.open(p, 0)\nImage.open(p)", ["file"] * 4),
        ("link.open('a.png')\nstore.open(address)", []),
        ("asyncio.create_task(x)\nTaskGroup()\nto_thread(f)", ["task", "task", "thread"]),
        ("subprocess.run(x)\nsocket.socket()\nserve(f)", ["process", "socket", "socket"]),
        ("loop.call_later(3, f)\np.mkdir()", ["timer", "file"]),
    ],
)
def test_the_walk_sees(code: str, things: list[str]) -> None:
    assert sorted(found(ast.parse(code))) == sorted(things)

"""``diffc-client mirror``: keeps folders in step with senders, whichever end connects."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.errors import AddressError
from diffc_stream.flags import add_metrics, budget_of, endpoint, order_of
from diffc_stream.ledger import Ledger, NotesFile
from diffc_stream.session import Terms
from diffc_stream.transport.exposure import check_exposure
from diffc_stream.transport.logging import add_logging
from diffc_stream.transport.settings import add_configuration
from diffc_stream.transport.signals import stay
from diffc_stream.transport.systemd import Supervisor
from diffc_stream.transport.tokens import Tokens

from ..remote.address import Address
from ..remote.credentials import TokenFile, check_one_host
from .options import (
    access,
    add_choice,
    add_command,
    add_every,
    add_limits,
    add_receiving,
    add_target,
    start_log,
    target,
)
from .progress import summary

if TYPE_CHECKING:
    from ..decoding.decoders import Method, Picture
    from ..mirror.metrics import MirrorMetrics
    from ..mirror.renderer import Renderer
    from ..mirror.sync import Mirror, Mirrored

BUDGET = ".diffc-budget.json"
"""The file in DIR that has what was spent of the budget."""
TELL_TERMINAL, TELL = 10.0, 60.0
"""Seconds between progress reports: in a terminal, and in a log."""

logger = logging.getLogger("diffc_client")

DESCRIPTION = """\
Keep a copy of the pictures of senders, until it is stopped: every picture NAME as DIR/NAME.dfc,
byte for byte its stream.  New pictures arrive as they appear at the sender, the first bytes of
every picture before the last bytes of any.  Bytes that have arrived are not asked for again, not
even after a restart.
"""

EXAMPLES = """\
examples:
  diffc-client mirror ws://station:8765 pictures/
      all that the sender has, and will have
  diffc-client mirror ws://station:8765 pictures/ --psnr 30 --png
      as good as that, and rendered as pictures/NAME.png beside the streams
  diffc-client mirror ws://station:8765/coffee.jpg https://example.org/crane.jpg.dfc pictures/ \\
                      --by-sender --png
      one picture of a sender, and a stream that lies on any web server: each in its sender's
      folder, pictures/station_8765/ and pictures/example.org_443/
  diffc-client mirror mqtts://hub/cameras/gate pictures/ --mqtt-login FILE
      what a sender publishes to an MQTT broker: diffc-server DIR --mqtt mqtts://hub/cameras/gate
  diffc-client mirror ws://station:8765 pictures/ --bytes-per-day 5M --between 22:00-06:00 --plan
      what would come, and when, with five megabytes a day and at night only; without --plan, do it
  diffc-client mirror --config station.toml
      as the table [mirror] in there says: url = ["ws://station:8765"], folder = "pictures"
  diffc-client mirror --listen 0.0.0.0:8766 --tls-cert cert.pem --tokens tokens.toml pictures/
      senders behind a NAT connect to this machine: diffc-server DIR --dial wss://HERE:8766
      --dial-token FILE; each is kept in a folder of its token's name below pictures/

An option --some-thing can also stand in the environment, as DIFFC_CLIENT_SOME_THING; flags count
most, then that, then the file, and --no-some-thing takes one back.
Ends at SIGINT or SIGTERM, with exit code 0; 1: DIR or PORT cannot be used, 2: wrong usage.  With
--by-sender errors of a sender or folder do not end it: they are logged, and tried again.
"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the command and return its parser."""
    mirror = add_command(
        commands,
        "mirror",
        mirrored,
        help="keep a copy of the pictures of senders",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    mirror.add_argument(
        "url",
        metavar="URL",
        nargs="*",
        default=None,  # or argparse demands one
        help="a sender, ws://HOST:PORT, a picture of it, ws://HOST:PORT/IMAGE, a stream on any "
        "web server, http://HOST/IMAGE.dfc, or what a sender publishes to a broker, "
        "mqtt://HOST/PREFIX",
    )
    mirror.add_argument("folder", metavar="DIR", type=Path, help="where streams go")
    mirror.add_argument(
        "--listen",
        metavar="[HOST:]PORT",
        type=endpoint,
        help="instead of a URL: listen here for senders that connect (HOST: 127.0.0.1; "
        "others take --tokens and --tls-cert, or --insecure)",
    )
    mirror.add_argument(
        "--by-sender",
        action="store_true",
        help="keep each sender in a folder of its own, DIR/HOST_PORT; several senders need this",
    )
    add_target(mirror, "so many bytes of each picture")
    mirror.add_argument("--png", action="store_true", help="render pictures beside the streams")
    mirror.add_argument(
        "--delete",
        action="store_true",
        help="delete pictures that the sender has removed; an empty folder there empties this one",
    )
    add_limits(mirror)
    add_choice(mirror)
    mirror.add_argument(
        "--plan",
        action="store_true",
        help="receive nothing: say which pictures would come, in which order, with how many bytes, "
        "and when the budget allows them",
    )
    add_every(mirror, "how often to ask a sender that does not send changes")
    mirror.add_argument(
        "--json", action="store_true", help="print as JSON: the plan, or with --listen the port"
    )
    _add_listening(mirror)
    add_metrics(mirror)
    add_receiving(mirror)
    add_configuration(mirror)
    add_logging(mirror)
    return mirror


def _add_listening(mirror: argparse.ArgumentParser) -> None:
    group = mirror.add_argument_group("senders that connect")
    group.add_argument(
        "--tokens",
        metavar="FILE",
        type=Path,
        help="require one of these tokens (diffc-server --new-token makes them), and use its name "
        "for the sender",
    )
    group.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificates, PEM: wss://")
    group.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="... and its key, unless that file has it too"
    )


def mirrored(options: argparse.Namespace, note: str = "") -> int:
    """Log a ``note`` and run the command, or raise the error that prevents it."""
    addresses = [Address.parse(url) for url in options.url or ()]
    check(options, addresses)
    if not options.plan:
        start_log(options)
        if note:
            logger.info(note)
        stay(run(options, addresses))
    return show_plan(options, addresses)


def check(options: argparse.Namespace, addresses: list[Address]) -> None:
    """Raise AddressError or SafetyError for options that do not go together."""
    from ..mirror.senders import by_sender

    if bool(addresses) == (options.listen is not None):
        raise AddressError("name the sender, ws://HOST:PORT, or --listen for senders")
    senders = len(by_sender(addresses))
    if senders > 1 and not options.by_sender:
        raise AddressError(
            f"{senders} senders cannot share one folder: "
            f"with --by-sender each has one below {options.folder}"
        )
    if options.listen is not None:
        check_exposure(
            options.listen.host,
            tls=options.tls_cert is not None,
            tokens=options.tokens is not None,
            insecure=options.insecure,
        )
    elif options.tokens or options.tls_cert or options.tls_key:
        raise AddressError("--tokens, --tls-cert and --tls-key are for --listen")


def show_plan(options: argparse.Namespace, addresses: list[Address]) -> int:
    """Print what a mirror would receive."""
    # Imported late, because it brings modules that --help does not need.
    from ..mirror.plan import plan

    if len({address.sender for address in addresses}) != 1:
        raise AddressError("--plan is of one sender")
    budget = budget_of(options)
    found = asyncio.run(
        plan(
            addresses,
            place_of(options, addresses[0]),
            target=target(options),
            order=order_of(options),
            ledger=Ledger(budget, NotesFile(options.folder / BUDGET, read_only=True)),
            access=access(options),
        )
    )
    for line in found.lines(as_json=options.json):
        print(line)
    return 0


def place_of(options: argparse.Namespace, address: Address) -> Path:
    """Return the folder of a sender."""
    from ..mirror.senders import folder_of

    folder: Path = options.folder
    return folder / folder_of(address.sender) if options.by_sender else folder


async def run(options: argparse.Namespace, addresses: list[Address]) -> None:
    """Mirror ``addresses``, or listen if there are none, until cancelled."""
    # Imported late, because they bring modules that --help does not need.
    from diffc_stream.transport.footprint import keep_small

    from ..mirror.metrics import MirrorMetrics
    from ..mirror.senders import Senders
    from ..mirror.sync import Mirror

    metrics = MirrorMetrics()
    # Before any folder is created, so that errors in files are reported first.
    entry = access(options)
    check_one_host(entry, addresses)
    token_file = options.token_file
    shown = entry if token_file is None else TokenFile(entry, token_file)
    listener = None if addresses else _Listening(options)
    budget, ledger = budget_of(options), None
    if not budget.unlimited:
        ledger = await asyncio.to_thread(Ledger, budget, NotesFile(options.folder / BUDGET))
    async with contextlib.AsyncExitStack() as stack:
        renderer, models = await _rendering(options, stack) if options.png else (None, ())

        def make(folder: Path, *, linked: bool = False) -> Mirror:
            return Mirror(
                folder,
                target=target(options),
                delete=options.delete,
                most_bytes=options.most,
                most_pictures=options.most_pictures,
                linked=linked,
                every=options.every,
                models=models,
                terms=Terms(window=options.window),
                on_change=partial(renderer.put, sender=str(folder)) if renderer else None,
                on_received=metrics.receive,
                tell_every=TELL_TERMINAL if sys.stderr.isatty() else TELL,
                order=order_of(options),
                ledger=ledger,
            )

        keep_small()
        senders = Senders(addresses, options.folder, make, access=shown)
        supervisor = await stack.enter_async_context(_watched(options, metrics, senders.count))
        if listener is not None:
            port = await listener.open(stack, make, models, metrics)
            supervisor.ready(f"waiting for senders on port {port}")
            await asyncio.Event().wait()
        elif options.by_sender:
            metrics.mirrors = lambda: senders.mirrors
            supervisor.ready(f"mirroring {senders.count} senders")
            await senders.run()
        else:
            mirror = await stack.enter_async_context(make(options.folder, linked=True))
            metrics.mirrors = lambda: (mirror,)
            supervisor.ready(f"mirroring {addresses[0]}")
            await mirror.run(*addresses, access=shown)


async def _rendering(
    options: argparse.Namespace, stack: contextlib.AsyncExitStack
) -> tuple[Renderer, tuple[str, ...]]:
    """Start what renders pictures; return it, and the fingerprints of its models."""
    from ..decoding.decoders import ModelDecoders
    from ..mirror.renderer import Renderer

    decoders = ModelDecoders.load(options.model, max_pixels=options.max_pixels)
    told = partial(_tell, options.render)
    renderer = Renderer(decoders, options.render, on_rendered=told)
    return await stack.enter_async_context(renderer), decoders.fingerprints


def _tell(render: Method, mirrored: Mirrored, picture: Picture) -> None:
    note = ", complete" if mirrored.complete else ""
    logger.info("%s: %s%s", mirrored.picture, summary(picture, render), note)


class _Listening:
    """A port to which senders connect."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Read tokens and certificate.  Raises SafetyError."""
        from diffc_stream.transport.tls import Certificate

        from ..mirror.authentication import by_token
        from ..mirror.listener import named_by_path

        self._options = options
        self._authenticate = by_token(Tokens(options.tokens)) if options.tokens else named_by_path
        certificate, key = options.tls_cert, options.tls_key
        self._tls = Certificate(certificate, key).context if certificate else None

    async def open(
        self,
        stack: contextlib.AsyncExitStack,
        make: Callable[..., Mirror],
        models: tuple[str, ...],
        metrics: MirrorMetrics,
    ) -> int:
        """Listen while ``stack`` is open, print the port, and return it."""
        from ..mirror.listener import Listener, senders_allowed

        options = self._options
        listener = Listener(
            options.folder,
            host=options.listen.host,
            port=options.listen.port,
            # The sender chooses its name, so a link of that name must not be followed.
            make=lambda _, folder: make(folder),
            authenticate=self._authenticate,
            tls=self._tls,
            models=models,
            terms=Terms(window=options.window),
            most=senders_allowed(),
        )
        await stack.enter_async_context(listener)
        metrics.mirrors = lambda: listener.mirrors
        line = f"waiting for senders on port {listener.port}"
        print(json.dumps({"port": listener.port}) if options.json else line, flush=True)
        return listener.port


@contextlib.asynccontextmanager
async def _watched(
    options: argparse.Namespace, metrics: MirrorMetrics, senders: int
) -> AsyncIterator[Supervisor]:
    """Open the status port, if wanted, and yield the supervisor that reports to systemd.

    ``senders`` is how many senders it connects to.
    """
    from ..mirror.metrics import problem, status_port

    async with contextlib.AsyncExitStack() as stack:
        if options.metrics is not None:
            check = partial(problem, options.folder, metrics, senders=senders)
            port = await stack.enter_async_context(status_port(options.metrics, metrics, check))
            logger.info("watched on %s", port.url)
        supervisor = stack.enter_context(contextlib.closing(Supervisor(os.environ)))
        watching = asyncio.create_task(supervisor.watch())
        try:
            yield supervisor
        finally:
            supervisor.stopping()
            watching.cancel()

"""``diffc-client mirror``: a folder that follows a sender's, or those of all senders that dial."""

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
from diffc_stream.flags import add_metrics, endpoint
from diffc_stream.session import Terms
from diffc_stream.transport.exposure import check_exposure
from diffc_stream.transport.logging import add_logging
from diffc_stream.transport.settings import add_configuration
from diffc_stream.transport.signals import stay
from diffc_stream.transport.systemd import Supervisor
from diffc_stream.transport.tokens import Tokens

from ..remote.address import Address
from ..remote.credentials import TokenFile
from .options import (
    access,
    add_command,
    add_every,
    add_limits,
    add_receiving,
    add_target,
    start_log,
    target,
)

if TYPE_CHECKING:
    from ..mirror.figures import Figures
    from ..mirror.sync import Mirror

TELL_SOMEBODY, TELL = 10.0, 60.0
"""Seconds between lines that say how far it has come: for who looks, and for a log."""

logger = logging.getLogger("diffc_client")

DESCRIPTION = """\
Stay up and keep a copy of what a sender has: every picture NAME as DIR/NAME.dfc, byte for byte its
stream.  New ones come as they appear there, the first bytes of every picture before the last bytes
of any; what has come is not asked for again, after a break of the link or a restart either.
"""

EXAMPLES = """\
examples:
  diffc-client mirror ws://station:8765 pictures/
      all that the sender has, and will have
  diffc-client mirror ws://station:8765 pictures/ --psnr 30 --png
      as good as that, and rendered as pictures/NAME.png beside the streams
  diffc-client mirror --listen 0.0.0.0:8766 --tls-cert cert.pem --tokens tokens.toml pictures/
      senders that nobody can reach dial this machine: diffc-server DIR --dial wss://HERE:8766
      --dial-token FILE; what they have is kept below pictures/, each under its token's name

An option --some-thing can also stand in a file and in the environment, as with diffc-client run.
Ends at SIGINT or SIGTERM, with exit code 0; 1: DIR or PORT cannot be used, 2: wrong usage.
"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the command and return its parser."""
    mirror = add_command(
        commands,
        "mirror",
        mirrored,
        help="stay up and keep a copy of what a sender has",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    mirror.add_argument("url", metavar="URL", nargs="?", help="ws://HOST:PORT")
    mirror.add_argument("folder", metavar="DIR", type=Path, help="where streams go")
    mirror.add_argument(
        "--listen",
        metavar="[HOST:]PORT",
        type=endpoint,
        help="instead of dialling URL, let senders dial this machine there (HOST: 127.0.0.1; "
        "others take --tokens and --tls-cert, or --insecure)",
    )
    add_target(mirror, "so many bytes of each picture")
    mirror.add_argument("--png", action="store_true", help="render pictures beside the streams")
    mirror.add_argument(
        "--delete",
        action="store_true",
        help="delete what is no more at the sender; an empty folder there empties this one",
    )
    add_limits(mirror)
    add_every(mirror, "how often to ask a sender that does not say what changes")
    mirror.add_argument("--json", action="store_true", help="with --listen: print the port as JSON")
    group = mirror.add_argument_group("who may send to a machine that listens")
    group.add_argument(
        "--tokens",
        metavar="FILE",
        type=Path,
        help="whoever shows one of these tokens (diffc-server --new-token makes them), under the "
        "token's name",
    )
    group.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificates, PEM: wss://")
    group.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="... and the key, unless it is in there too"
    )
    add_metrics(mirror)
    add_receiving(mirror)
    add_configuration(mirror)
    add_logging(mirror)
    return mirror


def mirrored(options: argparse.Namespace) -> int:
    """Run the command; return its exit code, or raise what makes it impossible."""
    if (options.url is None) == (options.listen is None):
        raise AddressError("name the sender, ws://HOST:PORT, or have senders dial with --listen")
    address = None if options.url is None else Address.parse(options.url)
    if address is not None and (address.plain or address.image is not None):
        raise AddressError(
            f"{options.url!r} is not a sender: it should be ws://HOST:PORT, or ws://HOST:PORT/PATH/"
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
    start_log(options)
    stay(_mirror(options, address))


async def _mirror(options: argparse.Namespace, address: Address | None) -> None:
    # Late, because they bring what --help can do without.
    from ..mirror.figures import Figures
    from ..mirror.renderer import Renderer
    from ..mirror.sync import Mirror

    figures = Figures()
    # What is wrong with a file is told before a folder is made.
    entry = access(options)
    listener = _Listening(options) if address is None else None
    async with contextlib.AsyncExitStack() as stack:
        renderer: Renderer | None = None
        models: tuple[str, ...] = ()
        if options.png:
            from ..decoding.decoders import ModelDecoders

            decoders = ModelDecoders.load(options.model, max_pixels=options.max_pixels)
            models = decoders.fingerprints
            renderer = await stack.enter_async_context(Renderer(decoders, options.render))

        def make(folder: Path, *, linked: bool = True) -> Mirror:
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
                on_received=figures.receive,
                tell_every=TELL_SOMEBODY if sys.stderr.isatty() else TELL,
            )

        supervisor = await stack.enter_async_context(_watched(options, figures))
        if listener is not None:
            port = await listener.open(stack, make, models, figures)
            supervisor.ready(f"waiting for senders on port {port}")
            await asyncio.Event().wait()
        assert address is not None
        mirror = await stack.enter_async_context(make(options.folder))
        figures.mirrors = lambda: (mirror,)
        supervisor.ready(f"mirroring {address}")
        file = options.token_file
        await mirror.run(address, access=entry if file is None else TokenFile(entry, file))


class _Listening:
    """A port that senders dial."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Read files.  Raises SafetyError."""
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
        figures: Figures,
    ) -> int:
        """Listen for as long as ``stack`` is open, say so, and return the port."""
        from ..mirror.listener import Listener, senders_allowed

        options = self._options
        listener = Listener(
            options.folder,
            host=options.listen.host,
            port=options.listen.port,
            # A sender says what it is called: a link of that name is not for it to follow.
            make=lambda _, folder: make(folder, linked=False),
            authenticate=self._authenticate,
            tls=self._tls,
            models=models,
            terms=Terms(window=options.window),
            most=senders_allowed(),
        )
        await stack.enter_async_context(listener)
        figures.mirrors = lambda: listener.mirrors
        line = f"waiting for senders on port {listener.port}"
        sys.stdout.write(f"{json.dumps({'port': listener.port}) if options.json else line}\n")
        sys.stdout.flush()
        return listener.port


@contextlib.asynccontextmanager
async def _watched(options: argparse.Namespace, figures: Figures) -> AsyncIterator[Supervisor]:
    """Answer who watches, and give what tells systemd how it is."""
    from ..mirror.figures import problem, status_port

    async with contextlib.AsyncExitStack() as stack:
        if options.metrics is not None:
            check = partial(problem, options.folder, figures, dials=options.listen is None)
            port = await stack.enter_async_context(status_port(options.metrics, figures, check))
            logger.info("watched on %s", port.url)
        supervisor = Supervisor(os.environ)
        watching = asyncio.create_task(supervisor.watch())
        try:
            yield supervisor
        finally:
            supervisor.stopping()
            watching.cancel()

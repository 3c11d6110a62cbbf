"""``diffc-client mirror``: a folder that follows a sender's, or those of all senders that dial."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import sys
from functools import partial
from pathlib import Path

from diffc_stream.errors import AddressError
from diffc_stream.flags import endpoint
from diffc_stream.session import Terms
from diffc_stream.transport.exposure import check_exposure
from diffc_stream.transport.logging import add_logging, start_logging
from diffc_stream.transport.settings import add_configuration
from diffc_stream.transport.signals import stay
from diffc_stream.transport.tokens import Tokens

from ..remote.address import Address
from .options import access, add_every, add_limits, add_receiving, add_target, target

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
    mirror = commands.add_parser(
        "mirror",
        help="stay up and keep a copy of what a sender has",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mirror.set_defaults(command=mirrored)
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
    start_logging(options.log_level, options.log_format)
    logging.getLogger("websockets").setLevel(logging.ERROR)
    stay(_mirror(options, address))


async def _mirror(options: argparse.Namespace, address: Address | None) -> None:
    # Late, because they bring what --help can do without.
    from diffc_stream.transport.tls import Certificate

    from ..mirror.authentication import by_token
    from ..mirror.listener import Listener, named_by_path, senders_allowed
    from ..mirror.renderer import Renderer
    from ..mirror.sync import Mirror

    terms = Terms(window=options.window)
    # What is wrong with a file is told before a folder is made.
    entry = access(options)
    tokens = by_token(Tokens(options.tokens)) if options.tokens else named_by_path
    secure = Certificate(options.tls_cert, options.tls_key).context if options.tls_cert else None
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
                terms=terms,
                on_change=partial(renderer.put, sender=str(folder)) if renderer else None,
            )

        if address is not None:
            mirror = await stack.enter_async_context(make(options.folder))
            await mirror.run(address, access=entry)
        listener = Listener(
            options.folder,
            host=options.listen.host,
            port=options.listen.port,
            # A sender says what it is called: a link of that name is not for it to follow.
            make=lambda _, folder: make(folder, linked=False),
            authenticate=tokens,
            tls=secure,
            models=models,
            terms=terms,
            most=senders_allowed(),
        )
        await stack.enter_async_context(listener)
        line = f"waiting for senders on port {listener.port}"
        sys.stdout.write(f"{json.dumps({'port': listener.port}) if options.json else line}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

"""The command ``diffc-server``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Before anything that takes long is imported: see there.
    from .start import main as start

    sys.exit(start())

import argparse
import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from diffc_stream.allocation import keep_freed_memory
from diffc_stream.console import escape_what_cannot_be_shown
from diffc_stream.errors import ConfigurationError, DiffcError
from diffc_stream.flags import endpoint, integer, number, size
from diffc_stream.session import MAX_WINDOW, MIN_WINDOW, Terms
from diffc_stream.threads import wait_asleep
from diffc_stream.transport.admission import descriptors_for
from diffc_stream.transport.exposure import is_loopback
from diffc_stream.transport.fd_limit import allow
from diffc_stream.transport.logging import add_logging, start_logging
from diffc_stream.transport.settings import Configuration, add_configuration
from diffc_stream.transport.signals import leave_at_once, on_hangup, on_stop

from .auth.options import add_options, new_token, read
from .catalogue.catalogue import Catalogue
from .ops.systemd import Supervisor

if TYPE_CHECKING:
    from .cache.store import Store
    from .ops.health import StatusPort
    from .ops.metrics import Figures

LONGEST_DRAIN = 86_400.0
"""Seconds that anybody can be given to take note."""

DESCRIPTION = """\
Serve a folder of pictures over slow links.

Every file below DIR that is a picture can be asked for by its path relative to DIR; it is encoded
while it is sent, once, however many receivers ask.  Streams (.dfc) in the folder are sent as they
are.  When it is listening, one line with its address is printed.  A browser that opens the address,
with http:// for ws://, shows the pictures as they come.
"""

EXAMPLES = """\
examples:
  diffc-server photos/                      serve photos/ on ws://127.0.0.1:8765
  diffc-server photos/ --port 0 --json      on any free port; print {"url": ...}
  diffc-server photos/ --store streams/     encode nothing twice, after the next start either
  diffc-server --tokens tokens.toml --new-token ship      make a token, and print it once
  diffc-server photos/ --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem --tokens tokens.toml
                                            to whoever shows one of these, from anywhere
  diffc-server photos/ --dial wss://hub:8766/cam1  send to a hub that listens, from behind a NAT
  diffc-server photos/ --compare            browsers can see AVIF and JPEG of the same bytes

  then, elsewhere:  diffc-client get ws://HOST:8765/coffee.jpg -o coffee.png
  or, without it:   curl -r 0-4999 http://HOST:8765/coffee.jpg.dfc -o coffee.dfc

DIFFC_ENGINE in the environment says what runs models: onnxruntime (if it can) or torch.
An option --some-thing can also stand in the environment, as DIFFC_SERVER_SOME_THING, and in the
file of --config, as some-thing = ...; flags count most, and --no-some-thing takes one back.
SIGINT and SIGTERM end it gently: receivers are told to come back for the rest.  A second one ends
it at once.  Tokens and certificate are read again when their files change, and at SIGHUP.
exit codes: 0 it was told to stop, 1 it could not start, 2 wrong usage, 6 the model cannot be used
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    escape_what_cannot_be_shown()
    try:
        told = configuration().read("", arguments, os.environ)
    except ConfigurationError as error:
        return _failed(str(error), error.exit_code)
    options = told.options
    if options.print_config:
        print(told.toml(), end="")
        return 0
    if options.new_token is not None:
        return _add_token(options)
    if options.folder is None:
        _parser().error("the following arguments are required: DIR")
    if not options.listen and not options.dial:
        return _failed("with --no-listen it has to --dial somebody", 2)
    keep_freed_memory()
    wait_asleep()
    start_logging(options.log_level, options.log_format)
    try:
        asyncio.run(_serve(options))
    except DiffcError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(str(error), 1)
    except KeyboardInterrupt:
        pass
    return leave_at_once()


def configuration() -> Configuration:
    """Return what there is to be told, and where."""
    aside = ("new-token", "expires")  # what is done once is nobody's setting
    return Configuration("DIFFC_SERVER", {"": _parser()}, aside=aside)


async def _serve(options: argparse.Namespace) -> None:
    # Late, because they bring the codec, which --help can do without.
    from diffc_stream import codec
    from diffc_stream.diffusion.collection import Collection
    from diffc_stream.transport.tls import believing
    from diffc_viewer import Assets, Facts, Site
    from diffc_viewer.door import own_names

    from .cache.store import open_store
    from .daemon import SenderDaemon
    from .encoding.pipeline import Pipeline
    from .encoding.source import FileOpener
    from .http.comparison import Comparison
    from .ops.metrics import Figures
    from .websocket.dialler import Dialler, bearing

    safety = read(options, asyncio.get_running_loop().time)
    figures = Figures()
    store = open_store(options.store, most_bytes=options.store_size) if options.store else None
    catalogue = Catalogue(options.folder, memory=store)
    models = Collection.at_hand(options.model)
    fingerprint = models.preferred.fingerprint  # loaded now: what is wrong with it is told now
    codec.prepare()
    stopped = _on_signals()  # until here there is nothing to be ended gently
    pipeline = Pipeline(
        FileOpener(models),
        store=store,
        encoders=options.encoders,
        queue=options.queue,
        figures=figures,
    )
    assets = Assets(models.files)
    site = Site(assets, Facts(compare=options.compare)) if options.viewer else None
    names = [*own_names(), *safety.names]
    daemon = SenderDaemon(
        catalogue,
        pipeline,
        host=options.host,
        port=options.port,
        terms=Terms(window=options.window),
        connections=_allowed(options.connections),
        names=[options.host, *names],
        site=site,
        comparison=Comparison(catalogue) if site and options.compare else None,
        figures=figures,
        grace=options.drain,
        reuse_port=options.reuse_port,
        reception=safety.reception,
        certificate=safety.certificate,
        origins=safety.origins,
        strict=safety.strict,
    )
    on_hangup(daemon.look_again)  # whether it listens or not
    status = _status(figures, store, names, options)
    async with contextlib.AsyncExitStack() as ports:
        watched = (await ports.enter_async_context(status)).url if status else None
        diallers = [
            Dialler(
                url,
                catalogue,
                pipeline,
                terms=Terms(window=options.window),
                headers=bearing(url, options.dial_token, exposed=options.insecure)
                if options.dial_token
                else None,
                tls=believing(options.dial_ca) if options.dial_ca else None,
                figures=figures,
                grace=options.drain,
            )
            for url in options.dial
        ]
        for dialler in diallers:
            await ports.enter_async_context(dialler)
        drains = [dialler.drain for dialler in diallers]
        where = f"dialling {', '.join(options.dial)}"
        if options.listen:
            await ports.enter_async_context(daemon)
            drains.append(daemon.drain)
            where = f"serving on {daemon.url}"
            page = f"http{daemon.url.removeprefix('ws')}/" if site and assets.complete else None
            _announce(daemon.url, page, fingerprint, watched, options)
        await _until_drained(where, drains, stopped, options.drain)


async def _until_drained(
    where: str,
    drains: Iterable[Callable[[], Awaitable[None]]],
    stopped: asyncio.Event,
    grace: float,
) -> None:
    """Wait until it has been told to stop, and has; systemd, if it listens, hears of all that."""
    supervisor = Supervisor(os.environ)
    watching = asyncio.create_task(supervisor.watch())
    supervisor.ready(where)
    await stopped.wait()
    supervisor.stopping()
    logging.getLogger("diffc_server").info("draining, for %g s at most", grace)
    await asyncio.gather(*(drain() for drain in drains))
    watching.cancel()


def _on_signals() -> asyncio.Event:
    """Return what is set when the process is told to stop; told again, it ends at once."""
    stopped = asyncio.Event()

    def told() -> None:
        if stopped.is_set():
            leave_at_once()
        stopped.set()

    on_stop(told)
    return stopped


def _status(
    figures: Figures, store: Store | None, names: Iterable[str], options: argparse.Namespace
) -> StatusPort | None:
    """Return the port for who watches, if there shall be one."""
    from .ops.health import StatusPort

    if options.metrics is None:
        return None
    check = partial(_problem, options.folder, store)
    return StatusPort(options.metrics, figures, check, names=names, strict=bool(options.name))


def _problem(folder: Path, store: Store | None) -> str:
    """Return why receivers should go elsewhere, or nothing.  Looks at disks."""
    if not folder.is_dir():
        return "the folder of pictures has gone"
    return store.problem() if store else ""


def _announce(
    url: str, page: str | None, fingerprint: str, watched: str | None, options: argparse.Namespace
) -> None:
    if options.json:
        facts = {"url": url, "page": page, "folder": str(options.folder), "model": fingerprint}
        line = json.dumps({**facts, "metrics": watched})
    else:
        browsers = f", for browsers on {page.rstrip('/')}" if page else ""
        line = f"serving {options.folder} on {url}{browsers}"
    print(line, flush=True)
    if watched:
        logging.getLogger("diffc_server").info("watched on %s", watched)
    if not is_loopback(options.host) and options.tokens is None:
        logging.getLogger("diffc_server").warning(
            "anyone who can reach %s can read these pictures: there are no tokens", options.host
        )


def _allowed(connections: int) -> int:
    """Return how many connections there may be; a warning says so if they are fewer."""
    allowed = allow(connections, descriptors_for)
    if allowed < connections:
        logging.getLogger("diffc_server").warning(
            "no more than %d connections: the system allows too few open files (ulimit -n)", allowed
        )
    return allowed


def _receiver(text: str) -> str:
    """Return the address of a receiver.  Raises ArgumentTypeError, or ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.port == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not ws://HOST:PORT/NAME")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is more than ws://HOST:PORT/NAME")
    return text


def _add_token(options: argparse.Namespace) -> int:
    try:
        token = new_token(options)
    except DiffcError as error:
        return _failed(str(error), error.exit_code)
    except OSError as error:
        return _failed(str(error), 1)
    print(json.dumps({"name": options.new_token, "token": token}) if options.json else token)
    return 0


def _failed(message: str, code: int) -> int:
    print(f"diffc-server: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="diffc-server",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder", metavar="DIR", type=Path, nargs="?", help="folder of pictures and streams"
    )
    for add in (_add_listening, _add_encoding, _add_store, add_options, _add_operations):
        add(parser)
    return parser


def _add_listening(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who it talks to")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument(
        "--port",
        type=integer(0, 65_535),
        default=8765,
        help="port to listen on; 0 is any free one (%(default)s)",
    )
    group.add_argument(
        "--dial",
        metavar="URL",
        type=_receiver,
        action="append",
        default=[],
        help="send to a receiver that listens (diffc-client mirror --listen), ws://HOST:PORT/NAME, "
        "NAME being what it is to call this sender (may be repeated)",
    )
    group.add_argument(
        "--dial-token", metavar="FILE", type=Path, help="... showing the token in this file"
    )
    group.add_argument(
        "--dial-ca",
        metavar="FILE",
        type=Path,
        help="... believing these authorities, PEM, who a receiver is (default: the system's)",
    )
    group.add_argument(
        "--no-listen",
        dest="listen",
        action="store_false",
        help="with --dial: no receiver can dial this machine",
    )
    group.add_argument(
        "--window",
        metavar="BYTES",
        type=integer(MIN_WINDOW, MAX_WINDOW),
        default=Terms().window,
        help="most bytes under way unacknowledged on a connection (%(default)s)",
    )
    group.add_argument(
        "--connections",
        metavar="N",
        type=integer(1, 100_000),
        default=2000,
        help="most receivers at once, those over plain HTTP included (%(default)s)",
    )
    group.add_argument(
        "--no-viewer",
        dest="viewer",
        action="store_false",
        help="no page for browsers, and nothing for pages in them",
    )
    group.add_argument(
        "--compare",
        action="store_true",
        help="offer the page AVIF and progressive JPEG of the same bytes; making them computes",
    )


def _add_encoding(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("encoding")
    group.add_argument(
        "--model",
        metavar="FILE",
        type=Path,
        help="encode with this model for receivers that have it; for others, and without it, with "
        "the first that they have of those that diffc models lists",
    )
    group.add_argument(
        "--encoders",
        metavar="N",
        type=integer(1, 64),
        default=1,
        help="pictures encoded at once (%(default)s)",
    )
    group.add_argument(
        "--queue",
        metavar="N",
        type=integer(0, 10_000),
        default=64,
        help="pictures that may wait for room to be encoded; who asks for more is told when to "
        "come back (%(default)s)",
    )


def _add_store(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is kept")
    group.add_argument(
        "--store",
        metavar="PLACE",
        help="keep streams in this folder, or at a URL that fsspec knows; several senders may "
        "share it, and none encodes what another has",
    )
    group.add_argument(
        "--store-size",
        metavar="BYTES",
        type=size,
        default=2**30,
        help="most bytes kept there, K, M, G or T after them for as many times 1024; beyond that "
        "what was not used for longest goes (1G)",
    )


def _add_operations(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("operations")
    add_configuration(group)
    add_logging(group)
    group.add_argument(
        "--metrics",
        metavar="[HOST:]PORT",
        type=endpoint,
        help="answer /metrics, /livez and /readyz there, and nowhere else (default: nowhere)",
    )
    group.add_argument(
        "--drain",
        metavar="SECONDS",
        type=number(LONGEST_DRAIN),
        default=10.0,
        help="how long receivers get to take note when it is told to stop (%(default)g)",
    )
    group.add_argument(
        "--reuse-port",
        action="store_true",
        help="let other processes listen on the same port, so that one can take over from another",
    )
    group.add_argument("--json", action="store_true", help="print the address as a JSON object")

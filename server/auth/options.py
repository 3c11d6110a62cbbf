"""The options of ``diffc-server`` for TLS, tokens and limits, and what is built from them."""

from __future__ import annotations

import argparse
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from diffc_stream.errors import SafetyError
from diffc_stream.flags import integer, number
from diffc_stream.transport.exposure import check_exposure
from diffc_stream.transport.tls import Certificate
from diffc_stream.transport.tokens import Tokens, add_token

from .access_control import AccessControl
from .limits import Limits
from .sending_budget import SendingBudget

logger = logging.getLogger("diffc_server")

_HOST = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*\.?")
_ORIGIN = re.compile(r"https?://[0-9A-Za-z.:\[\]_-]{1,255}")
_MOST_DAYS = 36_500
_PREFIX = "peer_"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOptions:
    """The access settings of a sender daemon."""

    tokens: Tokens | None
    """Those that admit; None admits everybody."""
    limits: Limits | None
    """Limits of each token or address, if they were given."""
    certificate: Certificate | None
    names: tuple[str, ...]
    origins: tuple[str, ...]

    @property
    def strict(self) -> bool:
        """Whether programs too have to use one of the host names."""
        return bool(self.names)

    def access_control(self, budget: SendingBudget | None = None) -> AccessControl:
        """Return what admits receivers, who may all together be sent what ``budget`` allows."""
        return AccessControl(
            tokens=self.tokens,
            limits=self.limits,
            secure=self.certificate is not None,
            budget=budget,
        )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of TLS, tokens and limits to a parser."""
    group = parser.add_argument_group("security")
    group.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificates, PEM: wss://")
    group.add_argument(
        "--tls-key", metavar="FILE", type=Path, help="... and its key, unless that file has it too"
    )
    group.add_argument(
        "--tokens", metavar="FILE", type=Path, help="require one of the tokens in this file"
    )
    group.add_argument(
        "--new-token",
        metavar="NAME",
        help="add a token to that file, print it once, and exit; needs no DIR",
    )
    group.add_argument(
        "--expires", metavar="DAYS", type=integer(1, _MOST_DAYS), help="... valid for so many days"
    )
    group.add_argument(
        "--insecure",
        action="store_true",
        help="allow other machines without TLS or tokens: all that reach this one see the pictures",
    )
    group.add_argument(
        "--name",
        metavar="HOST",
        type=host,
        action="append",
        default=[],
        help="a host name of this machine (may be repeated); requests by other names are refused",
    )
    group.add_argument(
        "--origin",
        metavar="ORIGIN",
        type=origin,
        action="append",
        default=[],
        help="another site, https://HOST, whose pages may receive pictures (may be repeated)",
    )
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "limits",
        "for each token, unless the token file says otherwise, or without tokens for each address; "
        "0 is no limit.  Unless one of these is given, clients on this machine have no limits",
    )
    usual = Limits()
    for name, unit, text in [
        ("connections", "N", "connections at once"),
        ("streams", "N", "streams at once, on all of them"),
    ]:
        group.add_argument(
            f"--peer-{name}",
            metavar=unit,
            type=integer(0, 1_000_000),
            help=f"{text} ({getattr(usual, name)})",
        )
    for name, unit, text in [
        ("bytes-per-second", "BYTES", "above it, sending waits"),
        ("bytes-per-hour", "BYTES", "the same, over a longer time"),
        ("encoder-seconds-per-hour", "SECONDS", "encoder time; above it, requests are refused"),
        (
            "unproven-seconds-per-hour",
            "SECONDS",
            "the same for bytes that are claimed without proof",
        ),
        ("requests-per-second", "N", "on average; ten times as many may come at once"),
    ]:
        usually = getattr(usual, name.replace("-", "_"))
        group.add_argument(
            f"--peer-{name}", metavar=unit, type=_limit, help=f"{text} ({usually or 'none'})"
        )


def new_token(options: argparse.Namespace) -> str:
    """Create the token that --new-token names and return it.  Raises SafetyError or OSError."""
    if options.tokens is None:
        raise SafetyError("--new-token NAME goes into a file: say which, with --tokens FILE")
    expires = None
    if options.expires is not None:
        expires = datetime.now(UTC) + timedelta(days=options.expires)
    return add_token(options.tokens, options.new_token, expires)


def read(options: argparse.Namespace) -> SecurityOptions:
    """Return what the options say.  Raises SafetyError, before any port is opened."""
    if options.tls_key is not None and options.tls_cert is None:
        raise SafetyError("--tls-key is for a certificate: say which, with --tls-cert")
    check_exposure(
        options.host,
        tls=options.tls_cert is not None,
        tokens=options.tokens is not None,
        insecure=options.insecure,
    )
    certificate = None
    if options.tls_cert is not None:
        certificate = Certificate(options.tls_cert, options.tls_key, logger=logger)
    given = {
        key.removeprefix(_PREFIX): value
        for key, value in vars(options).items()
        if key.startswith(_PREFIX) and value is not None
    }
    return SecurityOptions(
        tokens=Tokens(options.tokens) if options.tokens is not None else None,
        limits=Limits().but(given) if given else None,
        certificate=certificate,
        names=tuple(options.name),
        origins=tuple(options.origin),
    )


def host(text: str) -> str:
    """Return a valid host name.  Raises ArgumentTypeError for anything else."""
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a host")
    return text


def is_origin(text: str) -> bool:
    """Tell whether ``text`` is an origin as browsers write it: scheme, host, port."""
    return _ORIGIN.fullmatch(text) is not None


def origin(text: str) -> str:
    """Return a valid origin.  Raises ArgumentTypeError for anything else."""
    if not is_origin(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not like https://HOST or https://HOST:PORT")
    return text


def _limit(text: str) -> float:
    return 0.0 if text == "0" else number(1e15)(text)

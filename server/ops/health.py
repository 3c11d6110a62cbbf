"""How a sender is, for who watches it: a port of its own, never the one that receivers use."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from diffc_stream.flags import Endpoint
from diffc_stream.transport.health import Check, StatusPort
from diffc_viewer import Door

from .metrics import Figures

logger = logging.getLogger("diffc_server")


def status_port(
    endpoint: Endpoint,
    figures: Figures,
    check: Check,
    *,
    names: Iterable[str] = (),
    strict: bool = False,
) -> StatusPort:
    """Return a port to listen on; 0 is any free one.

    This machine is called by its number, localhost or one of ``names``: on the loopback a request
    has to say one of them, and if ``strict`` elsewhere too.  Pages get nothing.
    """
    door = Door(names=(endpoint.host, *names), pages=False, strict=strict)
    return StatusPort(endpoint, figures, check, door, logger=logger)

"""The status port: metrics and health, on a port separate from the one that receivers use."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from diffc_stream.flags import Endpoint
from diffc_stream.transport.health import Check, StatusPort
from diffc_viewer import OriginPolicy

from .metrics import SenderMetrics

logger = logging.getLogger("diffc_server")


def status_port(
    endpoint: Endpoint,
    metrics: SenderMetrics,
    check: Check,
    *,
    names: Iterable[str] = (),
    strict: bool = False,
) -> StatusPort:
    """Return a status port at ``endpoint``; port 0 is any free one.

    On the loopback a request has to name the host by its IP address, as localhost or as one of
    ``names``, and with ``strict`` on other interfaces too.  Web pages are refused.
    """
    origin_policy = OriginPolicy(names=(endpoint.host, *names), pages=False, strict=strict)
    return StatusPort(endpoint, metrics, check, origin_policy, logger=logger)

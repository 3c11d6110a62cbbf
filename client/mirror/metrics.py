"""The metrics of a mirror, for Prometheus, and its status port.

Metrics are of the whole process, and so of all senders of a listening mirror together.  No label
holds a name or an address.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from diffc_stream.flags import Endpoint
from diffc_stream.transport.health import StatusPort
from diffc_stream.transport.prometheus import ProcessMetrics
from diffc_viewer.origin_policy import OriginPolicy, own_names

from .sync import Mirror

logger = logging.getLogger("diffc_client")


class MirrorMetrics(ProcessMetrics):
    """The metrics of all mirrors of a process."""

    def __init__(self) -> None:
        self.mirrors: Callable[[], Iterable[Mirror]] = tuple
        """Returns the mirrors."""
        self._received = 0
        super().__init__()

    def receive(self, nbytes: int) -> None:
        """Count received bytes of streams."""
        self._received += nbytes

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics except those that the registry collects by itself."""
        mirrors = list(self.mirrors())
        tallies = [mirror.counting.tally for mirror in mirrors]
        yield GaugeMetricFamily(
            "diffc_mirror_senders",
            "Senders connected now.",
            value=sum(mirror.connected for mirror in mirrors),
        )
        pictures = GaugeMetricFamily(
            "diffc_mirror_pictures", "Pictures that senders have, by state.", labels=["state"]
        )
        for state, count in (
            ("whole", sum(tally.whole for tally in tallies)),
            ("coming", sum(tally.missing for tally in tallies)),
            ("refused", sum(tally.refused for tally in tallies)),
        ):
            pictures.add_metric([state], count)
        yield pictures
        yield GaugeMetricFamily(
            "diffc_mirror_held_bytes",
            "Bytes of streams that have been received.",
            value=sum(tally.held for tally in tallies),
        )
        yield GaugeMetricFamily(
            "diffc_mirror_left_bytes",
            "Estimated bytes of streams that are still to come.",
            value=sum(tally.left or 0 for tally in tallies),
        )
        yield CounterMetricFamily(
            "diffc_mirror_received_bytes",
            "Bytes of streams received since the start.",
            value=self._received,
        )


def problem(folder: Path, metrics: MirrorMetrics, *, senders: int) -> str:
    """Return why a mirror is not ready, "" if it is.  Reads the disk.

    A mirror that dials ``senders`` is ready while each of them is connected, or has sent all that
    is wanted of it; one that dials none, but listens, always is.
    """
    if not folder.is_dir():
        return "the folder is missing"
    away = senders - sum(mirror.connected or mirror.done for mirror in metrics.mirrors())
    if not senders or away <= 0:
        return ""
    return (
        "the sender is not connected"
        if senders == 1
        else f"{away} of {senders} senders are not connected"
    )


def status_port(endpoint: Endpoint, metrics: MirrorMetrics, check: Callable[[], str]) -> StatusPort:
    """Return a status port at ``endpoint``; port 0 is any free one.

    Requests have to name the host by its IP address, its name or as localhost.  Web pages are
    refused.
    """
    origin_policy = OriginPolicy(names=(endpoint.host, *own_names()), pages=False)
    return StatusPort(endpoint, metrics, check, origin_policy, logger=logger)

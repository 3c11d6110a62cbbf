"""The metrics of a daemon and its process, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client import ProcessCollector as Process
from prometheus_client.registry import Collector


class ProcessMetrics(Collector):
    """The metrics of a process, and those of a daemon, which collect() of a subclass yields."""

    media_type = CONTENT_TYPE_LATEST
    draining = False
    """Whether the daemon has been told to stop."""

    def __init__(self) -> None:
        """Register them; call it last, because collect() is called here."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        # Memory, processor time and open files, where the system reports them.
        Process(registry=self.registry)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

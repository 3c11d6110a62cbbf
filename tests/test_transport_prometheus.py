"""The metrics of every daemon: its own, and its process's."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from diffc_stream.transport.prometheus import ProcessMetrics


class Doors(ProcessMetrics):
    def __init__(self) -> None:
        self.doors = 3
        super().__init__()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("diffc_doors", "Doors.", value=self.doors)


def test_its_own_metrics_and_those_of_the_process() -> None:
    metrics = Doors()
    metrics.doors = 4
    text = metrics.text().decode()
    assert "\ndiffc_doors 4.0\n" in text
    assert sys.platform != "linux" or "process_resident_memory_bytes" in text
    assert metrics.media_type.startswith("text/plain")
    assert not metrics.draining

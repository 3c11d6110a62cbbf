"""The metrics of a sender, for Prometheus.

The code that does the work adds to plain numbers here, which costs next to nothing; they become
metrics when Prometheus asks.  All are of the whole process.  Labels have values from small sets,
and never hold an id, a name or an address.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from diffc_stream.session import Code, Reason
from diffc_stream.transport.admission import Admission
from diffc_stream.transport.prometheus import ProcessMetrics

FIRST_BYTES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""The histogram's bucket bounds, in seconds."""
ENDS: Final = (*(reason.value for reason in Reason), "error", "lost")
"""How streams end: the reason in END, an ERROR, or the loss of the connection."""
CODES: Final = tuple(code for name, code in vars(Code).items() if name.isupper())
TURNED_AWAY: Final = (*("full", "short", "draining", "forbidden", "unauthorized", "limited"),)
"""Why connections are refused before the first message."""

STORE_FAILURES: Final = ("read", "written", "leased")
"""What a store may fail to be."""


class SenderMetrics(ProcessMetrics):
    """The counters of one sender since its start."""

    def __init__(self) -> None:
        self.sockets = 0
        """Receivers connected now over WebSocket."""
        self.requests = 0
        """Requests over plain HTTP being answered now."""
        self.opened: Counter[str] = Counter(websocket=0, http=0)
        """Connections so far, by kind."""
        self.turned_away: Counter[str] = Counter(dict.fromkeys(TURNED_AWAY, 0))
        """Connections refused, by reason."""
        self.streams = 0
        """Streams being sent now, on WebSockets."""
        self.ended: Counter[str] = Counter(dict.fromkeys(ENDS, 0))
        """Streams that have ended, by reason."""
        self.refused: Counter[str] = Counter(dict.fromkeys(CODES, 0))
        """ERROR messages sent, by code."""
        self.frames = 0
        """DATA messages sent."""
        self.payload = 0
        """Bytes in them."""
        self.answered: Counter[str] = Counter(dict.fromkeys(("2xx", "3xx", "4xx", "5xx"), 0))
        """HTTP answers, by class of status."""
        self.body = 0
        """Bytes sent over plain HTTP, headers included."""
        self.published = 0
        """Bytes of messages published over MQTT."""
        self.admission: Admission | None = None
        """Counts connections when they are accepted."""
        self.waiting: Callable[[], int] = int
        """Returns how many streams wait for an encoder."""
        self.beyond: Callable[[], int] = int
        """Returns how many pictures the catalogue leaves out because they are older than the newest
        that it has room for."""
        self.unnamed: Callable[[], int] = int
        """Returns how many pictures it leaves out because the protocol cannot send their names."""
        self.buffered: Callable[[], int] = int
        """Returns how many bytes of HTTP answers wait for clients to take them."""
        self.encoder_seconds = 0.0
        """Seconds that encoders have computed."""
        self.steps = 0
        """Pieces that they computed; each takes one or two evaluations of the denoiser."""
        self.hits = 0
        """Lookups that found a picture in the store, whole or in part."""
        self.misses = 0
        """Lookups that did not."""
        self.stored = 0
        """Bytes written to the store."""
        self.leases: Counter[str] = Counter(here=0, elsewhere=0, none=0)
        """Who had the right to encode a picture that this sender wanted to encode."""
        self.store_failures: Callable[[], Mapping[str, int]] = lambda: dict.fromkeys(
            STORE_FAILURES, 0
        )
        """Returns how often the store could not be read, written or leased."""
        super().__init__()
        self.first_bytes = Histogram(
            "diffc_first_bytes_seconds",
            "From a stream's OPEN to its first bytes.",
            buckets=FIRST_BYTES,
            registry=self.registry,
        )

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics except those that the registry collects by itself."""
        yield from self._of_connections()
        yield from self._of_pictures()
        yield GaugeMetricFamily(
            "diffc_draining", "1 while it shuts down.", value=int(self.draining)
        )

    def _of_connections(self) -> Iterator[Metric]:
        yield _gauge(
            "diffc_connections",
            "Receivers connected now.",
            {"websocket": self.sockets, "http": self.requests},
            "kind",
        )
        yield _counter("diffc_connections_opened", "Connections so far.", self.opened, "kind")
        yield _counter(
            "diffc_connections_turned_away",
            "Connections refused before the first message.",
            self.turned_away,
            "reason",
        )
        yield from _accepted(self.admission)
        yield GaugeMetricFamily("diffc_streams", "Streams being sent now.", value=self.streams)
        yield _counter("diffc_streams_ended", "Streams that have ended.", self.ended, "reason")
        yield _counter("diffc_refusals", "ERROR messages sent to receivers.", self.refused, "code")
        yield CounterMetricFamily("diffc_frames", "DATA messages sent.", value=self.frames)
        yield _counter(
            "diffc_sent_bytes",
            "Payload sent; over HTTP, whole answers.",
            {"websocket": self.payload, "http": self.body, "mqtt": self.published},
            "kind",
        )
        yield _counter("diffc_http_answers", "Plain HTTP answers.", self.answered, "status")
        yield GaugeMetricFamily(
            "diffc_http_buffered_bytes",
            "Bytes of HTTP answers that clients have not read yet.",
            value=self.buffered(),
        )

    def _of_pictures(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "diffc_encoder_queue", "Streams that wait for an encoder.", value=self.waiting()
        )
        yield _gauge(
            "diffc_pictures_left_out",
            "Pictures that the catalogue leaves out: older ones beyond its size, or with names "
            "that the protocol cannot send.",
            {"older": self.beyond(), "name": self.unnamed()},
            "reason",
        )
        yield CounterMetricFamily(
            "diffc_encoder_seconds", "Seconds that encoders computed.", value=self.encoder_seconds
        )
        yield CounterMetricFamily(
            "diffc_encoder_steps", "Pieces that encoders computed.", value=self.steps
        )
        yield _counter(
            "diffc_store_lookups",
            "Pictures looked for in the store.",
            {"hit": self.hits, "miss": self.misses},
            "result",
        )
        yield CounterMetricFamily(
            "diffc_store_written_bytes", "Bytes written to the store.", value=self.stored
        )
        yield _counter(
            "diffc_store_leases",
            "Pictures to be encoded, by which sender has the lease; none: the store does not say.",
            self.leases,
            "holder",
        )
        yield _counter(
            "diffc_store_failures",
            "What the store did not do, or not in time.",
            self.store_failures(),
            "what",
        )


def _accepted(admission: Admission | None) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "diffc_newcomers",
        "Connections that have not sent a request yet.",
        value=admission.newcomers if admission else 0,
    )
    yield CounterMetricFamily(
        "diffc_newcomers_dropped",
        "Connections without a request that were closed to make room.",
        value=admission.dropped if admission else 0,
    )
    yield CounterMetricFamily(
        "diffc_accept_shortages",
        "Connections that found no descriptor or memory.",
        value=admission.shortages if admission else 0,
    )


def _counter(name: str, what: str, values: Mapping[str, int], label: str) -> Metric:
    family = CounterMetricFamily(name, what, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, what: str, values: dict[str, int], label: str) -> Metric:
    family = GaugeMetricFamily(name, what, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family

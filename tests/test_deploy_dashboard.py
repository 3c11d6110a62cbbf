"""The dashboard deploy/grafana.json: the metrics that it names exist, and none is forgotten."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from diffc_client.mirror.metrics import MirrorMetrics
from diffc_server.ops.metrics import SenderMetrics

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "deploy" / "grafana.json").read_text()
)
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
NOT_SHOWN = {"diffc_draining", "diffc_frames_total", "diffc_http_buffered_bytes"} | {
    *("diffc_connections_opened_total", "diffc_encoder_steps_total", "diffc_newcomers"),
    *("diffc_store_leases_total", "diffc_store_written_bytes_total"),
}
"""Metrics of little interest to somebody who looks at all senders."""


def exposed() -> dict[str, set[str]]:
    """Return the labels of each sample that senders and mirrors expose, by name."""
    found: dict[str, set[str]] = {}
    for metrics in (SenderMetrics(), MirrorMetrics()):
        for family in text_string_to_metric_families(metrics.text().decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_that_it_names_exists() -> None:
    named = {name for text in EXPRESSIONS for name in re.findall(r"\b(?:diffc|process)_\w+", text)}
    assert named <= set(exposed())


def test_every_metric_that_exists_is_shown_or_left_out_on_purpose() -> None:
    shown = {name for text in EXPRESSIONS for name in re.findall(r"\w+", text)}
    ours = {name for name in exposed() if name.startswith("diffc_")}
    missing = {
        name
        for name in ours
        if name not in shown and not name.endswith(("_count", "_sum", "_created"))
    }
    assert missing == NOT_SHOWN


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_its_labels_exist(expression: str) -> None:
    known = exposed()
    metrics = set(re.findall(r"\b(?:diffc|process)_\w+", expression))
    labels = {"job", "instance"}.union(*(known[name] for name in metrics))
    grouped = {
        label.strip()
        for group in re.findall(r"\bby \(([^)]*)\)", expression)
        for label in group.split(",")
    }
    selected = set(re.findall(r"(\w+)=~?\"", expression))
    assert grouped | selected <= labels
    # What only grows is shown as a rate.
    for name in metrics:
        if name.endswith(("_total", "_bucket")):
            assert f"rate({name}{{" in expression


def test_panels_neither_overlap_nor_share_a_number() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)

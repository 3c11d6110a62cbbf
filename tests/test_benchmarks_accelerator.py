"""What is measured of an accelerator, tried on the CPU."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")

from diffc_benchmarks import accelerator


def test_on_the_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(accelerator, "LEAST", 0.0)
    command = ["--device", "cpu", "--sides", "16", "--batches", "1", "2", "--json"]
    assert accelerator.main(command) == 0
    rates = json.loads(capsys.readouterr().out)["rates"]
    agreement = {rate["dtype"]: rate["agreement"] for rate in rates}
    assert agreement["float32"] > 90
    assert 30 < agreement["bfloat16"] < 70

"""Batches of the denoiser, and what is measured of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffc_benchmarks import batching


def test_pictures_of_a_batch_are_as_they_are_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "LEAST", 0.0)
    same = batching.measured("same", lambda z, _features: z[:, :3] * 2, 8, [1, 2])
    assert [rate.same_bits for rate in same] == [True, True]
    mixed = batching.measured("mixed", lambda z, _features: z - np.mean(z), 8, [1, 2])
    assert [rate.same_bits for rate in mixed] == [True, False]
    assert same[0].gain == same[0].cpu_gain == 1.0


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(batching, "LEAST", 0.0)
    monkeypatch.setattr(batching, "networks", lambda: iter([("none", lambda z, _: z[:, :3])]))
    assert batching.main(["--sides", "8", "--batches", "1", "2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [rate["batch"] for rate in record["rates"]] == [1, 2]


def test_the_graph_with_any_batch() -> None:
    pytest.importorskip("onnx")
    name, network = next(batching.networks())
    assert name == "onnxruntime"
    z = np.random.default_rng(0).standard_normal((2, 4, 16, 16), np.float32)
    assert network(z, np.zeros((2, 32), np.float32)).shape == (2, 3, 16, 16)

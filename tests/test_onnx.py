"""The exported graph computes what PyTorch computes, at any size, from the rounded weights."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.network import load_network, save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import INTEGERS_FROM, read_stored
from training.onnx import OPSET, TOLERANCE, difference, exported, session

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    network = UNet(Architecture(widths=(8, INTEGERS_FROM), blocks=(1, 1)))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.01 * torch.randn_like(weight))  # equal tensors would be stored once
    save_model(path, network, name="tiny")
    return path


@pytest.fixture(scope="module")
def graph(file: Path) -> onnx.ModelProto:
    return exported(load_network(file), *read_stored(file))


def test_it_agrees_with_torch_at_sizes_it_was_not_traced_at(
    graph: onnx.ModelProto, file: Path
) -> None:
    assert difference(load_network(file), session(graph.SerializeToString())) <= TOLERANCE


def test_another_network_does_not_agree(graph: onnx.ModelProto) -> None:
    torch.manual_seed(1)
    other = UNet(Architecture(widths=(8, INTEGERS_FROM), blocks=(1, 1)))
    assert difference(other, session(graph.SerializeToString())) > TOLERANCE


def test_weights_stand_in_it_as_they_are_stored(graph: onnx.ModelProto, file: Path) -> None:
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    _, stored = read_stored(file)
    for name, tensor in stored.items():
        if not name.endswith(".scale"):
            np.testing.assert_array_equal(held[f"{name}.stored"], tensor)
    largest_single = max(t.size for t in held.values() if t.dtype == np.float32)
    assert largest_single <= 4 * INTEGERS_FROM  # scales alone


def test_it_says_what_it_is(graph: onnx.ModelProto, file: Path) -> None:
    description, _ = read_stored(file)
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert facts["fingerprint"] == description.fingerprint
    assert json.loads(facts["architecture"])["widths"] == [8, INTEGERS_FROM]
    assert [opset.version for opset in graph.opset_import if not opset.domain] == [OPSET]
    assert not any("Normalization" in node.op_type for node in graph.graph.node)

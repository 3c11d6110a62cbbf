"""The exported graph computes what PyTorch computes, at any size, from the weights of its model."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import RELEASED
from diffc_stream.diffusion.graph import MOST_BYTES, beside, read_graph, told
from diffc_stream.diffusion.network import load_network, save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import INTEGERS_FROM, read_stored, read_verified
from diffc_stream.errors import UnreadableModel
from training import onnx as export
from training.onnx import OPSET, TOLERANCE, difference, exported, session, write_graph

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch's own
FILES = sorted(RELEASED.glob("*.safetensors"))


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
    return exported(load_network(file), *read_verified(file))


def entries(tensor: onnx.TensorProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}


def externals(tensors: Iterable[onnx.TensorProto]) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in tensors if tensor.external_data}


def test_it_agrees_with_torch_at_sizes_it_was_not_traced_at(
    graph: onnx.ModelProto, file: Path
) -> None:
    description, weights = read_verified(file)
    run = session(graph.SerializeToString(), weights, description)
    assert difference(load_network(file), run) <= TOLERANCE
    torch.manual_seed(1)
    other = UNet(Architecture(widths=(8, INTEGERS_FROM), blocks=(1, 1)))
    assert difference(other, run) > TOLERANCE


def test_it_holds_no_weights_but_says_where_they_are(graph: onnx.ModelProto, file: Path) -> None:
    description, data = read_verified(file)
    _, stored = read_stored(file)
    tensors = externals(graph.graph.initializer)
    assert tensors.keys() == {f"{name}.stored" for name in stored}
    for name, tensor in tensors.items():
        where = entries(tensor)
        assert where["location"] == description.file_name
        begin, length = int(where["offset"]), int(where["length"])
        expected = stored[name.removesuffix(".stored")]
        held = np.frombuffer(data[begin : begin + length], expected.dtype)
        np.testing.assert_array_equal(held, expected.ravel())
        assert list(tensor.dims)[: expected.ndim] == list(expected.shape)
        assert set(list(tensor.dims)[expected.ndim :]) <= {1}
    kept = [tensor for tensor in graph.graph.initializer if not tensor.external_data]
    assert all(len(onnx.numpy_helper.to_array(tensor).ravel()) <= 4 for tensor in kept)


def test_it_says_what_it_is(graph: onnx.ModelProto, file: Path) -> None:
    description, _ = read_stored(file)
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert facts["fingerprint"] == description.fingerprint
    assert json.loads(facts["architecture"])["widths"] == [8, INTEGERS_FROM]
    assert [opset.version for opset in graph.opset_import if not opset.domain] == [OPSET]
    assert not any("Normalization" in node.op_type for node in graph.graph.node)
    assert told(graph.SerializeToString()) == (facts, {description.file_name})


def test_it_is_written_beside_its_model_once_it_has_proved_right(
    graph: onnx.ModelProto, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "exported", lambda *_: graph)  # which takes seconds, twice
    with monkeypatch.context() as patch:
        patch.setattr(export, "TOLERANCE", -1.0)
        with pytest.raises(UnreadableModel, match="not written"):
            write_graph(file)
    assert not beside(file).exists()
    assert write_graph(file).startswith(f"{beside(file)}: tiny ")
    assert read_graph(file, read_stored(file)[0]) == beside(file).read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_released_graphs_are_what_would_be_exported(path: Path) -> None:
    description, weights = read_verified(path)
    network = load_network(path)
    released = read_graph(path, description)
    assert len(released) <= MOST_BYTES / 64
    assert difference(network, session(released, weights, description)) <= TOLERANCE
    anew = exported(network, description, weights)
    same = onnx.ModelProto.FromString(released)
    assert [node.op_type for node in same.graph.node] == [n.op_type for n in anew.graph.node]
    theirs, ours = externals(same.graph.initializer), externals(anew.graph.initializer)
    assert {name: entries(tensor) for name, tensor in theirs.items()} == {
        name: entries(tensor) for name, tensor in ours.items()
    }
    ends = [int(entries(t)["offset"]) + int(entries(t)["length"]) for t in theirs.values()]
    assert max(ends) == len(weights)

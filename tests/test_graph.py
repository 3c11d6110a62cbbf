"""Graphs tell whose they are and what they would read, and nonsense is refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.diffusion import graph
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.graph import beside, read_graph, told
from diffc_stream.diffusion.model import load_model
from diffc_stream.diffusion.weights import read_description
from diffc_stream.errors import UnreadableModel

GRAPH = beside(DEFAULT).read_bytes()
NAME = DEFAULT.name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the default model, with its graph."""
    for path in (DEFAULT, beside(DEFAULT)):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path / NAME


def model() -> onnx.ModelProto:
    return onnx.load_model_from_string(GRAPH)


def external(location: str) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name="x", data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_what_a_graph_tells() -> None:
    facts, locations = told(GRAPH)
    assert (facts["name"], facts["fingerprint"]) == ("small", DEFAULT.stem[-8:])
    assert locations == {NAME}
    assert told(b"") == ({}, set())


def test_files_are_found_wherever_a_graph_refers_to_them() -> None:
    changed = model()
    inner = onnx.GraphProto(initializer=[external("in a branch")])
    attributes = [
        onnx.AttributeProto(name="value", t=external("in a constant")),
        onnx.AttributeProto(name="values", tensors=[external("in a list")]),
        onnx.AttributeProto(name="then_branch", g=inner),
        onnx.AttributeProto(
            name="sparse", sparse_tensor=onnx.SparseTensorProto(values=external("sparse"))
        ),
    ]
    changed.graph.node.append(onnx.NodeProto(op_type="If", attribute=attributes))
    changed.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=external("values"), indices=external("indices"))
    )
    changed.functions.append(
        onnx.FunctionProto(node=[onnx.NodeProto(attribute=attributes[:0])], name="f")
    )
    changed.functions[0].node[0].attribute.add(name="value", t=external("in a function"))
    changed.training_info.add().initialization.initializer.append(external("in training"))
    _, locations = told(changed.SerializeToString())
    assert locations == {
        *(NAME, "in a branch", "in a constant", "in a list", "sparse", "values", "indices"),
        *("in a function", "in training"),
    }


@pytest.mark.parametrize(
    "location", ["../small-6c137b2c.safetensors", "/etc/passwd", "other.safetensors", ""]
)
def test_a_graph_that_would_read_anything_else_is_refused(file: Path, location: str) -> None:
    changed = model()
    changed.graph.initializer.append(external(location))
    beside(file).write_bytes(changed.SerializeToString())
    with pytest.raises(UnreadableModel, match="its weights are not those of"):
        load_model(file)


def test_a_graph_of_another_model_is_refused(file: Path) -> None:
    other = DEFAULT.with_name("small-42aff771.safetensors")
    shutil.copyfile(beside(other), beside(file))
    with pytest.raises(UnreadableModel, match="not the graph of the model 6c137b2c"):
        load_model(file)


def test_a_graph_that_does_not_fit_the_weights_is_refused(file: Path) -> None:
    size = file.stat().st_size
    changed = model()
    places = [
        entry
        for tensor in changed.graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    places[0].value = str(size)
    beside(file).write_bytes(changed.SerializeToString())
    with pytest.raises(UnreadableModel, match="cannot be run") as caught:
        load_model(file)
    assert "\n" not in str(caught.value)


def test_a_graph_of_another_shape_is_refused(file: Path) -> None:
    changed = model()
    changed.graph.output[0].name = "w"
    changed.graph.node[-1].output[0] = "w"
    beside(file).write_bytes(changed.SerializeToString())
    with pytest.raises(UnreadableModel, match="cannot be run") as caught:
        load_model(file)
    assert "\n" not in str(caught.value)


def test_what_is_no_graph_is_refused_in_one_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for data in (b"hello", GRAPH[:-1], GRAPH[:1000], b"\x3a\xff\xff\xff", b"\x80" * 12):
        beside(file).write_bytes(data)
        with pytest.raises(UnreadableModel, match="not an ONNX graph") as caught:
            load_model(file)
        assert "\n" not in str(caught.value)
    nested = b""
    for _ in range(40):  # graphs in attributes of nodes of graphs
        nested = field(1, field(5, field(6, nested)))
    beside(file).write_bytes(field(7, nested))
    with pytest.raises(UnreadableModel, match="without end"):
        load_model(file)
    beside(file).write_bytes(GRAPH)
    monkeypatch.setattr(graph, "MOST_BYTES", 1000)
    with pytest.raises(UnreadableModel, match="too large"):
        read_graph(file, read_description(file))
    beside(file).unlink()
    with pytest.raises(UnreadableModel, match="No such file"):
        read_graph(file, read_description(file))


@given(st.data())
def test_damage_is_an_error_or_told(data: st.DataObject) -> None:
    damaged = bytearray(GRAPH[: data.draw(st.integers(0, 3000))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        told(bytes(damaged))
    except ValueError as error:
        assert "\n" not in str(error)


def field(number: int, content: bytes) -> bytes:
    """A protocol buffer's field of bytes."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])

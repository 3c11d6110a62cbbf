"""Weights are rounded once; a file says what it holds, and proves it."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.weights import (
    INTEGERS_FROM,
    Stored,
    fingerprint,
    read_description,
    read_weights,
    rounded,
    values,
    write_weights,
)
from diffc_stream.errors import UnreadableModel

ARCHITECTURE = Architecture(widths=(4, 8), blocks=(1, 1))


@pytest.fixture
def stored() -> Stored:
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((INTEGERS_FROM, 8, 3, 3)) * rng.uniform(
        0, 2, (INTEGERS_FROM, 1, 1, 1)
    )
    wide[3] = 0  # a channel that does nothing has no largest weight to divide by
    return rounded(
        {
            "wide.weight": wide.astype(np.float32),
            "thin.weight": rng.standard_normal((4, 8, 3, 3)).astype(np.float32),
            "bias": rng.standard_normal(7).astype(np.float32),
        }
    )


def test_wide_convolutions_are_integers_and_the_rest_halves(stored: Stored) -> None:
    kinds = {name: tensor.dtype for name, tensor in stored.items()}
    assert kinds == {
        "wide.weight": np.int8,
        "wide.weight.scale": np.float16,
        "thin.weight": np.float16,
        "bias": np.float16,
    }


def test_rounding_is_off_by_half_a_unit_at_most() -> None:
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((INTEGERS_FROM, 5, 3, 3)).astype(np.float32)
    off = np.abs(values(rounded({"w": weight}))["w"] - weight)
    unit = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127
    assert (off <= 0.51 * unit + 127 * unit * 2.0**-11).all()


def test_rounding_twice_is_rounding_once(stored: Stored) -> None:
    once = values(stored)
    for name, twice in values(rounded(once)).items():
        np.testing.assert_allclose(twice, once[name], rtol=2e-3, atol=1e-6)


def test_what_is_stored_is_exact_in_single_precision(stored: Stored) -> None:
    integers, scale = stored["wide.weight"], stored["wide.weight.scale"]
    exact = integers.astype(np.float64) * scale.astype(np.float64)[:, None, None, None]
    assert (values(stored)["wide.weight"] == exact).all()


def test_a_file_reads_back_and_describes_itself(stored: Stored, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "tiny.safetensors"
    identity = write_weights(path, ARCHITECTURE, stored, name="tiny")
    description, weights = read_weights(path)
    assert description == read_description(path)
    assert description.name == "tiny"
    assert description.fingerprint == identity
    assert description.architecture == ARCHITECTURE
    assert description.parameters == INTEGERS_FROM * 72 + 4 * 72 + 7
    assert description.bytes == path.stat().st_size
    assert weights.keys() == values(stored).keys()
    assert all((weights[name] == tensor).all() for name, tensor in values(stored).items())


def test_the_fingerprint_is_of_architecture_names_shapes_and_values(stored: Stored) -> None:
    seen = {fingerprint(ARCHITECTURE, stored)}
    seen.add(fingerprint(Architecture(widths=(4, 8), blocks=(2, 1)), stored))
    seen.add(fingerprint(ARCHITECTURE, {**stored, "bias": stored["bias"].reshape(7, 1)}))
    seen.add(fingerprint(ARCHITECTURE, {**stored, "bias": -stored["bias"]}))
    renamed = {name.replace("bias", "shift"): tensor for name, tensor in stored.items()}
    seen.add(fingerprint(ARCHITECTURE, renamed))
    assert len(seen) == 5


def test_damaged_weights_are_told_by_the_fingerprint(stored: Stored, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    write_weights(path, ARCHITECTURE, stored, name="tiny")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableModel, match="damaged"):
        read_weights(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architecture", None),
        ("architecture", "[]"),
        ("architecture", "{"),
        ("architecture", '{"widths": [4], "blocks": [1, 1]}'),
        ("architecture", '{"widths": [100000], "blocks": [1]}'),
        ("architecture", '{"widths": 4, "blocks": 1}'),
        ("fingerprint", None),
        ("fingerprint", "xyz"),
        ("fingerprint", "a b c d "),
    ],
)
def test_a_wrong_header_is_refused_in_one_line(
    key: str, value: str | None, stored: Stored, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.safetensors"
    write_weights(path, ARCHITECTURE, stored, name="tiny")
    with safe_open(path, "np") as file:
        metadata = dict(file.metadata())
    if value is None:
        del metadata[key]
    else:
        metadata[key] = value
    save_file(stored, path, metadata)
    for read in (read_description, read_weights):
        with pytest.raises(UnreadableModel) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_integers_without_scales_are_refused(stored: Stored, tmp_path: Path) -> None:
    del stored["wide.weight.scale"]
    path = tmp_path / "tiny.safetensors"
    write_weights(path, ARCHITECTURE, stored, name="tiny")
    with pytest.raises(UnreadableModel):
        read_weights(path)


def test_a_file_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(2**30)  # sparse
    with pytest.raises(UnreadableModel, match="too large"):
        read_description(path)


def with_header(path: Path, header: str, data: bytes = b"") -> None:
    """Write a safetensors file with any header."""
    encoded = header.encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)


NESTED = "[" * 20_000 + "]" * 20_000
METADATA = {
    "name": "tiny",
    "fingerprint": "00112233",
    "architecture": '{"widths":[4],"blocks":[1]}',
}


@pytest.mark.parametrize(
    "header",
    [
        NESTED,
        "null",
        "[]",
        "{}",
        '{"__metadata__": null}',
        '{"__metadata__": {"name": 1, "fingerprint": 2, "architecture": 3}}',
        '{"a": {"shape": [1], "data_offsets": [0, 2]}}',
        '{"a": {"shape": [NaN], "data_offsets": [0, 0]}}',
        '{"a": {"shape": [1e999], "data_offsets": [0, Infinity]}}',
        '{"a": {"shape": [1], "data_offsets": 7}}',
        "\x00",
        *(
            json.dumps({"__metadata__": METADATA | {"architecture": architecture}})
            for architecture in (
                NESTED,
                '{"widths": [Infinity], "blocks": [1]}',
                '{"widths": [1e999], "blocks": [1]}',
                '{"widths": [NaN], "blocks": [1]}',
                '{"widths": [[4]], "blocks": [1]}',
                '{"widths": {}, "blocks": null}',
                f'{{"widths": [{"9" * 5000}], "blocks": [1]}}',
                "7",
            )
        ),
        json.dumps({"__metadata__": METADATA, "a": {"shape": [2**40] * 3, "data_offsets": [0, 0]}}),
        json.dumps({"__metadata__": METADATA, "a": {"shape": {}, "data_offsets": [0, 0]}}),
    ],
)
def test_any_header_is_a_description_or_one_line(header: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with_header(path, header)
    for read in (read_description, read_weights):
        try:
            read(path)
        except UnreadableModel as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 400
        else:
            assert read is read_description


@pytest.mark.parametrize("size", [0, 7, 8, 9])
def test_a_header_that_is_not_there_is_told(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\xff" * size)
    with pytest.raises(UnreadableModel, match="not a model file"):
        read_description(path)

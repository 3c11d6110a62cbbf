"""Whoever sends or receives can do without PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from diffc_stream.picture import load_picture

GOLDEN = Path(__file__).parent / "vectors" / "stream.json"
TESTS = Path(__file__).parent

BLOCKED = "import sys; sys.modules['torch'] = None; "
"""As if it were not installed."""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``script`` in a Python that cannot import torch."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TESTS / "support")},
    )


def test_pictures_are_encoded_and_decoded(tmp_path: Path) -> None:
    photo, stream, out = (tmp_path / name for name in ("photo.png", "photo.dfc", "out.png"))
    ramp = np.linspace(0, 255, 24 * 30 * 3).reshape(24, 30, 3).astype(np.uint8)
    Image.fromarray(ramp).save(photo)
    command = "from diffc_stream import cli; sys.exit(cli.main(sys.argv[1:]))"
    encoded = run(command, "encode", photo, stream, "--bytes", 150, "--json")
    assert (encoded.returncode, encoded.stderr) == (0, "")
    assert json.loads(encoded.stdout)["bytes"] == stream.stat().st_size
    decoded = run(command, "decode", stream, out, "--json")
    assert (decoded.returncode, decoded.stderr) == (0, "")
    assert load_picture(out).shape == (24, 30, 3)
    listed = run(command, "models", "--json")
    assert all(model["engines"] == ["onnxruntime"] for model in json.loads(listed.stdout)["models"])


def test_the_golden_stream_is_decoded() -> None:
    facts = json.loads(GOLDEN.read_text())
    script = (
        "import json, sources, diffc_client, diffc_server; from diffc_stream import Decoder;"
        "facts = json.load(open(sys.argv[1]));"
        "decoder = Decoder([sources.model()]); decoder.feed(bytes.fromhex(facts['stream']));"
        "print(json.dumps(decoder.render().image.reshape(-1, 3)[:: facts['every']].tolist()))"
    )
    done = run(script, GOLDEN)
    assert done.stderr == ""
    assert np.abs(np.array(json.loads(done.stdout)) - facts["pixels"]).max() <= 1


def test_daemons_can_be_imported_and_what_they_need_of_models_is_there() -> None:
    script = (
        "import diffc_client.__main__, diffc_client.decoding.decoders, diffc_server.__main__;"
        "from diffc_stream.diffusion.collection import Collection;"
        "print(Collection.at_hand().preferred.name)"
    )
    done = run(script)
    assert (done.stdout.strip(), done.stderr) == ("small", "")

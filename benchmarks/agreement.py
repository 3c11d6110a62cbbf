"""How far receivers on different numbers of threads drift from the sender, and from each other.

    python -m benchmarks.agreement --image PHOTO [--bpp 0.4] [--threads 1 2]

Encodes the picture twice and compares the bytes, then decodes in processes of their own with each
number of threads and prints mean and largest difference from the sender's own reconstruction in
grey levels.  Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffc_stream.codec import Decoder, Encoder
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.picture import load_picture


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agreement", description=__doc__)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--bpp", type=float, default=0.4)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--decode", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model = load_model(arguments.model) if arguments.model else default_model()
    if arguments.decode:
        torch.set_num_threads(arguments.threads[0])
        np.save(arguments.decode.with_suffix(".npy"), decoded(arguments.decode, model))
        return
    picture = load_picture(arguments.image)
    target = int(arguments.bpp * picture.shape[0] * picture.shape[1] / 8)
    encoder = Encoder(picture, model, target_bytes=target)
    stream = b"".join(encoder)
    again = b"".join(Encoder(picture, model, target_bytes=target))
    own = octaves.picture(encoder.chain.mean(encoder.chain.now())).astype(np.float64)
    facts: dict[str, object] = {"bytes": len(stream), "same_bytes_twice": stream == again}
    with tempfile.TemporaryDirectory() as folder:
        for threads in arguments.threads:
            file = Path(folder) / "stream.dfc"
            file.write_bytes(stream)
            command = [sys.executable, "-m", "benchmarks.agreement", "--image", arguments.image]
            command += ["--decode", file, "--threads", str(threads)]
            command += ["--model", arguments.model] if arguments.model else []
            subprocess.run(command, check=True)
            difference = np.abs(np.load(file.with_suffix(".npy")) - own)
            facts[f"threads_{threads}"] = {
                "mean_grey_levels": float(difference.mean()),
                "largest_grey_levels": float(difference.max()),
            }
    print(json.dumps(facts))


def decoded(file: Path, model: Model) -> NDArray[np.uint8]:
    """Return the mmse picture of a stream file."""
    decoder = Decoder([model])
    decoder.feed(file.read_bytes())
    return decoder.render().image


if __name__ == "__main__":
    main()

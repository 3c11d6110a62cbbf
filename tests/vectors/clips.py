"""What the JavaScript receiver has to give of clips, told by the Python one.

    python tests/vectors/clips.py

Writes clips.json, which the tests in client/viewer/js read; tests/test_vectors_clips.py sees that
it is current.  Needed after a change of the format of clips or of their second estimates.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

from sources import LARGE, by_scale  # noqa: E402
from values import EVERY, known, waves  # noqa: E402

from diffc_stream.clips import ClipDecoder, ClipEncoder  # noqa: E402
from diffc_stream.container import Header, Motion, Second, StreamReader, Turn  # noqa: E402
from diffc_stream.container.clip import Clip, sources  # noqa: E402
from diffc_stream.container.grammar import ratio  # noqa: E402
from diffc_stream.diffusion import octaves  # noqa: E402
from diffc_stream.diffusion.motion import Motion as Vectors  # noqa: E402

Json = dict[str, object]
Picture = NDArray[np.uint8]

CLIPS = HERE / "clips.json"


def scene() -> list[Picture]:
    """Return pictures with odd sides of a camera that moves, before which something moves, too.

    Something else appears after the first picture, and stays.
    """
    wide, other = (octaves.picture(LARGE.sample(np.random.default_rng(n))) for n in (8, 9))
    shown = []
    for number in range(6):
        one = wide[10:60, 5 + 4 * number : 66 + 4 * number].copy()
        one[20:32, 45 - 7 * number : 55 - 7 * number] = (230, 40, 120)
        if number:
            one[5:45, 8:22] = other[5:45, 8:22]
        shown.append(one)
    return shown


def encoded() -> bytes:
    """Return a new stream; a machine's own rounding decides on some of its bits."""
    return b"".join(
        ClipEncoder(scene(), by_scale(), milliseconds=120, target_bytes=2400, seed=2**32 - 3)
    )


def headers() -> list[Json]:
    """Return headers of clips."""
    clips = [
        Clip(pictures=2, milliseconds=1, stride=1),
        Clip(pictures=1024, milliseconds=60_000, stride=1024),
        Clip(pictures=24, milliseconds=83, stride=4),
    ]
    result: list[Json] = []
    for clip in clips:
        header = Header(
            model="00ff0a1b", width=300, height=17, seed=7, ratio=153, about=True, clip=clip
        )
        facts: Json = {"data": header.encode().hex(), "model": header.model}
        facts |= {"width": header.width, "height": header.height, "seed": header.seed}
        facts |= {"ratio": ratio(header.ratio), "about": True, "clip": asdict(clip)}
        facts["sources"] = [[number, *both] for number, both in sources(clip).items()]
        result.append(facts)
    return result


def motions() -> list[Json]:
    """Return motions of pictures of several sizes, and pictures moved by them."""
    result: list[Json] = []
    for height, width, most in ((50, 61, 9), (64, 64, 300), (5, 3, 4), (150, 40, 60)):
        sizes = octaves.sizes(height, width)
        still = Vectors.still(sizes)
        vectors = np.rint(most / 2 * waves(*still.vectors.shape)).astype(np.int32)
        # Larger squares, too, have one vector.
        vectors[:, : vectors.shape[1] // 2] = np.array([[[3]], [[-8]]])
        motion = Vectors(vectors, still.side)
        result.append(
            {
                "height": height,
                "width": width,
                "data": motion.encode().hex(),
                "down": vectors[0].reshape(-1).tolist(),
                "right": vectors[1].reshape(-1).tolist(),
                "moved": known(motion.moved(waves(3, height, width))),
            }
        )
    return result


def records(data: bytes) -> list[Json]:
    """Return the records of a stream that only clips have."""
    result: list[Json] = []
    for event in StreamReader().feed(data):
        match event:
            case Turn():
                result.append({"type": "turn", "picture": event.picture})
            case Motion():
                told = {"source": event.source, "vectors": event.vectors.hex()}
                result.append({"type": "motion", **told})
            case Second():
                used = {"earlier": event.earlier, "later": event.later}
                result.append({"type": "second", **used, "trust": event.trust.hex()})
    return result


def prefixes(data: bytes) -> list[Json]:
    """Return what is shown of prefixes of a stream: values of each picture."""
    result: list[Json] = []
    for end in (21, 60, 200, 600, 1200, 1850, len(data)):
        decoder = ClipDecoder([by_scale()])
        decoder.feed(data[:end])
        shown: Json = {"bytes": end, "steps": decoder.steps, "ready": decoder.ready}
        if decoder.ready:
            shown["predictedPsnr"] = decoder.predicted_psnr()
            pictures = [decoder.render(number) for number in range(len(decoder))]
            shown["pictures"] = [one.reshape(-1)[::EVERY].tolist() for one in pictures]
        result.append(shown)
    return result


def clips(data: bytes) -> Json:
    """Return what belongs into clips.json, if ``data`` is the stream in it."""
    return {
        "every": EVERY,
        "headers": headers(),
        "motions": motions(),
        "stream": data.hex(),
        "records": records(data),
        "prefixes": prefixes(data),
    }


if __name__ == "__main__":
    CLIPS.write_text(json.dumps(clips(encoded())) + "\n")

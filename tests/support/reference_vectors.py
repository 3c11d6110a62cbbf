"""What the JavaScript receiver has to give of streams that start from a picture, told by Python."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sources import LARGE, by_scale
from values import known, waves

from diffc_stream.codec import Encoder, Held
from diffc_stream.container import Reference
from diffc_stream.container.grammar import Header, ratio
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.reference import fitted
from diffc_stream.diffusion.trust import Trust, cells
from diffc_stream.references import among, held

Json = dict[str, object]
Picture = NDArray[np.uint8]

SHIFT = (2, -3)
"""By how many pixels the camera of two pictures has moved, down and to the right."""


def headers() -> list[Json]:
    """Return headers that name references."""
    references = [
        Reference(size=1, digest=bytes(8), trust=b"\x00"),
        Reference(
            size=2**30,
            digest=bytes(range(0xF8, 0x100)),
            name="gestern früh.dfc",
            shift=(-65_535, 65_535),
            cut=(65_535, 128),
            trust=bytes(range(256)) * 16,
        ),
        Reference(size=4321, digest=bytes(range(8)), name="n" * 255, shift=(3, -7), trust=b"\x45"),
    ]
    return [header(reference) for reference in references]


def header(reference: Reference) -> Json:
    """Return a header that names ``reference``."""
    whole = Header(
        model="00ff0a1b",
        width=300,
        height=17,
        seed=2**32 - 1,
        ratio=153,
        about=True,
        reference=reference,
    )
    return {
        "data": whole.encode().hex(),
        "model": whole.model,
        "width": whole.width,
        "height": whole.height,
        "seed": whole.seed,
        "ratio": ratio(whole.ratio),
        "about": whole.about,
        "reference": said(reference),
    }


def said(reference: Reference) -> Json:
    """Return a reference as text."""
    return {
        "name": reference.name,
        "size": reference.size,
        "digest": reference.digest.hex(),
        "shift": list(reference.shift),
        "cut": list(reference.cut),
        "trust": reference.trust.hex(),
    }


def trusts() -> list[Json]:
    """Return how far references are trusted, for pictures of several sizes."""
    result: list[Json] = []
    for height, width in ((61, 50), (20, 3), (700, 1000), (2100, 40)):
        sizes = octaves.sizes(height, width)
        codes = tuple((37 * scale + 0x35) % 256 for scale in range(len(sizes)))
        changed = waves(*cells(sizes)) > 1.6
        trust = Trust(codes, changed, tuple(sizes))
        scales: list[Json] = []
        for scale in range(len(sizes)):
            weight = trust.weight(scale, 1.5)
            scales.append(
                {
                    "variance": trust.variance(scale),
                    "difference": trust.difference(scale),
                    "missing": trust.missing(scale),
                    "weight": known(weight),
                    "shape": list(weight.shape),
                }
            )
        result.append(
            {"height": height, "width": width, "data": trust.encode().hex(), "scales": scales}
        )
    return result


def fits() -> list[Json]:
    """Return references of several sizes, fitted to the octaves of pictures."""
    result: list[Json] = []
    for (height, width), (own_height, own_width), shift, cut in (
        ((45, 70), (61, 64), (0, 0), (0, 0)),
        ((61, 64), (61, 64), (3, -5), (0, 0)),
        ((100, 131), (61, 64), (0, 0), (0, 0)),
        ((21, 9), (20, 2), (0, 0), (0, 0)),
        ((90, 80), (61, 64), (-20, -9), (29, 16)),
    ):
        sizes = octaves.sizes(own_height, own_width)
        picture = octaves.picture(waves(3, height, width))
        fit = fitted(picture, sizes, shift, cut)
        result.append(
            {"picture": [height, width], "sizes": [list(size) for size in sizes]}
            | {"shift": list(shift), "cut": list(cut)}
            | {"octaves": [None if octave is None else known(octave) for octave in fit]}
        )
    return result


def ppm(picture: Picture) -> bytes:
    """Return a picture as a file that is easily read in any language."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PPM")
    return file.getvalue()


def encoded() -> dict[str, tuple[bytes, list[bytes]]]:
    """Return new streams that start from pictures, and the files of those.

    One is of a camera that has moved, before which something has appeared; one starts from a small
    picture; one starts from the beginning of the first one, and one is of a part of that.
    """
    model = by_scale()
    scene = LARGE.sample(np.random.default_rng(5))
    before = octaves.picture(scene[:, 10:60, 10:71])
    now = octaves.picture(np.roll(scene, SHIFT, axis=(1, 2))[:, 10:60, 10:71])
    now[28:40, 9:20] = (230, 40, 120)
    later = now.copy()
    later[5:15, 40:52] = (10, 200, 90)
    small = np.asarray(Image.fromarray(now).resize((36, 29), Image.Resampling.BOX))
    files = [ppm(before), ppm(small)]
    kept = [held(file, [model], name=name) for file, name in zip(files, ("a.ppm", ""), strict=True)]
    moved = b"".join(Encoder(now, model, target_bytes=500, seed=3, reference=kept[0]))
    enlarged = b"".join(Encoder(now, model, target_bytes=400, reference=kept[1]))
    start: Held = held(moved[:400], [model], name="moved.dfc", find=among(files))
    onward = b"".join(Encoder(later, model, target_bytes=300, reference=start))
    seen = replace(start, view=(7, 13, 40, 37))
    part = b"".join(Encoder(now[7:47, 13:50].copy(), model, target_bytes=300, reference=seen))
    return {
        "moved": (moved, files[:1]),
        "enlarged": (enlarged, files[1:]),
        "onward": (onward, [moved, files[0]]),
        "part": (part, [moved, files[0]]),
    }

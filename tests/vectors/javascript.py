"""What the JavaScript receiver has to give, told by the Python one.

    python tests/vectors/javascript.py

Writes receiver.json, which the tests in client/viewer/js read, and client/viewer/js/src/golden.js,
by which a device is known to compute a model rightly.  tests/test_vectors.py sees that both are
current.  Needed after a change of the format or of a rendering, and after a release of a model.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

import reference_vectors  # noqa: E402
from sources import by_scale, model, odd_picture, picture, stream  # noqa: E402
from values import EVERY, known, waves  # noqa: E402

from diffc_stream.channel.randomness import (  # noqa: E402
    Purpose,
    normal_table,
    normals,
    philox,
    signs,
    words,
)
from diffc_stream.channel.rotation import Rotation  # noqa: E402
from diffc_stream.channel.simulator import Address  # noqa: E402
from diffc_stream.channel.trellis import Trellis, cosine_squared  # noqa: E402
from diffc_stream.codec import Curve, Decoder, Encoder, Method, Patchwork  # noqa: E402
from diffc_stream.container import About, Metadata, Place, StreamReader  # noqa: E402
from diffc_stream.container.grammar import (  # noqa: E402
    Before,
    Header,
    Kind,
    Simulator,
    Step,
    crc32c,
    delta,
    ratio,
    segments,
)
from diffc_stream.diffusion import octaves, symmetry  # noqa: E402
from diffc_stream.diffusion.architecture import field_features, noise_features  # noqa: E402
from diffc_stream.diffusion.collection import RELEASED, default_model  # noqa: E402
from diffc_stream.diffusion.model import Model, load_model  # noqa: E402
from diffc_stream.packets import Broadcast, Receiver  # noqa: E402
from diffc_stream.references import References, among  # noqa: E402

Json = dict[str, object]
Started = tuple[bytes, list[bytes]]
"""A stream, and the files that it starts from."""

RECEIVER = HERE / "receiver.json"
GOLDEN = HERE.parent.parent / "client" / "viewer" / "js" / "src" / "golden.js"

TAKEN = Metadata(
    time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2))),
    place=Place(latitude=-33.8567844, longitude=151.2152967, altitude=58.0),
    camera="NIKON D850",
    description="Grüße",
)
"""How the picture of one stream was taken."""


def photograph(height: int = 61, width: int = 93) -> NDArray[np.uint8]:
    """Return a computed picture with edges, texture and gradients, (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width] / height
    disc = np.hypot(y - 0.45, x - 0.6) < 0.3
    stripes = np.sin(40 * (x + 0.3 * y)) * (y > 0.6)
    red = 0.3 + 0.4 * y + 0.3 * disc
    green = 0.5 + 0.2 * np.cos(3 * x) - 0.2 * disc + 0.1 * stripes
    blue = 0.7 - 0.5 * y * x + 0.1 * stripes
    picture = np.stack([red, green, blue], axis=-1)
    return np.asarray(np.clip(np.rint(255 * picture), 0, 255), np.uint8)


def randomness() -> Json:
    counters = np.array([[0, 0, 0, 0], [2**32 - 1] * 4, [1, 2, 3, 4]], np.uint32)
    return {
        "philox": philox((0xA4093822, 0x299F31D0), counters).tolist(),
        "words": words(2**32 - 1, Purpose.RENDERING, 2**31 + 1, 7).tolist(),
        "signs": signs(5, Purpose.ROTATION, 9, 70).astype(int).tolist(),
        "normals": normals(3, Purpose.RENDERING, 257, 41).tolist(),
        "table": (normal_table() * 4096).astype(int)[2048:].tolist(),
    }


def rotations() -> list[Json]:
    result: list[Json] = []
    for dims, seed, address in ((1, 0, 0), (6, 1, 2), (769, 7, 3), (5000, 2**32 - 1, 70)):
        rotation = Rotation(dims, seed=seed, address=address)
        x = waves(dims)
        facts: Json = {"dims": dims, "seed": seed, "address": address}
        facts["forward"] = known(rotation.forward(x))
        facts["inverse"] = known(rotation.inverse(x))
        result.append(facts)
    return result


def samples() -> list[Json]:
    result: list[Json] = []
    cases = ((768, 12, 12), (768, 12, 5), (768, 12, 1), (5000, 1, 1), (47, 2, 2), (300_000, 80, 40))
    for dims, length, there in cases:
        payload = bytes((37 * i + 11) % 256 for i in range(there))
        sample = Trellis().reproduce(payload, dims, length, Address(0, 0))
        facts: Json = {"dims": dims, "length": length, "payload": payload.hex()}
        facts |= {"there": sample.there, "energy": sample.energy, "values": known(sample.values)}
        facts["cosine"] = cosine_squared(8 * length, dims)
        result.append(facts)
    return result


def admitted() -> list[list[object]]:
    cases = [(768, 1), (768, 96), (768, 97), (5, 1), (5, 2), (300_000, 9), (300_000, 10)]
    cases += [(3 * 65_535**2, 2**28 - 1), (3 * 65_535**2, 400_000), (3 * 65_535**2, 4)]
    return [[dims, length, Trellis().admits(dims, length)] for dims, length in cases]


def grammar() -> Json:
    headers = [
        Header(model="733c846a", width=768, height=512, seed=0),
        Header(model="00ff0a1b", width=65_535, height=1, seed=2**32 - 1),
        Header(model="00ff0a1b", width=17, height=300, seed=1, ratio=153),
        Header(model="00ff0a1b", width=17, height=300, seed=1, ratio=153, about=True),
        Header(model="00ff0a1b", width=17, height=300, seed=1, about=True),
    ]
    steps: list[Json] = []
    before = Before()
    first = before
    for length, code, kind in (
        (12, 54, Kind.REFINE),
        (17, 61, Kind.REFINE),
        (400, 0, Kind.OPEN),
        (100, 60, Kind.REFINE),
        (2**28 - 1, 255, Kind.REFINE),
        (2**28 - 1, 0, Kind.OPEN),
        (1, 250, Kind.REFINE),
    ):
        step = Step(kind=kind, length=length, delta_code=code)
        steps.append(
            {
                "data": step.encode(before).hex(),
                "kind": int(kind),
                "length": length,
                "deltaCode": step.delta_code,
            }
        )
        before = before.after(step)
    last = Before(kind=Kind.OPEN, length=1000, delta_code=70)
    return {
        "crc32c": crc32c(bytes(range(256))),
        "headers": [
            {"data": header.encode().hex(), "model": header.model, "width": header.width}
            | {"height": header.height, "seed": header.seed, "ratio": ratio(header.ratio)}
            | {"about": header.about}
            for header in headers
        ],
        "steps": steps,
        "lengths": [[b.lengths(kind) for kind in (Kind.REFINE, Kind.OPEN)] for b in (first, last)],
        "segments": {str(n): list(segments(n)) for n in (1, 512, 513, 1537)},
        "delta": [delta(code) for code in range(256)],
    }


def pyramid() -> Json:
    facts: list[Json] = []
    for height, width in ((7, 9), (16, 12), (1, 5)):
        x, half = waves(3, height, width), octaves.coarser((height, width))
        bands = waves(3, 3, *half)
        facts.append(
            {
                "height": height,
                "width": width,
                "means": octaves.means(x).reshape(-1).tolist(),
                "details": octaves.details(x).reshape(-1).tolist(),
                "synthesis": octaves.synthesis(waves(3, *half), bands, (height, width))
                .reshape(-1)
                .tolist(),
                "upsampled": octaves.upsampled(waves(3, *half), (height, width))
                .reshape(-1)
                .tolist(),
                "picture": octaves.picture(x).reshape(-1).tolist(),
                "turned": [symmetry.turned(x, n).reshape(-1).tolist() for n in (3, 6)],
            }
        )
    sizes = [octaves.sizes(height, width) for height, width in ((512, 768), (17, 65_535), (1, 1))]
    features = {str(level): noise_features(level) for level in (-20.0, 0.0, 1.5)}
    fields = [[*told, field_features(*told)] for told in ((0.3, 1.0, 1.0), (-2.0, 0.6, 0.25))]
    return {"cases": facts, "sizes": sizes, "features": features, "fields": fields}


def pictures(
    data: bytes, own: Model, ends: list[int], methods: list[Method], files: Sequence[bytes] = ()
) -> list[Json]:
    """Return what is shown of prefixes of a stream: values of each picture, all channels.

    The stream may start from one of ``files``.
    """
    result: list[Json] = []
    for end in ends:
        decoder = Decoder([own], references=References([own], among(files)))
        decoder.feed(data[:end])
        shown: Json = {"observation": decoder.observation().reshape(-1)[::EVERY].tolist()}
        for method in methods:
            rendering = decoder.render(method)
            shown[str(method)] = rendering.image.reshape(-1)[::EVERY].tolist()
            shown["predictedPsnr"] = rendering.predicted_psnr
            shown["predictedPsnrRange"] = list(rendering.predicted_psnr_range)
        turned = decoder.render(symmetries=2 if own.name == "small" else 8)
        shown["symmetries"] = turned.image.reshape(-1)[::EVERY].tolist()
        shown |= {"bytes": end, "steps": decoder.steps}
        result.append(shown)
    return result


def encoded() -> dict[str, bytes]:
    """Return new streams; a machine's own rounding decides on some of their bits."""
    learned = Encoder(photograph(), default_model(), target_bytes=900)
    shaped = Encoder(odd_picture(), by_scale(), target_bytes=900)
    described = Encoder(picture(), model(), target_bytes=600, metadata=TAKEN)
    return {
        "exact": stream(1500),
        "learned": b"".join(learned),
        "shaped": b"".join(shaped),
        "described": b"".join(described),
    }


def broadcasts(data: dict[str, bytes]) -> list[Json]:
    """Return what receivers have of streams in packets of which some are lost."""
    result: list[Json] = []
    for name, own, order, budget in (
        (
            "exact",
            model(),
            (0, 1, 3, 4, 4, 7, 8, 9, 12, 13, 14, 16, 20, 22, 5, 2, 28, 30, 31),
            2500,
        ),
        ("shaped", by_scale(), (9, 0, 1, 4, 5, 6, 7, 11, 12, 13, 3, 17, 18, 14, 10), 1280),
        ("described", model(), (1, 0, 2, 4, 6, 3, 7, 8, 9, 11, 10, 12), 0),
    ):
        sent = Broadcast(data[name], size=64, budget=budget or None, station="DL0ABC")
        packets, receiver, patchwork = list(sent), Receiver(), Patchwork([own])
        seen: list[Json] = []
        for number in order:
            facts: Json = {"packet": packets[number].hex()}
            facts["outcome"] = receiver.take(packets[number]).value
            gathered = receiver.newest
            if gathered is not None:
                parts = list(gathered.parts())
                facts |= {"pieces": gathered.pieces, "missing": gathered.missing}
                facts["parts"] = [p.hex() if isinstance(p, bytes) else p for p in parts]
                facts |= looked(patchwork.decoder(parts)) if parts else {}
            seen.append(facts)
        result.append({"name": name, "station": receiver.station, "seen": seen})
    return result


def looked(decoder: Decoder) -> Json:
    """Return what is shown, if anything is."""
    if not decoder.ready:
        return {}
    rendering = decoder.render()
    facts: Json = {"picture": rendering.image.reshape(-1)[::EVERY].tolist()}
    facts |= {"bytes": rendering.bytes, "predictedPsnr": rendering.predicted_psnr}
    return facts


def other_simulators() -> dict[str, str]:
    """Return streams that a receiver with the trellis alone has to refuse, by their simulators."""
    return {
        simulator.name.lower(): b"".join(
            Encoder(picture(), model(), target_bytes=80, simulator=simulator)
        ).hex()
        for simulator in (Simulator.PFR, Simulator.DITHER)
    }


def facts_in(data: bytes) -> list[str]:
    """Return what a stream says of its picture, in hex."""
    return [event.facts.hex() for event in StreamReader().feed(data) if isinstance(event, About)]


def streams(data: dict[str, bytes]) -> list[Json]:
    result: list[Json] = []
    every: list[Method] = ["mmse", "flow", "ancestral", 0.5]
    few: list[Method] = ["mmse", 0.5]  # evaluations take their time in a test
    for name, own, ends, methods in (
        ("exact", model(), [17, 30, 56, 57, 60, 300, 1500], every),
        ("learned", default_model(), [40, 900], few),
        ("shaped", by_scale(), [19, 45, 157, 300, 900], every),
        ("described", model(), [300, 600], few),
    ):
        prefixes = pictures(data[name], own, ends, methods)
        result.append(described(name, data[name], prefixes))
    return result


def described(name: str, data: bytes, prefixes: list[Json]) -> Json:
    """Return what there is to know of a stream."""
    curve = Curve()
    curve.feed(data)
    return {
        "name": name,
        "data": data.hex(),
        "prefixes": prefixes,
        "offsets": curve.offsets,
        "psnr": curve.psnr(),
        "facts": facts_in(data),
        "reaching": [[psnr, curve.reaching(psnr)] for psnr in (5.0, 22.0, 25.0, 60.0)],
    }


def started(data: dict[str, Started]) -> list[Json]:
    """Return streams that start from a picture, and what is shown of them."""
    result: list[Json] = []
    every: list[Method] = ["mmse", "flow", "ancestral", 0.5]
    for name, (whole, files) in data.items():
        _, size = Header.parse(whole)
        ends = [size, size + 4, (size + len(whole)) // 2, len(whole)]
        prefixes = pictures(whole, by_scale(), ends, every, files)
        facts: Json = {"files": [file.hex() for file in files]}
        result.append(described(name, whole, prefixes) | facts)
    return result


def receiver(data: dict[str, bytes], starts: dict[str, Started], others: dict[str, str]) -> Json:
    """Return what belongs into receiver.json.

    It is of the streams ``data``, by name, of ``starts``, which start from files, and of
    ``others``, of other simulators, in hex.
    """
    return {
        "others": others,
        "every": EVERY,
        "randomness": randomness(),
        "rotations": rotations(),
        "samples": samples(),
        "admitted": admitted(),
        "grammar": grammar(),
        "octaves": pyramid(),
        "streams": streams(data),
        "broadcasts": broadcasts(data),
        "references": {
            "headers": reference_vectors.headers(),
            "trusts": reference_vectors.trusts(),
            "fits": reference_vectors.fits(),
        },
        "started": started(starts),
    }


def golden() -> str:
    """Return what belongs into golden.js."""
    facts: Json = {"height": 16, "width": 16, "snr": 2, "every": 97}
    values: dict[str, list[float]] = {}
    for path in sorted(RELEASED.glob("*.safetensors")):
        own = load_model(path)
        x_hat = own.denoiser(waves(3, 16, 16), 2.0)
        values[own.fingerprint] = [round(value, 5) for value in x_hat.reshape(-1)[::97].tolist()]
    facts["values"] = values
    return (
        "/**\n"
        " * What the released models make of eta = 2 sin(i^2): every 97th value, from Python.\n"
        " *\n"
        " * Written by tests/vectors/javascript.py.\n"
        " *\n"
        " * @module\n"
        " */\n\n"
        "/** @type {{ height: number, width: number, snr: number, every: number,\n"
        " *   values: Record<string, number[]> }} */\n"
        "// prettier-ignore\n"
        f"export const GOLDEN = {json.dumps(facts)};\n"
    )


if __name__ == "__main__":
    now = receiver(encoded(), reference_vectors.encoded(), other_simulators())
    RECEIVER.write_text(json.dumps(now) + "\n")
    GOLDEN.write_text(golden())

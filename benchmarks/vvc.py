"""VVC intra pictures (H.266) for Pillow, through an ffmpeg that has VVenC.

A raw stream of one picture: 4:4:4, 10 bits, BT.709, tuned for squared error.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from typing import IO

from PIL import Image, ImageFile

START = b"\0\0\0\1"
"""Of every stream."""
PATIENCE = 600.0
"""Seconds that a picture may take."""
_TO_YUV = "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int"
_TO_RGB = "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int"


def register(ffmpeg: str) -> str | None:
    """Teach Pillow the format "VVC"; return ffmpeg's version, or None if it cannot encode it."""
    try:
        if b" libvvenc " not in _run(ffmpeg, ["-encoders"], b""):
            return None
        version = _run(ffmpeg, ["-version"], b"").decode(errors="replace").split()[2]
    except (OSError, IndexError):
        return None

    def save(image: Image.Image, file: IO[bytes], _name: str | bytes) -> None:
        options = image.encoderinfo
        file.write(encoded(ffmpeg, image, qp=options["qp"], preset=options["preset"]))

    def opened(file: IO[bytes], _name: str | bytes) -> ImageFile.ImageFile:
        image = Image.open(io.BytesIO(decoded(ffmpeg, file.read())), formats=["PPM"])
        assert isinstance(image, ImageFile.ImageFile)
        return image

    Image.register_save("VVC", save)
    # As the last of all formats, and only for what begins like it.
    Image.register_open("VVC", opened, lambda prefix: prefix.startswith(START))
    return version


def encoded(ffmpeg: str, image: Image.Image, *, qp: int, preset: str) -> bytes:
    """Return a stream of an RGB picture; ``qp`` is 0 (best) to 63.  Raises OSError."""
    width, height = image.size
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-"]
    colours = ["-vf", _TO_YUV, "-pix_fmt", "yuv444p10le"]
    codec = ["-c:v", "libvvenc", "-preset", preset, "-qp", str(qp), "-qpa", "0", "-threads", "1"]
    return _run(ffmpeg, [*source, *colours, *codec, "-f", "vvc", "-"], image.tobytes())


def decoded(ffmpeg: str, data: bytes) -> bytes:
    """Return the picture of a stream as the bytes of a PPM file.  Raises OSError."""
    target = ["-vf", _TO_RGB, "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-"]
    return _run(ffmpeg, ["-f", "vvc", "-i", "-", *target], data)


def _run(ffmpeg: str, arguments: Sequence[str], data: bytes) -> bytes:
    command = [ffmpeg, "-hide_banner", "-v", "error", *arguments]
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=PATIENCE, check=True
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"ffmpeg: {error}") from error
    if not done.stdout:
        raise OSError("ffmpeg: nothing came out")
    return done.stdout

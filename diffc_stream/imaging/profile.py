"""A decoded picture in sRGB, from the colours that its file states."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from diffc_stream.imaging.boxes import Told
from diffc_stream.imaging.colour import in_srgb


def as_srgb(image: Image.Image, told: Told) -> Image.Image:
    """Convert to sRGB from the file's stated colours, or else from those usual for the mode."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if told.profile:
        try:
            return _converted(image, ImageCms.ImageCmsProfile(io.BytesIO(told.profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # A broken profile, or one for another colour space, is ignored.
    if image.mode == "LAB":
        return _converted(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    if told.coding is not None and image.mode != "CMYK":
        return Image.fromarray(in_srgb(np.asarray(image.convert("RGB")), told.coding))
    return image.convert("RGB")


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    space = profile.profile.xcolor_space.strip()
    if space == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    if {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}.get(space) != image.mode:
        raise ValueError(f"a profile for {space} in a picture of {image.mode}")
    converted = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # Only a conversion in place returns None.
    return converted

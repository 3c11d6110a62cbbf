"""Convert colours that a file describes by numbers: primaries, and a curve from samples to light.

ICC profiles are left to LittleCMS; this module is for files that say the same in a few bytes, by
code points of ITU-T H.273 or by chromaticities and an exponent.  Pictures of high dynamic range (PQ
and HLG, ITU-R BT.2100) are clipped: their reference white, 203 nits (ITU-R BT.2408), becomes the
white of sRGB, and so does everything brighter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Light: TypeAlias = NDArray[np.float64]
Curve: TypeAlias = Callable[[Light], Light]
"""From samples, 0 to 1, to light, in which 1 is white."""

REFERENCE_WHITE = 203.0
"""Nits of what is white in pictures of high dynamic range."""

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
_BT709 = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)
_BT601 = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65)
_PRIMARIES: dict[int, tuple[float, ...]] = {
    1: _BT709,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: _BT601,
    7: _BT601,
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    10: (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),
}
"""x and y of red, green, blue and white, by ColourPrimaries of H.273."""

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_STEPS = 65_536
"""Of light that is told apart: the darkest two values of sRGB have twenty between them."""
_PART = 2**18
"""Pixels converted at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """How the samples of a picture code colour."""

    primaries: tuple[float, ...]
    """x and y of red, green, blue and white."""
    curve: Curve
    scene: bool = False
    """Light is that of the scene, and a screen shows it by HLG's rule."""

    def to_xyz(self) -> Light:
        """Return the matrix from light to XYZ.  Raises ValueError if there is no such colour."""
        return _to_xyz(self.primaries)


def _power(exponent: float) -> Curve:
    return lambda samples: samples**exponent


def _srgb(samples: Light) -> Light:
    dark = samples / 12.92
    return np.where(samples <= 0.04045, dark, ((samples + 0.055) / 1.055) ** 2.4)


def _romm(samples: Light) -> Light:
    return np.where(samples < 16 / 512, samples / 16, samples**1.8)


def _pq(samples: Light) -> Light:
    root = samples ** (32 / 2523)
    light = np.maximum(root - 3424 / 4096, 0.0) / (2413 / 128 - 2392 / 128 * root)
    return 10_000.0 / REFERENCE_WHITE * light ** (8192 / 1305)


def _hlg(samples: Light) -> Light:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    bright = (np.exp((samples - c) / a) + b) / 12
    return np.where(samples <= 0.5, samples * samples / 3, bright)


def _logarithmic(decades: float) -> Curve:
    def light(samples: Light) -> Light:
        return np.where(samples > 0.0, 10.0 ** (decades * (samples - 1.0)), 0.0)

    return light


def _cinema(samples: Light) -> Light:
    return np.minimum(samples**2.6 * (52.37 / 48.0), 1.0)


_CURVES: dict[int, Curve] = {
    # Of video: what cameras do to light, undone by screens as sRGB is.  So do browsers.
    **dict.fromkeys((1, 6, 7, 11, 12, 13, 14, 15), _srgb),
    4: _power(2.2),
    5: _power(2.8),
    8: _power(1.0),
    9: _logarithmic(2.0),
    10: _logarithmic(2.5),
    16: _pq,
    17: _cinema,
    18: _hlg,
}
"""By TransferCharacteristics of H.273."""
_UNSPECIFIED = 2

ADOBE_RGB = Coding(primaries=(0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65), curve=_power(563 / 256))
ROMM_RGB = Coding(
    primaries=(0.734699, 0.265301, 0.159597, 0.840403, 0.036598, 0.000105, 0.345704, 0.358540),
    curve=_romm,
)


def coding_of(primaries: int, transfer: int) -> Coding | None:
    """Return the coding for two code points of H.273; None if it is sRGB, or unknown."""
    primaries = 1 if primaries == _UNSPECIFIED else primaries
    transfer = 13 if transfer == _UNSPECIFIED else transfer
    if primaries not in _PRIMARIES or transfer not in _CURVES:
        return None
    curve = _CURVES[transfer]
    if primaries == 1 and curve is _srgb:
        return None
    return Coding(primaries=_PRIMARIES[primaries], curve=curve, scene=curve is _hlg)


def calibrated(exponent: float | None, chromaticities: Sequence[float] | None) -> Coding | None:
    """Return what an exponent, from samples to light, and x and y of red, green, blue and white
    say, or either alone; None if that is sRGB, or no colour at all.

    The exponent 2.2 is taken for the curve of sRGB, which is what writers of it mean.
    """
    primaries = _BT709 if chromaticities is None else tuple(chromaticities)
    if len(primaries) != 8 or not all(-1.0 <= value <= 2.0 for value in primaries):
        return None
    curve: Curve = _srgb
    if exponent is not None and abs(exponent - 2.2) > 0.01:
        if not 0.1 <= exponent <= 10.0:
            return None
        curve = _power(exponent)
    same = all(abs(a - b) < 0.002 for a, b in zip(primaries, _BT709, strict=True))
    if same and curve is _srgb:
        return None
    try:
        _to_xyz(primaries)
    except ValueError:
        return None
    return Coding(primaries=primaries, curve=curve)


def in_srgb(samples: NDArray[np.uint8] | NDArray[np.uint16], coding: Coding) -> NDArray[np.uint8]:
    """Return samples (H, W, 3), of the whole range of their type, as the colours of sRGB.

    Colours beyond those of sRGB are clipped.  Raises ValueError if there is no such colour.
    """
    most = np.iinfo(samples.dtype).max
    light = coding.curve(np.arange(most + 1) / most).astype(np.float32)
    matrix = _to_srgb(coding).astype(np.float32)
    luminance = coding.to_xyz()[1].astype(np.float32)
    encoded = _encoded()
    out = np.empty(samples.shape, np.uint8)
    rows = max(1, _PART // max(1, samples.shape[1]))
    for start in range(0, len(samples), rows):
        part = light[samples[start : start + rows]]
        if coding.scene:
            # The system gamma of a screen of 1,000 nits.
            shown = 1000.0 / REFERENCE_WHITE * (part @ luminance) ** np.float32(0.2)
            part *= shown[..., np.newaxis]
        part = np.clip(part @ matrix.T, 0.0, 1.0)
        out[start : start + rows] = encoded[(part * (_STEPS - 1) + 0.5).astype(np.int32)]
    return out


@cache
def _encoded() -> NDArray[np.uint8]:
    """Return the value of sRGB for each step of light."""
    light = np.arange(_STEPS) / (_STEPS - 1)
    value = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255.0 * value).astype(np.uint8)


def _to_srgb(coding: Coding) -> Light:
    white, ours = _xyz(*coding.primaries[6:]), _xyz(*_D65)
    cones = (_BRADFORD @ ours) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
    matrix: Light = np.linalg.inv(_to_xyz(_BT709)) @ adapted @ coding.to_xyz()
    return matrix


def _to_xyz(primaries: Sequence[float]) -> Light:
    columns = np.stack([_xyz(*primaries[i : i + 2]) for i in (0, 2, 4)], axis=1)
    white = _xyz(*primaries[6:])
    if abs(np.linalg.det(columns)) < 1e-6 or not np.all(white > 0.0):
        raise ValueError("primaries that span no colours")
    matrix: Light = columns * np.linalg.solve(columns, white)
    return matrix


def _xyz(x: float, y: float) -> Light:
    """Return XYZ of a chromaticity, at Y = 1, or, of one that has no light, as it is."""
    scale = 1.0 if abs(y) < 1e-9 else y
    return np.array([x, y, 1.0 - x - y]) / scale

"""Recognise kinds of files by their first bytes, so that refusals can name them."""

from __future__ import annotations

_PLACES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    *((0, start, "TIFF") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (8, b"WEBP", "WEBP"),
    (0, b"\0\0\0\x0cjP  ", "JPEG2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (0, b"FUJIFILMCCD-RAW", "raw"),
    (0, b"DFC", ".dfc"),
    (0, b"qoif", "QOI"),
    (0, b"\0\0\1\0", "icon"),
    (0, b"DDS ", "DDS"),
    *((0, b"P" + digit, "PPM") for digit in (b"1", b"2", b"3", b"4", b"5", b"6", b"f", b"F")),
)
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw"}
HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
"""Of files of the ISO base media format that hold pictures coded by HEVC: what phones call HEIC."""
HEAD = 256
"""Bytes that it takes."""
SUFFIXES = frozenset(
    [
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".avif", ".avifs"),
        *(".heic", ".heif", ".hif", ".heics", ".heifs", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf"),
        *(".jpx", ".jxl", ".tif", ".tiff", ".gif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm"),
        *(".pfm", ".dfc"),
    ]
)
"""The suffixes of files that are taken for pictures or streams, in lower or upper case."""


def kind_of(head: bytes) -> str | None:
    """Return the kind of a file that begins with ``head``, or None if it is unknown."""
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), len(head))
        brands = [head[8:12], *(head[i : i + 4] for i in range(16, length - 3, 4))]
        # AVIF, the sibling of HEIF, has none of its brands.
        if not HEIF_BRANDS.isdisjoint(brands):
            return "HEIF"
        named = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
        return named or "video"
    for place, magic, kind in _PLACES:
        if head[place : place + len(magic)] == magic:
            return kind
    return None

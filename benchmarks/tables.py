"""A comparison as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import progressive
from .contest import HOPELESS
from .ours import DIAL
from .record import OURS, TITLES, Record, best, measured

DIGITS = {"psnr": 2, "ms_ssim": 4, "ssimulacra2": 1, "patches": 4}

HOW = f"""\
Real bytes on disk, headers and checks included; means over the pictures. Ours is one stream per
picture, cut at each rate. Peers are encoded anew for each rate, at full size and reduced 2, 4 and 8
times, then enlarged; each figure is that of the file that is best by that very measure (among those
within {HOPELESS:g} dB of the best PSNR), so that no single file need reach a whole column. The
distance between patches is sliced Wasserstein-2 on four Laplacian levels, pooled over all pictures;
less is better. Bold is the best of the column; "-" means that some picture has no file so small."""


def markdown(record: Record) -> str:
    """Return all tables."""
    blocks = [f"# Rate and distortion\n\n{HOW}", *_provenance(record)]
    blocks += [_measure(record, measure) for measure in measured(record)]
    blocks += [_loss(record), _dial(record), _beginnings(record), _settings(record)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _provenance(record: Record) -> Iterator[str]:
    pictures = ", ".join(entry.image for entry in record.streamed)
    yield (
        f"Commit {record.commit}, model {record.model}, seed {record.seed}, {record.machine}. "
        f"Pictures: {pictures}."
    )
    if record.notes:
        yield "\n".join(f"- {note}" for note in record.notes)


def _measure(record: Record, measure: str) -> str:
    rows = record.rows(measure)
    tops = [best(column, measure) for column in zip(*rows.values(), strict=True)]
    lines = [f"## {TITLES[measure]}", "", *_head("", [f"{rate:g} bpp" for rate in record.rates])]
    for name, values in rows.items():
        cells = ["-" if value is None else f"{value:.{DIGITS[measure]}f}" for value in values]
        marked = [
            f"**{cell}**" if value is not None and value == top else cell
            for cell, value, top in zip(cells, values, tops, strict=True)
        ]
        lines.append(_row(name, marked))
    leads = [
        f"{name} at "
        + ", ".join(f"{rate:g} bpp (by {lead:.{DIGITS[measure]}f})" for rate, lead in rates.items())
        for name, rates in record.ahead(measure).items()
    ]
    verdict = f"A peer is ahead of us: {'; '.join(leads)}." if leads else "No peer is ahead of us."
    return "\n".join([*lines, "", verdict])


def _loss(record: Record) -> str:
    """Return what synthesis costs in PSNR."""
    mmse = record.ours("psnr", "mmse")
    lines = ["## PSNR lost against mmse, dB", ""]
    lines += _head("", [f"{rate:g} bpp" for rate in record.rates])
    for rendering in record.renderings[1:]:
        values = record.ours("psnr", rendering)
        losses = [
            None if a is None or b is None else a - b for a, b in zip(mmse, values, strict=True)
        ]
        lines.append(_row(rendering, ["-" if x is None else f"{x:.2f}" for x in losses]))
    return "\n".join(lines)


def _dial(record: Record) -> str:
    """Return PSNR and the distance between patches over the dial."""
    positions = {0.0: "mmse", **{p: f"dial {p:g}" for p in DIAL}, 1.0: "flow"}
    rows = []
    for index, rate in enumerate(record.rates):
        pairs = [
            (record.ours("psnr", name)[index], record.ours("patches", name)[index])
            for name in positions.values()
        ]
        cells = [f"{a:.2f} / {b:.4f}" for a, b in pairs if a is not None and b is not None]
        if len(cells) == len(pairs):
            rows.append(_row(f"{rate:g} bpp", cells))
    if not rows:
        return ""
    title = "## The realism dial: PSNR in dB / distance between patches"
    head = _head("", [f"{position:g}" for position in positions])
    return "\n".join([title, "", *head, *rows])


def _beginnings(record: Record) -> str:
    """Return what the beginnings of files show."""
    means = progressive.mean([entry for found in record.beginnings.values() for entry in found])
    partly = {
        codec: shares
        for codec, shares in means.items()
        if any(value is not None for share, value in shares.items() if share < 1)
    }
    if not partly:
        return ""
    lines = [
        f"## What the beginning of a file of {record.beginning_rate:g} bpp shows: PSNR, dB",
        "",
        *_head("share of the bytes", [f"{100 * s:g} %" for s in progressive.SHARES]),
    ]
    for codec, shares in partly.items():
        cells = ["-" if (v := shares.get(s)) is None else f"{v:.2f}" for s in progressive.SHARES]
        lines.append(_row(codec, cells))
    nothing = [codec for codec in means if codec not in partly]
    lines.append("")
    lines.append(
        '"-" means that some picture has nothing to show. The missing rest of a JPEG 2000 file is '
        "taken for zeros, without which its decoder shows nothing."
    )
    if nothing:
        lines.append(f"Nothing before the last bytes, as Pillow reads them: {', '.join(nothing)}.")
    return "\n".join(lines)


def _settings(record: Record) -> str:
    lines = ["## Versions and settings", ""]
    for name, version in record.versions.items():
        lines.append(f"- {name} {version}")
    for peer in record.peers:
        used = sorted(
            {_family(figure.settings) for figures in peer.figures.values() for figure in figures}
        )
        lines.append(f"- {peer.name} ({peer.version}): {'; '.join(used)}")
    evaluations = {
        rendering: [
            point.evaluations
            for entry in record.streamed
            for point in entry.points
            if point.rendering == rendering
        ]
        for rendering in record.renderings
    }
    spent = [f"{name} {max(counts):.1f}" for name, counts in evaluations.items() if counts]
    lines.append(
        f"- {OURS}: denoiser evaluations at full size that one picture takes at most beyond "
        f"decoding, flow and ancestral beyond mmse: {', '.join(spent)}"
    )
    lines.append("- Seconds: " + ", ".join(f"{k} {v:.0f}" for k, v in record.seconds.items()))
    return "\n".join(lines)


def _family(settings: str) -> str:
    """Return settings without the knob's position."""
    for knob in (", quality", ", qp"):
        settings = settings.partition(knob)[0]
    return settings


def _head(first: str, columns: Sequence[str]) -> list[str]:
    return [_row(first, columns), "|---" * (len(columns) + 1) + "|"]


def _row(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"

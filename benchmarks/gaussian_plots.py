"""The analysis of a Gaussian as plots, SVG; lines are closed forms, marks are measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from diffc_stream.destination import writing

from .gaussian_record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, dict[str, Any]] = {
    "R(D)": {"color": "#000000", "linestyle": ":", "zorder": 3},
    "R(D/2)": {"color": "#404040", "linestyle": ":", "zorder": 3},
    "DiffC-A": {"color": "#3050c0"},
    "DiffC-F": {"color": "#c00000"},
    "DiffC-A*": {"color": "#20a0d0"},
    "DiffC-F*": {"color": "#e07000"},
    "DiffC-A, pink": {"color": "#8040b0"},
    "DiffC-F, pink": {"color": "#d050a0"},
}
SHOWN_BY_COMPONENT = 4
"""Every so many components are marked."""


def draw(record: Record, folder: Path) -> list[Path]:
    """Write all plots into ``folder`` and return their paths."""
    return [
        curves(record, folder / "curves.svg"),
        gain(record, folder / "gain.svg"),
        ratios(record, folder / "snr.svg"),
        variances(record, folder / "covariance.svg"),
        chains(record, folder / "chains.svg"),
    ]


def curves(record: Record, path: Path) -> Path:
    """Plot rate and error of all schemes, and how far from R(D) they are."""
    figure = Figure(figsize=(10.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    bound = record.curve("R(D)")
    for curve in record.curves:
        style = STYLES[curve.name]
        errors = np.array(curve.errors)
        left.plot(curve.rates, _decibels(record.variance / errors), label=curve.name, **style)
        right.plot(curve.rates, _decibels(errors / np.array(bound.errors)), **style)
        points = record.of(curve.name)
        found = np.array([point.error.value for point in points])
        payload = [point.payload_bits for point in points]
        ideal = [point.ideal_bits for point in points]
        marks = {"color": style["color"], "linestyle": "none"}
        left.plot(payload, _decibels(record.variance / found), marker="o", markersize=4, **marks)
        least = np.interp(np.log(ideal), np.log(bound.rates), np.log(bound.errors))
        right.plot(ideal, _decibels(found / np.exp(least)), marker="x", markersize=5, **marks)
    left.set_ylabel("variance over squared error, dB")
    left.set_title("Rate and distortion; marks are real payloads")
    left.legend(fontsize=8)
    right.set_ylabel("squared error over D(R), dB")
    right.set_ylim(-0.3, 8)
    right.set_title("Above D(R); marks are at ideal bits")
    for axes in (left, right):
        _rates(axes)
    return _saved(figure, path)


def gain(record: Record, path: Path) -> Path:
    """Plot by how much the flow is better than ancestral sampling."""
    figure = Figure(figsize=(5.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    for noise, sampled, flowed in (
        ("isotropic noise", "DiffC-A", "DiffC-F"),
        ("pink noise", "DiffC-A, pink", "DiffC-F, pink"),
    ):
        style = STYLES[flowed]
        worse, better = record.curve(sampled), record.curve(flowed)
        values = _decibels(np.array(worse.errors) / np.array(better.errors))
        axes.plot(worse.rates, values, label=noise, **style)
        points = [point for point in record.of(flowed) if point.gain]
        axes.errorbar(
            [point.information for point in points],
            [point.gain.value for point in points if point.gain],
            yerr=[2 * point.gain.error for point in points if point.gain],
            color=style["color"],
            linestyle="none",
            marker="o",
            markersize=4,
        )
    axes.axhline(10 * np.log10(2), color="#808080", linestyle=":", label="3.01 dB")
    axes.set_ylabel("gain, dB")
    axes.set_title("The flow over ancestral sampling (two standard errors)")
    axes.legend(fontsize=8)
    _rates(axes)
    return _saved(figure, path)


def ratios(record: Record, path: Path) -> Path:
    """Plot the signal-to-noise ratio of every component at one rate."""
    figure = Figure(figsize=(5.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    names = {
        "DiffC-A": "isotropic (DiffC-A, DiffC-F)",
        "DiffC-A, pink": "pink",
        "DiffC-A*": "DiffC-A*",
        "DiffC-F*": "DiffC-F*",
    }
    number = np.arange(1, len(record.variances) + 1)
    for point in record.points:
        if point.wanted != record.snr_rate or point.scheme not in names:
            continue
        color = STYLES[point.scheme]["color"]
        theory, found = np.array(point.ratios_theory), np.array(point.ratios)
        sent = theory > 0
        axes.plot(number[sent], _decibels(theory[sent]), color=color, label=names[point.scheme])
        some = np.flatnonzero(sent)[::SHOWN_BY_COMPONENT]
        axes.plot(number[some], _decibels(found[some]), ".", markersize=3, color=color)
    axes.set_xlabel("component, by variance")
    axes.set_ylabel("signal-to-noise ratio, dB")
    axes.set_ylim(-22, 32)
    axes.set_title(f"SNR per component at {record.snr_rate:g} bits per component")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return _saved(figure, path)


def variances(record: Record, path: Path) -> Path:
    """Plot the variances of reconstructions over the source's."""
    figure = Figure(figsize=(5.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    source = np.array(record.variances)
    number = np.arange(1, len(source) + 1)[::SHOWN_BY_COMPONENT]
    for point in record.points:
        if point.wanted == record.snr_rate:
            over = (np.array(point.variances) / source)[::SHOWN_BY_COMPONENT]
            color = STYLES[point.scheme]["color"]
            axes.plot(number, over, ".", markersize=4, color=color, label=point.scheme)
    known = np.array(record.of("DiffC-A")[0].ratios_theory)
    for point in record.of("DiffC-A"):
        if point.wanted == record.snr_rate:
            known = np.array(point.ratios_theory)
    axes.plot(known / (1 + known), color="#808080", linestyle=":", label="posterior mean, theory")
    band = 2 * (2 / record.samples) ** 0.5
    axes.axhspan(1 - band, 1 + band, color="#d0d0d0", label="two standard errors")
    axes.set_xlabel("component, by variance")
    axes.set_ylabel("variance over the source's")
    axes.set_title(f"Reconstructions at {record.snr_rate:g} bits per component")
    axes.legend(fontsize=7, ncols=2)
    return _saved(figure, path)


def chains(record: Record, path: Path) -> Path:
    """Plot what chains cost jointly and step by step."""
    figure = Figure(figsize=(5.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    colors = ["#000000", "#3050c0", "#e07000", "#c00000"]
    counts = sorted({entry.steps for entry in record.chained})
    for steps, color in zip(counts, colors, strict=False):
        entries = [entry for entry in record.chained if entry.steps == steps]
        bits = [entry.information for entry in entries]
        axes.errorbar(
            bits,
            [entry.stepwise.value for entry in entries],
            yerr=[2 * entry.stepwise.error for entry in entries],
            color=color,
            marker="o",
            markersize=4,
            label=f"step by step, {steps}",
        )
        axes.errorbar(
            bits,
            [entry.joint.value for entry in entries],
            yerr=[2 * entry.joint.error for entry in entries],
            color=color,
            linestyle="none",
            marker="x",
            label=f"jointly, {steps}",
        )
    bits = sorted({entry.information for entry in record.chained})
    axes.plot(bits, bits, color="#808080", linestyle=":", label="information")
    axes.set_xlabel("information of the chain, bits")
    axes.set_ylabel("bits sent")
    axes.set_title("A chain coded jointly and step by step")
    axes.set_ylim(top=1.4 * max(entry.stepwise.value for entry in record.chained))
    axes.legend(fontsize=7, ncols=2, loc="upper left")
    axes.grid(alpha=0.3)
    return _saved(figure, path)


def _decibels(ratios: Any) -> Any:
    return 10 * np.log10(ratios)


def _rates(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("bits per component")
    axes.grid(alpha=0.3)


def _saved(figure: Figure, path: Path) -> Path:
    # The same figures give the same file.
    with (
        mpl.rc_context({"svg.hashsalt": "gaussian", "font.size": 9}),
        writing(path) as file,
    ):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return path

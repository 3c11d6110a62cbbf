"""The analysis of a Gaussian as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from .gaussian_coding import Measured
from .gaussian_record import Chained, Record
from .gaussian_schemes import NOISES, Covariance


def markdown(record: Record) -> str:
    """Return all tables."""
    blocks = [
        f"# A Gaussian, analysed\n\n{_provenance(record)}",
        f"## Schemes\n\n{schemes(record)}\n\n{streams(record)}",
        f"## The flow\n\n{gains(record)}",
        f"## DiffC-A* and R(D/2)\n\n{water(record)}",
        f"## Covariances\n\n{covariances(record)}",
        f"## Chains\n\n{chains(record)}\n\n{chain_errors(record)}",
        f"## Priors\n\n{priors(record)}",
        f"## The codec\n\n{rendered(record)}",
    ]
    return "\n\n".join(blocks) + "\n"


def schemes(record: Record) -> str:
    """Return what every scheme reaches, by theory and as coded, in dB below the variance."""
    rows = []
    for noise in NOISES:
        for name in (noise.sampled, noise.transported):
            points = record.of(name or "")
            if points:
                rows.append([f"{name}, theory", *(_snr(record, p.theory) for p in points)])
                rows.append(["measured", *(_snr(record, p.error.value) for p in points)])
    return _table(["variance over squared error, dB", *_rates(record)], rows)


def streams(record: Record) -> str:
    """Return what the streams of every kind of noise cost, in bits per component."""
    rows = []
    for noise in NOISES:
        points = record.of(noise.sampled or noise.transported or "")
        name = noise.name
        rows.append([f"{name}: information", *(f"{p.information:.4f}" for p in points)])
        rows.append(["ideal bits of its steps", *(f"{p.ideal_bits:.4f}" for p in points)])
        rows.append(["payload bits", *(f"{p.payload_bits:.4f}" for p in points)])
        rows.append(["steps so far", *(f"{p.steps}" for p in points)])
    return _table(["bits per component", *_rates(record)], rows)


def gains(record: Record) -> str:
    """Return by how many dB the flow is better than a posterior sample of the same stream."""
    head = ["noise", "bits per component", "theory, dB", "measured, dB", "difference"]
    rows = []
    for noise in NOISES:
        for point in record.of(noise.transported or ""):
            if point.gain is None or point.gain_theory is None:
                continue
            rows.append(
                [
                    noise.name,
                    f"{point.information:.3f}",
                    f"{point.gain_theory:.3f}",
                    _with_error(point.gain, 3),
                    f"{point.gain.value - point.gain_theory:+.3f}",
                ]
            )
    return _table(head, rows)


def water(record: Record) -> str:
    """Return how near DiffC-A* is to R(D/2) of its own measured error."""
    head = ["D", "R(D/2)", "information", "ideal bits", "over R(D/2)", "payload bits", "over ideal"]
    rows = [
        [
            _with_error(point.error, 5),
            f"{point.bound:.4f}",
            f"{point.information:.4f}",
            f"{point.ideal_bits:.4f}",
            _per_cent(point.ideal_bits / point.bound),
            f"{point.payload_bits:.4f}",
            _per_cent(point.payload_bits / point.ideal_bits),
        ]
        for point in record.of("DiffC-A*")
    ]
    return _table(head, rows)


def covariances(record: Record) -> str:
    """Return how reconstructions at one rate compare with the source."""
    head = [
        "reconstruction",
        "variance over the source's",
        "largest deviation",
        "in standard errors",
        "rms",
        "largest correlation, standard errors",
        "rms",
    ]
    rows = [_covariance("the source itself", record.source)]
    rows += [
        _covariance(point.scheme, point.covariance)
        for point in record.points
        if point.wanted == record.snr_rate
    ]
    return _table(head, rows)


def chains(record: Record) -> str:
    """Return what chains cost, coded jointly and step by step, in bits."""
    rows = []
    for entries in _by_information(record):
        name = f"{entries[0].information:g} bits"
        rows.append([f"{name}: jointly", *(_with_error(e.joint, 2) for e in entries)])
        rows.append(["step by step", *(_with_error(e.stepwise, 2) for e in entries)])
        rows.append(["bound, jointly", *(f"{e.joint_bound:.1f}" for e in entries)])
        rows.append(["bound, step by step", *(f"{e.stepwise_bound:.1f}" for e in entries)])
    return _table(["bits sent", *_steps(record)], rows)


def chain_errors(record: Record) -> str:
    """Return the errors after the chains over those of theory."""
    rows = []
    for entries in _by_information(record):
        name = f"{entries[0].information:g} bits"
        rows.append([f"{name}: jointly", *(_over(e.joint_error, e.theory) for e in entries)])
        rows.append(["step by step", *(_over(e.stepwise_error, e.theory) for e in entries)])
        rows.append(["searches cut short", *(f"{100 * e.inexact:.1f} %" for e in entries)])
    return _table(["squared error over theory", *_steps(record)], rows)


def priors(record: Record) -> str:
    """Return what chains cost by the receiver's prior, over their information."""
    rates = sorted({entry.rate for entry in record.priors})
    head = ["steps"]
    for rate in rates:
        head += [f"{rate:g} bits, one width", f"{rate:g} bits, noise alone"]
    rows = []
    for steps in sorted({entry.steps for entry in record.priors}):
        row = [f"{steps}"]
        for entry in record.priors:
            if entry.steps == steps:
                costs = entry.sums.one_width, entry.sums.noise_alone
                row += [_per_cent(cost / entry.sums.exact) for cost in costs]
        rows.append(row)
    return _table(head, rows)


def rendered(record: Record) -> str:
    """Return what the codec's own renderings of Gaussian pictures reach."""
    head = ["bytes", "information", "snr", "mmse", "ancestral", "flow", "gain, dB", "exact, dB"]
    rows = [
        [
            f"{entry.bytes:.0f}",
            f"{entry.information:.0f}",
            f"{entry.snr:.1f}",
            f"{entry.mean.value:.5f} ({entry.mean_theory:.5f})",
            f"{entry.ancestral.value:.5f} ({entry.ancestral_theory:.5f})",
            f"{entry.flow.value:.5f} ({entry.flow_theory:.5f})",
            f"{_with_error(entry.gain, 2)}",
            f"{_with_error(entry.exact_gain, 2)} ({entry.gain_theory:.2f})",
        ]
        for entry in record.rendered
    ]
    return _table(head, rows)


def _provenance(record: Record) -> str:
    return (
        f"Commit {record.commit}, seed {record.seed}, {record.machine}. Fitted to "
        f"{record.patches:,} patches of {record.pictures:,} photographs; {record.samples:,} "
        f"samples coded, {record.trials:,} trials of every chain. Standard errors follow ±."
    )


def _rates(record: Record) -> list[str]:
    return [f"{point.wanted:g}" for point in record.of(record.points[0].scheme)]


def _steps(record: Record) -> list[str]:
    counts = sorted({entry.steps for entry in record.chained})
    return [f"{count} step{'s' if count > 1 else ''}" for count in counts]


def _by_information(record: Record) -> list[list[Chained]]:
    found: dict[float, list[Chained]] = {}
    for entry in record.chained:
        found.setdefault(entry.information, []).append(entry)
    return list(found.values())


def _covariance(name: str, entry: Covariance) -> list[str]:
    return [
        name,
        f"{entry.total:.4f}",
        f"{100 * entry.deviation:.1f} %",
        f"{entry.largest:.2f}",
        f"{entry.spread:.2f}",
        f"{entry.correlation:.2f}",
        f"{entry.correlations:.3f}",
    ]


def _snr(record: Record, error: float) -> str:
    """Return by how many dB an error is below the source's variance."""
    return f"{10 * log10(record.variance / error):.2f}"


def _over(entry: Measured, theory: float) -> str:
    return _with_error(Measured(entry.value / theory, entry.error / theory), 2)


def _with_error(entry: Measured, digits: int) -> str:
    return f"{entry.value:.{digits}f} ± {entry.error:.{digits}f}"


def _per_cent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

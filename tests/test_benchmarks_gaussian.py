"""The exact world, coded: chains, reconstructions, joint and stepwise coding, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from diffc_benchmarks import gaussian_trajectories as trajectories
from diffc_benchmarks.gaussian_coding import Transmission, decibels, squared_error
from diffc_benchmarks.gaussian_patches import Fit, fitted, patches, saved
from diffc_benchmarks.gaussian_schemes import (
    ISOTROPIC,
    NOISES,
    WATER,
    Noise,
    Point,
    coded,
    covariance,
)
from diffc_stream.channel.simulator import Address, Floats, Sample, Simulation, Simulator
from diffc_stream.diffusion.gaussian import Array, Gaussian
from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import save_png

SOURCE = Gaussian(20.0 / np.arange(1.0, 33.0) ** 1.5)
FEW = Gaussian(np.array([12.0, 4.0, 1.0]))


class Exact:
    """A simulator as theory has it: an exact sample, at no cost."""

    def admits(self, dims: int, length: int) -> bool:
        return True

    def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
        rng = np.random.default_rng((address.seed, address.step))
        values = shift + rng.standard_normal(shift.size).astype(np.float32)
        sample = Sample(values=values, there=shift.size, energy=0.0)
        return Simulation(payload=b"", sample=sample, gain=1.0)

    def reproduce(self, payload: bytes, dims: int, length: int, address: Address) -> Sample:
        raise NotImplementedError


def transmission(count: int, simulator: Simulator | None = None) -> tuple[Transmission, Array]:
    x = SOURCE.sample(np.random.default_rng(3), count)
    return Transmission(SOURCE, x, seed=7, simulator=simulator), x


@pytest.mark.parametrize("noise", NOISES, ids=[noise.name for noise in NOISES])
def test_exact_samples_give_exactly_the_closed_forms(noise: Noise) -> None:
    chain, x = transmission(4000, Exact())
    for rate in (0.1, 0.5, 1.0):
        chain.refine(noise.at(SOURCE, rate))
    known = chain.precisions
    assert SOURCE.information(known) == pytest.approx(32.0)
    assert chain.noise() == pytest.approx(1.0, abs=0.02)
    sent = known > 0
    np.testing.assert_allclose(chain.ratios()[sent], (known * SOURCE.variances)[sent], rtol=0.15)
    drawn = chain.drawn(np.random.default_rng(0))
    for shown, expected in (
        (chain.estimate(), SOURCE.mean_error(known)),
        (drawn, SOURCE.posterior_error(known)),
    ):
        found = squared_error(x, shown)
        assert abs(found.value - expected) < 4 * found.error
    found = squared_error(x, chain.scaled())
    if sent.all():
        assert abs(found.value - SOURCE.flow_error(known)) < 4 * found.error


@pytest.mark.parametrize("simulator", [Exact(), None], ids=["exact", "trellis"])
def test_the_integrated_flow_ends_at_the_optimal_transport(simulator: Simulator | None) -> None:
    chain, x = transmission(500, simulator)
    for rate in (0.05, 0.15, 0.4):
        chain.refine(ISOTROPIC.at(SOURCE, rate))
    flow, transported = chain.flowed(), chain.scaled()
    apart = np.mean((flow - transported) ** 2) / np.mean((x - transported) ** 2)
    assert apart < 1e-3


def points(noise: Noise, *rates: float) -> list[Point]:
    return list(coded(SOURCE, noise, rates, 1200, seed=1))


def test_the_measured_gain_of_the_flow_is_that_of_theory() -> None:
    for point in points(ISOTROPIC, 0.2, 1.5):
        if point.gain is not None and point.gain_theory is not None:
            assert point.gain.error < 0.05
            assert abs(point.gain.value - point.gain_theory) < 0.1
        assert point.payload_bits < 1.15 * point.information


def test_coded_star_sampling_lies_on_half_the_distortion() -> None:
    for point in points(WATER, 0.3, 1.5):
        assert point.ideal_bits == pytest.approx(point.bound, rel=0.02)
        assert 1.0 < point.payload_bits / point.ideal_bits < 1.1


def test_reconstructions_have_the_covariance_of_the_source() -> None:
    for point in [*points(ISOTROPIC, 0.4), *points(WATER, 0.4)]:
        assert point.covariance.largest < 4.0
        assert point.covariance.correlation < 5.0
        assert 0.7 < point.covariance.spread < 1.3
    chain, _ = transmission(2000, Exact())
    chain.refine(ISOTROPIC.at(SOURCE, 0.4))
    assert covariance(SOURCE, chain.estimate()).largest > 10


def test_nothing_is_sent_where_nothing_is_gained() -> None:
    chain, _ = transmission(4)
    chain.refine(np.zeros(32))
    assert (chain.steps, chain.payload_bits) == (0, 0)


def test_decibels_are_of_paired_errors() -> None:
    x = np.random.default_rng(0).standard_normal((500, 8))
    gain = decibels(x, 0.0 * x, 0.5 * x)
    assert gain.value == pytest.approx(20 * np.log10(2))
    assert gain.error == pytest.approx(0.0, abs=1e-9)


def test_the_ratio_of_a_trajectory_is_that_of_its_end() -> None:
    """Why coding a chain jointly costs no more than coding its end."""
    known = trajectories.schedule(FEW, 8.0, 4)
    x = np.array([3.0, -1.0, 0.5])
    drawn, ratios, _ = trajectories._drawn(FEW, x, np.zeros(3), known, (0, 0))
    np.testing.assert_allclose(
        ratios, trajectories.log_ratio(FEW, x, drawn[-1], known[-1]), atol=1e-8
    )
    assert ratios.max() <= trajectories._largest(FEW, x, np.zeros(3), known) + 1e-9


def test_the_receiver_rebuilds_the_trajectory_from_its_index() -> None:
    known = trajectories.schedule(FEW, 7.0, 3)
    x = np.array([2.0, 2.0, -1.0])
    choice = trajectories.choose(FEW, x, np.zeros(3), known, (5,))
    assert choice.exact
    assert choice.trajectory.shape == (3, 3)
    rebuilt = trajectories.rebuilt(FEW, np.zeros(3), known, (5,), choice.index)
    np.testing.assert_array_equal(rebuilt, choice.trajectory)


def test_step_by_step_costs_more_for_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    from diffc_benchmarks.gaussian import chained

    monkeypatch.setattr(trajectories, "MOST_CANDIDATES", 2**15)
    found = chained(FEW, 4.0, 3, trials=40, seed=0)
    assert found.stepwise.value - found.joint.value > 2.0
    assert found.information < found.joint.value < found.joint_bound
    assert found.stepwise.value < found.stepwise_bound
    for error in (found.joint_error, found.stepwise_error):
        assert abs(error.value - found.theory) < 4 * error.error


def test_index_lengths_are_those_of_a_prefix_code() -> None:
    counts = np.arange(1, 30_000)
    lengths = np.array([trajectories.index_bits(int(n), 6.0) for n in counts])
    assert 0.7 < np.sum(2.0**-lengths) < 1.0
    assert trajectories._zeta(2.0) == pytest.approx(np.pi**2 / 6)
    assert trajectories._zeta(1.1) == pytest.approx(10.584448465)


def test_sums_of_divergences_approach_the_information_with_many_steps() -> None:
    costs = [trajectories.sums(SOURCE, trajectories.schedule(SOURCE, 30.0, k)) for k in (1, 8, 256)]
    for cost in costs:
        assert cost.exact == pytest.approx(30.0)
        assert cost.exact < cost.one_width < cost.noise_alone
    assert costs[-1].noise_alone == pytest.approx(30.0, rel=0.02)
    white = Gaussian(np.full(8, 2.0))
    once = trajectories.sums(white, trajectories.schedule(white, 9.0, 1))
    assert once.one_width == pytest.approx(once.exact)


def photographs(folder: Path) -> list[Path]:
    """Leave pictures whose patches have a covariance of full rank."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(8):
        small = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
        large = np.kron(small, np.ones((10, 10, 1), np.uint8))
        noisy = np.clip(large + rng.integers(-9, 9, large.shape), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number}.png")
        save_png(paths[-1], noisy)
    return paths


def test_a_fit_of_photographs_is_kept_as_eigenvalues(tmp_path: Path) -> None:
    fit = fitted(photographs(tmp_path))
    assert (fit.pictures, fit.patches) == (8, 8 * 64)
    fit.save(tmp_path / "eigenvalues.json")
    again = saved(tmp_path / "eigenvalues.json")
    np.testing.assert_array_equal(again.gaussian.variances, fit.gaussian.variances)
    assert again.patches == fit.patches


def test_patches_lie_side_by_side() -> None:
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[16:32, 32:48] = 255
    found = patches(picture)
    assert found.shape == (6, 256)
    np.testing.assert_allclose(found.mean(axis=1), [-2, -2, -2, -2, -2, 2], atol=1e-5)
    assert patches(picture[:10]).shape == (0, 256)


def test_what_is_no_fit_is_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "small.png", np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(UnreadablePicture, match="too few"):
        fitted([tmp_path / "small.png"])
    for text in ("", "{}", '{"variances": [1, -1], "patches": 1, "pictures": 1}', "[1]"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(UnreadablePicture, match="eigenvalues"):
            saved(tmp_path / "bad.json")


def test_the_command_leaves_everything_behind_and_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    from diffc_benchmarks import gaussian

    monkeypatch.setattr(gaussian, "RATES", (0.1, 0.391))
    monkeypatch.setattr(gaussian, "CURVE_RATES", (0.05, 0.2, 0.8))
    monkeypatch.setattr(gaussian, "PRIOR_STEPS", (1, 2))
    monkeypatch.setattr(gaussian, "CHAIN_BITS", (4,))
    monkeypatch.setattr(gaussian, "CHAIN_STEPS", (1, 2))
    monkeypatch.setattr(gaussian, "TARGETS", (500,))
    Fit(SOURCE, patches=1000, pictures=10).save(tmp_path / "eigenvalues.json")
    records = []
    for out in (tmp_path / "once", tmp_path / "twice"):
        arguments = ["--spectrum", str(tmp_path / "eigenvalues.json"), "--out", str(out)]
        few = ["--samples", "32", "--trials", "3", "--pictures", "2"]
        assert gaussian.main([*arguments, *few, "--json", str(out / "again.json")]) == 0
        assert capsys.readouterr().out == f"{out / 'table.md'}\n"
        record = json.loads((out / "record.json").read_text())
        assert record == json.loads((out / "again.json").read_text())
        records.append({**record, "seconds": None})
    assert records[0] == records[1]
    names = sorted(path.name for path in (tmp_path / "once").iterdir())
    plots = ["chains.svg", "covariance.svg", "curves.svg", "gain.svg", "snr.svg"]
    assert sorted([*plots, "again.json", "eigenvalues.json", "record.json", "table.md"]) == names
    for name in [*plots, "table.md"]:
        once, twice = (tmp_path / folder / name for folder in ("once", "twice"))
        assert once.read_bytes() == twice.read_bytes()


def test_errors_of_the_command_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    from diffc_benchmarks import gaussian

    for arguments in (
        ["--images", str(tmp_path / "none")],
        ["--spectrum", str(tmp_path / "none.json")],
    ):
        assert gaussian.main([*arguments, "--out", str(tmp_path / "out")]) != 0
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()

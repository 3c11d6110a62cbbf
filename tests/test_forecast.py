"""The receiver's account of its own error."""

from math import log10

import pytest

from diffc_stream.codec.forecast import Expected, Forecast, decibel


def test_a_stated_error_is_believed() -> None:
    forecast = Forecast().refined(snr=0, stated=1.0)
    assert forecast.error(0.5) == pytest.approx(1 / 1.5)
    forecast = forecast.refined(snr=2.0, stated=0.2)
    assert forecast.error(2.0) == pytest.approx(0.2)
    assert forecast.error(3.0) < 0.2


def test_the_slope_follows_what_was_seen() -> None:
    steep, flat = Forecast(), Forecast()
    steep = steep.refined(snr=0, stated=1.0)
    flat = flat.refined(snr=0, stated=1.0)
    for snr in (1.0, 2.0, 4.0, 8.0):
        steep = steep.refined(snr=snr, stated=0.5 * snr**-0.9)
        flat = flat.refined(snr=snr, stated=0.5 * snr**-0.25)
    assert steep.error(16) / steep.error(8) < flat.error(16) / flat.error(8)


def test_opened_detail_adds_to_the_error_and_foretells_the_next() -> None:
    coarse = Forecast().refined(snr=2, stated=0.1)
    once = coarse.opened(snr=0.75, stated=0.08)
    assert coarse.error(3.0) < once.error(0.75) < coarse.error(3.0) + 0.06
    assert once.missing(0) == pytest.approx(0.08 * 0.67)
    falling = once.opened(snr=0.6, stated=0.02)
    assert falling.missing(0) < 0.67 * 0.02
    assert falling.missing(1) < falling.missing(0)
    assert falling.unseen(0) == 0
    # Of what is shut nobody knows yet how well it will be foretold.
    assert 0.75 * falling.missing(0) < falling.unseen(1) < falling.unseen(2) < 0.75 * 0.02


def test_decibels_of_a_signal_of_range_four() -> None:
    assert decibel(16.0) == 0
    assert decibel(0.016) == pytest.approx(30)
    assert decibel(0.0) == pytest.approx(102, abs=1)


def test_white_noise_states_errors_as_they_are() -> None:
    assert Forecast(details=(0.1, 0.05)).plain(0.02, 3.0) == 0.02


def test_errors_weighted_by_precision_are_told_as_they_are() -> None:
    # Of components seen one by one: detail of two octaves, and the means.
    ratio, snr, details = 0.6, 2.0, (0.3, 0.02)
    forecast = Forecast(ratio=ratio, details=details)
    weighted = total = 0.0
    for share, scale, inverse in (
        (3 / 4, 0, 1 / 0.02),
        (3 / 16, 1, 1 / (4 * 0.3)),
        (1 / 16, 2, 0.0),
    ):
        error = share / (snr * ratio**-scale + inverse)
        weighted, total = weighted + ratio**-scale * error, total + error
    assert forecast.plain(weighted, snr) == pytest.approx(total)
    assert total < weighted


def test_openings_of_shaped_noise_go_on_from_a_higher_snr() -> None:
    coarse = Forecast(ratio=0.6).refined(snr=2.0, stated=0.1)
    once = coarse.opened(snr=0.3, stated=0.08)
    assert coarse.error(2.0) < once.error(0.3) < coarse.error(2.0) + 0.06
    assert once.ratio == 0.6


def test_what_is_expected_has_a_range_that_narrows_as_octaves_open() -> None:
    forecast = Forecast().refined(snr=2.0, stated=0.1)
    widths = []
    for octaves in (3, 2, 1, 0):
        expected = forecast.expected(3.0, octaves)
        assert expected.least < expected.error < expected.most
        low, high = expected.psnr_range
        assert low < expected.psnr < high
        widths.append(high - low)
        forecast = forecast.opened(snr=0.75, stated=0.03).refined(snr=2.0, stated=0.05)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(20 * log10(1.2))


def test_an_opening_under_way_is_between_before_and_after() -> None:
    before = Expected(error=0.3, least=0.2, most=0.6)
    after = Expected(error=0.1, least=0.05, most=0.2)
    assert before.mixed(after, 0.0) == before
    half = before.mixed(after, 0.5)
    assert (half.error, half.least, half.most) == pytest.approx((0.2, 0.125, 0.4))


def test_the_first_estimate_errs_by_less_than_values_seen_one_by_one() -> None:
    first = Forecast().refined(snr=0.0, stated=0.5)
    assert first.known(0.0) == first.error(0.0)
    assert first.known(0.4) == pytest.approx(0.5 * first.error(0.4))
    second = first.refined(snr=0.4, stated=0.2)
    assert second.known(0.9) == second.error(0.9)

"""The receiver's account of its own error."""

import pytest

from diffc_stream.codec.forecast import Forecast, decibel


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
    assert falling.unseen(2) == pytest.approx(0.75 * (falling.missing(0) + falling.missing(1)))


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

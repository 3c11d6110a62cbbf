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

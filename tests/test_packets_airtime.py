"""When the next packet may be sent."""

import pytest

from diffc_stream.packets.airtime import Airtime


@pytest.mark.parametrize(
    ("airtime", "gap"),
    [
        (Airtime(), 0.0),
        (Airtime(bytes_per_second=500), 0.4),
        (Airtime(packets_per_second=2), 0.5),
        (Airtime(bytes_per_second=500, packets_per_second=2), 0.5),
        (Airtime(air_rate=1000), 0.2),
        (Airtime(air_rate=1000, duty=0.01), 20.0),
    ],
)
def test_the_strictest_limit_counts(airtime: Airtime, gap: float) -> None:
    assert airtime.gap(200) == pytest.approx(gap)

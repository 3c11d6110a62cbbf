"""The channel simulators, by the codes that steps in a stream use for them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from diffc_stream.channel.dither import DitheredQuantization
from diffc_stream.channel.pfr import PoissonFunctionalRepresentation
from diffc_stream.channel.simulator import Simulator as ChannelSimulator
from diffc_stream.channel.trellis import Trellis
from diffc_stream.container.grammar import Simulator

TRELLIS = Trellis()
"""The only one of them that can go on where parts of a payload are lost."""
SIMULATORS: Mapping[Simulator, ChannelSimulator] = MappingProxyType(
    {
        Simulator.TRELLIS: TRELLIS,
        Simulator.PFR: PoissonFunctionalRepresentation(),
        Simulator.DITHER: DitheredQuantization(),
    }
)

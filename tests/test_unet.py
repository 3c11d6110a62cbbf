"""The network takes any size it says it takes, and treats every noise level its own way."""

import pytest
import torch

from diffc_stream.diffusion.architecture import (
    MOST_CHANNELS,
    NOISE_FEATURES,
    Architecture,
    noise_features,
)
from diffc_stream.diffusion.unet import UNet

SMALL = Architecture(widths=(4, 8), blocks=(1, 1))


@pytest.mark.parametrize("size", [(4, 4), (8, 20)])
def test_shapes(size: tuple[int, int]) -> None:
    network = UNet(SMALL)
    z = torch.randn(2, 3, *size)
    features = torch.tensor([noise_features(0.0), noise_features(3.0)])
    assert network(z, features).shape == z.shape
    assert SMALL.multiple == 4


def test_noise_features_are_bounded_distinct_and_clamped() -> None:
    seen = [noise_features(level) for level in (-30.0, -12.0, -5.0, 0.0, 5.0, 12.0, 30.0)]
    assert all(len(features) == NOISE_FEATURES for features in seen)
    assert all(-1 <= value <= 1 for features in seen for value in features)
    assert seen[0] == seen[1]
    assert seen[-1] == seen[-2]
    assert len({tuple(features) for features in seen}) == 5


def test_an_architecture_must_be_consistent() -> None:
    with pytest.raises(ValueError, match="as many"):
        Architecture(widths=(4, 8), blocks=(1,))
    with pytest.raises(ValueError, match="between"):
        Architecture(widths=(4, MOST_CHANNELS + 1), blocks=(1, 1))
    with pytest.raises(ValueError, match="levels"):
        Architecture(widths=(4,) * 7, blocks=(1,) * 7)


def test_a_step_of_descent_lowers_the_loss() -> None:
    torch.manual_seed(0)
    network = UNet(SMALL)
    z = torch.randn(4, 3, 16, 16)
    features = torch.tensor([noise_features(0.0)] * 4)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05)
    losses = []
    for _ in range(5):
        loss = (network(z, features) - z).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]

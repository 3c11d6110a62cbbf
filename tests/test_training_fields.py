"""What is trained on is what its formulas say: precisions, observations and the loss."""

import math

import numpy as np
import pytest
import torch

from training import fields


def whole(
    level: float, side: int, *, ratio: float = 0.6, share: float = 1.0, scales: int = 2
) -> fields.Fields:
    count = 400
    return fields.Fields(
        levels=torch.full((count,), level),
        ratios=torch.full((count,), ratio),
        shares=torch.full((count,), share),
        maps=torch.ones(count, 1, side, side),
        scales=scales,
    )


def test_the_transform_is_orthonormal_and_inverts() -> None:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    transformed = fields.bands(x, 3)
    assert [tuple(band.shape) for band in transformed] == [
        (2, 3, 3, 16, 16),
        (2, 3, 3, 8, 8),
        (2, 3, 3, 4, 4),
        (2, 3, 4, 4),
    ]
    energy = sum(float(band.square().sum()) for band in transformed)
    assert energy == pytest.approx(float(x.square().sum()), rel=1e-5)
    torch.testing.assert_close(fields.picture(transformed), x)


def test_precision_grows_from_scale_to_scale_by_the_ratio() -> None:
    finest, second, low = whole(1.0, 8, ratio=0.5, share=0.25).precisions()
    assert finest[0, 0, 0, 0] == pytest.approx(0.25 * math.e)
    assert second[0, 0, 0, 0] == pytest.approx(2 * math.e)
    assert low[0, 0, 0, 0] == pytest.approx(4 * math.e)


def test_a_map_weighs_the_places_it_covers() -> None:
    field = whole(0.0, 8)
    field.maps[..., :4] = 3.0
    for precision in field.precisions():
        left, right = precision.chunk(2, dim=-1)
        torch.testing.assert_close(left, 3 * right)


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_an_observation_has_the_noise_that_its_precisions_say(share: float) -> None:
    field = whole(0.5, 8, share=share)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 3, 8, 8, generator=generator)
    noise = torch.randn(x.shape, generator=generator)
    seen = fields.bands(field.observed(x, noise) / field.alpha(), field.scales)
    true = fields.bands(x, field.scales)
    for z, signal, p, q in zip(
        seen, true, field.precisions(), field.precisions(whole=True), strict=True
    ):
        known, full = float(p[0, 0, 0, 0]), float(q[0, 0, 0, 0])
        rest = z - known / full * signal
        assert float(rest.var()) == pytest.approx(known / full**2, rel=0.08)
        assert abs(float((rest * signal).mean())) < 0.05


def test_white_noise_is_the_variance_preserving_form() -> None:
    field = fields.uniform(torch.tensor([0.7]), 8, ratio=1.0)
    x, noise = torch.randn(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(2)).unbind(0)
    snr = math.exp(0.7)
    expected = math.sqrt(snr / (1 + snr)) * x + math.sqrt(1 / (1 + snr)) * noise
    torch.testing.assert_close(field.observed(x, noise), expected)


def test_the_loss_weighs_errors_by_precision() -> None:
    field = whole(0.0, 8, ratio=0.5, scales=1)
    error = torch.ones(400, 3, 8, 8)  # all of it in the low band, whose precision is 2
    assert float(field.loss(error)) == pytest.approx(3.0)


def test_what_is_not_there_is_seen_as_nothing() -> None:
    field = whole(0.0, 8, share=0.0)
    seen = field.observed(torch.randn(400, 3, 8, 8), torch.randn(400, 3, 8, 8))
    assert float(fields.bands(seen, 1)[0].abs().max()) < 1e-6


@pytest.mark.parametrize("side", [16, 32, 64, 128])
def test_fields_are_mostly_the_codecs_own_and_the_same_for_the_same_seed(side: int) -> None:
    levels = torch.zeros(200)
    drawn = fields.draw(levels, side, np.random.default_rng(3))
    again = fields.draw(levels, side, np.random.default_rng(3))
    assert torch.equal(drawn.maps, again.maps)
    assert torch.equal(drawn.ratios, again.ratios)
    assert drawn.scales == again.scales
    own = (drawn.ratios == fields.RATIO) & (drawn.shares == 1)
    assert 110 < int(own.sum()) < 165
    assert float(drawn.maps.min()) > math.exp(-4)
    assert float(drawn.maps.max()) < math.exp(4)
    assert bool((drawn.shares == 0).any())
    assert side / 2**drawn.scales >= fields.SMALLEST_SIDE

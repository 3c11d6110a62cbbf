"""Graphics are of all kinds, none is empty, and a seed says which."""

import numpy as np
import pytest
from PIL import Image

from training import graphics
from training.graphics import DRAWINGS, SIDE, graphic


def test_a_seed_says_which() -> None:
    first, again, other = (graphic(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.__name__.strip("_"))
def test_every_kind_leaves_something_on_the_paper(drawing: graphics.Drawing) -> None:
    for seed in range(5):
        image = Image.new("RGB", (SIDE, SIDE), (255, 255, 255))
        drawing(image, np.random.default_rng(seed))
        pixels = np.asarray(image)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 1

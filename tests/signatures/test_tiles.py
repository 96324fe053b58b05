"""Pieces of large images: every pixel once, and as much around them as is needed."""

import numpy as np
import pytest

from keras_gen.errors import UsageError
from keras_gen.signatures.tiles import enlarged, pieces


@pytest.mark.parametrize(
    ("height", "width", "tile", "reach"), [(7, 10, 3, 2), (5, 5, 5, 9), (1, 9, 4, 0), (6, 4, None, 1)]
)
def test_every_pixel_is_kept_once_and_seen_with_its_surroundings(height, width, tile, reach):
    count = np.zeros((height, width), int)
    for piece in pieces(height, width, tile, reach):
        count[piece.kept] += 1
        for kept, seen, side in zip(piece.kept, piece.seen, (height, width), strict=True):
            assert seen == slice(max(kept.start - reach, 0), min(kept.stop + reach, side))
    assert (count == 1).all()


def test_pieces_come_together_and_are_told():
    image, told = np.random.default_rng(0).normal(size=(2, 7, 10, 3)), []

    def make(part):
        assert part.shape[1] <= 3 + 2 * 2
        return part.repeat(2, 1).repeat(2, 2)

    made = enlarged(make, image, 2, 2, tile=3, finish=lambda part: np.rint(part), done=told.append)
    np.testing.assert_array_equal(made, np.rint(image.repeat(2, 1).repeat(2, 2)))
    assert told == [1] * 12


def test_a_tile_that_is_none():
    with pytest.raises(UsageError, match="tile is 0; expected a whole number"):
        pieces(4, 4, 0, 1)

"""Large images in pieces: each is computed with as much around it as the networks see, so that no seam shows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_gen.errors import UsageError, positive
from keras_gen.signatures.values import of_known_range


class Piece(NamedTuple):
    """A part of an image: what is kept of it, and what is seen for that, as rows and columns of the image."""

    kept: tuple[slice, slice]
    seen: tuple[slice, slice]

    def within(self, scale: int) -> tuple[slice, slice]:
        """Returns where in what is seen, made larger, that which is kept is."""
        return tuple(
            slice(scale * (kept.start - seen.start), scale * (kept.stop - seen.start))
            for kept, seen in zip(self.kept, self.seen, strict=True)
        )


def pieces(height: int, width: int, tile: int | None, reach: int) -> list[Piece]:
    """Cuts an image into squares.

    Args:
        height: of the image.
        width: of the image.
        tile: side of a square, without what it shares with its neighbors; `None` keeps the image whole.
        reach: pixels around a square that are seen with it.

    Raises:
        UsageError: `tile` is not a whole number from 1 on.
    """
    tile = max(height, width) if tile is None else positive("tile", tile)

    def along(side):
        return [
            (slice(at, min(at + tile, side)), slice(max(at - reach, 0), min(at + tile + reach, side)))
            for at in range(0, side, tile)
        ]

    return [Piece((y, x), (around_y, around_x)) for y, around_y in along(height) for x, around_x in along(width)]


def enlarged(
    make: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    scale: int,
    reach: int,
    tile: int | None = None,
    finish: Callable[[np.ndarray], np.ndarray] = lambda made: made,
    done: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Makes images larger, piece by piece.

    Args:
        make: images (n, H, W, C) to images (n, scale * H, scale * W, C), of any height and width.
        images: (n, H, W, C).
        scale: of `make`.
        reach: pixels of its input around its own one that a pixel which `make` makes depends on.
        tile: as for `pieces`.
        finish: what becomes of each piece before it is kept, such as 256 levels.
        done: is told of each piece that is done, by the number 1.

    Returns:
        (n, scale * H, scale * W, C).

    Raises:
        UsageError: images of another form, or a tile that is no whole number from 1 on.
    """
    images = np.asarray(images)
    if images.ndim != 4 or not images.size:
        raise UsageError(f"images have shape {images.shape}; expected (n, H, W, C), none of them 0")
    rows, height, width, _ = images.shape
    whole = None
    for piece in pieces(height, width, tile, reach):
        with of_known_range():  # of a part nothing is told that is not true of the whole
            made = make(images[(slice(None), *piece.seen)])
        made = finish(made[(slice(None), *piece.within(scale))])
        if whole is None:
            whole = np.empty((rows, scale * height, scale * width, made.shape[-1]), made.dtype)
        whole[(slice(None), *(slice(scale * part.start, scale * part.stop) for part in piece.kept))] = made
        done(1)
    return whole

"""Images made smaller and larger: as Pillow does it, and by operations that every runtime has."""

import numpy as np
import pytest
from PIL import Image

from keras_gen.errors import UsageError
from keras_gen.ops.resample import FILTERS, enlarged, matrix, resized, shrunk


def noise(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("kind", ["nearest", *FILTERS])
@pytest.mark.parametrize("size", [(5, 9), (6, 4), (24, 40), (13, 3)])
def test_every_filter_is_pillow_s(kind, size):
    image = noise(1, 12, 20, 1)
    expected = np.asarray(Image.fromarray(image[0, ..., 0]).resize(size[::-1], Image.Resampling[kind.upper()]))
    np.testing.assert_allclose(resized(image, size, kind)[0, ..., 0], expected, atol=2e-6)


def test_low_images_are_pillow_s():
    levels = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
    small = np.asarray(Image.fromarray(levels).resize((12, 8), Image.Resampling.BICUBIC), int)
    ours = shrunk(levels[None] / np.float32(127.5) - 1, 2).numpy()
    assert ours.shape == (1, 8, 12, 3) and np.abs(ours).max() <= 1
    made = (ours[0] + 1) * 127.5
    np.testing.assert_allclose(made, np.rint(made), atol=1e-3)
    assert np.abs(made - small).max() < 1.5 and np.abs(made - small).mean() < 0.3  # which rounds in between


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("sides", [(1, 1), (2, 7), (9, 4)])
def test_bilinear_of_any_size_is_the_filter_s(scale, sides):
    image = noise(2, *sides, 3)
    expected = resized(image, [scale * side for side in sides], "bilinear")
    np.testing.assert_allclose(enlarged(image, scale), expected, atol=1e-6)


def test_a_constant_stays_one():
    for kind in ("nearest", *FILTERS):
        for old, new in ((7, 3), (3, 7), (8, 4)):
            np.testing.assert_allclose(matrix(kind, old, new).sum(axis=1), 1, atol=1e-6)


def test_what_does_not_fit_is_one_line():
    with pytest.raises(UsageError, match="images have 9x8 pixels; expected sides that 2 divides"):
        shrunk(noise(1, 9, 8, 1), 2)
    with pytest.raises(UsageError, match="filter='cubic' is not known"):
        matrix("cubic", 4, 2)

"""The layer that makes pixels of channels, by numbers."""

import keras
import numpy as np
import pytest

from keras_gen.errors import UsageError
from keras_gen.layers import PixelShuffle
from keras_gen.networks.build import doubled


@pytest.mark.parametrize("scale", [2, 3])
def test_every_channel_becomes_its_pixel(scale):
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3 * scale**2)).astype(np.float32)
    made = PixelShuffle(scale)(x).numpy()
    assert made.shape == (2, 4 * scale, 5 * scale, 3)
    for row in range(scale):
        for column in range(scale):
            first = 3 * (scale * row + column)
            np.testing.assert_array_equal(made[:, row::scale, column::scale], x[..., first : first + 3])


def test_shapes_and_configuration():
    image = keras.Input((None, 5, 8))
    assert PixelShuffle(2)(image).shape == (None, None, 10, 2)
    assert PixelShuffle.from_config(PixelShuffle(2, name="up").get_config()).scale == 2
    with pytest.raises(UsageError, match="there are 8 channels; expected a multiple of 9"):
        PixelShuffle(3)(image)
    with pytest.raises(UsageError, match="scale is 0"):
        PixelShuffle(0)


def test_a_pixel_is_doubled_as_keras_doubles_it():
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(doubled(x), keras.layers.UpSampling2D(2)(x))

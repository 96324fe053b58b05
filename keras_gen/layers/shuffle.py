"""From channels to pixels: what networks make images larger with."""

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive


@keras.saving.register_keras_serializable("keras_gen")
class PixelShuffle(keras.layers.Layer):
    """Turns channels into pixels: (B, H, W, scale^2 C) becomes (B, scale H, scale W, C).

    Channel (scale y + x) C + c becomes channel c of the pixel in row y and column x of its square. Theano's and
    PyTorch's order is another, (scale^2 c + scale y + x), so that weights of one need not be those of the other.

    Args:
        scale: pixels on a side that one becomes.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `scale` is not a whole number from 1 on, or its square does not divide the channels.

    Example:
        ```python
        x = PixelShuffle(2)(x)  # (B, H, W, 4 C) to (B, 2 H, 2 W, C)
        ```

    Reference:
        Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
        Network", 2016, arXiv:1609.05158.
    """

    def __init__(self, scale: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.scale = positive("scale", scale)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}

    def call(self, x):
        """Returns `x` in larger images."""
        return tf.nn.depth_to_space(x, self.scale) if self.scale > 1 else x

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        rows, height, breadth, channels = input_shape
        if channels % self.scale**2:
            raise UsageError(f"there are {channels} channels; expected a multiple of {self.scale**2}")
        larger = (None if side is None else side * self.scale for side in (height, breadth))
        return (rows, *larger, channels // self.scale**2)

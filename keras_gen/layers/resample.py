"""Resampling of maps by fixed filters, which let no frequency through that a coarser map cannot hold."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, positive


@keras.saving.register_keras_serializable("keras_gen")
class FIR(keras.layers.Layer):
    """Makes maps larger by `up` and smaller by `down`, with a separable filter in between, (B, H, W, C).

    Along each axis: `up - 1` zeros after each pixel, zeros around the whole, the filter, and each `down`-th pixel of
    what comes out, as `scipy.signal.upfirdn` does. Constants stay: the filter sums to `up`. It has no weights.

    Args:
        taps: of the filter along an axis, divided by their sum: (1, 3, 3, 1) in StyleGAN2, (1, 2, 1) in StyleGAN.
        up: times that the sides become longer.
        down: times that they become shorter.
        padding: zeros before and after each axis, in pixels of the larger map; one number is for both. By default what
            gives `up` / `down` times the sides and keeps maps where they are, to half a pixel of the larger one.
        gain: of constants; by default `up`^2, which makes up for the zeros, so that constants stay.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: taps that sum to 0, or `up` or `down` that is not a whole number from 1 on.

    Example:
        ```python
        larger = FIR(up=2)(x)  # (B, 2 H, 2 W, C)
        smaller = FIR(down=2)(x)  # (B, H / 2, W / 2, C)
        blurred = FIR((1, 2, 1))(x)  # (B, H, W, C)
        ```

    Reference:
        Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958; Zhang, "Making
        Convolutional Networks Shift-Invariant Again", 2019, arXiv:1904.11486.
    """

    def __init__(
        self,
        taps: Sequence[float] = (1, 3, 3, 1),
        up: int = 1,
        down: int = 1,
        padding: int | Sequence[int] | None = None,
        gain: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.taps, self.up, self.down = [float(tap) for tap in taps], positive("up", up), positive("down", down)
        if not sum(self.taps):
            raise UsageError(f"taps are {tuple(taps)}, whose sum is 0; expected a filter such as (1, 3, 3, 1)")
        length = len(self.taps)
        usual = ((length - down + up) // 2, (length - up - down + 1) // 2)
        padding = usual if padding is None else (padding, padding) if isinstance(padding, int) else padding
        self.padding = [int(side) for side in padding]
        self.gain = float(self.up**2 if gain is None else gain)

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("taps", "up", "down", "padding", "gain")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, x):
        """Returns `x`, resampled."""
        height, width, channels = x.shape[1:]
        if self.up > 1:
            wide, zeros = self.up * width, self.up - 1
            x = tf.pad(tf.reshape(x, (-1, height * width, channels)), [[0, 0], [0, 0], [0, zeros * channels]])
            x = tf.pad(tf.reshape(x, (-1, height, wide * channels)), [[0, 0], [0, 0], [0, zeros * wide * channels]])
            x = tf.reshape(x, (-1, self.up * height, wide, channels))
        x = tf.pad(x, [[0, 0], self.padding, self.padding, [0, 0]])
        taps = np.array(self.taps[::-1]) / sum(self.taps)  # reversed: TensorFlow's convolution correlates
        kernel = np.tile(self.gain * np.outer(taps, taps)[..., None, None], (1, 1, channels, 1))
        return tf.nn.depthwise_conv2d(x, tf.constant(kernel, x.dtype), [1, self.down, self.down, 1], "VALID")

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        more = sum(self.padding) - len(self.taps)
        sides = ((side * self.up + more) // self.down + 1 for side in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1])

"""Convolution whose kernel each example scales by a style of its own."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import choice, positive
from keras_gen.layers.equalized import EqualizedDense
from keras_gen.layers.resample import FIR

FLOOR = 1e-8  # added to the sums of squares that demodulation divides by


@keras.saving.register_keras_serializable("keras_gen")
class ModulatedConv2D(keras.layers.Layer):
    """Convolution with a kernel of each example's own: its inputs scaled by a style, its outputs brought to variance 1.

    It is called with a list: x (B, H, W, C), and the example's w (B, d), of which an equalized dense layer with bias 1
    makes the factors s (B, C). With the equalized kernel k, an output is the convolution of s x, divided by
    sqrt(sum over C and places of (s k)^2): what it would be if kernels were scaled and normalized one by one.

    With `up=2` a transposed convolution doubles the sides and a FIR filter follows.

    Args:
        filters: channels of the output.
        kernel_size: side of the kernel in pixels.
        up: times that the sides become longer, 1 or 2.
        demodulate: whether outputs are brought to variance 1; colors are not.
        padding: `"same"`, or `"full"`, kernel_size - 1 zeros on each side, with `up=1`.
        taps: of the filter after doubling, as for `FIR`.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `filters` is not a whole number from 1 on, or a choice that does not exist.

    Example:
        ```python
        y = ModulatedConv2D(32, up=2)([x, tf.ones((8, 64))])  # (B, 2 H, 2 W, 32)
        ```

    Reference:
        Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, section 2.2. It
        has no bias: noise and `BiasActivation` follow.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        up: int = 1,
        demodulate: bool = True,
        padding: str = "same",
        taps: tuple[float, ...] = (1, 3, 3, 1),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size = positive("filters", filters), positive("kernel_size", kernel_size)
        self.up, self.demodulate = choice("up", up, (1, 2)), demodulate
        self.padding, self.taps = choice("padding", padding, ("same", "full")), [float(tap) for tap in taps]
        self.affine, self.blur = None, None

    def build(self, input_shape):
        """Makes the kernel and the layer that makes factors of w."""
        x, w = input_shape
        self.affine = EqualizedDense(x[-1], bias=1.0, dtype=self.dtype_policy, name="affine")
        self.affine.build(w)
        if self.up == 2:
            around = len(self.taps) + 1 - self.kernel_size
            sides = (around - around // 2, around // 2)
            self.blur = FIR(self.taps, padding=sides, gain=4.0, dtype=self.dtype_policy, name="blur")
        shape = (self.kernel_size, self.kernel_size, x[-1], self.filters)
        spread = keras.initializers.RandomNormal(stddev=1.0)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=spread, autocast=False)
        self.scale = 1.0 / math.sqrt(math.prod(shape[:-1]))

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("filters", "kernel_size", "up", "demodulate", "padding", "taps")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, inputs):
        """Returns [x, w]'s x, convolved."""
        x, w = inputs
        wide = keras.backend.result_type(self.compute_dtype, "float32")
        style = tf.cast(self.affine(w), wide)  # (B, C)
        kernel = tf.cast(self.scale * tf.convert_to_tensor(self.kernel), wide)  # (k, k, C, filters)
        # Convolution is linear: scaling what enters and what leaves equals one kernel for each example, which would
        # take grouped convolutions, and those have no gradient on CPU.
        x = self._convolved(x * tf.cast(style, x.dtype)[:, None, None], tf.cast(kernel, x.dtype))
        if self.demodulate:
            power = tf.reduce_sum(tf.square(kernel), axis=(0, 1))  # (C, filters)
            factor = tf.math.rsqrt(tf.matmul(tf.square(style), power) + FLOOR)  # (B, filters)
            x *= tf.cast(factor, x.dtype)[:, None, None]
        return x

    def _convolved(self, x, kernel):
        if self.up == 1:
            if self.padding == "full":
                sides = [self.kernel_size - 1] * 2
                x = tf.pad(x, [[0, 0], sides, sides, [0, 0]])
            return tf.nn.conv2d(x, kernel, 1, "SAME" if self.padding == "same" else "VALID")
        longer = (2 * side + self.kernel_size - 2 for side in x.shape[1:3])
        shape = (tf.shape(x)[0], *longer, self.filters)
        return self.blur(tf.nn.conv2d_transpose(x, tf.transpose(kernel, (0, 1, 3, 2)), shape, 2, "VALID"))

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        rows, height, width, _ = input_shape[0]
        more = self.kernel_size - 1 if self.padding == "full" and self.up == 1 else 0
        return (rows, height * self.up + more, width * self.up + more, self.filters)

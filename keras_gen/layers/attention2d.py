"""Self-attention between the pixels of maps."""

import keras
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.layers.spectral import SpectralConv2D


@keras.saving.register_keras_serializable("keras_gen")
class SelfAttention2D(keras.layers.Layer):
    """Adds to each pixel of a map (B, H, W, C) what it finds at all others, times a learned number that begins at 0.

    A pixel asks by theta, C / 8 channels; pixels are found by phi, C / 8 channels, and give g, C / 2 channels, both
    taken as maxima over squares of four: y = x + gamma o(softmax(theta phi') g). All four are convolutions of 1x1
    without biases. The new layer is the identity, bit for bit.

    Args:
        spectral: divide the four kernels by their largest singular values, as `SpectralConv2D` does.
        kernel_initializer: of the four kernels.
        **kwargs: `name`, `dtype` and `trainable`.

    Raises:
        UsageError: a side of the map is odd or not known.

    Example:
        ```python
        y = SelfAttention2D(spectral=True)(x)  # (B, H, W, C), twice
        ```

    Reference:
        Zhang, Goodfellow, Metaxas and Odena, "Self-Attention Generative Adversarial Networks", 2018, arXiv:1805.08318,
        as the authors' program has it: the maxima and the C / 2 are not in the paper.
    """

    def __init__(self, spectral: bool = False, kernel_initializer: str = "glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        # Of each kernel an initializer of its own: one that is shared draws the same numbers for all.
        self.kernel_initializer = keras.initializers.serialize(keras.initializers.get(kernel_initializer))
        self.spectral = bool(spectral)

    def build(self, input_shape):
        """Makes the convolutions and gamma, by the shape of the map."""
        _, height, width, channels = input_shape
        if not height or not width or height % 2 or width % 2:
            raise UsageError(f"a map of {height}x{width} cannot be halved; attention expects even sides that are known")
        kind = SpectralConv2D if self.spectral else keras.layers.Conv2D
        sizes = {"theta": max(1, channels // 8), "phi": max(1, channels // 8), "g": max(1, channels // 2)}
        for name, filters in {**sizes, "o": channels}.items():
            given = {"use_bias": False, "kernel_initializer": self.kernel_initializer, "dtype": self.dtype_policy}
            made = kind(filters, 1, name=name, **given)
            made.build((*input_shape[:3], channels if name != "o" else sizes["g"]))
            setattr(self, name, made)
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="zeros", autocast=False)

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("spectral", "kernel_initializer")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, inputs, training=False):
        """Returns the map with what its pixels have found."""
        given = {"training": training} if self.spectral else {}
        asks = _pixels(self.theta(inputs, **given))  # (B, H W, C / 8)
        found = _pixels(_halved(self.phi(inputs, **given)))  # (B, H W / 4, C / 8)
        gives = _pixels(_halved(self.g(inputs, **given)))  # (B, H W / 4, C / 2)
        scores = tf.cast(tf.matmul(asks, found, transpose_b=True), tf.float32)
        shares = tf.cast(tf.nn.softmax(scores), inputs.dtype)  # (B, H W, H W / 4)
        height, width = inputs.shape[1:3]
        taken = tf.reshape(tf.matmul(shares, gives), (-1, height, width, gives.shape[-1]))
        return inputs + tf.cast(self.gamma, inputs.dtype) * self.o(taken, **given)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the map."""
        return tuple(input_shape)


def _halved(x):
    """Returns the maxima of squares of four pixels."""
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def _pixels(x):
    """Returns a map (B, H, W, C) as (B, H W, C)."""
    return tf.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))

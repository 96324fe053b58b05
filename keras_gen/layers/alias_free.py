"""Layers of a generator whose maps are samples of continuous signals, and move and turn as these do."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, number, positive
from keras_gen.layers.filters import downsampling, lowpass, margins, radial_lowpass, upsampling

FLOOR = 1e-12  # of squares by whose root something is divided


@keras.saving.register_keras_serializable("keras_gen")
class FourierFeatures(keras.layers.Layer):
    """Waves of random frequencies, moved and turned as a style says and as a user asks: maps (B, size, size, channels).

    It is called with a list: the style (B, d), the shift (B, 2), to the right and down, in sides of the image, and the
    angle (B,), in degrees, counterclockwise. Both are of the resulting image: it is turned about its middle, then
    shifted. Frequencies are fixed, uniform in a disc; four numbers, which the style gives, turn and shift the waves
    before that; and a matrix mixes them.

    Args:
        channels: waves, and maps.
        size: samples on a side, margins included.
        rate: samples on the side of the image.
        cutoff: highest frequency, in cycles per image.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: a size that is not a whole number from 1 on.

    Example:
        ```python
        style, shift, angle = tf.ones((8, 32)), tf.zeros((8, 2)), tf.zeros(8)
        x = FourierFeatures(64, size=36, rate=16, cutoff=2.0)([style, shift, angle])  # (8, 36, 36, 64)
        ```

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423, appendix F.1.
    """

    def __init__(self, channels: int, size: int, rate: int, cutoff: float, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # phases are not for half precision
        self.channels, self.size = positive("channels", channels), positive("size", size)
        self.rate, self.cutoff = positive("rate", rate), number("cutoff", cutoff)

    def build(self, input_shape: Any) -> None:
        """Makes the waves, the matrix that mixes them, and what turns a style into their motion."""
        count, width = self.channels, input_shape[0][-1]

        def disc(shape, dtype=None):
            drawn = keras.random.normal(shape, dtype=dtype)
            squares = tf.reduce_sum(tf.square(drawn), axis=1, keepdims=True)  # -2 log of a uniform number
            return self.cutoff * drawn * tf.math.rsqrt(squares) * tf.exp(-squares / 4.0)

        phase = keras.initializers.RandomUniform(-0.5, 0.5)
        self.frequencies = self.add_weight(name="frequencies", shape=(count, 2), initializer=disc, trainable=False)
        self.phases = self.add_weight(name="phases", shape=(count,), initializer=phase, trainable=False)
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.kernel = self.add_weight(name="kernel", shape=(count, count), initializer=normal)
        self.motion = self.add_weight(name="motion", shape=(width, 4), initializer="zeros")
        start = keras.initializers.Constant([1.0, 0.0, 0.0, 0.0])
        self.motion_bias = self.add_weight(name="motion_bias", shape=(4,), initializer=start)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = ("channels", "size", "rate", "cutoff")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, inputs: list) -> tf.Tensor:
        """Returns the waves that [style, shift, angle] ask for."""
        style, shift, angle = (tf.cast(value, tf.float32) for value in inputs)
        motion = tf.matmul(style, tf.convert_to_tensor(self.motion)) / math.sqrt(style.shape[-1])
        cos, sin, right, down = tf.split(motion + tf.convert_to_tensor(self.motion_bias), 4, axis=1)  # (B, 1) each
        length = tf.math.rsqrt(tf.maximum(tf.square(cos) + tf.square(sin), FLOOR))
        cos, sin, right, down = cos * length, sin * length, right * length, down * length
        angle = tf.reshape(angle, (-1, 1)) * (math.pi / 180.0)
        cos_user, sin_user = tf.cos(angle), tf.sin(angle)
        # Rows of numbers, for matrices of each row are more than a file for phones can hold. A pixel's position p comes
        # from turn_style (turn_user (p - shift) - shift_style).
        x, y = shift[:, 0:1], shift[:, 1:2]
        x, y = cos_user * x - sin_user * y + right, sin_user * x + cos_user * y + down
        x, y = sin * y - cos * x, -sin * x - cos * y
        cos, sin = cos * cos_user - sin * sin_user, sin * cos_user + cos * sin_user
        along, across = tf.unstack(tf.convert_to_tensor(self.frequencies), axis=1)  # (channels,) each
        phase = tf.convert_to_tensor(self.phases) + along * x + across * y  # (B, channels)
        along, across = along * cos + across * sin, across * cos - along * sin
        position = (np.arange(self.size, dtype=np.float32) + 0.5 - self.size / 2) / self.rate  # 0 is the middle
        columns = position[:, None] * along[:, None, :] + phase[:, None, :]  # (B, size, channels)
        rows = position[:, None] * across[:, None, :]
        waves = tf.sin(2 * math.pi * (rows[:, :, None, :] + columns[:, None, :, :]))  # (B, size, size, channels)
        kernel = tf.convert_to_tensor(self.kernel) / math.sqrt(self.channels)
        waves = tf.cast(tf.reshape(waves, (-1, self.channels)), self.compute_dtype)
        mixed = tf.matmul(waves, tf.cast(kernel, self.compute_dtype))
        return tf.reshape(mixed, (-1, self.size, self.size, self.channels))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Returns the shape of the maps."""
        return (input_shape[0][0], self.size, self.size, self.channels)


@keras.saving.register_keras_serializable("keras_gen")
class FilteredLeakyReLU(keras.layers.Layer):
    """Adds a bias and applies a leaky ReLU, of the continuous signal that maps (B, H, H, C) are samples of.

    What the bend adds beyond half of the rate would fold back. So the maps are filtered to a higher rate first, and
    filtered again before they come back to one: both filters are two products with fixed matrices, one for each axis,
    in which the margins are, too.

    Args:
        size: samples on a side of the result.
        up: factor of the rate before the leaky ReLU.
        down: factor after it.
        rate: of what comes in, in samples per unit of frequency.
        up_band: cutoff and half width of the transition band, of the filter before.
        down_band: the same, of the filter after.
        taps: of a filter, for each sample of the coarser side.
        radial: the filter after treats all directions alike, and is no product of two.
        slope: below 0.
        gain: of the result, which keeps its variance near 1.
        clamp: the largest absolute value of it.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: a number out of range, or maps that are not square.

    Example:
        ```python
        layer = FilteredLeakyReLU(52, up=4, down=2, rate=16, up_band=(4.0, 4.0), down_band=(5.66, 10.34))
        y = layer(x)  # (B, 38, 38, C) to (B, 52, 52, C), at twice the rate
        ```

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423, section 3.2.
    """

    def __init__(
        self,
        size: int,
        up: int,
        down: int,
        rate: int,
        up_band: tuple[float, float],
        down_band: tuple[float, float],
        taps: int = 6,
        radial: bool = False,
        slope: float = 0.2,
        gain: float = math.sqrt(2),
        clamp: float = 256.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size, self.up, self.down = positive("size", size), positive("up", up), positive("down", down)
        self.rate, self.taps, self.radial = rate, positive("taps", taps), radial
        self.up_band, self.down_band = tuple(up_band), tuple(down_band)
        self.slope, self.gain, self.clamp = slope, gain, clamp

    def build(self, input_shape: Any) -> None:
        """Makes the bias, and the matrices."""
        _, height, width, channels = input_shape
        if height != width:
            raise UsageError(f"maps are {height}x{width}; expected square ones")
        self.bias = self.add_weight(name="bias", shape=(channels,), initializer="zeros")
        lengths = [self.taps * factor if factor > 1 else 1 for factor in (self.up, self.down)]
        padding, finer = margins(height, self.size, self.up, self.down, *lengths), self.rate * self.up
        self._up = upsampling(height, self.up, lowpass(lengths[0], *self.up_band, finer), padding)
        if self.radial and self.down > 1:
            self._down = radial_lowpass(lengths[1], *self.down_band, finer)
        else:
            self._down = downsampling(len(self._up), self.down, lowpass(lengths[1], *self.down_band, finer))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        names = ("size", "up", "down", "rate", "up_band", "down_band", "taps", "radial", "slope", "gain", "clamp")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the filtered leaky ReLU of `x`."""
        x = _along_both(x + tf.cast(self.bias, x.dtype), self._up)
        x = tf.clip_by_value(self.gain * tf.maximum(x, self.slope * x), -self.clamp, self.clamp)
        if not self.radial or self.down == 1:
            return _along_both(x, self._down)
        kernel = tf.constant(np.repeat(self._down[:, :, None, None], x.shape[-1], axis=2), x.dtype)
        return tf.nn.depthwise_conv2d(x, kernel, (1, self.down, self.down, 1), "VALID")

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Returns the shape of the result."""
        return (input_shape[0], self.size, self.size, input_shape[-1])


@keras.saving.register_keras_serializable("keras_gen")
class MagnitudeNormalization(keras.layers.Layer):
    """Divides by the root of a moving average of the mean square: one number for all that comes in.

    Training calls move the average by their batch first. It is a state of the layer, and inference divides by it, too.

    Args:
        half_life: rows after which half of the average is of later ones.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: a half-life that is not above 0.

    Example:
        ```python
        x = MagnitudeNormalization()(x)  # (B, H, W, C)
        ```

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423, section 3.2.
    """

    def __init__(self, half_life: float = 20_000, **kwargs: Any):
        super().__init__(**kwargs)
        if not number("half_life", half_life) > 0:
            raise UsageError(f"half_life is {half_life}; expected a number of rows above 0, such as 20,000")
        self.half_life = half_life

    def build(self, input_shape: Any) -> None:
        """Makes the average, which begins at 1."""
        state = {"trainable": False, "autocast": False, "dtype": "float32", "aggregation": "only_first_replica"}
        self.magnitude = self.add_weight(name="magnitude", shape=(), initializer="ones", **state)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "half_life": self.half_life}

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns `x`, divided."""
        magnitude = tf.convert_to_tensor(self.magnitude)
        if training:
            magnitude = self._moved(magnitude, tf.stop_gradient(tf.cast(x, tf.float32)))
            self.magnitude.assign(magnitude)
        return x * tf.cast(tf.math.rsqrt(tf.maximum(magnitude, FLOOR)), x.dtype)

    def _moved(self, magnitude, x):
        """Returns the average after a batch: on replicas after those of all, equally."""
        rows = tf.cast(tf.shape(x)[0], tf.float32)
        total = rows * tf.reduce_mean(tf.square(x))
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            rows, total = context.all_reduce("sum", [rows, total])
        kept = tf.pow(0.5, rows / self.half_life)
        return kept * magnitude + (1.0 - kept) * total / tf.maximum(rows, 1.0)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        """Returns the shape of `x`."""
        return tuple(input_shape)


def _along_both(x, matrix):
    """Multiplies maps (B, H, H, C) by a matrix (K, H) along both of their axes, (B, K, K, C)."""
    longer, side = matrix.shape
    if longer == side and np.array_equal(matrix, np.eye(side)):
        return x
    channels, matrix = x.shape[-1], tf.constant(matrix, x.dtype)
    x = tf.matmul(matrix, tf.reshape(x, (-1, side, side * channels)))  # (B, K, H C)
    x = tf.matmul(matrix, tf.reshape(x, (-1, side, channels)))  # (B K, K, C)
    return tf.reshape(x, (-1, longer, longer, channels))

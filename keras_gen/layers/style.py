"""What networks that work by styles are made of: normalization, styles and their mean, noise, and fading in."""

from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.layers.equalized import EqualizedDense
from keras_gen.layers.instance import InstanceNormalization

STATE = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}  # the same on every replica


def sum_over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Returns the sum over the rows (B, ...) of all replicas, in float32; no gradient."""
    total = tf.reduce_sum(tf.stop_gradient(tf.cast(values, tf.float32)), axis=0)
    context = tf.distribute.get_replica_context()
    if context is not None and context.num_replicas_in_sync > 1:
        total = context.all_reduce("sum", total)
    return total


def mean_over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Returns the mean over the rows (B, ...) of all replicas, however unevenly shared out, in float32; no gradient."""
    return sum_over_replicas(values) / sum_over_replicas(tf.ones_like(values))


@keras.saving.register_keras_serializable("keras_gen")
class PixelNorm(keras.layers.Layer):
    """Brings the mean square over the channels of each pixel to 1, (B, H, W, C), or of each vector, (B, d).

    Args:
        epsilon: added to the mean square, above 0.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `epsilon` is not above 0.

    Example:
        ```python
        x = PixelNorm()(x)  # (B, H, W, C)
        ```

    Reference:
        Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        2018, arXiv:1710.10196, section 4.2.
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs: Any):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise UsageError(f"epsilon is {epsilon}; expected a number above 0, such as 1e-8")
        self.epsilon = epsilon

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}

    def call(self, x):
        """Returns `x`, normalized; the squares are in float32."""
        wide = tf.cast(x, keras.backend.result_type(x.dtype, "float32"))
        square = tf.reduce_mean(tf.square(wide), axis=-1, keepdims=True)
        return tf.cast(wide * tf.math.rsqrt(square + self.epsilon), x.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return tuple(input_shape)


@keras.saving.register_keras_serializable("keras_gen")
class Styles(keras.layers.Layer):
    """Gives each layer of a synthesis network the style w, (B, d) to (B, count, d), and follows the mean of w.

    A training call moves the mean by the batch, on replicas by all of theirs: mean <- decay mean + (1 - decay) batch.
    No gradient passes through it. `truncated` draws styles toward it.

    Args:
        count: layers that take a style.
        decay: share of the mean that a training call keeps, in [0, 1).
        cutoff: layers, from the first on, that `truncated` changes; by default all.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `count` is not a whole number from 1 on, or `decay` is not in [0, 1).

    Example:
        ```python
        styles = Styles(4)
        w = styles(tf.ones((8, 64)), training=True)  # (8, 4, 64)
        w = styles.truncated(w, 0.7 * tf.ones(8))  # (8, 4, 64), nearer to the mean
        ```

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948, appendix B.
    """

    def __init__(self, count: int, decay: float = 0.998, cutoff: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if not 0 <= decay < 1:
            raise UsageError(f"decay is {decay}; expected a share in [0, 1), such as 0.998")
        self.count, self.decay, self.cutoff = positive("count", count), decay, cutoff

    def build(self, input_shape):
        """Makes the mean, of zeros."""
        self.mean = self.add_weight(name="mean", shape=input_shape[-1:], initializer="zeros", dtype="float32", **STATE)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "count": self.count, "decay": self.decay, "cutoff": self.cutoff}

    def call(self, w, training=False):
        """Returns `w`, once for each layer."""
        if training:
            self.mean.assign(self.decay * self.mean + (1.0 - self.decay) * mean_over_replicas(w))
        return tf.tile(w[:, None], (1, self.count, 1))

    def moved_once(self) -> list:
        """Returns what a training call moves: the mean. Of a batch in parts it is that of the last part."""
        return [self.mean]

    def truncated(self, styles: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
        """Draws styles (B, count, d) toward the mean: `truncation` (B,), psi, is 1 for none, and 0 for the mean."""
        psi = tf.reshape(truncation, (-1, 1, 1))
        drawn = psi * styles + (1.0 - psi) * tf.cast(tf.convert_to_tensor(self.mean), styles.dtype)
        if self.cutoff is None or self.cutoff >= self.count:
            return drawn
        return tf.concat([drawn[:, : self.cutoff], styles[:, self.cutoff :]], axis=1)

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return (input_shape[0], self.count, input_shape[-1])


@keras.saving.register_keras_serializable("keras_gen")
class LearnedConstant(keras.layers.Layer):
    """Gives each row of a batch the same learned map, which a synthesis network begins with, (B, ...) to (B, *shape).

    Args:
        shape: of the map, (h, w, C).
        deviation: of its first values, normal around 0 (StyleGAN2: 1); 0 makes them ones (StyleGAN).
        **kwargs: `name` and `dtype`.

    Example:
        ```python
        x = LearnedConstant((4, 4, 32))(tf.ones((8, 64)))  # (8, 4, 4, 32)
        ```

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948, section 2.
    """

    def __init__(self, shape: tuple[int, int, int], deviation: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.shape, self.deviation = [int(side) for side in shape], deviation

    def build(self, input_shape):
        """Makes the map."""
        first = keras.initializers.RandomNormal(stddev=self.deviation) if self.deviation else "ones"
        self.map = self.add_weight(name="map", shape=self.shape, initializer=first)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "shape": self.shape, "deviation": self.deviation}

    def call(self, x):
        """Returns the map, once for each row of `x`."""
        return tf.tile(tf.convert_to_tensor(self.map)[None], (tf.shape(x)[0], 1, 1, 1))

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return (input_shape[0], *self.shape)


@keras.saving.register_keras_serializable("keras_gen")
class Noise(keras.layers.Layer):
    """Adds to each pixel of a map a number of its own, times a learned strength that starts at 0.

    It is called with a list: x (B, H, W, C), and noise (B, n), one flat row for all maps of a network, of which this
    one takes the H * W numbers from `start` on. All channels of a pixel get the same number.

    Args:
        start: where this map's part of the noise begins.
        per_channel: whether each channel has a strength of its own (StyleGAN), or one is for all (StyleGAN2).
        **kwargs: `name` and `dtype`.

    Example:
        ```python
        y = Noise(start=16)([x, tf.zeros((8, 32))])  # (8, 4, 4, C), of the numbers 16 to 31
        ```

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948, section 2.
    """

    def __init__(self, start: int = 0, per_channel: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.start, self.per_channel = start, per_channel

    def build(self, input_shape):
        """Makes the strength, of zeros."""
        shape = input_shape[0][-1:] if self.per_channel else ()
        self.strength = self.add_weight(name="strength", shape=shape, initializer="zeros")

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "start": self.start, "per_channel": self.per_channel}

    def call(self, inputs):
        """Returns [x, noise]'s x, with noise."""
        x, noise = inputs
        height, width = x.shape[1:3]
        own = tf.reshape(noise[:, self.start : self.start + height * width], (-1, height, width, 1))
        return x + tf.cast(own, x.dtype) * tf.convert_to_tensor(self.strength)

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable("keras_gen")
class AdaptiveInstanceNormalization(keras.layers.Layer):
    """Brings each channel of each image to mean 0 and variance 1, and gives it the scale and offset that a style says.

    It is called with a list: x (B, H, W, C), and w (B, d), of which an equalized dense layer makes (scale, offset):
    y = (1 + scale) norm(x) + offset.

    Args:
        epsilon: added to the variance.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `epsilon` is not above 0.

    Example:
        ```python
        y = AdaptiveInstanceNormalization()([x, tf.ones((8, 64))])  # (8, H, W, C)
        ```

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948, equation 1; 1 is added to the scale as in the authors' program.
    """

    def __init__(self, epsilon: float = 1e-8, **kwargs: Any):
        super().__init__(**kwargs)
        self.normalization = InstanceNormalization(epsilon, dtype=self.dtype_policy, name="normalization")
        self.affine = None

    def build(self, input_shape):
        """Makes the layer that makes scale and offset of w."""
        x, w = input_shape
        self.affine = EqualizedDense(2 * x[-1], dtype=self.dtype_policy, name="affine")
        self.affine.build(w)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.normalization.epsilon}

    def call(self, inputs):
        """Returns [x, w]'s x, normalized, scaled and shifted."""
        x, w = inputs
        scale, offset = tf.split(self.affine(w)[:, None, None], 2, axis=-1)  # (B, 1, 1, C) each
        x = x - x[:, :1, :1]  # of nearly equal numbers, as a constant's are at first, that is exact, and a mean is not
        return (1.0 + scale) * self.normalization(x) + offset

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable("keras_gen")
class FadeIn(keras.layers.Layer):
    """Passes from one tensor to another as a network grows: (1 - alpha) [0] + alpha [1], exactly either at both ends.

    Alpha is a weight that no optimizer moves: what trains the network assigns it, the same on every replica, a file
    holds it, and a moving average copies it as it is.

    Args:
        alpha: its first value, in [0, 1].
        **kwargs: `name` and `dtype`.

    Example:
        ```python
        fade = FadeIn(alpha=0.25)
        y = fade([x, 2 * x])  # 1.25 x
        fade.alpha.assign(1.0)
        ```

    Reference:
        Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        2018, arXiv:1710.10196, section 2.
    """

    def __init__(self, alpha: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.initial_alpha = float(alpha)

    def build(self, input_shape):
        """Makes alpha."""
        first = keras.initializers.Constant(self.initial_alpha)
        self.alpha = self.add_weight(name="alpha", shape=(), initializer=first, dtype="float32", **STATE)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "alpha": self.initial_alpha}

    def call(self, inputs):
        """Returns [before, after] mixed by alpha."""
        before, after = inputs
        alpha = tf.cast(tf.convert_to_tensor(self.alpha), before.dtype)
        return (1.0 - alpha) * before + alpha * after

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return tuple(input_shape[0])

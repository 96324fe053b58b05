"""Normalization of each image by itself, and padding by reflection: what networks from image to image are made of."""

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive


@keras.saving.register_keras_serializable("keras_gen")
class InstanceNormalization(keras.layers.Layer):
    """Brings each channel of each image to mean 0 and variance 1 over its places, (B, H, W, C), in any mode.

    It has no weights, and remembers nothing: training and inference are the same, and an image does not see the others
    of its batch. A map of one place becomes 0: nothing may be normalized there.

    Args:
        epsilon: added to the variance.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `epsilon` is not above 0.

    Example:
        ```python
        x = InstanceNormalization()(x)  # (B, H, W, C), of any height and width
        ```

    Reference:
        Ulyanov, Vedaldi and Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016,
        arXiv:1607.08022; without scale and offset as in Zhu et al., 2017, arXiv:1703.10593.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise UsageError(f"epsilon is {epsilon}; expected a number above 0, such as 1e-5")
        self.epsilon = epsilon

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "epsilon": self.epsilon}

    def call(self, x):
        """Returns `x`, normalized; the sums are in float32."""
        wide = tf.cast(x, tf.float32)
        apart = wide - tf.reduce_mean(wide, axis=(1, 2), keepdims=True)
        variance = tf.reduce_mean(tf.square(apart), axis=(1, 2), keepdims=True)
        return tf.cast(apart * tf.math.rsqrt(variance + self.epsilon), x.dtype)


@keras.saving.register_keras_serializable("keras_gen")
class ReflectionPadding2D(keras.layers.Layer):
    """Continues images (B, H, W, C) beyond their edges by their mirror image, as if there were no edge.

    Args:
        padding: pixels on each side, fewer than height and width.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `padding` is not a whole number from 1 on.

    Example:
        ```python
        x = ReflectionPadding2D(3)(x)  # (B, H, W, C) to (B, H + 6, W + 6, C)
        ```
    """

    def __init__(self, padding: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.padding = positive("padding", padding)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "padding": self.padding}

    def call(self, x):
        """Returns `x` with its edges."""
        sides = [self.padding, self.padding]
        return tf.pad(x, [[0, 0], sides, sides, [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        rows, height, breadth, channels = input_shape
        longer = (None if side is None else side + 2 * self.padding for side in (height, breadth))
        return (rows, *longer, channels)

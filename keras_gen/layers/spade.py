"""Normalization whose scale and offset follow a map of classes, pixel by pixel."""

import keras
import tensorflow as tf
from keras import layers

from keras_gen.errors import UsageError, positive
from keras_gen.layers.instance import InstanceNormalization


@keras.saving.register_keras_serializable("keras_gen")
class SpatiallyAdaptiveNormalization(keras.layers.Layer):
    """Normalizes each image by itself, and then scales and shifts each pixel by what a map tells of it.

    Normalization takes away what a map of one class would bring through a convolution before it; here the map comes
    after: y = norm(x) (1 + gamma(m)) + beta(m). It is called with a list: x (B, h, w, C), and the map m (B, H, W, K),
    one-hot or shares, of which h x w pixels are taken, the nearest. Convolutions of 3x3 pixels see it: one to `hidden`
    channels and a ReLU, and one to each of gamma and beta.

    Args:
        hidden: channels of the first convolution.
        epsilon: added to the variances.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `hidden` is no whole number from 1 on, or h and w do not divide H and W.

    Example:
        ```python
        y = SpatiallyAdaptiveNormalization(128)([x, x[..., :5]])  # (B, h, w, C); in place of x[..., :5] a one-hot map
        ```

    Reference:
        Park, Liu, Wang and Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019,
        arXiv:1903.07291. Its batch normalization is one of each image here: the same in training and inference.
    """

    def __init__(self, hidden: int = 128, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.epsilon = positive("hidden", hidden), epsilon
        made = {"padding": "same", "dtype": self.dtype_policy}
        self.normalization = InstanceNormalization(epsilon, dtype=self.dtype_policy, name="normalization")
        self.shared = layers.Conv2D(hidden, 3, activation="relu", name="shared", **made)

    def build(self, input_shape):
        """Makes the convolutions, by the channels of x and of the map."""
        x, segmentation = input_shape
        if any(whole % side for whole, side in zip(segmentation[1:3], x[1:3], strict=True)):
            sizes = ["x".join(map(str, shape[1:3])) for shape in (x, segmentation)]
            raise UsageError(f"features are {sizes[0]} and the map is {sizes[1]}; expected sides that divide its sides")
        self.strides = tuple(whole // side for whole, side in zip(segmentation[1:3], x[1:3], strict=True))
        self.shared.build(segmentation)
        made = {"padding": "same", "dtype": self.dtype_policy}
        self.gamma, self.beta = (layers.Conv2D(x[-1], 3, name=name, **made) for name in ("gamma", "beta"))
        for one in (self.gamma, self.beta):
            one.build((*x[:3], self.hidden))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "hidden": self.hidden, "epsilon": self.epsilon}

    def call(self, inputs):
        """Returns [x, map]'s x, normalized, scaled and shifted."""
        x, segmentation = inputs
        down, right = self.strides
        features = self.shared(tf.cast(segmentation, x.dtype)[:, ::down, ::right])  # (B, h, w, hidden)
        return self.normalization(x) * (1 + self.gamma(features)) + self.beta(features)

    def compute_output_shape(self, input_shape):
        """Returns the shape of x."""
        return tuple(input_shape[0])

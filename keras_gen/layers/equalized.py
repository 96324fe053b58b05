"""Layers with an equalized learning rate: weights of variance 1, scaled whenever they are used."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive

ROOT = math.sqrt(2.0)  # gain that leaky ReLU wants, so that variances stay


def _multiplier(value):
    if not value > 0:
        raise UsageError(f"multiplier is {value}; expected a number above 0, such as 1 or 0.01")
    return float(value)


class _Equalized(keras.layers.Layer):
    """What equalized layers share; a subclass has `_shape_of`, the shape of its kernel, and `_linear`."""

    def __init__(
        self,
        activation: str | None = None,
        gain: float = 1.0,
        activation_gain: float = 1.0,
        multiplier: float = 1.0,
        use_bias: bool = True,
        bias: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.gain, self.activation_gain, self.multiplier = float(gain), float(activation_gain), _multiplier(multiplier)
        self.use_bias, self.initial_bias = use_bias, float(bias)

    def build(self, input_shape):
        """Makes the kernel, N(0, 1) / multiplier, and the bias."""
        shape = self._shape_of(input_shape)
        spread = keras.initializers.RandomNormal(stddev=1.0 / self.multiplier)
        # Scaled first and rounded after: otherwise half precision would round twice.
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=spread, autocast=False)
        constant = keras.initializers.Constant(self.initial_bias / self.multiplier)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer=constant, autocast=False)
        self.scale = self.multiplier * self.gain / math.sqrt(math.prod(shape[:-1]))
        self.built = True

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {"activation": keras.activations.serialize(self.activation), "bias": self.initial_bias}
        names = ("gain", "activation_gain", "multiplier", "use_bias")
        return {**super().get_config(), **own, **{name: getattr(self, name) for name in names}}

    def call(self, x):
        """Returns the layer's output."""
        kernel = tf.cast(self.scale * tf.convert_to_tensor(self.kernel), self.compute_dtype)
        x = self._linear(x, kernel)
        if self.bias is not None:
            x += tf.cast(self.multiplier * tf.convert_to_tensor(self.bias), x.dtype)
        x = self.activation(x)
        return x if self.activation_gain == 1.0 else x * self.activation_gain


@keras.saving.register_keras_serializable("keras_gen")
class EqualizedDense(_Equalized):
    """Dense layer with an equalized learning rate, (B, d) to (B, units).

    Weights start as N(0, 1) / multiplier, and are used times multiplier * gain / sqrt(d); biases, times multiplier.
    Under Adam, whose steps do not depend on a gradient's scale, layers of any width then change by the same share of
    what they are, and those of a multiplier below 1 by so much less.

    Args:
        units: columns of the output.
        activation: name of a Keras activation, such as `"leaky_relu"`, whose slope is 0.2, or nothing.
        gain: of the weights: sqrt(2) before a leaky ReLU (ProGAN, StyleGAN), or 1.
        activation_gain: of what comes after the activation, bias included: sqrt(2) (StyleGAN2 and 3), or 1.
        multiplier: share of the learning rate, above 0; 0.01 in a mapping network.
        use_bias: whether there is a bias.
        bias: its first value, 1 where styles are to begin as factors of 1.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `units` is not a whole number from 1 on, or `multiplier` is not above 0.

    Example:
        ```python
        w = EqualizedDense(64, "leaky_relu", activation_gain=2**0.5, multiplier=0.01)(tf.ones((8, 32)))  # (8, 64)
        ```

    Reference:
        Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        2018, arXiv:1710.10196, section 4.1; the multiplier: Karras, Laine and Aila, 2019, arXiv:1812.04948, appendix C.
    """

    def __init__(self, units: int, activation: str | None = None, **kwargs: Any):
        super().__init__(activation, **kwargs)
        self.units = positive("units", units)

    def _shape_of(self, input_shape):
        return (input_shape[-1], self.units)

    def _linear(self, x, kernel):
        return keras.ops.matmul(x, kernel)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return (*input_shape[:-1], self.units)


@keras.saving.register_keras_serializable("keras_gen")
class EqualizedConv2D(_Equalized):
    """Convolution with an equalized learning rate, (B, H, W, C) to (B, H', W', filters).

    All else is as in `EqualizedDense`; the weights of an output are kernel_size^2 C.

    Args:
        filters: channels of the output.
        kernel_size: side of the kernel in pixels.
        activation: as for `EqualizedDense`, as the further arguments.
        strides: pixels from one output to the next.
        padding: `"same"` or `"valid"`.
        **kwargs: those of `EqualizedDense`.

    Raises:
        UsageError: `filters` is not a whole number from 1 on, or `multiplier` is not above 0.

    Example:
        ```python
        y = EqualizedConv2D(32, 3, "leaky_relu", gain=2**0.5)(x)  # (B, H, W, 32)
        ```

    Reference:
        Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        2018, arXiv:1710.10196, section 4.1.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        activation: str | None = None,
        strides: int = 1,
        padding: str = "same",
        **kwargs: Any,
    ):
        super().__init__(activation, **kwargs)
        self.filters, self.kernel_size = positive("filters", filters), positive("kernel_size", kernel_size)
        self.strides, self.padding = positive("strides", strides), padding

    def _shape_of(self, input_shape):
        return (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)

    def _linear(self, x, kernel):
        return tf.nn.conv2d(x, kernel, self.strides, self.padding.upper())

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("filters", "kernel_size", "strides", "padding")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        less = 0 if self.padding == "same" else self.kernel_size - 1
        sides = (None if side is None else -(-(side - less) // self.strides) for side in input_shape[1:3])
        return (input_shape[0], *sides, self.filters)


@keras.saving.register_keras_serializable("keras_gen")
class BiasActivation(keras.layers.Layer):
    """Adds a bias for each channel, (..., C), and applies an activation: what follows a convolution and its noise.

    Args:
        activation: name of a Keras activation, such as `"leaky_relu"`, whose slope is 0.2, or nothing.
        activation_gain: of what comes after the activation.
        **kwargs: `name` and `dtype`.

    Example:
        ```python
        x = BiasActivation("leaky_relu", activation_gain=2**0.5)(x)  # (B, H, W, C)
        ```
    """

    def __init__(self, activation: str | None = None, activation_gain: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation, self.activation_gain = keras.activations.get(activation), float(activation_gain)

    def build(self, input_shape):
        """Makes the bias, of zeros."""
        self.bias = self.add_weight(name="bias", shape=input_shape[-1:], initializer="zeros")

    def get_config(self):
        """Returns the constructor's arguments."""
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": activation, "activation_gain": self.activation_gain}

    def call(self, x):
        """Returns `x` with its bias, activated."""
        x = self.activation(x + tf.convert_to_tensor(self.bias))
        return x if self.activation_gain == 1.0 else x * self.activation_gain

    def compute_output_shape(self, input_shape):
        """Returns the shape of what `call` returns."""
        return tuple(input_shape)

"""Residual networks of generators and discriminators, their depth derived from the image's size."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.networks.build import (
    EPSILON,
    Laws,
    biased,
    conditioned,
    conv2d,
    halvings,
    hidden_layers,
    network,
    normalized,
)
from keras_gen.networks.conv import stages

SMALLEST = 5  # the discriminator halves maps while their shorter side stays above


@network
def generator(
    laws: Laws, image_shape: Sequence[int], hidden: Sequence[int] = (), width: int = 128, norm: str = "batch"
) -> keras.Model:
    """Maps the inputs that `laws` names to images (B, H, W, C) in [-1, 1] by residual blocks that double both sides.

    They first pass dense layers of the widths `hidden`. All maps have twice `width` channels. `norm` is one of
    `GENERATOR_NORMS`.
    """
    (height, breadth), doublings = stages(image_shape, width)
    inputs, x, condition = conditioned(laws, norm)
    x = hidden_layers(x, hidden, norm, layers.ReLU, condition=condition)
    x = layers.Reshape((height, breadth, 2 * width))(layers.Dense(height * breadth * 2 * width)(x))
    for _ in doublings:
        x = _up(x, 2 * width, norm, condition)
    x = layers.ReLU()(normalized(x, norm, **condition))
    x = layers.Conv2D(image_shape[-1], 3, padding="same")(x)
    return keras.Model(inputs, layers.Activation("tanh", dtype="float32")(x), name="generator")


def _up(x, width, norm, condition):
    y = layers.UpSampling2D()(layers.ReLU()(normalized(x, norm, **condition)))
    y = layers.Conv2D(width, 3, padding="same", use_bias=biased(norm))(y)
    y = layers.ReLU()(normalized(y, norm, **condition))
    y = layers.Conv2D(width, 3, padding="same", use_bias=biased(norm))(y)
    return layers.Add()([layers.Conv2D(width, 1, use_bias=biased(norm))(layers.UpSampling2D()(x)), y])


def trunk(
    image: Any,
    hidden: Sequence[int] = (),
    width: int = 128,
    norm: str = "spectral",
    dropout: float = 0.0,
    epsilon: float = EPSILON,
) -> Any:
    """Maps images (B, H, W, C) to features (B, f) by residual blocks: a discriminator's first part.

    Blocks halve both sides down to 5 to 8 pixels, two more keep them, and `width` features are sums over all places,
    which dense layers of the widths `hidden` follow. `norm` is one of `DISCRIMINATOR_NORMS`, with `epsilon` as for
    `normalized`; `dropout` acts on the features.
    """
    of_norm = {"epsilon": epsilon}
    halves = max(1, halvings(*image.shape[1:3], SMALLEST))
    x = image
    for block in range(halves + 2):
        x = _down(x, width, norm, of_norm, halve=block < halves, first=block == 0)
    x = keras.ops.sum(layers.ReLU()(normalized(x, norm, **of_norm)), axis=(1, 2))
    x = layers.Dropout(dropout)(x) if dropout else x
    return hidden_layers(x, hidden, norm, layers.ReLU, dropout, of_norm)


def _down(x, width, norm, of_norm, halve, first):
    """Is a block in which the first layer of all sees the image itself, and not what a ReLU leaves of it."""
    y = x if first else layers.ReLU()(normalized(x, norm, **of_norm))
    y = conv2d(width, 3, norm=norm, use_bias=biased(norm))(y)
    y = conv2d(width, 3, norm=norm)(layers.ReLU()(normalized(y, norm, **of_norm)))
    if not halve:
        return layers.Add()([x, y])
    y, x = layers.AveragePooling2D(2)(y), layers.AveragePooling2D(2)(x)
    return layers.Add()([conv2d(width, 1, norm=norm)(x), y])

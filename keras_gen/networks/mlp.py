"""Fully connected networks."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.networks.build import EPSILON, Laws, conditioned, hidden_layers, in_float32, labelled, labelling, network


@network
def generator(
    laws: Laws, image_shape: Sequence[int], hidden: Sequence[int], norm: str = "none", activation: str = "tanh"
) -> keras.Model:
    """Maps the inputs that `laws` names through ReLU layers to images (B, *image_shape).

    `norm` is one of `GENERATOR_NORMS`.
    """
    inputs, x, condition = conditioned(laws, norm)
    x = hidden_layers(x, hidden, norm, layers.ReLU, condition=condition)
    x = layers.Dense(math.prod(image_shape))(x)
    image = layers.Reshape(tuple(image_shape))(layers.Activation(activation, dtype="float32")(x))
    return keras.Model(inputs, image, name="generator")


def trunk(image: Any, hidden: Sequence[int], norm: str = "none", dropout: float = 0.0, epsilon: float = EPSILON) -> Any:
    """Maps images (B, H, W, C) through leaky ReLU layers to features (B, hidden[-1]): a discriminator's first part.

    `norm` is one of `DISCRIMINATOR_NORMS`, with `epsilon` as for `normalized`; `dropout` follows each layer.
    """
    of_norm = {"epsilon": epsilon}
    return hidden_layers(layers.Flatten()(image), hidden, norm, lambda: layers.LeakyReLU(0.2), dropout, of_norm)


@network
def encoder(
    image_shape: Sequence[int],
    hidden: Sequence[int],
    outputs: int,
    num_classes: int | None = None,
    label_layers: str = "first",
) -> keras.Model:
    """Maps `image` (B, *image_shape) in [-1, 1], seen by the ReLU layers as [0, 1], to (B, outputs).

    With `num_classes` it sees `label`, int32 (B,), too, in `label_layers` of the dense layers.
    """
    image = keras.Input(tuple(image_shape), name="image")
    x = layers.Rescaling(0.5, offset=0.5)(layers.Flatten()(image))  # most pixels are black: zeros, not -1, learn faster
    label, x = labelled(x, num_classes)
    again = labelling(label, num_classes, label_layers)
    for width in hidden:
        x = again(layers.Dense(width, activation="relu")(x))
    return keras.Model({"image": image, **label}, in_float32(layers.Dense(outputs)(x)), name="encoder")


@network
def decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    hidden: Sequence[int],
    num_classes: int | None = None,
    label_layers: str = "first",
) -> keras.Model:
    """Maps `latent` (B, latent_dim) through ReLU layers to (B, *output_shape), without a last activation.

    With `num_classes` it sees `label`, int32 (B,), too, in `label_layers` of the dense layers.
    """
    latent = keras.Input((latent_dim,), name="latent")
    label, x = labelled(latent, num_classes)
    again = labelling(label, num_classes, label_layers)
    for width in hidden:
        x = again(layers.Dense(width, activation="relu")(x))
    x = layers.Reshape(tuple(output_shape))(layers.Dense(math.prod(output_shape))(x))
    return keras.Model({"latent": latent, **label}, in_float32(x), name="decoder")

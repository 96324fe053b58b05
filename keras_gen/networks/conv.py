"""Convolutional networks: strided, their depth derived from the image's size."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.errors import UsageError
from keras_gen.networks.build import (
    EPSILON,
    Laws,
    biased,
    conditioned,
    conv2d,
    halvings,
    hidden_layers,
    in_float32,
    labelled,
    labelling,
    network,
    normalized,
)


def stages(image_shape: Sequence[int], width: int) -> tuple[tuple[int, int], list[int]]:
    """Returns the size of the smallest feature map and the channels of each stage, largest map first.

    Channels double with each halving, up to eight times `width`, as in the 64x64 networks of Radford et al. 2015.

    Raises:
        UsageError: the sides cannot be halved down to a map of 4 to 8 pixels on its shorter side.
    """
    height, breadth, *_ = image_shape
    times = halvings(height, breadth)
    base = (height >> times, breadth >> times)
    if times < 1 or min(base) > 8:
        raise UsageError(
            f"image_shape {tuple(image_shape)} cannot be reached by doubling a map of 4 to 8 pixels; "
            f"expected sides like 28, 32, 48 or 64: the nearest is {_nearest(height)}x{_nearest(breadth)}"
        )
    return base, [width * min(2**stage, 8) for stage in range(times)]


def _nearest(side: int) -> int:
    reachable = (base << times for base in range(4, 8) for times in range(1, 10))
    return min(reachable, key=lambda candidate: abs(candidate - side))


def _weights():
    return keras.initializers.RandomNormal(stddev=0.02)


@network
def generator(
    laws: Laws,
    image_shape: Sequence[int],
    hidden: Sequence[int] = (),
    width: int = 128,
    norm: str = "batch",
    kernel: int = 5,
) -> keras.Model:
    """Maps the inputs that `laws` names to images (B, H, W, C) in [-1, 1] by transposed convolutions of stride 2.

    They first pass dense layers of the widths `hidden`. `norm` is one of `GENERATOR_NORMS`; with `"none"` the layers
    have a bias instead.
    """
    bias = biased(norm)
    (height, breadth), channels = stages(image_shape, width)
    inputs, x, condition = conditioned(laws, norm)
    x = hidden_layers(x, hidden, norm, layers.ReLU, condition=condition, kernel_initializer=_weights())
    x = layers.Dense(height * breadth * channels[-1], use_bias=bias, kernel_initializer=_weights())(x)
    x = layers.Reshape((height, breadth, channels[-1]))(x)
    x = layers.ReLU()(normalized(x, norm, **condition))
    for filters in reversed(channels[:-1]):
        x = layers.Conv2DTranspose(filters, kernel, 2, padding="same", use_bias=bias, kernel_initializer=_weights())(x)
        x = layers.ReLU()(normalized(x, norm, **condition))
    x = layers.Conv2DTranspose(image_shape[-1], kernel, 2, padding="same", kernel_initializer=_weights())(x)
    return keras.Model(inputs, layers.Activation("tanh", dtype="float32")(x), name="generator")


def trunk(
    image: Any,
    hidden: Sequence[int] = (),
    width: int = 128,
    norm: str = "batch",
    dropout: float = 0.0,
    epsilon: float = EPSILON,
    kernel: int = 5,
) -> Any:
    """Maps images (B, H, W, C) to features (B, f) by convolutions of stride 2: a discriminator's first part.

    Dense layers of the widths `hidden` come last. `norm` is one of `DISCRIMINATOR_NORMS`; those of activations leave
    out the first layer. `epsilon` is as for `normalized`. `dropout` follows each.
    """
    _, channels = stages(image.shape[1:], width)
    x = image
    for stage, filters in enumerate(channels):
        kind = "none" if stage == 0 and norm != "spectral" else norm
        x = conv2d(filters, kernel, 2, kind, use_bias=biased(kind), kernel_initializer=_weights())(x)
        x = layers.LeakyReLU(0.2)(normalized(x, kind, epsilon=epsilon))
        if dropout:
            x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    of_norm = {"epsilon": epsilon}
    return hidden_layers(
        x, hidden, norm, lambda: layers.LeakyReLU(0.2), dropout, of_norm, kernel_initializer=_weights()
    )


@network
def encoder(
    image_shape: Sequence[int],
    outputs: int,
    width: int = 32,
    num_classes: int | None = None,
    label_layers: str = "first",
) -> keras.Model:
    """Maps `image` (B, H, W, C) to (B, outputs) by ReLU convolutions of stride 2 and one dense layer of 8 `width`.

    With `num_classes` it sees `label`, int32 (B,), too, in `label_layers` of the dense layers.
    """
    _, channels = stages(image_shape, width)
    image = keras.Input(tuple(image_shape), name="image")
    label, x = labelled(image, num_classes)
    for filters in channels:
        x = layers.Conv2D(filters, 4, 2, padding="same", activation="relu")(x)
    again = labelling(label, num_classes, label_layers)
    x = again(layers.Dense(8 * width, activation="relu")(again(layers.Flatten()(x))))
    return keras.Model({"image": image, **label}, in_float32(layers.Dense(outputs)(x)), name="encoder")


@network
def decoder(
    latent_dim: int,
    output_shape: Sequence[int],
    width: int = 32,
    num_classes: int | None = None,
    label_layers: str = "first",
) -> keras.Model:
    """Maps `latent` (B, latent_dim) to (B, H, W, C), without a last activation: the encoder in reverse.

    With `num_classes` it sees `label`, int32 (B,), too, in `label_layers` of the dense layers.
    """
    (height, breadth), channels = stages(output_shape, width)
    latent = keras.Input((latent_dim,), name="latent")
    label, x = labelled(latent, num_classes)
    x = labelling(label, num_classes, label_layers)(layers.Dense(8 * width, activation="relu")(x))
    x = layers.Dense(height * breadth * channels[-1], activation="relu")(x)
    x = layers.Reshape((height, breadth, channels[-1]))(x)
    for filters in reversed(channels[:-1]):
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(output_shape[-1], 4, 2, padding="same")(x)
    return keras.Model({"latent": latent, **label}, in_float32(x), name="decoder")

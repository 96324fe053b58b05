"""Convolutional networks: strided, their depth derived from the image's size."""

from collections.abc import Sequence

import keras
from keras import layers

from keras_gen.errors import UsageError
from keras_gen.networks.build import halvings, in_float32, labelled, network


def stages(image_shape: Sequence[int], width: int) -> tuple[tuple[int, int], list[int]]:
    """Returns the size of the smallest feature map and the channels of each stage, largest map first.

    Channels double with each halving, up to eight times `width`, as in the 64x64 networks of Radford et al. 2015.

    Raises:
        UsageError: the sides cannot be halved down to a map of 4 to 8 pixels on its shorter side.
    """
    height, breadth, channels = image_shape
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


NORMS = ("batch", "sync_batch", "none")


def _norm(x, kind):
    if kind == "none":
        return x
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=kind == "sync_batch")(x)


@network
def dcgan_generator(
    latent_dim: int, image_shape: Sequence[int], width: int = 128, kernel: int = 5, norm: str = "batch"
) -> keras.Model:
    """Maps `latent` (B, latent_dim) to images (B, H, W, C) in [-1, 1] by transposed convolutions of stride 2.

    `norm` is one of `NORMS`; `"none"` gives the layers a bias instead.
    """
    plain = norm == "none"
    (height, breadth), channels = stages(image_shape, width)
    latent = keras.Input((latent_dim,), name="latent")
    x = layers.Dense(height * breadth * channels[-1], use_bias=plain, kernel_initializer=_weights())(latent)
    x = layers.Reshape((height, breadth, channels[-1]))(x)
    x = layers.ReLU()(_norm(x, norm))
    for filters in reversed(channels[:-1]):
        x = layers.Conv2DTranspose(filters, kernel, 2, padding="same", use_bias=plain, kernel_initializer=_weights())(x)
        x = layers.ReLU()(_norm(x, norm))
    x = layers.Conv2DTranspose(image_shape[-1], kernel, 2, padding="same", kernel_initializer=_weights())(x)
    return keras.Model({"latent": latent}, layers.Activation("tanh", dtype="float32")(x), name="generator")


@network
def dcgan_discriminator(
    image_shape: Sequence[int], width: int = 128, kernel: int = 5, norm: str = "batch"
) -> keras.Model:
    """Maps `image` (B, H, W, C) to one logit (B, 1) by convolutions of stride 2; `norm` as for the generator."""
    _, channels = stages(image_shape, width)
    image = keras.Input(tuple(image_shape), name="image")
    x = image
    for stage, filters in enumerate(channels):
        kind = "none" if stage == 0 else norm
        x = layers.Conv2D(filters, kernel, 2, padding="same", use_bias=kind == "none", kernel_initializer=_weights())(x)
        x = layers.LeakyReLU(0.2)(_norm(x, kind))
    x = layers.Dense(1, kernel_initializer=_weights())(layers.Flatten()(x))
    return keras.Model({"image": image}, in_float32(x), name="discriminator")


@network
def encoder(image_shape: Sequence[int], outputs: int, width: int = 32, num_classes: int | None = None) -> keras.Model:
    """Maps `image` (B, H, W, C) to (B, outputs) by ReLU convolutions of stride 2 and one dense layer of 8 `width`.

    With `num_classes` it sees `label`, int32 (B,), too.
    """
    _, channels = stages(image_shape, width)
    image = keras.Input(tuple(image_shape), name="image")
    label, x = labelled(image, num_classes)
    for filters in channels:
        x = layers.Conv2D(filters, 4, 2, padding="same", activation="relu")(x)
    x = layers.Dense(8 * width, activation="relu")(layers.Flatten()(x))
    return keras.Model({"image": image, **label}, in_float32(layers.Dense(outputs)(x)), name="encoder")


@network
def decoder(
    latent_dim: int, output_shape: Sequence[int], width: int = 32, num_classes: int | None = None
) -> keras.Model:
    """Maps `latent` (B, latent_dim) to (B, H, W, C), without a last activation: the encoder in reverse.

    With `num_classes` it sees `label`, int32 (B,), too.
    """
    (height, breadth), channels = stages(output_shape, width)
    latent = keras.Input((latent_dim,), name="latent")
    label, x = labelled(latent, num_classes)
    x = layers.Dense(8 * width, activation="relu")(x)
    x = layers.Dense(height * breadth * channels[-1], activation="relu")(x)
    x = layers.Reshape((height, breadth, channels[-1]))(x)
    for filters in reversed(channels[:-1]):
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(output_shape[-1], 4, 2, padding="same")(x)
    return keras.Model({"latent": latent, **label}, in_float32(x), name="decoder")

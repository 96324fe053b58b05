"""Features of an image, level by level, and an image of the last of them, without any normalization."""

from collections.abc import Sequence

import keras
from keras import layers

from keras_gen.errors import UsageError, positive
from keras_gen.layers.instance import ReflectionPadding2D
from keras_gen.networks.build import doubled, network

LEVELS = 3  # halvings, as many as the paper's encoder has up to the layer that it ends in


def least(levels: int) -> int:
    """Returns the pixels of the shortest side that can be halved so often: what is left can still be reflected."""
    return 2**levels + 1


def halvings(sides: Sequence[int], levels: int | None = None) -> int:
    """Returns how often images are halved: what is asked for, or what suits their sides, at most 3 times.

    Raises:
        UsageError: sides that are too short for that.
    """
    most = (min(sides) - 1).bit_length() - 1
    wanted = positive("levels", max(1, min(most, LEVELS)) if levels is None else levels)
    if wanted > most:
        raise UsageError(
            f"levels is {wanted}, and images have {min(sides)} pixels on a side; expected at least {least(wanted)}"
        )
    return wanted


@network
def encoder(channels: int, width: int = 64, levels: int = LEVELS) -> keras.Model:
    """Maps `image` (B, H, W, channels) to the features of each level, (B, ceil(H / 2^k), ceil(W / 2^k), width * 2^k).

    Args:
        channels: of the images.
        width: channels of the first level, which double with each halving.
        levels: halvings; sides have at least 2^levels + 1 pixels.

    Returns:
        A network whose output is a list of 1 + levels tensors, all at least 0.
    """
    image = keras.Input((None, None, channels), name="image")
    x = _conv2d(width)(image)
    features = [x]
    for level in range(levels):
        x = _conv2d(width * 2 ** (level + 1), 2)(_conv2d(width * 2**level)(x))
        features.append(x)
    return keras.Model({"image": image}, features, name="encoder")


@network
def decoder(channels: int, width: int = 64, levels: int = LEVELS) -> keras.Model:
    """Maps `feature` (B, h, w, width * 2^levels) to images (B, 2^levels h, 2^levels w, channels) in [-1, 1].

    Args:
        channels: of the images.
        width: as for `encoder`.
        levels: doublings.
    """
    feature = keras.Input((None, None, width * 2**levels), name="feature")
    x = feature
    for level in reversed(range(levels)):
        x = _conv2d(width * 2**level)(doubled(_conv2d(width * 2**level)(x)))
    x = _conv2d(channels, activation=None)(x)
    return keras.Model({"feature": feature}, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def _conv2d(filters, stride=1, activation="relu"):
    """Returns a convolution of 3x3 pixels, whose input is continued by its mirror image."""
    edges, made = ReflectionPadding2D(1), layers.Conv2D(filters, 3, stride, activation=activation)
    return lambda x: made(edges(x))

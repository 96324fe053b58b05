"""Networks of SAGAN and BigGAN: residual blocks of spectrally normalized layers, attention, and classes in both."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.errors import UsageError
from keras_gen.layers import (
    ConditionalBatchNormalization,
    ModulatedBatchNormalization,
    SelfAttention2D,
    SpectralConv2D,
    SpectralDense,
)
from keras_gen.networks.build import in_float32, network, normalized
from keras_gen.networks.conv import stages

PART = 20  # coordinates of each part of the latent, where nobody says otherwise
NORMS = ("batch", "sync_batch")
INITIALIZERS = ("glorot_uniform", "orthogonal")
_SMALL = (4, 4, 4, 4)  # of images up to 32x32
# By doublings, the channels of the generator's maps in units of the width, smallest map first: 4 are 64x64, 8 are
# 1024x1024, which the paper does not reach and the rule of 512x512 goes on to.
_LARGE = {
    4: (16, 16, 8, 4, 2),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
    7: (16, 16, 8, 8, 4, 2, 1, 1),
    8: (16, 16, 8, 8, 4, 2, 1, 1, 1),
}


def channels(image_shape: Sequence[int]) -> tuple[tuple[int, int], tuple[int, ...], tuple[int, ...]]:
    """Returns the size of the smallest map, and the channels of both networks' maps in units of the width.

    The generator's are those of its smallest map and after each of its blocks, which all double both sides; the
    discriminator's those after each of its blocks, which all halve them but the last, or the last two of 32x32.

    Raises:
        UsageError: the sides cannot be halved down to a map of 4 to 8 pixels on its shorter side, or are too long.
    """
    base, halved = stages(image_shape, 1)
    if len(halved) <= 3:
        return base, _SMALL[: len(halved) + 1], _SMALL[: len(halved) + 1]
    if len(halved) not in _LARGE:
        height, width = image_shape[:2]
        raise UsageError(f"image_shape {tuple(image_shape)} is {height}x{width}; expected at most 1024 pixels or so")
    grown = _LARGE[len(halved)]
    return base, grown, (1, 2, 4, 8, 16) if len(halved) == 4 else grown[::-1]


def parts(image_shape: Sequence[int]) -> int:
    """Returns into how many parts BigGAN's generator divides the latent: one for each block, and the first layer's."""
    return len(channels(image_shape)[1])


def attended(image_shape: Sequence[int], attention: Sequence[int] | None, largest: int) -> tuple[int, ...]:
    """Returns the heights of the maps that are to have attention.

    Args:
        image_shape: (H, W, C).
        attention: what was asked for; `None` is half of the image's height, or `largest` where that is less.
        largest: height that the paper has.

    Raises:
        UsageError: neither network has a map of that height, or it cannot be halved.
    """
    (base, _), grown, _ = channels(image_shape)
    heights = [base << block for block in range(len(grown))]
    if attention is None:
        usual = [height for height in heights[1:-1] if height <= largest]
        return tuple(usual[-1:])
    for height in attention:
        if height not in heights or height % 2:
            known = ", ".join(str(one) for one in heights if one % 2 == 0)
            raise UsageError(f"attention is {list(attention)}; expected heights of maps that are even: {known}, or []")
    return tuple(attention)


@network
def generator(
    image_shape: Sequence[int],
    latent_dim: int,
    num_classes: int | None = None,
    width: int = 64,
    embedding: int | None = None,
    attention: Sequence[int] = (),
    norm: str = "batch",
    initializer: str = "glorot_uniform",
) -> keras.Model:
    """Maps `latent` (B, latent_dim), and `label` int32 (B,) where there are classes, to images (B, H, W, C) in [-1, 1].

    Args:
        image_shape: (H, W, C).
        latent_dim: number of latent coordinates; with `embedding` a multiple of `parts(image_shape)`.
        num_classes: number of classes; without it, normalizations are of no condition.
        width: channels of the largest map of 128x128 images.
        embedding: length of a vector of the class that all blocks share: beside the block's part of the latent it gives
            gain and offset of the normalizations. `None`: each normalization has its own table of the classes, and the
            first layer the whole latent.
        attention: heights of maps that have attention.
        norm: one of `NORMS`.
        initializer: of all kernels, by Keras' name of it.
    """
    (height, breadth), grown, _ = channels(image_shape)
    latent = keras.Input((latent_dim,), name="latent")
    inputs, conditions = {"latent": latent}, [None] * len(grown)
    if num_classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
    first = latent
    if embedding:
        of_class = layers.Embedding(num_classes, embedding, initializer, name="shared")(inputs["label"])
        first, *others = keras.ops.split(latent, len(grown), axis=1)
        conditions = [layers.Concatenate()([of_class, part]) for part in others]

    def normalization(condition):
        return _normalization(inputs.get("label"), num_classes, condition, norm, initializer)

    x = SpectralDense(height * breadth * grown[0] * width, kernel_initializer=initializer)(first)
    x = layers.Reshape((height, breadth, grown[0] * width))(x)
    for block, (multiple, condition) in enumerate(zip(grown[1:], conditions, strict=False), 1):
        x = _up(x, multiple * width, normalization(condition), initializer, f"block_{block}")
        if height << block in attention:
            x = SelfAttention2D(True, initializer, name=f"attention_{height << block}")(x)
    x = layers.ReLU()(normalized(x, norm))
    x = _convolution(image_shape[-1], 3, initializer)(x)
    return keras.Model(inputs, layers.Activation("tanh", dtype="float32")(x), name="generator")


@network
def discriminator(
    image_shape: Sequence[int],
    num_classes: int | None = None,
    width: int = 64,
    attention: Sequence[int] = (),
    initializer: str = "glorot_uniform",
) -> keras.Model:
    """Maps `image` (B, H, W, C), and `label` int32 (B,) where there are classes, to logits (B, 1).

    A logit is a linear function of the features, which are sums over all pixels of the smallest map, and their inner
    product with a vector of the class. Arguments as of `generator`.
    """
    _, _, after = channels(image_shape)
    halvings = min(len(after) - 1, 2) if len(after) <= len(_SMALL) else len(after) - 1
    image = keras.Input(tuple(image_shape), name="image")
    inputs, x = {"image": image}, image
    for block, multiple in enumerate(after):
        x = _down(x, multiple * width, block < halvings, block == 0, initializer)
        if x.shape[1] in attention:
            x = SelfAttention2D(True, initializer, name=f"attention_{x.shape[1]}_after_{block}")(x)
    features = keras.ops.sum(layers.ReLU()(x), axis=(1, 2))
    logit = SpectralDense(1, kernel_initializer=initializer, name="logit")(features)
    if num_classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
        code = keras.ops.one_hot(inputs["label"], num_classes)
        given = {"use_bias": False, "kernel_initializer": initializer, "name": "of_class"}
        of_class = SpectralDense(features.shape[-1], **given)(code)
        logit = layers.Add()([logit, layers.Dot(axes=-1)([of_class, features])])
    return keras.Model(inputs, in_float32(logit), name="discriminator")


def _convolution(filters, kernel, initializer):
    # With a bias, as the authors' programs, even where a normalization follows.
    return SpectralConv2D(filters, kernel, padding="same", kernel_initializer=initializer)


def _normalization(label, num_classes, condition, norm, initializer) -> Callable[[Any], Any]:
    """Returns what normalizes a block's maps by its condition: a vector, a class, or none."""
    synchronized = norm == "sync_batch"

    def by_vector(x):
        given = {"use_bias": False, "kernel_initializer": initializer}
        gain, offset = (SpectralDense(x.shape[-1], **given)(condition) for _ in range(2))
        return ModulatedBatchNormalization(synchronized=synchronized)([x, gain + 1.0, offset])

    def by_class(x):
        return ConditionalBatchNormalization(num_classes, synchronized=synchronized)([x, label])

    if condition is not None:
        return by_vector
    return by_class if num_classes else lambda x: normalized(x, norm)


def _up(x, filters, normalization, initializer, name):
    """Doubles both sides; a convolution of 1x1 is the same before and after that."""
    y = layers.UpSampling2D()(layers.ReLU()(normalization(x)))
    y = _convolution(filters, 3, initializer)(y)
    y = _convolution(filters, 3, initializer)(layers.ReLU()(normalization(y)))
    return layers.Add(name=name)([layers.UpSampling2D()(_convolution(filters, 1, initializer)(x)), y])


def _down(x, filters, halve, first, initializer):
    """Halves both sides, or keeps them; the first block of all sees the image itself, not what a ReLU leaves of it."""
    y = _convolution(filters, 3, initializer)(x if first else layers.ReLU()(x))
    y = _convolution(filters, 3, initializer)(layers.ReLU()(y))
    if halve:
        x, y = layers.AveragePooling2D(2)(x), layers.AveragePooling2D(2)(y)
    if halve or x.shape[-1] != filters:
        x = _convolution(filters, 1, initializer)(x)
    return layers.Add()([x, y])

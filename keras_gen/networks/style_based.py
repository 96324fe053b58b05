"""Mapping, synthesis and discriminator of generators that work by styles."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from keras_gen.errors import UsageError
from keras_gen.layers import (
    FIR,
    BiasActivation,
    EqualizedConv2D,
    EqualizedDense,
    LearnedConstant,
    MinibatchStddev,
    ModulatedConv2D,
    Noise,
    PixelNorm,
    Styles,
)
from keras_gen.layers.equalized import ROOT
from keras_gen.networks.build import in_float32, network

SMALLEST = 4  # side of the maps that synthesis begins with, and that the discriminator ends in
SHARE = 0.01  # of the learning rate, in mappings
AFTER = {"activation": "leaky_relu", "activation_gain": ROOT}  # the gain stands after the activation


def sizes(image_shape: Sequence[int]) -> list[int]:
    """Returns the sides of the maps, from 4 up to the image's.

    Raises:
        UsageError: images that are not square, or whose side is no power of 2 from 8 on; the message names the nearest.
    """
    height, width, _ = image_shape
    nearest = 2 ** max(3, round(math.log2(max(height, width))))
    if height != width or height != nearest:
        raise UsageError(
            f"image_shape is {tuple(image_shape)}; styles make squares whose side is a power of 2 from 8 on, such as "
            f"{nearest}x{nearest}"
        )
    return [SMALLEST * 2**k for k in range(int(math.log2(height)) - 1)]


def channels(size: int, base: int, largest: int) -> int:
    """Returns the channels of maps of a side."""
    return max(1, min(base // size, largest))


def num_styles(image_shape: Sequence[int]) -> int:
    """Returns how many layers of StyleGAN and StyleGAN2 take a style: 18 at 1024x1024."""
    return 2 * len(sizes(image_shape))


def noise_size(image_shape: Sequence[int]) -> int:
    """Returns how many numbers of noise an image of StyleGAN2 takes: one map at 4x4, two at every larger size."""
    return 2 * sum(size**2 for size in sizes(image_shape)) - SMALLEST**2


def _mapped(parts, style_dim, depth):
    """Passes normalized vectors through the dense layers of a mapping, (B, d) to (B, style_dim)."""
    x = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    for _ in range(depth):
        x = EqualizedDense(style_dim, multiplier=SHARE, **AFTER)(x)
    return x


def _embedded(num_classes, width):
    """Returns the input `label`, and its normalized vector of a width."""
    label = keras.Input((), dtype="int32", name="label")
    return label, PixelNorm()(EqualizedDense(width)(keras.ops.one_hot(label, num_classes)))


@network
def mapping(
    count: int,
    latent_dim: int = 512,
    style_dim: int = 512,
    depth: int = 8,
    num_classes: int | None = None,
    decay: float = 0.998,
    cutoff: int | None = None,
) -> keras.Model:
    """Maps `latent` (B, latent_dim), and `label` where there are classes, to styles (B, count, style_dim).

    Its layer `styles` holds the running mean of w, which a training call moves.

    Args:
        count: layers of the synthesis that take a style.
        latent_dim: number of latent coordinates, which are brought to mean square 1.
        style_dim: number of coordinates of w.
        depth: dense layers, each with a hundredth of the learning rate.
        num_classes: number of classes; the vector of the class stands beside the latent.
        decay: of the running mean.
        cutoff: styles that truncation changes, as for `Styles`.
    """
    latent = keras.Input((latent_dim,), name="latent")
    inputs, parts = {"latent": latent}, [PixelNorm()(latent)]
    if num_classes:
        inputs["label"], vector = _embedded(num_classes, style_dim)
        parts.append(vector)
    w = _mapped(parts, style_dim, depth)
    return keras.Model(inputs, Styles(count, decay, cutoff, name="styles")(w), name="mapping")


@network
def synthesis(image_shape: Sequence[int], style_dim: int = 512, base: int = 32_768, largest: int = 512) -> keras.Model:
    """Maps `style` (B, n, style_dim) and `noise` (B, m) to images (B, H, W, C): StyleGAN2's, of summed images.

    Each size has two convolutions, the smallest one, and an image of its own; the image is the sum of all, each made
    larger by the same filter. Values are not bounded.

    Args:
        image_shape: (H, W, C), as for `sizes`.
        style_dim: number of coordinates of w.
        base: channels of a size are base / size, but
        largest: no more than this.
    """
    count, every = num_styles(image_shape), sizes(image_shape)
    style = keras.Input((count, style_dim), name="style")
    noise = keras.Input((noise_size(image_shape),), name="noise")
    w = keras.ops.unstack(style, count, axis=1)
    x = LearnedConstant((SMALLEST, SMALLEST, channels(SMALLEST, base, largest)))(w[0])
    image, used, start = None, 0, 0
    for size in every:
        for up in (2, 1) if size > SMALLEST else (1,):
            x = ModulatedConv2D(channels(size, base, largest), up=up, name=f"conv_{used}")([x, w[used]])
            x = BiasActivation(**AFTER)(Noise(start, name=f"noise_{used}")([x, noise]))
            used, start = used + 1, start + size**2
        own = BiasActivation()(ModulatedConv2D(image_shape[-1], 1, demodulate=False)([x, w[used]]))
        image = own if image is None else layers.Add()([FIR(up=2)(image), own])
    return keras.Model({"style": style, "noise": noise}, in_float32(image), name="synthesis")


@network
def generator(mapping: keras.Model, synthesis: keras.Model) -> keras.Model:
    """Joins both networks: `latent`, `noise` where there is some, and `label` where there are classes, to images."""
    given = {name: keras.Input(one.shape[1:], dtype=one.dtype, name=name) for name, one in mapping.input.items()}
    more = {name: keras.Input(one.shape[1:], name=name) for name, one in synthesis.input.items() if name != "style"}
    return keras.Model({**given, **more}, synthesis({"style": mapping(given), **more}), name="generator")


@network
def discriminator(
    image_shape: Sequence[int],
    base: int = 32_768,
    largest: int = 512,
    num_classes: int | None = None,
    depth: int = 8,
    group: int = 4,
) -> keras.Model:
    """Maps `image` (B, H, W, C), and `label` where there are classes, to logits (B, 1): of residual blocks.

    Args:
        image_shape: (H, W, C), as for `sizes`.
        base: as for `synthesis`.
        largest: as for `synthesis`.
        num_classes: number of classes, whose vectors pass a mapping of their own; the logit is an inner product.
        depth: dense layers of that mapping.
        group: rows over which the deviation of features is shown.
    """
    every = sizes(image_shape)
    image = keras.Input(tuple(image_shape), name="image")
    inputs, x = {"image": image}, EqualizedConv2D(channels(every[-1], base, largest), 1, **AFTER)(image)
    for size in every[:0:-1]:
        wider = channels(size // 2, base, largest)
        y = FIR(padding=2)(EqualizedConv2D(channels(size, base, largest), 3, **AFTER)(x))
        # Halved variances of both sums: sqrt(2) sqrt(1/2) = 1.
        y = EqualizedConv2D(wider, 3, "leaky_relu", strides=2, padding="valid")(y)
        x = EqualizedConv2D(wider, 1, use_bias=False, activation_gain=1 / ROOT)(FIR(down=2)(x))
        x = layers.Add()([x, y])
    width = channels(SMALLEST, base, largest)
    x = EqualizedConv2D(width, 3, **AFTER)(MinibatchStddev(group)(x))
    x = EqualizedDense(width, **AFTER)(layers.Flatten()(x))
    x = EqualizedDense(width if num_classes else 1)(x)
    if num_classes:
        inputs["label"], vector = _embedded(num_classes, width)
        x = layers.Dot(axes=-1)([x, _mapped([vector], width, depth)])
        x = layers.Rescaling(1 / math.sqrt(width))(x)
    return keras.Model(inputs, in_float32(x), name="discriminator")

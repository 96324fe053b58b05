"""Networks that grow: of the smallest image first, and of a larger one with each stage."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from keras_gen.errors import UsageError, positive
from keras_gen.layers import (
    FIR,
    AdaptiveInstanceNormalization,
    BiasActivation,
    EqualizedConv2D,
    EqualizedDense,
    FadeIn,
    LearnedConstant,
    MinibatchStddev,
    Noise,
    PixelNorm,
)
from keras_gen.layers.equalized import ROOT
from keras_gen.networks.build import Laws, halvings, joined, network

BLUR = partial(FIR, (1, 2, 1))  # of StyleGAN, after maps were doubled and before they are halved
LEAKY = {"activation": "leaky_relu", "gain": ROOT}


def sizes(image_shape: Sequence[int]) -> tuple[str, ...]:
    """Returns the names of the sizes that networks grow through, such as `4x4`, the smallest first.

    Args:
        image_shape: (H, W, C) of the last.

    Raises:
        UsageError: the sides do not come from doubling a map of 4 to 7 pixels on its shorter side.
    """
    height, breadth, *_ = image_shape
    times = halvings(height, breadth)
    if not 4 <= min(height, breadth) >> times <= 7:
        raise UsageError(
            f"image_shape is {tuple(image_shape)}; expected sides that come from doubling 4 to 7 pixels, such as 28, "
            "32, 48x64 or 1024"
        )
    return tuple(f"{height >> index}x{breadth >> index}" for index in range(times, -1, -1))


def sides(size: str) -> tuple[int, int]:
    """Returns height and width of a size by its name."""
    height, _, breadth = size.partition("x")
    return int(height), int(breadth)


def channels(count: int, base: int, largest: int) -> list[int]:
    """Returns the channels of so many sizes, the smallest first: `base` over the side, counted from 4, or `largest`.

    Raises:
        UsageError: a number below 1.
    """
    base, largest = positive("base", base), positive("largest", largest)
    return [max(1, min(base >> index + 2, largest)) for index in range(count)]


def doubled(x: Any) -> Any:
    """Returns maps (B, h, w, C) with each pixel in a square of four, (B, 2 h, 2 w, C)."""
    return layers.UpSampling2D(interpolation="nearest")(x)


def halved(x: Any) -> Any:
    """Returns the means of squares of four pixels, (B, h, w, C) to (B, h / 2, w / 2, C)."""
    return layers.AveragePooling2D(2)(x)


@network
def generator(laws: Laws, image_shape: Sequence[int], base: int = 16384, largest: int = 512) -> keras.Model:
    """Maps the inputs that `laws` names to images (B, H, W, C), by way of every smaller size; `grown` cuts it.

    Args:
        laws: of the inputs.
        image_shape: (H, W, C).
        base: channels at the side 1, were there no bound: half as many with each doubling.
        largest: the bound.
    """
    names = sizes(image_shape)
    widths, (height, breadth) = channels(len(names), base, largest), sides(names[0])
    inputs, x = joined(laws)
    x = PixelNorm()(x)
    x = EqualizedDense(height * breadth * widths[0], gain=ROOT / 4, use_bias=False, name=f"dense_{names[0]}")(x)
    x = BiasActivation("leaky_relu", name=f"bias_{names[0]}")(layers.Reshape((height, breadth, widths[0]))(x))
    x, image = PixelNorm()(x), None
    for index, (size, width) in enumerate(zip(names, widths, strict=True)):
        x = doubled(x) if index else x
        for letter in "ab" if index else "b":
            x = PixelNorm()(EqualizedConv2D(width, 3, name=f"conv_{size}_{letter}", **LEAKY)(x))
        image = colored(x, image_shape[-1], size, image)
    return keras.Model(inputs, image, name="generator")


def colored(x: Any, count: int, size: str, before: Any = None) -> Any:
    """Returns images of maps, float32, blended with those of the size before where there is one.

    Args:
        x: maps (B, h, w, C).
        count: channels of an image.
        size: name of the size, by which `grown` finds the layers.
        before: images (B, h / 2, w / 2, count).
    """
    image = EqualizedConv2D(count, 1, name=f"rgb_{size}")(x)
    image = layers.Activation("linear", dtype="float32", name=f"image_{size}")(image)
    return image if before is None else FadeIn(dtype="float32", name=f"fade_{size}")([doubled(before), image])


@network
def grown(net: keras.Model, size: str, before: str | None, image_shape: Sequence[int] | None = None) -> keras.Model:
    """Cuts out of a generator what makes images of one size; it shares the layers.

    Args:
        net: of this module's `generator`, or with the layers of `colored`.
        size: name of the size.
        before: name of the size that is blended with it by its `fade`, if one is.
        image_shape: (H, W, C) of what is wanted, in [-1, 1]: pixels are repeated, and values clipped. By default the
            images are as they are.
    """
    image = net.get_layer(f"image_{size}").output
    if before is not None:
        image = net.get_layer(f"fade_{size}")([doubled(net.get_layer(f"image_{before}").output), image])
    if image_shape is not None:
        factor = image_shape[0] // image.shape[1]
        image = layers.UpSampling2D(factor, interpolation="nearest")(image) if factor > 1 else image
        image = keras.ops.clip(image, -1.0, 1.0)
    return keras.Model(net.input, image, name=net.name)


@network
def discriminator(
    image_shape: Sequence[int],
    base: int = 16384,
    largest: int = 512,
    smooth: Callable[[], Any] | None = None,
    of: keras.Model | None = None,
    blended: bool = True,
) -> keras.Model:
    """Maps `image` (B, H, W, C) to logits (B, 1), by way of every smaller size.

    Args:
        image_shape: (H, W, C).
        base: as for `generator`.
        largest: as for `generator`.
        smooth: makes the layer that blurs maps before they are halved, if any does.
        of: a discriminator of larger images, whose layers this one shares; by default it has its own.
        blended: whether its own size is blended with the one before; sizes in between are not, of a part.
    """
    names = sizes(image_shape)
    widths, top = channels(len(names), base, largest), len(names) - 1

    def layer(kind, *args, name, **more):
        return kind(*args, name=name, **more) if of is None else of.get_layer(name)

    def seen(image, index):
        return layer(EqualizedConv2D, widths[index], 1, name=f"see_{names[index]}", **LEAKY)(image)

    image = coarse = keras.Input(tuple(image_shape), name="image")
    x = seen(image, top)
    for index in range(top, 0, -1):
        size, width = names[index], widths[index - 1]
        x = layer(EqualizedConv2D, widths[index], 3, name=f"judge_{size}_a", **LEAKY)(x)
        if smooth is None:
            x = halved(layer(EqualizedConv2D, width, 3, name=f"judge_{size}_b", **LEAKY)(x))
        else:
            x = halved(layer(EqualizedConv2D, width, 3, gain=ROOT, name=f"judge_{size}_b")(smooth()(x)))
            x = layers.LeakyReLU(0.2)(x)
        coarse = halved(coarse)
        if of is None or blended and index == top:
            x = layer(FadeIn, name=f"fade_{size}")([seen(coarse, index - 1), x])
    x = layer(EqualizedConv2D, widths[0], 3, name=f"judge_{names[0]}_a", **LEAKY)(MinibatchStddev()(x))
    x = layer(EqualizedDense, widths[0], name="dense", **LEAKY)(layers.Flatten()(x))
    x = layer(EqualizedDense, 1, name="logit")(x)
    return keras.Model({"image": image}, layers.Activation("linear", dtype="float32")(x), name="discriminator")


@network
def synthesis(image_shape: Sequence[int], style_dim: int = 512, base: int = 16384, largest: int = 512) -> keras.Model:
    """Maps `style` (B, n, style_dim) and `noise` (B, m) to images (B, H, W, C): StyleGAN's, which grows.

    A size has two layers, each with noise for every pixel and a style; of the smallest, the first is a constant.

    Args:
        image_shape: (H, W, C).
        style_dim: number of coordinates of w.
        base: as for `generator`.
        largest: as for `generator`.
    """
    names = sizes(image_shape)
    widths = channels(len(names), base, largest)
    style = keras.Input((2 * len(names), style_dim), name="style")
    noise = keras.Input((2 * sum(height * breadth for height, breadth in map(sides, names)),), name="noise")
    w, start, number, image = keras.ops.unstack(style, 2 * len(names), axis=1), 0, 0, None

    def styled(x):
        nonlocal start, number
        x = Noise(start, per_channel=True, name=f"noise_{number}")([x, noise])
        x = BiasActivation("leaky_relu", name=f"bias_{number}")(x)
        x = AdaptiveInstanceNormalization(name=f"style_{number}")([x, w[number]])
        start, number = start + x.shape[1] * x.shape[2], number + 1
        return x

    x = styled(LearnedConstant((*sides(names[0]), widths[0]), deviation=0.0, name="constant")(w[0]))
    for index, (size, width) in enumerate(zip(names, widths, strict=True)):
        for letter in "ab" if index else "b":
            conv = EqualizedConv2D(width, 3, gain=ROOT, use_bias=False, name=f"conv_{size}_{letter}")
            x = styled(conv(x) if letter == "b" else BLUR()(conv(doubled(x))))
        image = colored(x, image_shape[-1], size, image)
    return keras.Model({"style": style, "noise": noise}, image, name="synthesis")

"""The generator of StyleGAN3: layers whose signals stay below half of their sampling rates."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

from keras_gen.errors import UsageError, choice, positive, whole
from keras_gen.layers import (
    BiasActivation,
    FilteredLeakyReLU,
    FourierFeatures,
    MagnitudeNormalization,
    ModulatedConv2D,
)
from keras_gen.networks.build import in_float32, network

VARIANTS = ("t", "r")  # equivariant to translation, or to rotation as well
BRIGHTNESS = 0.25  # of the image over the last maps, whose variance is near 1
UPSAMPLED = 2  # rate of a leaky ReLU over the higher one of what it lies between
TAPS = 6  # of a filter, for each sample of the coarser side
MARGIN = 10  # pixels beyond each edge of the image, at the rate of the layer
FIRST_CUTOFF, FIRST_STOPBAND = 2.0, 2**2.1  # cycles per image
LAST_STOPBAND = 2**0.3  # over the last cutoff
SIZES = tuple(2**power for power in range(3, 11))


class Band(NamedTuple):
    """What a layer gives: its samples, their rate and the frequencies below it, in cycles per image.

    Args:
        size: samples on a side, margins included.
        rate: samples on the side of the image.
        cutoff: frequency up to which the signal passes.
        half_width: of the transition band beyond it.
        channels: of the maps.
        critical: whether the cutoff is at half of the rate, where nothing is left for a transition.
    """

    size: int
    rate: int
    cutoff: float
    half_width: float
    channels: int
    critical: bool


def bands(side: int, channels: int, layers: int = 14, critical: int = 2, base: int = 32768, largest: int = 512) -> list:
    """Returns the `Band` of each layer's result, from the first to that which gives the image's channels.

    Args:
        side: pixels of the image, a power of two from 8 to 1024.
        channels: of the image.
        layers: before that which gives the image's channels.
        critical: how many of the last of them are sampled at twice their cutoff, and have no transition band inside.
        base: over twice the cutoff, the channels of a layer.
        largest: channels at most.

    Raises:
        UsageError: another side, or a number out of range.

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423, section 3.2 and appendix C.
    """
    if side not in SIZES:
        raise UsageError(f"images have {side} pixels on a side; expected a power of two from 8 to 1024, such as 32")
    if whole("layers", layers, 2) <= whole("critical", critical, 1):
        raise UsageError(f"layers is {layers} and critical is {critical}; expected more layers than critical ones")
    base, largest = positive("base", base), positive("largest", largest)
    share = np.minimum(np.arange(layers + 1) / (layers - critical), 1)
    cutoffs = FIRST_CUTOFF * (side / 2 / FIRST_CUTOFF) ** share
    stopbands = FIRST_STOPBAND * (side / 2 * LAST_STOPBAND / FIRST_STOPBAND) ** share
    rates = 2 ** np.ceil(np.log2(np.minimum(2 * stopbands, side))).astype(int)
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = np.where(np.arange(layers + 1) < layers - 1, rates + 2 * MARGIN, side)
    widths = np.maximum(np.rint(np.minimum(base / 2 / cutoffs, largest)).astype(int), 1)
    widths[-1] = channels
    return [
        Band(*(value.item() for value in values), critical=index >= layers - critical)
        for index, values in enumerate(zip(sizes, rates, cutoffs, half_widths, widths, strict=True))
    ]


def factors(before: Band, after: Band) -> tuple[int, int]:
    """Returns by how much a layer makes its rate higher for the leaky ReLU, and lower after it.

    Args:
        before: of what comes in.
        after: of its result.
    """
    between = max(before.rate, after.rate) * UPSAMPLED
    return between // before.rate, between // after.rate


@network
def synthesis(
    image_shape: Sequence[int],
    style_dim: int = 512,
    base: int = 32_768,
    largest: int = 512,
    depth: int = 14,
    critical: int = 2,
    variant: str = "t",
) -> keras.Model:
    """Maps `style` (B, depth + 2, style_dim), `shift` (B, 2) and `angle` (B,) to images (B, H, W, C): StyleGAN3's.

    Shift and angle move the image as for `FourierFeatures`; values are not bounded.

    Args:
        image_shape: (H, W, C), square, as for `bands`.
        style_dim: number of coordinates of w.
        base: as for `bands`; of `"r"` twice as much, as of
        largest: channels at most.
        depth: layers, before that which gives the image's channels.
        critical: as for `bands`.
        variant: `"t"`, of 3x3 kernels, or `"r"`, of 1x1 kernels and filters that treat all directions alike.

    Raises:
        UsageError: images that are not square, another side, or a number out of range.

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423; the authors' program.
    """
    height, width, channels = image_shape
    if height != width:
        raise UsageError(f"image_shape is {tuple(image_shape)}; expected squares, such as {height}x{height}")
    turns = choice("variant", variant, VARIANTS) == "r"
    base, largest = (value * 2 if turns else value for value in (positive("base", base), positive("largest", largest)))
    found = bands(height, channels, depth, critical, base, largest)
    style = keras.Input((num_styles(depth), style_dim), name="style")
    shift, angle = keras.Input((2,), name="shift"), keras.Input((), name="angle")
    w = keras.ops.unstack(style, num_styles(depth), axis=1)
    before = found[0]
    x = FourierFeatures(before.channels, before.size, before.rate, before.cutoff)([w[0], shift, angle])
    for index, after in enumerate(found[:-1]):
        x = ModulatedConv2D(after.channels, 1 if turns else 3, padding="full")(
            [MagnitudeNormalization()(x), w[1 + index]]
        )
        x = FilteredLeakyReLU(
            after.size,
            *factors(before, after),
            rate=before.rate,
            up_band=(before.cutoff, before.half_width),
            down_band=(after.cutoff, after.half_width),
            taps=TAPS,
            radial=turns and not after.critical,
        )(x)
        before = after
    x = ModulatedConv2D(channels, 1, demodulate=False)([MagnitudeNormalization()(x), w[-1]])
    x = layers.Rescaling(BRIGHTNESS)(BiasActivation()(x))
    inputs = {"style": style, "shift": shift, "angle": angle}
    return keras.Model(inputs, in_float32(x), name="synthesis")


def num_styles(depth: int) -> int:
    """Returns how many styles a synthesis of so many layers takes: one is of the waves, and one of the colors."""
    return depth + 2

"""The generator of StyleGAN3: layers whose signals stay below half of their sampling rates."""

from typing import NamedTuple

import numpy as np

from keras_gen.errors import UsageError, positive, whole

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


def bands(side: int, channels: int, layers: int = 14, critical: int = 2, base: int = 32768, most: int = 512) -> list:
    """Returns the `Band` of each layer's result, from the first to that which gives the image's channels.

    Args:
        side: pixels of the image, a power of two from 8 to 1024.
        channels: of the image.
        layers: before that which gives the image's channels.
        critical: how many of the last of them are sampled at twice their cutoff, and have no transition band inside.
        base: over twice the cutoff, the channels of a layer.
        most: channels at most.

    Raises:
        UsageError: another side, or a number out of range.

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423, section 3.2 and appendix C.
    """
    if side not in SIZES:
        raise UsageError(f"images have {side} pixels on a side; expected a power of two from 8 to 1024, such as 32")
    if whole("layers", layers, 2) <= whole("critical", critical, 1):
        raise UsageError(f"layers is {layers} and critical is {critical}; expected more layers than critical ones")
    base, most = positive("base", base), positive("most", most)
    share = np.minimum(np.arange(layers + 1) / (layers - critical), 1)
    cutoffs = FIRST_CUTOFF * (side / 2 / FIRST_CUTOFF) ** share
    stopbands = FIRST_STOPBAND * (side / 2 * LAST_STOPBAND / FIRST_STOPBAND) ** share
    rates = 2 ** np.ceil(np.log2(np.minimum(2 * stopbands, side))).astype(int)
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = np.where(np.arange(layers + 1) < layers - 1, rates + 2 * MARGIN, side)
    widths = np.rint(np.minimum(base / 2 / cutoffs, most)).astype(int)
    widths[-1] = channels
    return [
        Band(*(value.item() for value in values), critical=index >= layers - critical)
        for index, values in enumerate(zip(sizes, rates, cutoffs, half_widths, widths, strict=True))
    ]


def factors(before: Band, after: Band, upsampled: int = 2) -> tuple[int, int]:
    """Returns by how much a layer makes its rate higher for the leaky ReLU, and lower after it.

    Args:
        before: of what comes in.
        after: of its result.
        upsampled: rate of the leaky ReLU over the higher one of both.
    """
    between = max(before.rate, after.rate) * upsampled
    return between // before.rate, between // after.rate

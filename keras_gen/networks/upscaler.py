"""From an image to what a larger one has beyond a smooth enlargement: residual blocks, then pixels made of channels."""

import keras
from keras import layers

from keras_gen.errors import UsageError, positive
from keras_gen.layers.shuffle import PixelShuffle
from keras_gen.networks.build import in_float32, network

SCALES = {2: 1, 4: 2}  # to the doublings that they take


def reach(scale: int, blocks: int, kernel: int) -> int:
    """Returns how many pixels of its input around its own one an output pixel depends on, to each side."""
    pixels = kernel // 2
    for _ in range(SCALES[scale]):
        pixels = -(-pixels // 2) + 1
    return pixels + 1 + 2 * blocks + kernel // 2


@network
def upscaler(channels: int, scale: int = 4, width: int = 64, blocks: int = 16, kernel: int = 9) -> keras.Model:
    """Maps `source` (B, H, W, channels) to (B, scale H, scale W, channels), at first 0, without a last activation.

    Args:
        channels: of the images.
        scale: 2 or 4, by one or two steps of twice the size.
        width: channels.
        blocks: residual blocks of two convolutions, without normalization.
        kernel: side of the convolutions at both ends, odd.

    Raises:
        UsageError: another scale, or a number out of range.

    Reference:
        Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2016,
        arXiv:1609.04802, figure 4.
    """
    if scale not in tuple(SCALES):
        raise UsageError(f"scale is {scale!r}; expected 2 or 4")
    width, blocks = positive("width", width), positive("blocks", blocks)
    if positive("kernel", kernel) % 2 == 0:
        raise UsageError(f"kernel is {kernel}; expected an odd number of pixels, such as 9")
    image = keras.Input((None, None, channels), name="source")
    x = first = _prelu()(_conv2d(width, kernel)(image))
    for _ in range(blocks):
        # Without normalization, sums of many blocks would grow: each begins at a tenth of the usual size (ESRGAN).
        y = _conv2d(width, 3, keras.initializers.VarianceScaling(0.02))(_prelu()(_conv2d(width, 3)(x)))
        x = layers.Add()([x, y])
    x = layers.Add()([_conv2d(width, 3)(x), first])
    for _ in range(SCALES[scale]):
        x = _prelu()(PixelShuffle(2)(_conv2d(4 * width, 3)(x)))
    return keras.Model({"source": image}, in_float32(_conv2d(channels, kernel, "zeros")(x)), name="upscaler")


def _conv2d(filters, kernel, initializer="glorot_uniform"):
    return layers.Conv2D(filters, kernel, padding="same", kernel_initializer=initializer)


def _prelu():
    return layers.PReLU(keras.initializers.Constant(0.25), shared_axes=(1, 2))

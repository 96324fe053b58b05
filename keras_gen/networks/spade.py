"""Networks that paint a map of classes, and that judge images beside their map."""

from collections.abc import Sequence

import keras
from keras import layers

from keras_gen.errors import UsageError, positive
from keras_gen.layers import InstanceNormalization, SpatiallyAdaptiveNormalization
from keras_gen.networks.build import conv2d, halvings, in_float32, network

MOST_HALVINGS = 5  # of the paper's generator, from 256 to 8 pixels
SMALLEST = 4  # pixels of a side


def doublings(sides: Sequence[int], levels: int | None = None) -> int:
    """Returns how often the generator doubles its map: what is asked for, or what suits images of these sides.

    Raises:
        UsageError: the sides cannot be halved so often down to 4 pixels, or not even once.
    """
    most = halvings(*sides, SMALLEST)
    if not most:
        raise UsageError(f"image_shape is {tuple(sides)}; expected even sides, of at least {2 * SMALLEST} pixels")
    if levels is not None and positive("levels", levels) > most:
        raise UsageError(f"levels is {levels}, and {sides[0]}x{sides[1]} pixels halve {most} times; give at most that")
    return levels or min(most, MOST_HALVINGS)


def halved(sides: Sequence[int], scales: int, strided: int | None = None) -> int:
    """Returns how many layers of stride 2 each discriminator gets: what is asked for, or what suits the sides.

    Raises:
        UsageError: the last discriminator would be left with a map of one pixel.
    """
    least = min(sides) >> (positive("scales", scales) - 1)
    strided = positive("strided", strided or (3 if least >= 128 else 2 if least >= 32 else 1))
    if least >> strided < 2:
        raise UsageError(
            f"strided is {strided} at {scales} scales, and images have {min(sides)} pixels on a side; "
            f"expected at least {2 ** (strided + scales)} pixels"
        )
    return strided


@network
def generator(
    image_shape: Sequence[int],
    num_classes: int,
    latent_dim: int = 256,
    width: int = 64,
    hidden: int = 128,
    levels: int | None = None,
) -> keras.Model:
    """Maps `segmentation`, classes (B, H, W), and `latent` (B, latent_dim) to images (B, H, W, C) in [-1, 1].

    The latent alone is the input of the first layer. Residual blocks double the map `levels` times; each of their
    normalizations looks at the classes. Channels halve from at most 16 times `width` to `width` at full size.

    Args:
        image_shape: (H, W, C).
        num_classes: number of classes.
        latent_dim: length of the latent.
        width: channels at full size.
        hidden: channels between the map and the scales and offsets.
        levels: doublings; `None` takes at most 5, down to 4 pixels.

    Reference:
        Park, Liu, Wang and Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019,
        arXiv:1903.07291, appendix A.
    """
    *sides, channels = image_shape
    levels = doublings(sides, levels)
    segmentation = keras.Input(tuple(sides), dtype="int32", name="segmentation")
    latent = keras.Input((latent_dim,), name="latent")
    classes = keras.ops.one_hot(segmentation, num_classes)  # (B, H, W, K)
    height, breadth = (side >> levels for side in sides)
    x = layers.Dense(height * breadth * _channels(width, levels))(latent)
    x = layers.Reshape((height, breadth, _channels(width, levels)))(x)
    x = _block(x, classes, _channels(width, levels), hidden)
    for level in reversed(range(levels)):
        x = _block(layers.UpSampling2D(2)(x), classes, _channels(width, level), hidden)
        if level == levels - 1 > 0:  # as in the paper, two of them
            x = _block(x, classes, _channels(width, level), hidden)
    x = layers.Conv2D(channels, 3, padding="same")(layers.LeakyReLU(0.2)(x))
    image = layers.Activation("tanh", dtype="float32")(x)
    return keras.Model({"segmentation": segmentation, "latent": latent}, image, name="generator")


def _channels(width, level):
    return width * min(2**level, 16)


def _block(x, classes, width, hidden):
    """Is a residual block; its convolutions have no bias, which the next normalization would take away."""
    before = x.shape[-1]
    y = x
    for filters in (min(before, width), width):
        y = layers.LeakyReLU(0.2)(SpatiallyAdaptiveNormalization(hidden)([y, classes]))
        y = conv2d(filters, 3, norm="spectral", use_bias=False)(y)
    if before != width:
        x = SpatiallyAdaptiveNormalization(hidden)([x, classes])
        x = conv2d(width, 1, norm="spectral", use_bias=False)(x)
    return layers.Add()([x, y])


@network
def discriminator(
    image_shape: Sequence[int], num_classes: int, width: int = 64, strided: int = 3, scales: int = 2
) -> keras.Model:
    """Maps `segmentation`, classes (B, H, W), and `image` (B, H, W, C) to what each of several networks sees.

    Each network is one of patches, as `networks.patch.discriminator`, with spectral normalization. The first sees image
    and one-hot map as they are, each further one at half the size of the one before.

    Args:
        image_shape: (H, W, C).
        num_classes: number of classes.
        width: channels of the first layers, the only ones without normalization.
        strided: layers of stride 2, from 1 on.
        scales: number of networks.

    Returns:
        A network whose output is a list, of each scale in turn: the features after each layer, and last the logits.

    Reference:
        Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs", 2017,
        arXiv:1711.11585; as in Park et al., 2019, arXiv:1903.07291, appendix A.
    """
    segmentation = keras.Input(tuple(image_shape[:2]), dtype="int32", name="segmentation")
    image = keras.Input(tuple(image_shape), name="image")
    both = layers.Concatenate()([keras.ops.one_hot(segmentation, num_classes, dtype=image.dtype), image])
    outputs = []
    for scale in range(scales):
        both = layers.AveragePooling2D(3, 2, padding="same")(both) if scale else both
        x, found = both, []
        for stage in range(strided + 1):
            stride = 2 if stage < strided else 1
            x = conv2d(width * min(2**stage, 8), 4, stride, "spectral", use_bias=not stage)(x)
            x = layers.LeakyReLU(0.2)(InstanceNormalization()(x) if stage else x)
            found.append(x)
        outputs += [*found, in_float32(conv2d(1, 4, norm="spectral")(x))]
    return keras.Model({"segmentation": segmentation, "image": image}, outputs, name="discriminator")


@network
def encoder(image_shape: Sequence[int], latent_dim: int = 256, width: int = 64) -> keras.Model:
    """Maps `image` (B, H, W, C) to mean and log variance of a latent, (B, 2 latent_dim).

    Args:
        image_shape: (H, W, C).
        latent_dim: length of the latent.
        width: channels of the first layer, which double up to 8 times as many.

    Reference:
        Park, Liu, Wang and Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019,
        arXiv:1903.07291, appendix A.
    """
    image = keras.Input(tuple(image_shape), name="image")
    x = image
    for stage in range(doublings(image_shape[:2])):
        x = conv2d(width * min(2**stage, 8), 3, 2, "spectral", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(InstanceNormalization()(x))
    x = layers.Dense(2 * latent_dim)(layers.Flatten()(x))
    return keras.Model({"image": image}, in_float32(x), name="encoder")

"""A discriminator of patches: a map of logits, each of what it sees of the image."""

from collections.abc import Mapping, Sequence

import keras
from keras import layers

from keras_gen.errors import UsageError, positive
from keras_gen.layers.instance import InstanceNormalization
from keras_gen.networks.build import in_float32, network


def halvings(sides: Sequence[int], strided: int | None) -> int:
    """Returns how many layers of stride 2 images of these sides get: what is asked for, or what suits them.

    Raises:
        UsageError: no logit would be left.
    """
    least = min(sides)
    strided = positive("strided", strided or (3 if least >= 128 else 2 if least >= 32 else 1))
    if least < 3 * 2**strided:
        raise UsageError(
            f"strided is {strided}, and images have {least} pixels on a side; expected at least {3 * 2**strided} pixels"
        )
    return strided


@network
def discriminator(
    inputs: Mapping[str, int], width: int = 64, strided: int = 3, norm: bool = True, name: str = "discriminator"
) -> keras.Model:
    """Maps images of one size, of any height and width, to logits (B, H', W', 1).

    Convolutions of 4x4 pixels: `strided` of them halve the map and double its channels, up to eight times `width`; one
    more widens it, and one judges. With 1, 2, 3 or 4 strided ones a logit sees 16, 34, 70 or 142 pixels on a side.

    Args:
        inputs: name of each image, which are seen beside each other, to its channels.
        width: channels of the first layer, the only one without normalization.
        strided: layers of stride 2, from 1 on.
        norm: whether instances are normalized.
        name: of the network.

    Reference:
        Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2016,
        arXiv:1611.07004, section 3.2.2.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    x = layers.Concatenate()(list(images.values())) if len(images) > 1 else next(iter(images.values()))
    for stage in range(strided + 1):
        x = _conv2d(width * min(2**stage, 8), 2 if stage < strided else 1)(layers.ZeroPadding2D(1)(x))
        x = layers.LeakyReLU(0.2)(InstanceNormalization()(x) if stage and norm else x)
    x = _conv2d(1, 1)(layers.ZeroPadding2D(1)(x))
    return keras.Model(images, in_float32(x), name=name)


def _conv2d(filters, stride):
    return layers.Conv2D(filters, 4, stride, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02))

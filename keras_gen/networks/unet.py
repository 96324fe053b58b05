"""A U-Net: from image to image through a bottleneck, with a shortcut at each size."""

import keras
from keras import layers

from keras_gen.layers.instance import InstanceNormalization
from keras_gen.networks.build import network

DROPPED = 3  # innermost stages of the way up with dropout


@network
def translator(source: int, target: int, width: int = 64, levels: int = 8, dropout: float = 0.5) -> keras.Model:
    """Maps `source` (B, H, W, source) to images (B, H, W, target) in [-1, 1]; 2^levels must divide H and W.

    Convolutions of 4x4 pixels and stride 2 down, transposed ones up, channels from `width` to eight times as many. The
    outermost stage has no normalization, nor has the innermost: of sides 2^levels its map is one place.

    Args:
        source: channels.
        target: channels.
        width: channels of the outermost stage.
        levels: halvings.
        dropout: share of hidden units that the innermost stages on the way up leave out in training.

    Reference:
        Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2016,
        arXiv:1611.07004, section 6.1.1.
    """
    image = keras.Input((None, None, source), name="source")
    x, maps = image, []
    for level in range(levels):
        x = layers.LeakyReLU(0.2)(x) if level else x
        x = layers.Conv2D(_channels(width, level), 4, 2, padding="same", kernel_initializer=_weights())(x)
        x = InstanceNormalization()(x) if 0 < level < levels - 1 else x
        maps.append(x)
    for level in reversed(range(levels - 1)):
        x = _up(_channels(width, level))(layers.ReLU()(x))
        x = InstanceNormalization()(x)
        if dropout and level >= levels - 1 - DROPPED:
            x = layers.Dropout(dropout)(x)
        x = layers.Concatenate()([x, maps[level]])
    x = _up(target)(layers.ReLU()(x))
    return keras.Model({"source": image}, layers.Activation("tanh", dtype="float32")(x), name="translator")


def _channels(width, level):
    return width * min(2**level, 8)


def _up(filters):
    return layers.Conv2DTranspose(filters, 4, 2, padding="same", kernel_initializer=_weights())


def _weights():
    return keras.initializers.RandomNormal(stddev=0.02)

"""From image to image through residual blocks at a quarter of the size."""

import keras
from keras import layers

from keras_gen.layers.instance import InstanceNormalization, ReflectionPadding2D
from keras_gen.networks.build import doubled, network

STRIDE = 4  # of the residual blocks' map, in pixels
LEAST = 8  # pixels of a side: fewer cannot be reflected


@network
def translator(
    source: int, target: int, width: int = 64, blocks: int = 9, upsample: str = "transpose", name: str = "translator"
) -> keras.Model:
    """Maps `source` (B, H, W, source) to images (B, H, W, target) in [-1, 1]; 4 must divide H and W.

    Args:
        source: channels.
        target: channels.
        width: channels at full size, doubled twice on the way to the blocks.
        blocks: residual blocks.
        upsample: on the way back, `"transpose"` by transposed convolutions, or `"resize"`, pixels doubled before a
            convolution, which leaves no checkerboard.
        name: of the network.

    Reference:
        Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
        2017, arXiv:1703.10593, appendix; the network is of Johnson et al., 2016, arXiv:1603.08155.
    """
    image = keras.Input((None, None, source), name="source")
    x = _normalized(_conv2d(width, 7)(ReflectionPadding2D(3)(image)))
    for times in (2, 4):
        x = _normalized(_conv2d(width * times, 3, 2, "same")(x))
    for _ in range(blocks):
        y = _normalized(_conv2d(width * 4, 3)(ReflectionPadding2D(1)(x)))
        y = InstanceNormalization()(_conv2d(width * 4, 3)(ReflectionPadding2D(1)(y)))
        x = layers.Add()([x, y])
    for times in (2, 1):
        if upsample == "resize":
            x = _conv2d(width * times, 3)(ReflectionPadding2D(1)(doubled(x)))
        else:
            x = layers.Conv2DTranspose(width * times, 3, 2, padding="same", kernel_initializer=_weights())(x)
        x = _normalized(x)
    x = _conv2d(target, 7)(ReflectionPadding2D(3)(x))
    return keras.Model({"source": image}, layers.Activation("tanh", dtype="float32")(x), name=name)


def _conv2d(filters, kernel, stride=1, padding="valid"):
    return layers.Conv2D(filters, kernel, stride, padding=padding, kernel_initializer=_weights())


def _normalized(x):
    return layers.ReLU()(InstanceNormalization()(x))


def _weights():
    return keras.initializers.RandomNormal(stddev=0.02)

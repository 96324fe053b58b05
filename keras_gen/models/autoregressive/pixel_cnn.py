"""PixelCNN: an image as a sequence of pixels, each drawn after those before it, by masked convolutions."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gen.errors import positive
from keras_gen.models.autoregressive.pixels import PixelModel
from keras_gen.networks import pixel as networks


@keras.saving.register_keras_serializable("keras_gen")
class PixelCNN(PixelModel):
    """PixelCNN: masked convolutions, which predict an image pixel by pixel.

    The likelihood of an image is the product of those of its pixels, each given those before. All of these factors are
    computed at once. Samples are drawn value by value, in as many passes.

    Args:
        image_shape: (H, W, C); the channels of a pixel come one after the other.
        levels: values that a channel can have, equally spaced on [-1, 1]: 2 for black and white, 256 for all of 8 bits.
        width: features of a block; a multiple of C.
        blocks: residual blocks.
        first: side of the first kernel, odd.
        kernel: side of the others, odd.
        gated: the gated PixelCNN, whose vertical and horizontal stacks leave no pixel before a place unseen; without,
            the first one of ReLUs, with its blind spot.
        skips: with gates, show the last layers the sum of what each block gives them, by weights of its own, in place
            of what passes from block to block.
        likelihood: of a channel with more than two levels: `"categorical"`, a probability for each, or `"mixture"`, of
            logistic distributions that are cut into levels, so that neighbors are alike.
        mixtures: logistic distributions in a mixture.
        binarize: with two levels: `"stochastic"` draws each pixel anew at every step with its gray level as
            probability, `"threshold"` cuts at one half.
        num_classes: number of classes that the network is told; `None` is none.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number that is none of those above.

    Example:
        >>> model = keras_gen.PixelCNN(image_shape=(28, 28, 1), width=32, blocks=7)
        >>> model.compile()
        >>> model.fit(images, batch_size=64, epochs=3)
        >>> model.log_prob(images[:16]).shape, model.complete(images[:16], rows=14).shape
        ((16,), (16, 28, 28, 1))

    Reference:
        van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759; gates and
        labels: van den Oord et al., "Conditional Image Generation with PixelCNN Decoders", 2016, arXiv:1606.05328;
        mixtures: Salimans et al., "PixelCNN++", 2017, arXiv:1701.05517.

    Deviations: Adam 1e-3 in place of RMSProp. The last layers see what passes from block to block, as in the figure of
    the gates; `skips=True` has the connections from each block to the output that the first paper tried, and that many
    programs have. Each channel has a mixture of its own, which sees the channels before it through the masks, in place
    of one for a pixel with means that depend on them linearly.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        width: int = 32,
        blocks: int = 7,
        first: int = 7,
        kernel: int = 3,
        gated: bool = True,
        skips: bool = False,
        **kwargs: Any,
    ):
        super().__init__(image_shape, **kwargs)
        sizes = self.sizes(width, first=first, kernel=kernel)
        self.pixels = networks.pixel_cnn(**sizes, blocks=positive("blocks", blocks), gated=gated, skips=skips)
        self.build()

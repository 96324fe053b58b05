"""PixelRNN: an image as a sequence of pixels, each drawn after those before it, by LSTMs that pass over the image."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gen.errors import choice, positive
from keras_gen.models.autoregressive.pixels import PixelModel
from keras_gen.networks import pixel as networks

LSTMS = ("diagonal", "row")


@keras.saving.register_keras_serializable("keras_gen")
class PixelRNN(PixelModel):
    """PixelRNN: LSTMs over the image, which predict it pixel by pixel.

    The likelihood of an image is the product of those of its pixels, each given those before. A single layer can see
    all pixels before one, however far. The LSTMs compute all of the factors at once, along a diagonal or a row at a
    time; that takes longer than convolutions. Samples are drawn value by value, in as many passes.

    Args:
        image_shape: (H, W, C); the channels of a pixel come one after the other.
        width: units of an LSTM, a multiple of the image's channels; twice as many features pass from block to block.
        blocks: residual blocks of an LSTM each.
        first: side of the first kernel, odd.
        lstm: `"diagonal"`, two passes along the diagonals, which together see all that comes before a place, or
            `"row"`, one pass along the rows, which sees a triangle above it, in half of the steps.
        kernel: with `"row"`, how many states of the row above a state depends on; odd.
        **kwargs: as for `PixelCNN`: `levels`, `likelihood`, `mixtures`, `binarize`, `num_classes`,
            `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number that is none of those above.

    Example:
        >>> model = keras_gen.PixelRNN(image_shape=(14, 14, 1), width=16, blocks=2)
        >>> model.compile()
        >>> model.fit(images, batch_size=64, epochs=3)
        >>> model.log_prob(images[:16]).shape, model.complete(images[:16], rows=7).shape
        ((16,), (16, 14, 14, 1))

    Reference:
        van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759.

    Deviations: Adam 1e-3 in place of RMSProp. With diagonals, images have one more column, of zeros, where features are
    told of the last pixel of the row: the pass from the right brings it to the next row, which would not see it
    otherwise. The label is a bias at the gates, as in the later PixelCNN. The skip connections of the paper's ablation
    and its multi-scale variant are left out.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        width: int = 16,
        blocks: int = 7,
        first: int = 7,
        lstm: str = "diagonal",
        kernel: int = 3,
        **kwargs: Any,
    ):
        super().__init__(image_shape, **kwargs)
        rows = choice("lstm", lstm, LSTMS) == "row"
        sizes = self.sizes(width, first=first, kernel=kernel)
        self.pixels = networks.pixel_rnn(**sizes, blocks=positive("blocks", blocks), rows=rows)
        self.build()

"""Masked convolutions, which see only what comes before a pixel in raster order."""

import math

import keras
import numpy as np

from keras_gen.errors import choice, positive

KINDS = ("A", "B", "above", "vertical")


@keras.saving.register_keras_serializable("keras_gen")
class MaskedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a part of its kernel fixed at 0, so that the order of pixels is kept.

    The order is that of rows from top to bottom, of pixels from left to right, and of channels. Features belong to
    channels of the image, in `channels` equal parts: those of the first channel come first.

    Args:
        filters: of the output.
        kernel_size: odd, a number or two.
        kind: `"A"` sees pixels before the place, and there the features of the channels before its own; `"B"` sees the
            features of its own channel, too; `"above"` sees the rows above, `"vertical"` the rows above and its own,
            both in all their width and all channels.
        channels: of the image.
        parts: equal parts of the filters, each of which is split by channels anew: 2 for a gate's two halves.
        **kwargs: those of `keras.layers.Conv2D`, without strides and padding, which is "same".

    Raises:
        UsageError: a kind that does not exist.

    Example:
        ```python
        features = MaskedConv2D(64, 7, "A")(image)  # (B, H, W, 1) to (B, H, W, 64)
        ```

    Reference:
        van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759.
    """

    def __init__(self, filters, kernel_size, kind: str, channels: int = 1, parts: int = 1, **kwargs):
        super().__init__(filters, kernel_size, **{**kwargs, "padding": "same"})
        self.kind = choice("kind", kind, KINDS)
        self.channels, self.parts = positive("channels", channels), positive("parts", parts)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "kind": self.kind, "channels": self.channels, "parts": self.parts}

    def mask(self) -> np.ndarray:
        """Returns 1 where the kernel may be other than 0, float32 (height, width, inputs, filters)."""
        height, width, inputs, filters = self._kernel.shape
        row, column = np.arange(height)[:, None] - height // 2, np.arange(width)[None, :] - width // 2
        before, here = (row < 0) | ((row == 0) & (column < 0)), (row == 0) & (column == 0)
        if self.kind in ("above", "vertical"):
            seen = (row < 0 if self.kind == "above" else row <= 0) & np.ones((1, width), bool)
            return np.broadcast_to(seen[..., None, None], self._kernel.shape).astype(np.float32)
        source = np.arange(inputs) * self.channels // inputs  # (inputs,): the channel of each feature
        target = np.tile(np.arange(filters // self.parts) * self.channels // (filters // self.parts), self.parts)
        earlier = source[:, None] < target if self.kind == "A" else source[:, None] <= target  # (inputs, filters)
        return (before[..., None, None] | (here[..., None, None] & earlier)).astype(np.float32)

    def convolution_op(self, inputs, kernel):
        """Convolves with the part of the kernel that is seen."""
        return super().convolution_op(inputs, kernel * keras.ops.cast(self.mask(), kernel.dtype))

    @property
    def reach(self) -> tuple[int, int]:
        """How many rows above a pixel, and columns to each side of it, are seen."""
        return self.kernel_size[0] // 2, self.kernel_size[1] // 2

    def of_window(self, window):
        """Returns the layer's output at one row or a part of it, (B, 1, w, filters).

        Args:
            window: (B, reach + 1, w + 2 reach, inputs): the row and those above, and the columns to both sides.
        """
        kernel = (self.kernel * keras.ops.cast(self.mask(), self.kernel.dtype))[: window.shape[1]]
        window, kernel = (keras.ops.cast(x, self.compute_dtype) for x in (window, kernel))
        if window.shape[2] == kernel.shape[1]:  # one place: a product of matrices
            size = math.prod(kernel.shape[:3])
            output = keras.ops.reshape(window, (-1, size)) @ keras.ops.reshape(kernel, (size, -1))
            output = output[:, None, None]
        else:
            output = keras.ops.conv(window, kernel, 1, "valid")
        output = output + keras.ops.cast(self.bias, output.dtype) if self.use_bias else output
        return self.activation(output)

"""LSTMs that pass over an image: row by row, or along its diagonals; at once, or a place at a time."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_gen.config import positive
from keras_gen.errors import UsageError


def _gated(gates, cell):
    """Returns an LSTM's next output and cell, (..., units), from the sums at its gates, (..., 4 * units)."""
    units = cell.shape[-1]
    some = ops.sigmoid(_part(gates, -1, 0, 3 * units))
    out, forget, enter = (_part(some, -1, first * units, units) for first in range(3))
    cell = forget * cell + enter * ops.tanh(_part(gates, -1, 3 * units, units))
    return out * ops.tanh(cell), cell


class _ImageLSTM(keras.layers.Layer):
    """What both share: the inputs are sums at gates, `parts` of them for each unit."""

    parts = 4

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = positive("units", units)

    def build(self, shape):
        """Makes the weights from state to state."""
        if shape[-1] != self.parts * self.units:
            raise UsageError(
                f"the input has {shape[-1]} features; expected {self.parts} for each of {self.units} units"
            )
        self.kernel = self.add_weight((*self.taps, 4 * self.units), "orthogonal", name="kernel")

    def compute_output_shape(self, shape):
        """Returns (B, H, W, units)."""
        return (*shape[:-1], self.units)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "units": self.units}

    @property
    def remembered(self) -> int:
        """How many features of each earlier place a later one needs: outputs and cells."""
        return 2 * self.units

    def _states(self, memory):
        """Returns outputs and cells of what is remembered of places."""
        return (_part(memory, -1, first, self.units) for first in (0, self.units))

    def _of_place(self, gates, before, cell, kernel):
        """Returns the output and the cell of one place, (B, 1, 1, units).

        All that it takes is (B, 1, n, features), but for the part of the kernel that sees the states before.
        """
        size = before.shape[2] * before.shape[3]
        kernel = ops.reshape(ops.cast(kernel, gates.dtype), (size, -1))
        seen = ops.reshape(before, (-1, size)) @ kernel
        return _gated(gates + ops.reshape(seen, (-1, 1, 1, 4 * self.units)), cell)


@keras.saving.register_keras_serializable("keras_gen")
class RowLSTM(_ImageLSTM):
    """Passes over the rows of an image from top to bottom; a state depends on its neighbors in the row above.

    The input (B, H, W, 4 * units) holds the sums at the gates that come from elsewhere: output, forget, input and
    content gates. The output is (B, H, W, units).

    Args:
        units: features of the state.
        kernel_size: states of the row above that a state depends on; odd.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        UsageError: an even kernel, or an input of another number of features.

    Reference:
        van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759, section
        3.1.
    """

    def __init__(self, units: int, kernel_size: int = 3, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.kernel_size = positive("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise UsageError(f"kernel_size is {kernel_size}; expected an odd number, which has a middle")

    @property
    def taps(self) -> tuple[int, int]:
        """Shape of the kernel that the gates see the states through."""
        return (self.kernel_size, self.units)

    @property
    def reach(self) -> tuple[int, int]:
        """How many rows above a place, and columns to each side of it, are seen."""
        return 1, self.kernel_size // 2

    def call(self, gates):
        """Passes over all rows."""
        output = ops.zeros_like(gates[:, 0, :, : self.units])
        cell, outputs = output, []
        for row in ops.unstack(gates, axis=1):
            output, cell = _gated(row + ops.conv(output, ops.cast(self.kernel, row.dtype), 1, "same"), cell)
            outputs.append(output)
        return ops.stack(outputs, axis=1)

    def step(self, gates, window):
        """Returns the output and the cell of one place, each (B, 1, 1, units).

        Args:
            gates: (B, 1, 1, 4 * units).
            window: (B, 2, kernel_size, remembered), the row above and the place's own.
        """
        output, cell = self._states(_part(window, 1, 0, 1))
        cell = _part(cell, 2, self.kernel_size // 2, 1)
        return self._of_place(gates, output, cell, self.kernel)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "kernel_size": self.kernel_size}


@keras.saving.register_keras_serializable("keras_gen")
class DiagonalBiLSTM(_ImageLSTM):
    """Passes over the diagonals of an image from both upper corners; a state depends on that above and that beside it.

    The input (B, H, W, 8 * units) holds the sums at the gates that come from elsewhere: output, forget, input and
    content gates of the pass from the left, then those of the pass from the right. The output (B, H, W, units) is the
    sum of both passes' states. The second is moved down by a row, so that none sees a place to its right in its row:
    together they see their own place, all before it, and no other.

    Args:
        units: features of a state.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        UsageError: an input of another number of features.

    Reference:
        van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759, section
        3.2.
    """

    parts = 8
    reach = (1, 1)

    @property
    def taps(self) -> tuple[int, int]:
        """Shape of the kernels that the gates see states through: direction, then the one beside and the one above."""
        return (2, 2 * self.units)

    def call(self, gates):
        """Passes over all diagonals, in both directions at once."""
        height, width = gates.shape[1:3]
        left, right = ops.split(gates, 2, axis=-1)
        both = ops.stack([_skewed(left), _skewed(ops.flip(right, axis=2))])  # (2, B, H, W + H - 1, 4 * units)
        kernel = ops.cast(self.kernel, gates.dtype)
        output = ops.zeros_like(both[:, :, :, 0, : self.units])  # (2, B, H, units)
        cell, outputs = output, []
        for diagonal in ops.unstack(both, axis=3):
            above = ops.pad(output[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
            before = ops.reshape(ops.concatenate([output, above], axis=-1), (2, -1, 2 * self.units))
            output, cell = _gated(diagonal + ops.reshape(before @ kernel, (2, -1, height, 4 * self.units)), cell)
            outputs.append(output)
        left, right = ops.unstack(ops.stack(outputs, axis=3), num=2)
        right = ops.flip(_straightened(right, width), axis=2)
        return _straightened(left, width) + ops.pad(right[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))

    def step(self, gates, window):
        """Returns the output and the cell of one place of the pass from the left, each (B, 1, 1, units).

        Args:
            gates: (B, 1, 1, 4 * units), those of the pass from the left.
            window: (B, 2, 3, remembered), the row above and the place's own.
        """
        beside, cell = self._states(_part(_part(window, 1, 1, 1), 2, 0, 1))
        above, _ = self._states(_part(_part(window, 1, 0, 1), 2, 1, 1))
        before = ops.concatenate([beside, above], axis=2)
        return self._of_place(gates, before, cell, _part(self.kernel, 0, 0, 1))

    def row(self, gates, above):
        """Returns the outputs (B, 1, W, units) of a row of the pass from the right, not moved down.

        Args:
            gates: (B, 1, W, 4 * units), those of the pass from the right.
            above: (B, 1, W, units), its outputs in the row above.
        """
        kernel = _part(self.kernel, 0, 1, 1)
        output = cell = ops.zeros_like(_part(above, 2, 0, 1))
        outputs = []
        for column in reversed(range(gates.shape[2])):
            before = ops.concatenate([output, _part(above, 2, column, 1)], axis=2)
            output, cell = self._of_place(_part(gates, 2, column, 1), before, cell, kernel)
            outputs.append(output)
        return ops.concatenate(outputs[::-1], axis=2)


def _skewed(x):
    """Moves each row one place to the right of that above: (B, H, W, n) to (B, H, W + H - 1, n), zeros beside."""
    height, width, size = x.shape[1:]
    longer = ops.reshape(ops.pad(x, ((0, 0), (0, 0), (0, height), (0, 0))), (-1, height * (width + height), size))
    return ops.reshape(longer[:, :-height], (-1, height, width + height - 1, size))


def _straightened(x, width):
    """Undoes `_skewed`."""
    height, length, size = x.shape[1:]
    longer = ops.pad(ops.reshape(x, (-1, height * length, size)), ((0, 0), (0, height), (0, 0)))
    return ops.reshape(longer, (-1, height, length + 1, size))[:, :, :width]


def _part(x, axis, first, count):
    """Returns `count` entries of an axis, from `first` on: `x[..., first : first + count]`, as loops export it."""
    begin, size = [0] * len(x.shape), [-1] * len(x.shape)
    begin[axis], size[axis] = first, count
    return tf.slice(x, begin, size)

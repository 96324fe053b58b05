"""LSTMs that pass over an image: row by row, or along its diagonals; at once, or a pixel at a time."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_gen.errors import UsageError, positive


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
        """How many features of each earlier pixel a later one needs: outputs and cells."""
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
        """How many rows above a pixel, and columns to each side of it, are seen."""
        return 1, self.kernel_size // 2

    def call(self, gates, training=False):
        """Passes over all rows."""
        width, side = gates.shape[2], self.kernel_size // 2
        kernel = ops.reshape(ops.cast(self.kernel, gates.dtype), (-1, 4 * self.units))

        def row(now, output, cell):
            wide = ops.pad(output, ((0, 0), (0, 0), (side, side), (0, 0)))
            seen = ops.concatenate([_part(wide, 2, tap, width) for tap in range(self.kernel_size)], axis=3)
            return _gated(now + _product(seen, kernel), cell)

        return ops.transpose(_passed(row, ops.transpose(gates, (1, 0, 2, 3)), self.units, training), (1, 0, 2, 3))

    def step(self, gates, window):
        """Returns the output and the cell of one pixel, each (B, 1, 1, units).

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

    def call(self, gates, training=False):
        """Passes over all diagonals, in both directions at once."""
        height, width = gates.shape[1:3]
        left, right = ops.split(gates, 2, axis=3)
        both = _skewed(ops.concatenate([left, ops.flip(right, axis=2)], axis=0))  # (2 B, H, W + H - 1, 4 * units)
        kernel = ops.cast(self.kernel, gates.dtype)

        def diagonal(now, output, cell):
            above = ops.pad(_part(output, 2, 0, height - 1), ((0, 0), (0, 0), (1, 0), (0, 0)))
            seen = ops.reshape(ops.concatenate([output, above], axis=3), (2, -1, 2 * self.units))
            return _gated(now + ops.reshape(seen @ kernel, (1, -1, height, 4 * self.units)), cell)

        passed = _passed(diagonal, ops.transpose(both, (2, 0, 1, 3)), self.units, training)
        left, right = ops.split(_straightened(ops.transpose(passed, (1, 2, 0, 3)), width), 2, axis=0)
        return left + ops.pad(ops.flip(right, axis=2)[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))

    def step(self, gates, window):
        """Returns the output and the cell of one pixel of the pass from the left, each (B, 1, 1, units).

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
        kernel = ops.reshape(_part(ops.cast(self.kernel, gates.dtype), 0, 1, 1), (-1, 4 * self.units))

        def place(now, output, cell):
            gates, above = _part(now, 3, 0, 4 * self.units), _part(now, 3, 4 * self.units, self.units)
            return _gated(gates + _product(ops.concatenate([output, above], axis=3), kernel), cell)

        both = ops.transpose(ops.concatenate([gates, above], axis=3), (2, 0, 1, 3))
        return ops.transpose(_passed(place, both, self.units, backwards=True), (1, 2, 0, 3))


def _passed(step, gates, units, unrolled=False, backwards=False):
    """Passes over the first axis.

    A loop is what an exported file can hold; without one the slopes cost less.

    Args:
        step: (gates (1, N, M, ...), output (1, N, M, units), cell) to the next output and cell, at first 0.
        gates: (T, N, M, ...).
        units: of the states.
        unrolled: without a loop.
        backwards: begin with the last.

    Returns:
        The outputs, (T, N, M, units).
    """
    count = gates.shape[0]
    output = cell = ops.zeros_like(_part(_part(gates, 0, 0, 1), 3, 0, units))
    if unrolled:
        outputs = []
        for now in tf.split(gates, count, axis=0):
            output, cell = step(now, output, cell)
            outputs.append(output)
        return ops.concatenate(outputs, axis=0)

    def one(index, output, cell, outputs):
        place = count - 1 - index if backwards else index
        output, cell = step(tf.slice(gates, tf.stack([place, 0, 0, 0]), [1, -1, -1, -1]), output, cell)
        return index + 1, output, cell, tf.tensor_scatter_nd_update(outputs, tf.reshape(place, (1, 1)), output)

    outputs = ops.zeros_like(_part(gates, 3, 0, units))
    begin = [tf.constant(0), output, cell, outputs]
    shapes = [tf.TensorShape([value.shape[0], None, *value.shape[2:]] if value.shape.rank else []) for value in begin]
    return tf.while_loop(lambda index, *_: index < count, one, begin, shapes)[-1]


def _product(x, kernel):
    """Multiplies the features of (1, N, M, n) by a matrix, as loops export it."""
    return ops.reshape(ops.reshape(x, (-1, x.shape[-1])) @ kernel, (1, -1, x.shape[2], kernel.shape[-1]))


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

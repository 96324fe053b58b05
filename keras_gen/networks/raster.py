"""Visits the pixels of images in raster order, and computes at each what no earlier one has needed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import keras
import tensorflow as tf

from keras_gen.layers import DiagonalBiLSTM, MaskedConv2D, RowLSTM
from keras_gen.networks.pixel import LINK

LSTMS = (DiagonalBiLSTM, RowLSTM)


def visited(
    net: keras.Model,
    image_shape: Sequence[int],
    given: Mapping[str, tf.Tensor],
    fill: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, int], tf.Tensor],
    rows: tf.Tensor,
) -> tf.Tensor:
    """Fills images value by value with a network of masked convolutions and LSTMs (`networks.pixel`).

    Convolutions keep the rows of their input that they see, and LSTMs those of their states, so that a place costs the
    products of one place. What depends on the rows above alone, a vertical stack and a pass from the right, is computed
    once for a row.

    Args:
        net: from `image` and more to (B, H, W, outputs), with one node for each layer.
        image_shape: (H, W, C).
        given: what else it takes.
        fill: `(output (B, 1, 1, outputs), row, column, channel)` to the values (B, 1, 1, 1) of a channel.
        rows: B.

    Returns:
        float32 (B, H, W, C).
    """
    height, width, channels = image_shape
    walk = _Walk(net, given)
    top, side = walk.reach
    wide = width + walk.beyond

    def one_row(row, image, upper, lower):
        above, upper = walk.down(image, row, upper, lower)
        lower = tf.nest.map_structure(_moved_up, lower)

        def one_place(column, image, lower):
            inside = tf.minimum(column, width - 1)
            here = tf.nest.map_structure(lambda x: _cut(x, 0, column, 1, 1), above)
            place = _one(row + top, height + top)[:, :, None] * _one(column + side, wide + 2 * side)[:, None]
            for channel in range(channels):
                output, lower = walk.across(image, row, column, here, lower)
                value = fill(tf.cast(output, tf.float32), row, inside, channel)
                at = place[..., None] * tf.one_hot(channel, channels) * tf.cast(column < width, tf.float32)
                image = image * (1.0 - at) + value * at
            return column + 1, image, lower

        image, lower = _loop(wide, one_place, image, lower)
        return row + 1, image, upper, lower

    image = tf.zeros((rows, height + top, wide + 2 * side, channels))
    upper, lower = walk.empty(rows, wide)
    image = _loop(height, one_row, image, upper, lower)[0]
    return image[:, top:, side : side + width]


def _loop(count, body, *values):
    """Runs a body that counts, and keeps everything but the batch's size fixed."""
    values = [tf.constant(0), *values]
    shapes = tf.nest.map_structure(lambda x: tf.TensorShape([None, *x.shape[1:]] if x.shape.rank else []), values)
    return tf.while_loop(lambda index, *_: index < count, body, values, shapes)[1:]


def _one(index, count):
    return tf.cast(tf.equal(tf.range(count), index), tf.float32)[None]


def _cut(x, row, column, height, width):
    return tf.slice(x, [0, row, column, 0], [-1, height, width, x.shape[-1]])


def _moved_up(state):
    return tf.concat([state[:, 1:], tf.zeros_like(state[:, :1])], axis=1)


class _Walk:
    """A network in two parts, one for rows and one for places, whose layers remember rows."""

    def __init__(self, net, given):
        self.given = {name: value for name, value in given.items() if name in net.input}
        links = [layer.output for layer in net.layers if layer.name.startswith(LINK)]
        inputs = [net.input["image"], *(net.input[name] for name in self.given)]
        self._down = keras.Model(inputs, links) if links else None
        self._across = keras.Model([*inputs, *links], net.output)
        self.layers = [layer for layer in net.layers if _is_wide(layer)]
        self.beyond = sum(layer.padding[1][1] for layer in net.layers if isinstance(layer, keras.layers.ZeroPadding2D))
        self.reach = tuple(max(layer.reach[axis] for layer in self.layers) for axis in range(2))

    def empty(self, rows, width):
        """Returns what layers remember before the first row, of what goes by rows and of what goes by pixels."""
        upper, lower = {}, {}

        def zeros(layer, high, side, features):
            return tf.zeros((rows, high + 1, width + 2 * side, features), layer.compute_dtype)

        for layer in self.layers:
            if isinstance(layer, MaskedConv2D):
                states = {"vertical": upper, "B": lower}.get(layer.kind)  # others see the image itself
                if states is not None:
                    states[layer.name] = zeros(layer, *layer.reach, layer.input.shape[-1])
                continue
            lower[layer.name] = zeros(layer, *layer.reach, layer.remembered)
            if isinstance(layer, DiagonalBiLSTM):
                upper[layer.name] = zeros(layer, 0, 0, layer.units)
                lower[_gates(layer)] = zeros(layer, 0, 0, 4 * layer.units)
        return upper, lower

    def down(self, image, row, states, lower):
        """Computes what a row depends on from above: the vertical stack, and the last row's passes from the right.

        Returns:
            The outputs (B, 1, W, features), a list of those of the stack and a dict of those of the layers; and the
            states with this row.
        """
        states = dict(states)
        for layer in self.layers:
            if isinstance(layer, DiagonalBiLSTM):
                states[layer.name] = layer.row(lower[_gates(layer)], states[layer.name])
        passed = {layer.name: states[layer.name] for layer in self.layers if isinstance(layer, DiagonalBiLSTM)}
        if self._down is None:
            return ([], passed), states
        whole = image.shape[2] - 2 * self.reach[1]

        def computed(layer, x, training=False):
            side = layer.reach[1]
            if layer.kind == "above":
                return layer.of_window(self._seen(layer, image, row, 0, whole + 2 * side))
            new = tf.pad(tf.cast(x, layer.compute_dtype), [[0, 0], [0, 0], [side, side], [0, 0]])
            states[layer.name] = tf.concat([states[layer.name][:, 1:], new], axis=1)
            return layer.of_window(states[layer.name])

        blank = image[:, :1, :whole]  # convolutions see the image itself
        return (self._run(self._down, [blank, *self.given.values()], computed), passed), states

    def across(self, image, row, column, above, states):
        """Computes the output (B, 1, 1, outputs) of a pixel, and the states with it."""
        (links, passed), states = above, dict(states)

        def written(name, side, value):
            old = states[name]
            place = _one(column + side, old.shape[2])[..., None, :, None] > 0
            last = tf.where(place, tf.cast(value, old.dtype), old[:, -1:])
            states[name] = tf.concat([old[:, :-1], last], axis=1)

        def seen(layer):
            return _cut(states[layer.name], 0, column, layer.reach[0] + 1, 2 * layer.reach[1] + 1)

        def computed(layer, x, training=False):
            side = layer.reach[1]
            if not _is_wide(layer):
                return layer.of_window(x)
            if isinstance(layer, MaskedConv2D):
                if layer.kind == "A":
                    return layer.of_window(self._seen(layer, image, row, column, 2 * side + 1))
                written(layer.name, side, x)
                return layer.of_window(seen(layer))
            x = tf.cast(x, layer.compute_dtype)
            output, cell = layer.step(_features(x, 0, 4 * layer.units), seen(layer))
            written(layer.name, side, tf.concat([output, cell], axis=3))
            if layer.name not in passed:
                return output
            written(_gates(layer), 0, _features(x, 4 * layer.units, 4 * layer.units))
            return output + passed[layer.name]

        blank = image[:, :1, :1]
        return self._run(self._across, [blank, *self.given.values(), *links], computed)[0], states

    def _seen(self, layer, image, row, column, width):
        """Returns the part of the image, with its margins, that a convolution sees."""
        (top, side), (high, wide) = self.reach, layer.reach
        first = row + top - high
        left = column + side - wide
        return _cut(image, first, left, high + 1, width)

    @staticmethod
    def _run(part, tensors, computed):
        """Walks through a part of the network, as Keras does, with other convolutions and LSTMs."""

        def operation(op):
            if isinstance(op, (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)):
                return tf.identity  # the places beyond the image are visited, too
            return partial(computed, op) if isinstance(op, (MaskedConv2D, *LSTMS)) else op

        made = part._run_through_graph(tensors, operation)
        return made if isinstance(made, list) else [made]


def _is_wide(layer):
    """Tells whether a layer sees more than a place."""
    return isinstance(layer, LSTMS) or (isinstance(layer, MaskedConv2D) and layer.kernel_size != (1, 1))


def _features(x, first, count):
    return tf.slice(x, [0, 0, 0, first], [-1, -1, -1, count])


def _gates(layer):
    """Names what the pass from the right needs of a whole row."""
    return f"{layer.name}/right"

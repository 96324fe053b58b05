"""Visits the places of images in their order, and computes at each what no earlier place has needed."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import keras
import tensorflow as tf

from keras_gen.layers import MaskedConv2D
from keras_gen.networks.pixel import LINK


def visited(
    net: keras.Model,
    image_shape: Sequence[int],
    given: Mapping[str, tf.Tensor],
    fill: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, int], tf.Tensor],
    rows: tf.Tensor,
) -> tf.Tensor:
    """Fills images value by value with a network of masked convolutions (`networks.pixel`).

    Convolutions keep the rows of their input that they see, so that a place costs the products of one place. What
    depends on the rows above alone, the vertical stack, is computed once for a row.

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

    def one_row(row, image, upper, lower):
        upper, lower = (tf.nest.map_structure(_moved_up, states) for states in (upper, lower))
        links, upper = walk.down(image, row, upper)

        def one_place(column, image, lower):
            here = [_cut(link, 0, column, 1, 1) for link in links]
            place = _one(row + top, height + top)[:, :, None] * _one(column + side, width + 2 * side)[:, None]
            for channel in range(channels):
                output, lower = walk.across(image, row, column, here, lower)
                value = fill(tf.cast(output, tf.float32), row, column, channel)
                at = place[..., None] * tf.one_hot(channel, channels)
                image = image * (1.0 - at) + value * at
            return column + 1, image, lower

        image, lower = _loop(width, one_place, image, lower)
        return row + 1, image, upper, lower

    image = tf.zeros((rows, height + top, width + 2 * side, channels))
    upper, lower = (walk.empty(part, rows, width) for part in (walk.vertical, walk.horizontal))
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
    """A network in two parts, one for rows and one for places, whose convolutions remember rows."""

    def __init__(self, net, given):
        self.given = {name: value for name, value in given.items() if name in net.input}
        links = [layer.output for layer in net.layers if layer.name.startswith(LINK)]
        inputs = [net.input["image"], *(net.input[name] for name in self.given)]
        self._down = keras.Model(inputs, links) if links else None
        self._across = keras.Model([*inputs, *links], net.output)
        wide = [layer for layer in net.layers if _is_wide(layer)]
        self.vertical = [layer for layer in wide if layer.kind == "vertical"]
        self.horizontal = [layer for layer in wide if layer.kind == "B"]
        self.reach = tuple(max(layer.reach[axis] for layer in wide) for axis in range(2))

    def empty(self, convolutions, rows, width):
        """Returns what convolutions remember before the first row: name to (B, reach + 1, W + 2 reach, inputs)."""
        return {
            layer.name: tf.zeros(
                (rows, layer.reach[0] + 1, width + 2 * layer.reach[1], layer.input.shape[-1]), layer.compute_dtype
            )
            for layer in convolutions
        }

    def down(self, image, row, states):
        """Computes the vertical stack of a row: outputs (B, 1, W, features), and the states with it."""
        if self._down is None:
            return [], states
        states = dict(states)
        whole = image.shape[2] - 2 * self.reach[1]

        def convolved(layer, x):
            side = layer.reach[1]
            if layer.kind == "above":
                return layer.of_window(self._seen(layer, image, row, 0, whole + 2 * side))
            new = tf.pad(tf.cast(x, layer.compute_dtype), [[0, 0], [0, 0], [side, side], [0, 0]])
            states[layer.name] = tf.concat([states[layer.name][:, :-1], new], axis=1)
            return layer.of_window(states[layer.name])

        blank = image[:, :1, :whole]  # convolutions see the image itself
        return self._run(self._down, [blank, *self.given.values()], convolved), states

    def across(self, image, row, column, links, states):
        """Computes the output (B, 1, 1, outputs) of a place, and the states with it."""
        states = dict(states)

        def convolved(layer, x):
            width = 2 * layer.reach[1] + 1
            if not _is_wide(layer):
                return layer.of_window(x)
            if layer.kind == "A":
                return layer.of_window(self._seen(layer, image, row, column, width))
            old = states[layer.name]
            place = _one(column + layer.reach[1], old.shape[2])[..., None, :, None] > 0
            last = tf.where(place, tf.cast(x, old.dtype), old[:, -1:])
            states[layer.name] = tf.concat([old[:, :-1], last], axis=1)
            return layer.of_window(_cut(states[layer.name], 0, column, layer.reach[0] + 1, width))

        blank = image[:, :1, :1]
        return self._run(self._across, [blank, *self.given.values(), *links], convolved)[0], states

    def _seen(self, layer, image, row, column, width):
        """Returns the part of the image, with its margins, that a convolution sees."""
        (top, side), (high, wide) = self.reach, layer.reach
        first = row + top - high
        left = column + side - wide
        return _cut(image, first, left, high + 1, width)

    @staticmethod
    def _run(part, tensors, convolved):
        """Walks through a part of the network, as Keras does, with other convolutions."""

        def operation(op):
            return partial(convolved, op) if isinstance(op, MaskedConv2D) else op

        made = part._run_through_graph(tensors, operation)
        return made if isinstance(made, list) else [made]


def _is_wide(layer):
    """Tells whether a layer sees more than a place."""
    return isinstance(layer, MaskedConv2D) and layer.kernel_size != (1, 1)

"""Autoregressive networks: the output at each pixel depends on the pixels before it alone."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.layers import DiagonalBiLSTM, MaskedConv2D, RowLSTM
from keras_gen.networks.build import in_float32, network

LINK = "link_"  # begins the names of the layers from a vertical stack to a horizontal one


@network
def pixel_cnn(
    image_shape: Sequence[int],
    outputs: int,
    width: int,
    blocks: int,
    first: int,
    kernel: int,
    gated: bool,
    skips: bool = False,
    num_classes: int | None = None,
) -> keras.Model:
    """Maps `image` (B, H, W, C), and `label` (B,) with classes, to (B, H, W, C * outputs), by channels.

    Args:
        image_shape: (H, W, C).
        outputs: for each pixel and channel.
        width: features of a block, which C divides; twice as many pass from block to block.
        blocks: residual blocks.
        first: side of the first kernel, odd.
        kernel: side of the others, odd.
        gated: a vertical and a horizontal stack of gates; without, one stack of ReLUs.
        skips: the last layers see the sum of what each block's gates give them, in place of what passes from block to
            block (`gated`).
        num_classes: number of classes.
    """
    inputs, masked, bias = _begun(image_shape, num_classes)
    given = (inputs["image"], masked, bias, width, blocks, first, kernel)
    return _finished(inputs, masked, _gated(*given, skips) if gated else _plain(*given), width, outputs)


@network
def pixel_rnn(
    image_shape: Sequence[int],
    outputs: int,
    width: int,
    blocks: int,
    first: int,
    kernel: int,
    rows: bool,
    num_classes: int | None = None,
) -> keras.Model:
    """Maps `image` (B, H, W, C), and `label` (B,) with classes, to (B, H, W, C * outputs), by channels.

    Args:
        image_shape: (H, W, C).
        outputs: for each pixel and channel.
        width: units of an LSTM, which C divides; twice as many features pass from block to block.
        blocks: residual blocks.
        first: side of the first kernel, odd.
        kernel: of a Row LSTM, odd.
        rows: Row LSTMs; without, Diagonal BiLSTMs.
        num_classes: number of classes.
    """
    inputs, masked, bias = _begun(image_shape, num_classes)
    x = inputs["image"]
    if not rows:  # a place after the last, which is told of it, and tells the row below in the pass from the right
        x = layers.ZeroPadding2D(((0, 0), (0, 1)))(x)
    x = masked(2 * width, first, "A")(x)
    for _ in range(blocks):
        lstm = RowLSTM(width, kernel) if rows else DiagonalBiLSTM(width)
        gates = masked(lstm.parts * width, (1, kernel) if rows else 1, parts=lstm.parts)(x)
        x = layers.Add()([x, masked(2 * width, 1)(lstm(bias(gates)))])
    if not rows:
        x = layers.Cropping2D(((0, 0), (0, 1)))(x)
    return _finished(inputs, masked, x, width, outputs)


def _begun(image_shape, num_classes):
    """Returns inputs by name, a maker of masked convolutions, and what adds a bias of the class to every feature."""
    channels = image_shape[-1]
    inputs = {"image": keras.Input(tuple(image_shape), name="image")}
    if num_classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
        code = keras.ops.one_hot(inputs["label"], num_classes)

    def bias(x):
        if not num_classes:
            return x
        return layers.Add()([x, layers.Reshape((1, 1, -1))(layers.Dense(x.shape[-1], use_bias=False)(code))])

    def masked(filters: int, size: Any, kind: str = "B", **more: Any) -> MaskedConv2D:
        return MaskedConv2D(filters, size, kind, channels=channels, **more)

    return inputs, masked, bias


def _finished(inputs, masked, x, width, outputs):
    for _ in range(2):
        x = masked(width, 1)(layers.ReLU()(x))
    x = masked(inputs["image"].shape[-1] * outputs, 1)(layers.ReLU()(x))
    return keras.Model(inputs, in_float32(x), name="network")


def _plain(image, masked, bias, width, blocks, first, kernel):
    x = masked(2 * width, first, "A")(image)
    for _ in range(blocks):
        y = masked(width, kernel)(layers.ReLU()(masked(width, 1)(layers.ReLU()(x))))
        x = layers.Add()([x, masked(2 * width, 1)(layers.ReLU()(bias(y)))])
    return x


def _gated(image, masked, bias, width, blocks, first, kernel, skips):
    """Gated blocks: `down` knows the rows above a place, `across` the pixels before it in its row as well."""
    down, across, seen = image, image, []
    for block in range(blocks + 1):
        size = kernel if block else first
        # The first layer leaves its own row, and its own pixel, out; what follows has left them out already.
        down = masked(2 * width, size, "vertical" if block else "above")(down)
        row = masked(2 * width, (1, size), "B" if block else "A", parts=2)(across)
        both = layers.Add()([row, layers.Conv2D(2 * width, 1, name=f"{LINK}{block}")(down)])
        down, both = (_gate(bias(x)) for x in (down, both))
        if skips:
            seen.append(masked(width, 1)(both))
            if block == blocks:
                return layers.Add()(seen)
        both = masked(width, 1)(both)
        across = layers.Add()([across, both]) if block else both
    return across


def _gate(x):
    a, b = keras.ops.split(x, 2, axis=-1)
    return layers.Multiply()([layers.Activation("tanh")(a), layers.Activation("sigmoid")(b)])

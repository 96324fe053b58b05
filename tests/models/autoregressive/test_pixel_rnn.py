"""What must hold exactly for PixelRNN, and for the LSTMs that pass over images."""

import math

import numpy as np
import pytest
import tensorflow as tf
from pixels import (
    SUM,
    check_exported_files,
    check_places_one_by_one,
    check_steps_are_as_likely_as_the_whole,
    check_two_images_are_learned,
    jacobian,
    shaken,
    total_probability,
)
from planted import Bug

import keras_gen
from keras_gen.errors import UsageError

ROWS = {
    "pixel_rnn": (
        "pixel_rnn",
        lambda: {
            "image_shape": (8, 8, 1),
            "width": 4,
            "blocks": 1,
            "first": 5,
            "lstm": "row",
            "kernel": 5,
            "binarize": "threshold",
            "num_classes": 11,
            "class_names": tuple("abcdefghijk"),
            "seed": 4,
            "ema": 0.9,
            "ema_statistics": "copied",
        },
    ),
    "pixel_rnn-diagonal": (
        "pixel_rnn",
        lambda: {
            "image_shape": (4, 4, 3),
            "levels": 5,
            "likelihood": "mixture",
            "mixtures": 3,
            "width": 3,
            "blocks": 1,
            "first": 3,
            "seed": 4,
        },
    ),
}

BOTH = pytest.mark.parametrize("lstm", ["diagonal", "row"])


def gated(gates, cell):
    """An LSTM's unit as its equations have it."""
    out, forget, enter, content = np.split(gates, 4)
    sigmoid = [1 / (1 + np.exp(-gate)) for gate in (out, forget, enter)]
    cell = sigmoid[1] * cell + sigmoid[2] * np.tanh(content)
    return sigmoid[0] * np.tanh(cell), cell


def layer_and_gates(layer, shape):
    gates = np.random.default_rng(0).normal(0, 1, (2, *shape, layer.parts * layer.units)).astype(np.float32)
    layer.build(gates.shape)
    layer.kernel.assign(np.random.default_rng(1).normal(0, 0.5, layer.kernel.shape))
    return np.asarray(layer(gates)), gates.astype(np.float64), np.asarray(layer.kernel, np.float64)


def test_the_row_lstm_is_its_equations_place_by_place():
    found, gates, kernel = layer_and_gates(keras_gen.layers.RowLSTM(3, 5), (4, 6))
    for image in range(2):
        state = {}  # a place to its output and cell
        for row, column in np.ndindex(4, 6):
            total = gates[image, row, column].copy()
            for tap in range(5):
                if (row - 1, column + tap - 2) in state:
                    total += state[row - 1, column + tap - 2][0] @ kernel[tap]
            state[row, column] = gated(total, state[row - 1, column][1] if row else np.zeros(3))
            np.testing.assert_allclose(found[image, row, column], state[row, column][0], atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 6), (5, 3), (1, 3), (3, 1)])
def test_the_diagonal_lstm_is_its_equations_place_by_place(shape):
    found, gates, kernel = layer_and_gates(keras_gen.layers.DiagonalBiLSTM(3), shape)
    height, width = shape
    nothing = np.zeros(3), np.zeros(3)
    for image in range(2):
        states = []  # of each direction: a place to its output and cell
        for side, columns in ((0, range(width)), (1, range(width - 1, -1, -1))):
            state, back = {}, 2 * side - 1
            for row in range(height):
                for column in columns:
                    beside = state.get((row, column + back), nothing)
                    above = state.get((row - 1, column), nothing)
                    total = gates[image, row, column, 12 * side : 12 * (side + 1)]
                    total = total + np.concatenate([beside[0], above[0]]) @ kernel[side]
                    state[row, column] = gated(total, beside[1])
            states.append(state)
        for row, column in np.ndindex(*shape):
            expected = states[0][row, column][0] + states[1].get((row - 1, column), nothing)[0]
            np.testing.assert_allclose(found[image, row, column], expected, atol=1e-5)


@BOTH
@pytest.mark.parametrize(("shape", "levels"), [((3, 3, 1), 2), ((1, 2, 3), 3)])
def test_the_probabilities_of_all_images_sum_to_1(lstm, shape, levels):
    assert total_probability(shaken("pixel_rnn", image_shape=shape, levels=levels, lstm=lstm)) == SUM()


@BOTH
@pytest.mark.parametrize(("shape", "levels"), [pytest.param((5, 4, 1), 2, marks=pytest.mark.slow), ((3, 3, 3), 4)])
def test_no_logit_sees_its_own_value_or_a_later_one(lstm, shape, levels):
    seen = jacobian(shaken("pixel_rnn", image_shape=shape, levels=levels, lstm=lstm, width=24))
    assert np.all(np.triu(seen) == 0)
    in_row = [place for place in range(len(seen)) if place % math.prod(shape[1:])]
    assert np.all(seen[in_row, np.subtract(in_row, 1)] > 0), "each sees the value just before it in its row"


def test_a_single_diagonal_layer_sees_every_pixel_before_a_place():
    seen = jacobian(shaken("pixel_rnn", image_shape=(5, 7, 1), blocks=1, width=24)) > 0
    assert np.array_equal(seen, np.tril(np.ones((35, 35), bool), -1))


def test_a_single_row_layer_sees_a_triangle_of_all_rows_above():
    seen = jacobian(shaken("pixel_rnn", image_shape=(5, 9, 1), blocks=1, width=24, lstm="row")) > 0
    expected = np.zeros((5, 9, 5, 9), bool)
    for row, column, above in np.ndindex(5, 9, 5):
        if above <= row:  # the first kernel sees one place to each side above, the gates one more to the left
            left, right = max(0, column - 2 - above), column + above + 1 if above else column
            expected[row, column, row - above, left:right] = True
    assert np.array_equal(seen, expected.reshape(45, 45))


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_shape": (5, 6, 1)},
        {"image_shape": (5, 6, 1), "lstm": "row"},
        pytest.param({"image_shape": (4, 5, 1), "lstm": "row", "kernel": 5, "first": 5}, marks=pytest.mark.slow),
        pytest.param({"image_shape": (4, 3, 1), "lstm": "row", "kernel": 1, "blocks": 3}, marks=pytest.mark.slow),
        pytest.param({"image_shape": (3, 4, 3), "levels": 5}, marks=pytest.mark.slow),
        {"image_shape": (3, 4, 3), "levels": 5, "lstm": "row"},
        {"image_shape": (4, 4, 1), "num_classes": 3},
        pytest.param(
            {"image_shape": (3, 3, 3), "levels": 16, "likelihood": "mixture", "mixtures": 2}, marks=pytest.mark.slow
        ),
    ],
    ids=["diagonals", "rows", "wide rows", "narrow rows", "color", "color in rows", "labels", "mixture"],
)
def test_places_one_by_one_are_the_pixels_of_full_passes(arguments):
    check_places_one_by_one(shaken("pixel_rnn", **arguments))


@BOTH
def test_samples_are_as_likely_step_by_step_as_at_once(lstm):
    check_steps_are_as_likely_as_the_whole(shaken("pixel_rnn", image_shape=(3, 2, 3), levels=4, lstm=lstm))


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize(("levels", "shape", "blocks"), [(2, (4, 4, 1), 2), (3, (2, 3, 3), 1)])
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_exported_files_draw_pixel_for_pixel_what_keras_draws(lstm, levels, shape, blocks, kind, tmp_path):
    model = shaken("pixel_rnn", image_shape=shape, levels=levels, lstm=lstm, blocks=blocks, binarize="threshold")
    check_exported_files(model, tmp_path, kind)


def test_labels_change_every_layer():
    model = shaken("pixel_rnn", image_shape=(3, 4, 1), num_classes=3)
    images = model.sample(4, seed=0, label=1)
    one, two = (model.log_prob(images, label=label) for label in (0, 2))
    assert np.all(one != two)
    assert np.array_equal(model.log_prob(images, label=[0, 2, 0, 2])[::2], one[::2])


@pytest.mark.parametrize("lstm", ["row", pytest.param("diagonal", marks=pytest.mark.slow)])
def test_it_overfits_two_images(lstm, seeded):
    shape = {"image_shape": (8, 8, 1), "binarize": "threshold"}
    check_two_images_are_learned(keras_gen.PixelRNN(width=16, blocks=1, first=5, lstm=lstm, seed=0, **shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lstm": "column"}, "lstm='column' is not known"),
        ({"kernel": 4}, "kernel is 4; expected an odd number"),
        ({"image_shape": (4, 4, 3)}, "width is 16; expected a multiple of the 3 channels"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(UsageError, match=message):
        keras_gen.PixelRNN(**arguments)


def test_layers_check_their_input():
    with pytest.raises(UsageError, match="the input has 8 features; expected 8 for each of 2 units"):
        keras_gen.layers.DiagonalBiLSTM(2)(tf.zeros((1, 3, 3, 8)))
    with pytest.raises(UsageError, match="kernel_size is 2; expected an odd number"):
        keras_gen.layers.RowLSTM(2, 2)


BUGS = (
    Bug(
        "PixelRNN: mask B in the first layer",
        "networks/pixel.py",
        'x = masked(2 * width, first, "A")(x)',
        'x = masked(2 * width, first, "B")(x)',
        ("test_no_logit_sees_its_own_value_or_a_later_one[shape0-2-row]",),
    ),
    Bug(
        "PixelRNN: all gates as one in the order of channels",
        "networks/pixel.py",
        "(1, kernel) if rows else 1, parts=lstm.parts)",
        "(1, kernel) if rows else 1)",
        ("test_no_logit_sees_its_own_value_or_a_later_one[shape1-4-row]",),
    ),
    Bug(
        "PixelRNN: the pass from the right stays in its row",
        "layers/recurrent.py",
        "ops.pad(ops.flip(right, axis=2)[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))",
        "ops.flip(right, axis=2)",
        ("test_no_logit_sees_its_own_value_or_a_later_one[shape0-2-diagonal]",),
    ),
    Bug(
        "PixelRNN: no pass from the right",
        "layers/recurrent.py",
        "ops.pad(ops.flip(right, axis=2)[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))",
        "0 * ops.pad(ops.flip(right, axis=2)[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))",
        ("test_a_single_diagonal_layer_sees_every_pixel_before_a_place",),
    ),
    Bug(
        "PixelRNN: nothing is forgotten",
        "layers/recurrent.py",
        "cell = forget * cell + enter",
        "cell = cell + enter",
        ("test_the_row_lstm_is_its_equations_place_by_place",),
    ),
    Bug(
        "PixelRNN: diagonals that are rows",
        "layers/recurrent.py",
        "return ops.reshape(longer[:, :-height], (-1, height, width + height - 1, size))",
        "return ops.pad(x, ((0, 0), (0, 0), (0, height - 1), (0, 0)))",
        ("test_the_diagonal_lstm_is_its_equations_place_by_place[shape0]",),
    ),
    Bug(
        "PixelRNN: drawing, the pass from the right forgets the row above",
        "networks/raster.py",
        "layer.row(lower[_gates(layer)], states[layer.name])",
        "layer.row(lower[_gates(layer)], tf.zeros_like(states[layer.name]))",
        ("test_places_one_by_one_are_the_pixels_of_full_passes[diagonals]",),
    ),
    Bug(
        "PixelRNN: drawing, the cell is that of a neighbor",
        "layers/recurrent.py",
        "cell = _part(cell, 2, self.kernel_size // 2, 1)",
        "cell = _part(cell, 2, 0, 1)",
        ("test_places_one_by_one_are_the_pixels_of_full_passes[rows]",),
    ),
    Bug(
        "PixelRNN: drawing, rows end with the image",
        "networks/raster.py",
        "wide = width + walk.beyond",
        "wide = width",
        ("test_places_one_by_one_are_the_pixels_of_full_passes[diagonals]",),
    ),
)

"""What must hold exactly for PixelCNN."""

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
    every_image,
    jacobian,
    shaken,
    total_probability,
)
from planted import Bug
from tiny import make

import keras_gen
from keras_gen.errors import UsageError

ROWS = {
    "pixel_cnn": (
        "pixel_cnn",
        lambda: {
            "image_shape": (8, 8, 1),
            "width": 4,
            "blocks": 1,
            "first": 5,
            "kernel": 5,
            "gated": False,
            "binarize": "threshold",
            "num_classes": 11,
            "class_names": tuple("abcdefghijk"),
            "seed": 4,
            "ema": 0.9,
            "ema_statistics": "copied",
        },
    ),
    "pixel_cnn-color": (
        "pixel_cnn",
        lambda: {
            "image_shape": (4, 4, 3),
            "levels": 5,
            "likelihood": "mixture",
            "mixtures": 3,
            "width": 6,
            "blocks": 1,
            "first": 3,
            "skips": True,
            "seed": 4,
        },
    ),
}


@pytest.mark.parametrize("gated", [True, False])
def test_the_probabilities_of_all_images_sum_to_1(gated):
    assert total_probability(shaken(image_shape=(3, 3, 1), gated=gated)) == SUM()


def test_the_probabilities_of_all_images_of_three_levels_in_three_channels_sum_to_1():
    assert total_probability(shaken(image_shape=(1, 2, 3), levels=3)) == SUM()


def test_the_probabilities_of_all_images_of_a_mixture_sum_to_1_and_are_those_of_logistic_laws():
    model = shaken(image_shape=(1, 2, 3), levels=3, likelihood="mixture", mixtures=2)
    assert total_probability(model) == SUM()
    logits = np.zeros((1, 1, 1, 1, 6), np.float32)
    logits[..., 2:] = [0.2, -0.4, -1.0, 0.5]  # means, logarithms of scales
    for value, ends in ((-1.0, (-np.inf, -0.5)), (0.0, (-0.5, 0.5)), (1.0, (0.5, np.inf))):
        low, high = (1 / (1 + np.exp(-(end - np.float64([0.2, -0.4])) / np.exp([-1.0, 0.5]))) for end in ends)
        found = model.log_mixture(tf.fill((1, 1, 1, 1), value), tf.constant(logits))
        np.testing.assert_allclose(np.exp(found)[0, 0, 0, 0], 0.5 * (high - low), atol=1e-6)


def test_a_narrow_law_far_away_has_a_finite_likelihood_and_a_slope():
    model = keras_gen.PixelCNN(image_shape=(1, 1, 1), levels=256, likelihood="mixture", mixtures=1)
    logits = tf.Variable([[[[[0.0, 0.9, -9.0]]]]])
    with tf.GradientTape() as tape:
        found = model.log_mixture(tf.fill((1, 1, 1, 1), -0.2), logits)
    assert np.isfinite(found).all() and -2000 < float(found[0, 0, 0, 0, 0]) < -100
    slope = tape.gradient(found, logits)[0, 0, 0, 0]
    assert np.isfinite(slope).all() and slope[1] < -100, "the mean is to come nearer"


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(("shape", "levels"), [((5, 4, 1), 2), ((3, 3, 3), 4)])
def test_no_logit_sees_its_own_value_or_a_later_one(gated, shape, levels):
    seen = jacobian(shaken(image_shape=shape, levels=levels, gated=gated, first=5, width=24))
    assert np.all(np.triu(seen) == 0)
    in_row = [place for place in range(len(seen)) if place % math.prod(shape[1:])]
    assert np.all(seen[in_row, np.subtract(in_row, 1)] > 0), "each sees the value just before it in its row"


def test_gates_leave_no_pixel_before_a_place_unseen_and_one_stack_does():
    """The blind spot: to the right of a place, above its neighbors."""
    rows, columns = 5, 7
    before = np.tril(np.ones((rows * columns, rows * columns), bool), -1)
    gated = jacobian(shaken(image_shape=(rows, columns, 1), blocks=6)) > 0
    assert np.array_equal(gated, before)
    plain = jacobian(shaken(image_shape=(rows, columns, 1), blocks=6, gated=False)) > 0
    assert not np.array_equal(plain, before) and not np.any(plain & ~before)


def test_skips_show_the_head_each_block_and_no_value_its_own():
    model = shaken(image_shape=(3, 3, 3), levels=4, skips=True, blocks=2)
    assert np.all(np.triu(jacobian(model)) == 0)
    before = np.tril(np.ones((35, 35), bool), -1)
    assert np.array_equal(jacobian(shaken(image_shape=(5, 7, 1), blocks=6, skips=True)) > 0, before)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model.log_likelihood({"image": tf.constant(model.sample(4))}, True))
    slopes = tape.gradient(loss, model.trainable_variables)
    assert all(np.abs(slope).max() > 0 for slope in slopes), "none is of no use"
    ends = [layer for layer in model.pixels.layers if type(layer).__name__ == "Add"][-1]
    assert len(ends.input) == 3, "the first layer's gates, and those of both blocks"


def test_logits_of_zero_make_all_levels_equally_likely():
    for arguments, nats in (({"image_shape": (8, 8, 1)}, 64 * math.log(2)), ({"levels": 5}, 784 * math.log(5))):
        model = keras_gen.PixelCNN(**{"width": 4, "blocks": 1, **arguments})
        last = next(layer for layer in reversed(model.pixels.layers) if layer.weights)
        last.set_weights([np.zeros_like(value) for value in last.get_weights()])
        images = np.random.default_rng(0).uniform(-1, 1, (2, *model.image_shape)).astype(np.float32)
        np.testing.assert_allclose(model.log_prob(images), -nats, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
@pytest.mark.parametrize(("levels", "shape"), [(2, (4, 4, 1)), (3, (2, 2, 3))])
def test_exported_files_draw_pixel_for_pixel_what_keras_draws_and_keep_what_is_known(levels, shape, kind, tmp_path):
    check_exported_files(shaken(image_shape=shape, levels=levels, binarize="threshold"), tmp_path, kind)


@pytest.mark.parametrize(("levels", "shape"), [(2, (4, 4, 1)), (4, (3, 2, 3))])
def test_samples_are_as_likely_step_by_step_as_at_once(levels, shape):
    """Each value is drawn from the logits of the values before it: those of the whole sample."""
    check_steps_are_as_likely_as_the_whole(shaken(image_shape=shape, levels=levels, binarize="threshold"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"image_shape": (5, 6, 1)},
        pytest.param({"image_shape": (6, 4, 1), "kernel": 5, "first": 7}, marks=pytest.mark.slow),
        {"image_shape": (5, 6, 1), "gated": False},
        pytest.param({"image_shape": (3, 4, 3), "levels": 5}, marks=pytest.mark.slow),
        pytest.param({"image_shape": (3, 4, 3), "levels": 5, "gated": False, "kernel": 1}, marks=pytest.mark.slow),
        {"image_shape": (3, 4, 3), "levels": 5, "skips": True},
        {"image_shape": (4, 4, 1), "num_classes": 3},
        {"image_shape": (3, 3, 3), "levels": 16, "likelihood": "mixture", "mixtures": 2},
    ],
    ids=["gates", "gates of larger kernels", "one stack", "color", "one color stack", "skips", "labels", "mixture"],
)
def test_places_one_by_one_are_the_pixels_of_full_passes(arguments):
    check_places_one_by_one(shaken(**arguments))


def test_samples_follow_the_law():
    model = shaken(image_shape=(1, 2, 1), binarize="threshold")
    expected = np.exp(model.log_prob(every_image((1, 2, 1), 2)))
    drawn = model.sample(20_000, seed=0, batch_size=20_000).reshape(-1, 2) > 0
    share = np.bincount(2 * drawn[:, 0] + drawn[:, 1], minlength=4) / len(drawn)
    np.testing.assert_allclose(share, expected, atol=0.02)


def test_quantiles_are_those_of_the_levels():
    model = keras_gen.PixelCNN(image_shape=(1, 1, 1), levels=4, width=4, blocks=1)
    logits = tf.math.log(tf.reshape(tf.constant([0.1, 0.2, 0.3, 0.4]), (1, 1, 1, 1, 4)))
    shares = {0.0: 0, 0.09: 0, 0.11: 1, 0.29: 1, 0.31: 2, 0.59: 2, 0.61: 3, 0.9999: 3}
    for share, level in shares.items():
        value = model.quantile(logits, tf.fill((1, 1, 1, 1), share))
        assert float(tf.squeeze(value)) == pytest.approx(2 * level / 3 - 1)


def test_completion_keeps_the_rows_and_draws_the_others():
    model = shaken(image_shape=(4, 3, 1))
    images = model.sample(5, seed=0)
    again = model.complete(images, rows=2, seed=9)
    assert np.array_equal(again[:, :2], images[:, :2]) and not np.array_equal(again, images)
    assert np.array_equal(model.complete(images, rows=4), images)
    with pytest.raises(UsageError, match="rows is 5; expected 0 to 4"):
        model.complete(images, rows=5)


def test_labels_change_every_layer_and_log_prob_is_of_the_label_given():
    model = make("pixel_cnn", compiled=False)
    rng = np.random.default_rng(0)
    model.set_weights([value + rng.normal(0, 0.3, value.shape) for value in model.get_weights()])
    images = model.sample(4, seed=0)
    one, two = (model.log_prob(images, label=label) for label in (3, 4))
    assert np.all(one != two)
    assert np.array_equal(model.log_prob(images, label=[3, 4, 3, 4])[::2], one[::2])


def test_stochastic_binarization_is_even_handed_and_levels_are_the_nearest():
    model = keras_gen.PixelCNN(image_shape=(8, 8, 1), width=4, blocks=1, seed=0)
    gray = tf.fill((500, 8, 8, 1), 0.5)
    assert np.mean(model.observed(gray, True) > 0) == pytest.approx(0.75, abs=0.01)
    model = keras_gen.PixelCNN(image_shape=(8, 8, 1), levels=256, width=4, blocks=1)
    every = (np.arange(256) / 127.5 - 1).astype(np.float32)
    np.testing.assert_array_equal(model.level(tf.constant(every)), np.arange(256))
    np.testing.assert_allclose(model.value(tf.range(256)), every, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": 1}, "levels is 1; expected 2 to 256"),
        ({"first": 4}, "first is 4; expected an odd number"),
        ({"image_shape": (4, 4, 3), "width": 4}, "width is 4; expected a multiple of the 3 channels"),
        ({"binarize": "no"}, "binarize"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(UsageError, match=message):
        keras_gen.PixelCNN(**arguments)


@pytest.mark.slow
def test_it_overfits_two_images(seeded):
    shape = {"image_shape": (8, 8, 1), "binarize": "threshold"}
    check_two_images_are_learned(keras_gen.PixelCNN(width=16, blocks=2, first=5, seed=0, **shape))


BUGS = (
    Bug(
        "PixelCNN: mask B in the first layer",
        "networks/pixel.py",
        'x = masked(2 * width, first, "A")(image)',
        'x = masked(2 * width, first, "B")(image)',
        ("test_no_logit_sees_its_own_value_or_a_later_one[shape0-2-False]",),
    ),
    Bug(
        "PixelCNN: gates that see their own pixel",
        "networks/pixel.py",
        '"B" if block else "A", parts=2',
        '"B", parts=2',
        ("test_the_probabilities_of_all_images_sum_to_1[True]",),
    ),
    Bug(
        "PixelCNN: a transposed mask",
        "layers/masked.py",
        "before, here = (row < 0) | ((row == 0) & (column < 0)), (row == 0) & (column == 0)",
        "before, here = (column < 0) | ((column == 0) & (row < 0)), (row == 0) & (column == 0)",
        ("test_no_logit_sees_its_own_value_or_a_later_one[shape0-2-False]",),
    ),
    Bug(
        "PixelCNN: the vertical stack stays unheard",
        "networks/pixel.py",
        'both = layers.Add()([row, layers.Conv2D(2 * width, 1, name=f"{LINK}{block}")(down)])',
        "both = row",
        ("test_gates_leave_no_pixel_before_a_place_unseen_and_one_stack_does",),
    ),
    Bug(
        "PixelCNN: both halves of a gate as one in the order of channels",
        "networks/pixel.py",
        '"B" if block else "A", parts=2',
        '"B" if block else "A"',
        ("test_no_logit_sees_its_own_value_or_a_later_one[shape1-4-True]",),
    ),
    Bug(
        "PixelCNN: draws from the upper end",
        "models/autoregressive/pixels.py",
        "tf.where(share < tf.sigmoid(-logits[..., 0]), -1.0, 1.0)",
        "tf.where(share < tf.sigmoid(logits[..., 0]), -1.0, 1.0)",
        ("test_samples_follow_the_law",),
    ),
    Bug(
        "PixelCNN: the lowest level has only what is near it",
        "models/autoregressive/pixels.py",
        "probability = tf.where(level == 0, tf.math.log_sigmoid(above), inside)",
        "probability = inside",
        ("test_the_probabilities_of_all_images_of_a_mixture_sum_to_1_and_are_those_of_logistic_laws",),
    ),
    Bug(
        "PixelCNN: rows in the caches stay where they are",
        "networks/raster.py",
        "return tf.concat([state[:, 1:], tf.zeros_like(state[:, :1])], axis=1)",
        "return state",
        (
            "test_places_one_by_one_are_the_pixels_of_full_passes[one stack]",
            "models/autoregressive/test_pixel_rnn.py::test_places_one_by_one_are_the_pixels_of_full_passes[rows]",
        ),
    ),
    Bug(
        "PixelCNN: the vertical stack forgets the latest row",
        "networks/raster.py",
        "tf.concat([states[layer.name][:, 1:], new], axis=1)",
        "tf.concat([states[layer.name][:, :-1], new], axis=1)",
        ("test_places_one_by_one_are_the_pixels_of_full_passes[gates of larger kernels]",),
    ),
    Bug(
        "PixelCNN: the vertical stack is heard a column late",
        "networks/raster.py",
        "here = tf.nest.map_structure(lambda x: _cut(x, 0, column, 1, 1), above)",
        "here = tf.nest.map_structure(lambda x: _cut(x, 0, tf.maximum(column - 1, 0), 1, 1), above)",
        ("test_places_one_by_one_are_the_pixels_of_full_passes[gates]",),
    ),
    Bug(
        "PixelCNN: caches keep a place's first channel only",
        "networks/raster.py",
        "last = tf.where(place, tf.cast(value, old.dtype), old[:, -1:])",
        "last = tf.where(place & (old[:, -1:] == 0), tf.cast(value, old.dtype), old[:, -1:])",
        ("test_places_one_by_one_are_the_pixels_of_full_passes[color]",),
    ),
)

"""The image pool: what it shows, by numbers, and what carries no gradient."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.layers import ImagePool


def images(numbers):
    return tf.reshape(tf.constant(numbers, tf.float32), (-1, 1, 1, 1))


@pytest.mark.parametrize("rows", [1, 3])
def test_half_of_the_images_are_older_ones_and_none_is_shown_twice(rows):
    pool = ImagePool(50, (1, 1, 1), seed=3)
    call, shown = tf.function(pool), []
    for first in range(0, 2049, rows):
        given = np.arange(first, first + rows)
        out = call(images(given)).numpy().ravel()
        if first + rows <= 50:
            assert np.array_equal(out, given), "the same while it fills"
        shown += zip(given, out, strict=True)
    old = [out for given, out in shown if given != out]
    assert len(old) / (len(shown) - 50) == pytest.approx(0.5, abs=0.03)
    assert len(set(old)) == len(old)
    assert np.mean([given - out for given, out in shown if given != out]) > 50


def test_without_a_size_it_shows_what_it_is_given():
    pool = ImagePool(0, (1, 1, 1))
    assert pool(images([1, 2])).numpy().ravel().tolist() == [1, 2]


def test_no_gradient_passes():
    pool, given = ImagePool(4, (1, 1, 1)), tf.Variable(images([1, 2]))
    with tf.GradientTape() as tape:
        shown = tf.reduce_sum(pool(given))
    assert tape.gradient(shown, given) is None


def test_more_rows_than_it_holds():
    pool = ImagePool(3, (1, 1, 1), seed=1)
    for first in (0, 10, 20):
        out = pool(images(np.arange(first, first + 10))).numpy().ravel()
        assert len(set(out)) == 10
    assert int(pool.given) == 30


def test_a_size_that_is_none():
    with pytest.raises(UsageError, match="pool size is 1.5; expected a whole number"):
        ImagePool(1.5, (1, 1, 1))

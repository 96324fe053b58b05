"""Ways of drawing a token: temperature, the likeliest few, and the nucleus."""

import numpy as np
import tensorflow as tf
from planted import Bug

from keras_gen.ops.decoding import chosen


def test_ways_of_drawing():
    logits = tf.math.log([[0.1, 0.5, 0.15, 0.25]])

    def counts(temperature=1.0, top_k=4, top_p=1.0, n=1000):
        share = (np.arange(n, dtype=np.float32) + 0.5) / n
        made = chosen(tf.repeat(logits, n, 0), tf.constant(share), temperature, top_k, top_p)
        return np.bincount(made, minlength=4) / n

    np.testing.assert_allclose(counts(), [0.1, 0.5, 0.15, 0.25], atol=2e-3)
    np.testing.assert_allclose(counts(temperature=0.0), [0, 1, 0, 0])
    np.testing.assert_allclose(counts(top_k=1), [0, 1, 0, 0])
    np.testing.assert_allclose(counts(top_k=2), [0, 2 / 3, 0, 1 / 3], atol=2e-3)
    np.testing.assert_allclose(counts(top_p=0.49), [0, 1, 0, 0])
    np.testing.assert_allclose(counts(top_p=0.51), [0, 2 / 3, 0, 1 / 3], atol=2e-3)
    np.testing.assert_allclose(counts(top_p=1e-6), [0, 1, 0, 0])
    sharp = np.array([0.1, 0.5, 0.15, 0.25]) ** 2
    np.testing.assert_allclose(counts(temperature=0.5), sharp / sharp.sum(), atol=2e-3)
    assert chosen(logits, tf.constant([1.0]), 1.0, 4, 1.0) == 0, "a share that rounds up to 1 is the least likely token"


BUGS = (
    Bug(
        "decoding: the nucleus leaves out the token that fills it",
        "ops/decoding.py",
        "(tf.cumsum(probability, axis=1, exclusive=True) < top_p)",
        "(tf.cumsum(probability, axis=1) < top_p)",
        ("test_ways_of_drawing",),
    ),
    Bug(
        "decoding: one token too many",
        "ops/decoding.py",
        "(tf.range(tf.shape(logits)[1])[None] < top_k)",
        "(tf.range(tf.shape(logits)[1])[None] <= top_k)",
        ("test_ways_of_drawing",),
    ),
    Bug(
        "decoding: temperature multiplies",
        "ops/decoding.py",
        "/ tf.maximum(temperature, 1e-6)",
        "* tf.maximum(temperature, 1e-6)",
        ("test_ways_of_drawing",),
    ),
)

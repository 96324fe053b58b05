"""Causal attention: turned by its places, it depends on their distances alone."""

import numpy as np
import tensorflow as tf
from planted import Bug

import keras_gen


def test_rotary_attention_depends_on_distances_alone():
    layer = keras_gen.layers.CausalSelfAttention(2, rotary=True)
    x = tf.random.stateless_normal((1, 4, 16), (0, 1))
    layer(x)
    query, key = (part[0] for part in layer._parts(x, tf.range(4)[None])[:2])
    later = [part[0] for part in layer._parts(x, tf.range(4)[None] + 7)[:2]]
    scores, shifted = (np.einsum("hqd,hkd->hqk", *pair) for pair in ((query, key), later))
    np.testing.assert_allclose(scores, shifted, atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(query, axis=-1),
        np.linalg.norm(layer._parts(x, tf.zeros((1, 4), tf.int32))[0][0], axis=-1),
        rtol=1e-5,
    )


BUGS = (
    Bug(
        "GPT: rotary queries and plain keys",
        "layers/attention.py",
        "turned = [_turned(part, places) if self.rotary else part for part in (query, key)]",
        "turned = [_turned(query, places) if self.rotary else query, key]",
        ("test_rotary_attention_depends_on_distances_alone",),
    ),
)

"""Causal self-attention, of all positions at once, or of one at a time with a cache."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from keras_gen.errors import UsageError, positive

SPREAD = 0.02  # standard deviation of weights at the beginning, as in GPT-2


@keras.saving.register_keras_serializable("keras_gen")
class Positions(layers.Layer):
    """Adds a learned vector to each position of a sequence (B, T, width), T at most `context`.

    Args:
        context: number of places.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(self, context: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.context = positive("context", context)

    def build(self, shape):
        """Makes the vectors."""
        self.table = self.add_weight((self.context, shape[-1]), keras.initializers.RandomNormal(stddev=SPREAD))

    def call(self, x):
        """Adds the vectors of the first positions."""
        return x + ops.cast(self.table[: ops.shape(x)[1]], x.dtype)

    def step(self, x, position):
        """Adds the vectors of one position in each row: x (B, 1, width), position int32 (B,)."""
        return x + ops.cast(ops.take(self.table, position, axis=0)[:, None], x.dtype)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "context": self.context}


@keras.saving.register_keras_serializable("keras_gen")
class CausalSelfAttention(layers.Layer):
    """Self-attention with several heads, in which no position sees a later one.

    Args:
        heads: number of heads; it divides the width.
        dropout: share of the attention's weights that are left out in training.
        rotary: turn queries and keys by angles that grow with their place, so that their products depend on distances
            (Su et al., "RoFormer", 2021, arXiv:2104.09864).
        output_spread: standard deviation of the last layer's weights at the beginning.
        bias: add biases in the dense layers.
        **kwargs: of `keras.layers.Layer`.

    Raises:
        UsageError: heads that do not divide the width, or turn pairs of an odd number of coordinates.

    Reference:
        Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.
    """

    def __init__(
        self,
        heads: int,
        dropout: float = 0.0,
        rotary: bool = False,
        output_spread: float = SPREAD,
        bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.heads, self.dropout, self.rotary = positive("heads", heads), dropout, rotary
        self.output_spread, self.bias = output_spread, bias
        self.lost = layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, shape):
        """Makes the projections."""
        width = shape[-1]
        if width % self.heads or (self.rotary and width // self.heads % 2):
            even = ", by an even number" if self.rotary else ""
            raise UsageError(f"width is {width}, heads {self.heads}; expected heads that divide the width{even}")
        self.project = _dense(3 * width, SPREAD, self.dtype_policy, self.bias)
        self.merge = _dense(width, self.output_spread, self.dtype_policy, self.bias)
        self.project.build(shape)
        self.merge.build(shape)

    def call(self, x, training=None):
        """Maps (B, T, width) to the same."""
        places = ops.arange(ops.shape(x)[1])
        query, key, value = self._parts(x, places[None])
        return self._attended(query, key, value, places[None, :] <= places[:, None], training)

    def step(self, x, keys, values, position):
        """Computes one position in each row, and writes its key and value into the caches.

        Args:
            x: (B, 1, width).
            keys: (B, heads, T, width / heads), of which those before the place are right.
            values: the same.
            position: int32 (B,), the place, below T.

        Returns:
            The output (B, 1, width), and the caches with this place.
        """
        query, key, value = self._parts(x, position[:, None])
        keys, values = (_written(old, new, position) for old, new in ((keys, key), (values, value)))
        seen = (ops.arange(keys.shape[2])[None] <= position[:, None])[:, None, None]
        return self._attended(query, ops.cast(keys, x.dtype), ops.cast(values, x.dtype), seen, False), keys, values

    def _parts(self, x, places):
        """Returns queries, keys and values, each (B, heads, T, width / heads)."""
        split = ops.reshape(self.project(x), (*_sizes(x), 3, self.heads, x.shape[-1] // self.heads))
        query, key, value = (split[:, :, part] for part in range(3))
        turned = [_turned(part, places) if self.rotary else part for part in (query, key)]
        return [ops.transpose(part, (0, 2, 1, 3)) for part in (*turned, value)]

    def _attended(self, query, key, value, seen, training):
        """Mixes the values; `seen` is broadcast to (B, heads, places that look, places that are looked at)."""
        scores = tf.matmul(query, key, transpose_b=True) / query.shape[-1] ** 0.5
        weights = tf.nn.softmax(ops.where(seen, ops.cast(scores, "float32"), -1e9))
        mixed = tf.matmul(self.lost(ops.cast(weights, value.dtype), training=training), value)
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        return self.merge(ops.reshape(mixed, (*_sizes(mixed), self.heads * value.shape[-1])))

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {name: getattr(self, name) for name in ("heads", "dropout", "rotary", "output_spread", "bias")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("keras_gen")
class TransformerBlock(layers.Layer):
    """Attention and two dense layers, each on normalized features, each added to what it saw (pre-norm).

    Args:
        heads: of the attention.
        dropout: share of the attention's weights, and of what is added, that is left out in training.
        rotary: as for `CausalSelfAttention`.
        output_spread: standard deviation of the weights of the last layer of both parts at the beginning.
        bias: add biases in dense layers and normalizations.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        heads: int,
        dropout: float = 0.0,
        rotary: bool = False,
        output_spread: float = SPREAD,
        bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        policy = self.dtype_policy
        self.settings = {"heads": heads, "dropout": dropout, "rotary": rotary, "output_spread": output_spread}
        self.settings["bias"] = bias
        self.attention = CausalSelfAttention(**self.settings, dtype=policy)
        self.norms = [layers.LayerNormalization(epsilon=1e-5, center=bias, dtype=policy) for _ in range(2)]
        self.lost = layers.Dropout(dropout, dtype=policy)

    def build(self, shape):
        """Makes the dense layers."""
        width = shape[-1]
        bias, spread = self.settings["bias"], self.settings["output_spread"]
        self.widen = _dense(4 * width, SPREAD, self.dtype_policy, bias)
        self.narrow = _dense(width, spread, self.dtype_policy, bias)
        for layer in (self.attention, *self.norms, self.widen):
            layer.build(shape)
        self.narrow.build((*shape[:-1], 4 * width))

    def call(self, x, training=None):
        """Maps (B, T, width) to the same."""
        x = x + self.lost(self.attention(self.norms[0](x), training=training), training=training)
        return self._think(x, training)

    def step(self, x, keys, values, position):
        """Computes one position in each row, as `CausalSelfAttention.step`."""
        mixed, keys, values = self.attention.step(self.norms[0](x), keys, values, position)
        return self._think(x + mixed, False), keys, values

    def _think(self, x, training):
        return x + self.lost(self.narrow(ops.gelu(self.widen(self.norms[1](x)), approximate=True)), training=training)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.settings}


def _dense(units, spread, policy, bias):
    normal = keras.initializers.RandomNormal(stddev=spread)
    return layers.Dense(units, use_bias=bias, kernel_initializer=normal, dtype=policy)


def _sizes(x):
    return ops.shape(x)[0], ops.shape(x)[1]


def _written(cache, new, position):
    """Writes what is new, (B, heads, 1, d), at a place of each row of a cache (B, heads, T, d)."""
    heads = cache.shape[1]
    row = tf.repeat(tf.range(tf.shape(cache)[0]), heads)
    head = tf.tile(tf.range(heads), tf.shape(cache)[:1])
    place = tf.stack([row, head, tf.repeat(position, heads)], axis=1)  # (B * heads, 3)
    return tf.tensor_scatter_nd_update(cache, place, tf.cast(tf.reshape(new, (-1, new.shape[-1])), cache.dtype))


def _turned(x, places, base=10_000.0):
    """Turns pairs of coordinates of x (B, T, heads, d) by their place, (B or 1, T), times an angle of the pair."""
    half = x.shape[-1] // 2
    speed = base ** (-ops.arange(half, dtype="float32") / half)
    angle = (ops.cast(places, "float32")[..., None] * speed)[:, :, None]  # (B or 1, T, 1, half)
    cos, sin = (ops.cast(f(angle), x.dtype) for f in (ops.cos, ops.sin))
    a, b = x[..., :half], x[..., half:]
    return ops.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)

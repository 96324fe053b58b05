"""Vector quantization: a learned codebook, whose nearest code replaces each vector."""

from typing import NamedTuple

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive

SMOOTHING = 1e-5  # vectors that each code is taken to have had besides (Laplace): no code divides by zero
GOLDEN = 0.6180339887498949


class Quantized(NamedTuple):
    """The outputs of a codebook.

    Args:
        code: float32 (..., dim) the nearest codes; gradients pass to the vectors as if nothing had been done.
        token: int32 (...) which they are.
        commitment: mean squared distance of the vectors from their codes, per coordinate; it moves the vectors only.
        perplexity: exp of the entropy of the tokens of the global batch: 1 if all are equal, `size` if all codes are
            used alike.
    """

    code: tf.Tensor
    token: tf.Tensor
    commitment: tf.Tensor
    perplexity: tf.Tensor


@keras.saving.register_keras_serializable("keras_gen")
class Codebook(keras.layers.Layer):
    """Replaces each vector by the nearest of `size` codes, which follow the vectors by moving averages.

    In training each code becomes the running mean of the vectors nearest to it. No gradient reaches the codes. On
    replicas the averages are those of the global batch.

    Args:
        size: number of codes.
        dim: number of coordinates of a code.
        decay: of the averages per step, in [0, 1).
        revive: a code whose running frequency is below this share of `1 / size` takes the place of a vector of the
            batch. The first training batch thereby gives all codes their first values. 0 leaves dead codes alone.

    Raises:
        UsageError: an argument out of its range.

    Example:
        ```python
        codebook = keras_gen.layers.Codebook(size=512, dim=64)
        code, token, commitment, perplexity = codebook(vectors, training=True)  # (..., 64)
        codebook.lookup(token)  # the codes again
        ```

    Reference:
        van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", 2017, arXiv:1711.00937,
        appendix A.1; codes that are set anew: Dhariwal et al., "Jukebox", 2020, arXiv:2005.00341.
    """

    def __init__(self, size: int, dim: int, decay: float = 0.99, revive: float = 0.01, name: str = "codebook"):
        super().__init__(name=name, dtype="float32", trainable=False)
        self.size, self.dim = positive("size", size), positive("dim", dim)
        if not 0 <= decay < 1:
            raise UsageError(f"decay is {decay}; expected a number in [0, 1), such as 0.99")
        if not 0 <= revive < 1:
            raise UsageError(f"revive is {revive}; expected a share in [0, 1), such as 0.01")
        self.decay, self.revive = decay, revive
        self.codes = self._state("codes", (size, dim), keras.initializers.VarianceScaling(distribution="uniform"))
        self.counts = self._state("counts", (size,), "zeros")  # vectors per step that each code is nearest to
        self.sums = self._state("sums", (size, dim), "zeros")  # of those vectors
        self.built = True

    def _state(self, name, shape, initializer):
        # Every replica computes the same values, so that any one of them may speak for all.
        held = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", **held)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {name: getattr(self, name) for name in ("size", "dim", "decay", "revive", "name")}

    def call(self, vectors, training=False):
        """Returns `Quantized`; in training the codes then follow."""
        vectors = tf.cast(vectors, tf.float32)
        token = self.nearest(vectors)
        code = self.lookup(token)
        hits = tf.one_hot(tf.reshape(token, (-1,)), self.size)  # (N, size)
        counts = _everywhere(tf.reduce_sum(hits, axis=0))
        if training:
            self._follow(tf.stop_gradient(tf.reshape(vectors, (-1, self.dim))), hits, counts)
        share = counts / tf.reduce_sum(counts)
        return Quantized(
            code=vectors + tf.stop_gradient(code - vectors),
            token=token,
            commitment=tf.reduce_mean(tf.square(vectors - tf.stop_gradient(code))),
            perplexity=tf.exp(-tf.reduce_sum(tf.math.xlogy(share, share))),
        )

    # --- tokens ------------------------------------------------------------------------------------------------------

    def nearest(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns the number of the code nearest to each vector, int32 (...)."""
        flat = tf.reshape(vectors, (-1, self.dim))
        codes = tf.convert_to_tensor(self.codes)
        # |v - e|^2 without |v|^2, which all codes share.
        distances = tf.reduce_sum(tf.square(codes), axis=1) - 2.0 * tf.matmul(flat, codes, transpose_b=True)
        return tf.reshape(tf.argmin(distances, axis=1, output_type=tf.int32), tf.shape(vectors)[:-1])

    def lookup(self, token: tf.Tensor) -> tf.Tensor:
        """Returns the codes of tokens, float32 (..., dim)."""
        return tf.gather(tf.convert_to_tensor(self.codes), token)

    def frequencies(self) -> tf.Tensor:
        """Returns the running frequency of each code in training, (size,); all are equal before the first step."""
        counts = tf.convert_to_tensor(self.counts) + SMOOTHING
        return counts / tf.reduce_sum(counts)

    def tokens_from(self, uniform: tf.Tensor) -> tf.Tensor:
        """Turns uniform numbers in [0, 1) into tokens of the running frequencies: the inverse of their cumulative."""
        below = tf.cumsum(self.frequencies())[:-1]  # the last is 1, which no number reaches
        return tf.reduce_sum(tf.cast(uniform[..., None] >= below, tf.int32), axis=-1)

    # --- moving averages ---------------------------------------------------------------------------------------------

    def _follow(self, vectors, hits, counts):
        """Updates counts, sums and codes by vectors (N, dim) and their hits (N, size) on codes."""
        sums = _everywhere(tf.matmul(hits, vectors, transpose_a=True))
        old = [tf.convert_to_tensor(state) for state in (self.counts, self.sums, self.codes)]
        counts = self.decay * old[0] + (1 - self.decay) * counts
        sums = self.decay * old[1] + (1 - self.decay) * sums
        total = tf.reduce_sum(counts)
        smoothed = total * (counts + SMOOTHING) / (total + self.size * SMOOTHING)
        codes = tf.where(counts[:, None] > 0, sums / smoothed[:, None], old[2])
        if self.revive:
            least = self.revive * total / self.size
            dead = counts < least
            # Just enough to live: at the next step it has vectors of its own, or its place is taken again.
            counts = tf.where(dead, least, counts)
            codes = tf.where(dead[:, None], _spread(vectors, self.size), codes)
            sums = tf.where(dead[:, None], least * codes, sums)
        # A loss that overflows in half precision is skipped by the optimizer, and here.
        usable = tf.reduce_all(tf.math.is_finite(sums))
        for state, before, after in zip((self.counts, self.sums, self.codes), old, (counts, sums, codes), strict=True):
            state.assign(tf.where(usable, after, before))


def _everywhere(values):
    """Sums over all replicas."""
    context = tf.distribute.get_replica_context()
    return values if context is None or context.num_replicas_in_sync == 1 else context.all_reduce("sum", values)


def _spread(vectors, count):
    """Returns `count` vectors from all over the global batch, the same on any number of replicas."""
    context, rows = tf.distribute.get_replica_context(), tf.shape(vectors)[0]
    replicas = 1 if context is None else context.num_replicas_in_sync
    ours = 0 if replicas == 1 else context.replica_id_in_sync_group
    each = _everywhere(tf.one_hot(ours, replicas) * tf.cast(rows, tf.float32))
    # Multiples of the golden ratio: spread evenly, and in no step with the rows and columns of a map.
    parts = tf.constant([(k + 1) * GOLDEN % 1 for k in range(count)], tf.float32)
    chosen = tf.cast(parts * tf.reduce_sum(each), tf.int32) - tf.cast(tf.cumsum(each, exclusive=True)[ours], tf.int32)
    found = tf.gather(vectors, tf.clip_by_value(chosen, 0, rows - 1))
    return _everywhere(tf.where(((chosen >= 0) & (chosen < rows))[:, None], found, 0.0))

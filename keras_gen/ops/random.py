"""Random numbers that differ on every replica and survive a save."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_gen.signatures.law import NORMAL, UNIFORM, Law

UNTRUNCATED = 100.0  # standard deviations: no float32 draw comes near
_A, _B = 0.147, 4 / math.pi
REPLICA_STRIDE = 0x9E3779B9  # odd, so that every replica number gives another key modulo 2**32


class SeedGenerator(keras.random.SeedGenerator):
    """A Keras seed generator with a stream of its own on every replica.

    Keras' own draws the same numbers on all replicas of a `tf.distribute` strategy: N devices would train on one
    latent. On replica 0, and without a strategy, the two agree.
    """

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Returns the next seed, of shape (2,), and moves on."""
        seed = super().next(ordered)
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return seed
        replica = tf.cast(context.replica_id_in_sync_group, tf.int64)
        shift = tf.cast(replica * REPLICA_STRIDE % 2**32, seed.dtype)
        return seed + tf.stack([shift, tf.zeros_like(shift)])


def adopt(layer: keras.layers.Layer) -> list[SeedGenerator]:
    """Makes every seed generator below a layer replica-aware and returns them, in the order of the layers."""
    found = []
    for part in layer._flatten_layers():
        for generator in part._seed_generators:
            if type(generator) is keras.random.SeedGenerator:
                generator.__class__ = SeedGenerator  # same state and same layout; only `next` differs
            found.append(generator)
    return found


def random_tensor(law: Law | str, shape: Sequence[int | tf.Tensor], seed: SeedGenerator) -> tf.Tensor:
    """Draws an input of a generator in training.

    Args:
        law: `"normal"`, `"uniform"` (on [-1, 1)), `"classes K"`, here each with probability 1 / K, or `"constant X"`,
            which draws nothing.
        shape: the shape, batch first.
        seed: source of random numbers.
    """
    law = Law.parse(law)
    if law == NORMAL:
        return keras.random.normal(shape, dtype="float32", seed=seed)
    if law == UNIFORM:
        return keras.random.uniform(shape, -1.0, 1.0, dtype="float32", seed=seed)
    if law.classes:
        return keras.random.randint(shape, 0, law.classes, seed=seed)
    return tf.fill(shape, float(law.number))


def truncated(latent: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """Maps standard normal numbers to those of the truncated normal distribution, keeping their order.

    With P the probability within its argument, P(|y|) = P(bound) P(|x|), so that |y| < bound. P is Winitzki's
    approximation, whose relative error is below 2e-4 and whose inverse is exact: a bound of `UNTRUNCATED` changes
    nothing. It needs no operation that ONNX or TFLite lacks.

    Args:
        latent: float32 (B, d), standard normal.
        bound: float32 (B,), above 0, in standard deviations.

    Reference:
        The truncation trick: Brock, Donahue and Simonyan, 2018, arXiv:1809.11096 (they draw anew what is beyond);
        S. Winitzki, "A handy approximation for the error function and its inverse", 2008.
    """
    bound = tf.reshape(bound, (-1, 1))
    x, t = (tf.maximum(0.5 * tf.square(value), 1e-20) for value in (latent, bound))
    of_x, of_t = (value * (_B + _A * value) / (1.0 + _A * value) for value in (x, t))  # -log(1 - P^2)
    # -log(1 - p), p = (1 - e^-x)(1 - e^-t): without the difference of nearly equal numbers on either side.
    p = (of_x - of_x**2 / 2.0 + of_x**3 / 6.0) * (1.0 - tf.exp(-of_t))
    far = -tf.math.log(tf.exp(-of_x) + tf.exp(-of_t) - tf.exp(-of_x - of_t))
    tail = tf.maximum(tf.where(of_x < 0.01, p + p**2 / 2.0 + p**3 / 3.0, far), 1e-30)
    linear = _B - _A * tail
    y = 2.0 * tail / (linear + tf.sqrt(tf.square(linear) + 4.0 * _A * tail))
    ratio = tf.where(bound < UNTRUNCATED, tf.sqrt(y / x), 1.0)
    return latent * ratio


def mixed(styles: tf.Tensor, other: tf.Tensor, share: float, seed: SeedGenerator) -> tf.Tensor:
    """Gives some rows the styles of another latent from a layer on, which is drawn for each of them.

    Args:
        styles: (B, n, d), of the layers from the first to the last.
        other: (B, n, d), what later layers get.
        share: of the rows, in [0, 1].
        seed: source of random numbers.

    Returns:
        (B, n, d); the layer from which a row has the other style is uniform in 1 to n - 1.

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948, section 3.1.
    """
    rows, count = tf.shape(styles)[0], styles.shape[1]
    cut = keras.random.randint((rows, 1), 1, count, seed=seed)
    mixes = keras.random.uniform((rows, 1), dtype="float32", seed=seed) < share
    cut = tf.where(mixes, cut, count)  # (B, 1)
    return tf.where((tf.range(count) < cut)[..., None], styles, other)

"""Random numbers that differ on every replica and survive a save."""

import keras
import tensorflow as tf

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

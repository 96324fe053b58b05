"""A memory of generated images, for a discriminator that is not to forget what it has seen."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError


@keras.saving.register_keras_serializable("keras_gen")
class ImagePool(keras.layers.Layer):
    """Shows, in place of half of the images that it is given, others that it was given before.

    While it fills, every image is shown and kept. Then each is shown or, with equal chance, changes places with one
    that was kept, which is shown for the last time. On replicas there is one pool: it takes the images of all of
    them, and shows each replica as many as it gave.

    What it holds belongs into checkpoints, where an interrupted training goes on from, and not into a model's file:
    it saves nothing, and is empty when it is loaded.

    Args:
        size: images that are kept; 0 keeps none.
        image_shape: (H, W, C).
        seed: of what is shown.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `size` is not a whole number from 0 on.

    Example:
        ```python
        pool = ImagePool(50, (64, 64, 3))
        shown = pool(keras.random.uniform((8, 64, 64, 3)))  # (B, 64, 64, 3), the same while it fills
        ```

    Reference:
        Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2016,
        arXiv:1612.07828, section 2.3; as in Zhu et al., 2017, arXiv:1703.10593, section 4.
    """

    def __init__(self, size: int, image_shape: tuple[int, int, int], seed: int = 0, **kwargs):
        super().__init__(trainable=False, **kwargs)
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 0:
            raise UsageError(f"pool size is {size!r}; expected a whole number, at least 0")
        self.size, self.image_shape, self.seed = int(size), tuple(image_shape), seed
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Makes the memory, and the count of all images that were ever given."""
        if self.built:
            return
        common = {"initializer": "zeros", "trainable": False, "aggregation": "only_first_replica"}
        self.images = self.add_weight(name="images", shape=(self.size, *self.image_shape), dtype="float32", **common)
        self.given = self.add_weight(name="given", shape=(), dtype="int32", **common)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = {"size": self.size, "image_shape": list(self.image_shape), "seed": self.seed}
        return {**super().get_config(), **own}

    def save_own_variables(self, store: Any) -> None:
        """Writes nothing: pictures of a training are none of a model's."""

    def load_own_variables(self, store: Any) -> None:
        """Reads nothing."""

    def call(self, images: tf.Tensor) -> tf.Tensor:
        """Returns as many images, some of them kept before; none of them carries a gradient."""
        images = tf.stop_gradient(images)
        if not self.size:
            return images
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return self._exchanged(images)
        rows = tf.shape(images)[0]
        numbers = context.all_gather(rows[None], axis=0)
        first = tf.reduce_sum(numbers[: context.replica_id_in_sync_group])
        shown = self._exchanged(context.all_gather(images, axis=0))
        return shown[first : first + rows]

    def _exchanged(self, images):
        """Exchanges images with those that are kept: each with a place that no other of this call has."""
        rows, given = tf.shape(images)[0], tf.convert_to_tensor(self.given)
        number = given + tf.range(rows)  # of each image since the beginning
        key = tf.stack([tf.constant(self.seed, tf.int32), given])
        ranks = tf.argsort(tf.random.stateless_uniform((self.size,), key))
        # Places that are filled in this call hold nothing yet that could be shown.
        full = tf.minimum(given, self.size)
        order = tf.boolean_mask(ranks, ranks < full)
        turn = tf.cumsum(tf.cast(number >= self.size, tf.int32)) - 1
        lucky = tf.random.stateless_uniform((rows,), key + tf.constant([1, 0])) < 0.5
        old = (number >= self.size) & lucky & (turn < tf.size(order))
        of_old = tf.gather(tf.concat([order, [0]], 0), tf.clip_by_value(turn, 0, tf.size(order)))
        slot = tf.where(number < self.size, number, of_old)
        kept = tf.convert_to_tensor(self.images)
        shown = tf.where(old[:, None, None, None], tf.cast(tf.gather(kept, slot), images.dtype), images)
        takes = tf.where(old | (number < self.size))  # (k, 1)
        new = tf.cast(tf.gather_nd(images, takes), kept.dtype)
        self.images.assign(tf.tensor_scatter_nd_update(kept, tf.gather(slot, takes), new))
        self.given.assign(given + rows)
        return shown

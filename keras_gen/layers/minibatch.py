"""Statistics of a whole batch, for a discriminator."""

import keras
import tensorflow as tf

from keras_gen.errors import positive

FLOOR = 1e-8  # added to each variance: the root has no finite slope at 0


@keras.saving.register_keras_serializable("keras_gen")
class MinibatchStddev(keras.layers.Layer):
    """Appends to each example the standard deviation of its group in the batch, which shows mode collapse.

    (B, H, W, C) becomes (B, H, W, C + 1), and (B, d) becomes (B, d + 1). What is appended is one number per group: the
    standard deviation over the group of each feature at each place, averaged over both.

    There are n = max(B // group, 1) groups, and row i belongs to group i mod n. Where `group` divides the batch these
    are the rows i, i + n, i + 2 n, ... of the paper's code. Where it does not, groups have more rows than `group`; a
    batch smaller than `group` is one group, and a single example varies by sqrt(1e-8). No group spans replicas.

    Args:
        group: least number of rows of a group.
        **kwargs: `name` and `dtype`.

    Raises:
        UsageError: `group` is not a whole number from 1 on.

    Example:
        ```python
        x = MinibatchStddev()(x)  # (B, 4, 4, 512) to (B, 4, 4, 513)
        ```

    Reference:
        Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        2018, arXiv:1710.10196, section 3.
    """

    def __init__(self, group: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.group = positive("group", group)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "group": self.group}

    def call(self, x):
        """Returns `x` with one more channel (column)."""
        rows = tf.shape(x)[0]
        groups = tf.maximum(rows // self.group, 1)  # n
        most = (rows + groups - 1) // groups  # rows of the largest group, m
        spare = most * groups - rows
        flat = tf.cast(tf.reshape(x, (rows, -1)), tf.float32)  # (B, d): squares are not for half precision
        members = tf.reshape(tf.pad(flat, [[0, spare], [0, 0]]), (most, groups, -1))  # (m, n, d)
        present = tf.reshape(tf.cast(tf.range(most * groups) < rows, tf.float32), (most, groups, 1))
        count = tf.reduce_sum(present, axis=0)  # (n, 1)
        apart = present * (members - tf.reduce_sum(members, axis=0) / count)
        variance = tf.reduce_sum(tf.square(apart), axis=0) / count  # (n, d)
        value = tf.reduce_mean(tf.sqrt(variance + FLOOR), axis=1)  # (n,)
        value = tf.cast(tf.gather(value, tf.range(rows) % groups), x.dtype)  # (B,)
        value = tf.reshape(value, (-1, *(1,) * (len(x.shape) - 1)))
        return tf.concat([x, tf.ones_like(x[..., :1]) * value], axis=-1)

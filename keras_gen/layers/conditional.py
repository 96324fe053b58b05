"""Batch normalization whose scale and offset are given, or follow the class."""

import keras
import tensorflow as tf

from keras_gen.errors import positive


@keras.saving.register_keras_serializable("keras_gen")
class ModulatedBatchNormalization(keras.layers.Layer):
    """Batch normalization with a scale and an offset that are given for each example.

    The statistics are those of the whole batch, as in `keras.layers.BatchNormalization`: of the batch in training,
    running ones in inference. It is called with a list: x (B, ..., C), and gain and offset, both (B, C).

    Args:
        momentum: share of the running statistics that a training call keeps, in [0, 1].
        epsilon: added to the variance.
        synchronized: take the statistics over all replicas.
        **kwargs: `name`, `dtype` and `trainable`.

    Example:
        ```python
        codes = codes[:8]  # (B, d), one for each x
        gain, offset = 1 + keras.layers.Dense(16)(codes), keras.layers.Dense(16)(codes)
        x = ModulatedBatchNormalization()([x, gain, offset])  # (B, H, W, 16)
        ```

    Reference:
        De Vries et al., "Modulating early visual processing by language", 2017, arXiv:1707.00683; in a generator, of
        latents and a vector of the class: Brock, Donahue and Simonyan, 2018, arXiv:1809.11096.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, synchronized: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.momentum, self.epsilon, self.synchronized = momentum, epsilon, synchronized
        self.normalization = keras.layers.BatchNormalization(
            momentum=momentum,
            epsilon=epsilon,
            center=False,
            scale=False,
            synchronized=synchronized,
            dtype=self.dtype_policy,
            name="normalization",
        )

    def build(self, input_shape):
        """Makes the running statistics."""
        self.normalization.build(input_shape[0])

    def get_config(self):
        """Returns the constructor's arguments."""
        names = ("momentum", "epsilon", "synchronized")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    def call(self, inputs, training=False):
        """Returns [x, gain, offset]'s x, normalized, scaled and shifted."""
        x, gain, offset = inputs
        return self.normalization(x, training=training) * _beside(gain, x) + _beside(offset, x)

    def compute_output_shape(self, input_shape):
        """Returns the shape of x."""
        return tuple(input_shape[0])


@keras.saving.register_keras_serializable("keras_gen")
class ConditionalBatchNormalization(ModulatedBatchNormalization):
    """Batch normalization with a scale and an offset for each class.

    The statistics are those of all classes together, as in `keras.layers.BatchNormalization`: of the batch in training,
    running ones in inference. It is called with a list: x (B, ..., C), and the label, int32 (B,).

    Args:
        num_classes: number of classes.
        momentum: share of the running statistics that a training call keeps, in [0, 1].
        epsilon: added to the variance.
        synchronized: take the statistics over all replicas.
        **kwargs: `name`, `dtype` and `trainable`.

    Raises:
        UsageError: `num_classes` is not a whole number from 1 on.

    Example:
        ```python
        x = ConditionalBatchNormalization(10)([x, label])  # (B, H, W, C)
        ```

    Reference:
        Dumoulin, Shlens and Kudlur, "A Learned Representation For Artistic Style", 2017, arXiv:1610.07629; de Vries et
        al., "Modulating early visual processing by language", 2017, arXiv:1707.00683; in a generator: Miyato and
        Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637.
    """

    def __init__(
        self,
        num_classes: int,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        synchronized: bool = False,
        **kwargs,
    ):
        super().__init__(momentum, epsilon, synchronized, **kwargs)
        self.num_classes = positive("num_classes", num_classes)

    def build(self, input_shape):
        """Makes the tables, (num_classes, C), and the running statistics."""
        super().build(input_shape)
        table = {"shape": (self.num_classes, input_shape[0][-1]), "autocast": False}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **table)
        self.beta = self.add_weight(name="beta", initializer="zeros", **table)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes}

    def call(self, inputs, training=False):
        """Returns [x, label]'s x, normalized."""
        x, label = inputs
        rows = (tf.gather(tf.convert_to_tensor(table), tf.cast(label, tf.int32)) for table in (self.gamma, self.beta))
        return super().call([x, *rows], training)


def _beside(rows, x):
    """Returns one vector for each example, (B, C), as (B, 1, ..., 1, C), in the type of x."""
    return tf.cast(tf.reshape(rows, (-1, *(1,) * (len(x.shape) - 2), x.shape[-1])), x.dtype)

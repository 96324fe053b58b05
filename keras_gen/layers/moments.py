"""A Gaussian fitted to codes in training."""

import keras
import tensorflow as tf

from keras_gen.errors import positive

RIDGE = 1e-5  # of the total variance, added to each: codes may fill fewer dimensions than they have


@keras.saving.register_keras_serializable("keras_gen")
class RunningMoments(keras.layers.Layer):
    """Running mean and full covariance of codes, and the map that gives noise both.

    All codes count alike until `window` of them are seen; from then on the older ones fade. Before the first one, the
    distribution is N(0, I).

    Args:
        dim: number of coordinates of a code.
        window: codes after which the old ones fade: each update then keeps `window / (window + rows)` of the past.

    Raises:
        UsageError: `dim` or `window` is not a whole number from 1 on.

    Example:
        ```python
        from keras_gen.layers import RunningMoments

        moments = RunningMoments(2)
        moments.update(codes)  # (n, 2)
        latents = moments.transform(noise)  # (m, 2), of the mean and covariance of the codes
        ```

    Reference:
        The update is Chan, Golub and LeVeque's for the moments of two sets, 1983; a density fitted after the training
        of an autoencoder: Ghosh et al., "From Variational to Deterministic Autoencoders", 2019, arXiv:1903.12436.
    """

    def __init__(self, dim: int, window: int = 10_000, name: str = "moments"):
        super().__init__(name=name, dtype="float32", trainable=False)
        self.dim, self.window = positive("dim", dim), positive("window", window)
        self.count = self._state("count", (), "zeros")
        self.mean = self._state("mean", (dim,), "zeros")
        self.covariance = self._state("covariance", (dim, dim), keras.initializers.Identity())
        # State and not a function of the covariance: neither ONNX nor TFLite has a Cholesky decomposition.
        self.factor = self._state("factor", (dim, dim), keras.initializers.Identity())
        self.built = True

    def _state(self, name, shape, initializer):
        # Every replica computes the same values, so that any one of them may speak for all.
        held = {"trainable": False, "autocast": False, "aggregation": "only_first_replica"}
        return self.add_weight(name=name, shape=shape, initializer=initializer, dtype="float32", **held)

    def update(self, codes: tf.Tensor) -> None:
        """Updates both by codes (B, dim): on replicas those of all of them, equally, however unevenly shared out.

        A batch with a code that is not finite is left out.
        """
        count, mean, covariance = (tf.convert_to_tensor(state) for state in (self.count, self.mean, self.covariance))
        codes = tf.stop_gradient(tf.cast(codes, tf.float32)) - mean  # (B, d): small numbers, whose squares are exact
        rows = tf.cast(tf.shape(codes)[0], tf.float32)
        sums = [rows, tf.reduce_sum(codes, axis=0), tf.matmul(codes, codes, transpose_a=True)]
        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            sums = context.all_reduce("sum", sums)
        rows, first, second = sums

        kept = tf.minimum(count, float(self.window))
        shift = first / (kept + rows)
        spread = (kept * covariance + second) / (kept + rows) - shift[:, None] * shift[None, :]
        usable = tf.reduce_all(tf.math.is_finite(spread))
        states = (self.count, self.mean, self.covariance)
        for state, old, new in zip(states, (count, mean, covariance), (kept + rows, mean + shift, spread), strict=True):
            state.assign(tf.where(usable, new, old))
        self.factor.assign(_factor(tf.where(usable, spread, covariance)))

    def transform(self, noise: tf.Tensor) -> tf.Tensor:
        """Maps standard normal noise (B, dim) to codes (B, dim) of the running mean and covariance."""
        return tf.convert_to_tensor(self.mean) + tf.matmul(noise, tf.convert_to_tensor(self.factor), transpose_b=True)

    def call(self, noise):
        """Is `transform`."""
        return self.transform(noise)


def _factor(covariance):
    """Returns the lower triangular L with L L^T = covariance."""
    ridge = RIDGE * tf.linalg.trace(covariance) + 1e-12
    raised = covariance + ridge * tf.eye(tf.shape(covariance)[0])
    return tf.cast(tf.linalg.cholesky(tf.cast(raised, tf.float64)), tf.float32)

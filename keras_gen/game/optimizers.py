"""An optimizer, and a schedule of learning rates, that Keras does not have."""

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive


@keras.saving.register_keras_serializable("keras_gen")
class MatrixAdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` whose weight decay is of matrices alone: biases and scales do not decay.

    Args:
        learning_rate: a number or a schedule.
        **kwargs: of `keras.optimizers.AdamW`.
    """

    def build(self, variables):
        """Leaves out what has fewer than two axes."""
        self.exclude_from_weight_decay([variable for variable in variables if len(variable.shape) < 2])
        super().build(variables)


@keras.saving.register_keras_serializable("keras_gen")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant for a share of the training, and then falls linearly to 0.

    Args:
        initial_learning_rate: of the constant part.
        decay_steps: updates of the optimizer until the rate is 0, where it stays.
        decay_from: share of them, in [0, 1), with the constant rate; 0 falls from the first update on.
        name: of the schedule.

    Raises:
        UsageError: a share or a number of steps that is none of those.

    Example:
        ```python
        rate = keras_gen.optimizers.LinearDecay(2e-4, decay_steps=20_000, decay_from=0.5)
        model = keras_gen.DCGAN(image_shape=(8, 8, 1), width=4)
        model.compile(d_optimizer=keras.optimizers.Adam(rate), g_optimizer=keras.optimizers.Adam(rate))
        ```

    Reference:
        Falling from the first step: Gulrajani et al., 2017, arXiv:1704.00028, Appendix; half constant: Zhu et
        al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017, arXiv:1703.10593.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_from: float = 0.0,
        name: str = "LinearDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = positive("decay_steps", decay_steps)
        if not 0 <= decay_from < 1:
            raise UsageError(f"decay_from is {decay_from}; expected a share of the steps in [0, 1), such as 0.5")
        self.decay_from = decay_from
        self.name = name

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of an update, the first of which is 0."""
        rate = tf.convert_to_tensor(self.initial_learning_rate, tf.float32)
        left = self.decay_steps - tf.cast(step, tf.float32)
        return rate * tf.clip_by_value(left / (self.decay_steps * (1 - self.decay_from)), 0.0, 1.0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        names = ("initial_learning_rate", "decay_steps", "decay_from", "name")
        return {name: getattr(self, name) for name in names}

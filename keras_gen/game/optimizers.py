"""An optimizer, and a schedule of learning rates, that Keras does not have."""

import numbers

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
class HoldThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that is constant at first, and then falls linearly to 0, where it stays.

    Args:
        rate: of the constant part.
        hold: updates of the optimizer with that rate, from 0 on.
        decay: updates in which it falls, from 1 on.
        name: of the schedule.

    Raises:
        UsageError: a number of updates that is none of those.

    Example:
        ```python
        rate = keras_gen.optimizers.HoldThenLinear(2e-4, hold=10_000, decay=10_000)
        model = keras_gen.DCGAN(image_shape=(8, 8, 1), width=4)
        model.compile(d_optimizer=keras.optimizers.Adam(rate), g_optimizer=keras.optimizers.Adam(rate))
        ```

    Reference:
        Falling from the first step: Gulrajani et al., 2017, arXiv:1704.00028, Appendix; half constant: Zhu et al.,
        "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017, arXiv:1703.10593.
    """

    def __init__(self, rate: float, hold: int, decay: int, name: str = "HoldThenLinear"):
        if not isinstance(hold, numbers.Integral) or hold < 0:
            raise UsageError(f"hold is {hold!r}; expected a number of updates, at least 0")
        self.rate, self.hold, self.decay, self.name = rate, int(hold), positive("decay", decay), name

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of an update, the first of which is 0."""
        left = self.hold + self.decay - tf.cast(step, tf.float32)
        return tf.convert_to_tensor(self.rate, tf.float32) * tf.clip_by_value(left / self.decay, 0.0, 1.0)

    def get_config(self) -> dict:
        """Returns the constructor's arguments."""
        return {name: getattr(self, name) for name in ("rate", "hold", "decay", "name")}

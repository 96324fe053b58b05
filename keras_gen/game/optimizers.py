"""Optimizers that Keras does not have."""

import keras


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

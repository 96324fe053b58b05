"""The Wasserstein GAN."""

from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.models.adversarial.gan import GAN


@keras.saving.register_keras_serializable("keras_gen")
class WGAN(GAN):
    """Wasserstein GAN: a critic with clipped weights, so that its slope is bounded.

    The critic's loss, negated, estimates the Wasserstein distance of real and fake images, times an unknown slope.

    Args:
        clip: largest absolute value of the critic's weights, after each of its steps and before the first.
        n_critic: critic steps for each generator step.
        architecture: as for `GAN`; so are the following.
        norm: of the generator's layers.
        discriminator_norm: of the critic's; by default as the generator's.
        dropout: share of the critic's hidden units that are left out in training.
        **kwargs: of `GAN`.

    Raises:
        UsageError: as for `GAN`, or a bound that is not positive.

    Example:
        >>> model = keras_gen.WGAN(image_shape=(28, 28, 1))
        >>> model.compile()
        >>> model.fit(images, batch_size=5 * 64, epochs=5)  # each critic step takes a fifth of the batch
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        Arjovsky, Chintala and Bottou, "Wasserstein GAN", 2017, arXiv:1701.07875: RMSprop 5e-5, five critic steps, clip
        at 0.01. Clipping acts on all of the critic's trainable variables, as in the authors' code.

    Deviations: 5 critic steps in each round, where the authors' program takes 100 in the first 25 rounds and in each
    500th. Weights are clipped after each step, theirs before the next, so that its generator meets the last step's
    unclipped.
    """

    settled = ("adversarial",)

    def __init__(
        self,
        clip: float = 0.01,
        n_critic: int = 5,
        architecture: str = "conv",
        norm: str = "batch",
        discriminator_norm: str | None = None,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        if not clip > 0:
            raise UsageError(f"clip is {clip}; expected a positive bound, such as 0.01")
        super().__init__(
            architecture=architecture,
            norm=norm,
            discriminator_norm=discriminator_norm,
            dropout=dropout,
            n_critic=n_critic,
            adversarial="wasserstein",
            **kwargs,
        )
        self.clip = clip
        for variable in self.discriminator.trainable_variables:
            variable.constraint = self.clipped  # which the optimizer applies after each update
            variable.assign(self.clipped(variable))

    def clipped(self, weight: tf.Tensor) -> tf.Tensor:
        """Returns a weight clipped to [-`clip`, `clip`]."""
        return keras.ops.clip(weight, -self.clip, self.clip)

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players, with the constants of the authors' program."""
        # Theirs adds 1e-8 to the root, Keras its epsilon below it: 1e-7 there would dwarf the generator's gradients.
        return keras.optimizers.RMSprop(5e-5, rho=0.99, epsilon=1e-16)

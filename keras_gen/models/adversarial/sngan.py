"""The spectrally normalized GAN."""

from typing import Any

import keras

from keras_gen.models.adversarial.gan import GAN


@keras.saving.register_keras_serializable("keras_gen")
class SNGAN(GAN):
    """Spectrally normalized GAN: spectral normalization of the discriminator.

    The kernel of each of its layers is divided by its largest singular value.

    Args:
        n_critic: discriminator steps for each generator step.
        architecture: as for `GAN`; so are the following.
        width: channels of the discriminator's maps; those of the generator have twice as many (`"resnet"`).
        norm: of the generator's layers.
        dropout: share of the discriminator's hidden units that are left out in training.
        adversarial: as for `GAN`.
        **kwargs: of `GAN`.

    Raises:
        UsageError: as for `GAN`.

    Example:
        >>> model = keras_gen.SNGAN(image_shape=(32, 32, 3), width=64)
        >>> model.compile()
        >>> model.fit(images, batch_size=5 * 64, epochs=5)  # each discriminator step takes a fifth of the batch
        >>> model.sample(16, seed=0).shape
        (16, 32, 32, 3)

    Reference:
        Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018, arXiv:1802.05957: residual
        networks, hinge loss, five discriminator steps, Adam 2e-4 with beta_1 0 and beta_2 0.9.

    Deviations: the discriminator halves the image down to 5 to 8 pixels, which are the paper's 8 for 32x32 images. Of
    the authors' program: generator steps are on as many images as discriminator steps, theirs on twice as many; rates
    stay, where theirs fall linearly to 0 (`keras_gen.optimizers.HoldThenLinear`, `--decay-from 0`); the generator moves
    after the discriminator in each round, theirs before.
    """

    settled = ("discriminator_norm",)

    def __init__(
        self,
        n_critic: int = 5,
        architecture: str = "resnet",
        width: int = 128,
        norm: str = "batch",
        dropout: float = 0.0,
        adversarial: str = "hinge",
        **kwargs: Any,
    ):
        super().__init__(
            architecture=architecture,
            width=width,
            norm=norm,
            discriminator_norm="spectral",
            dropout=dropout,
            adversarial=adversarial,
            n_critic=n_critic,
            **kwargs,
        )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players."""
        return keras.optimizers.Adam(2e-4, beta_1=0.0, beta_2=0.9)

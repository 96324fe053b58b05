"""The least squares GAN."""

from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.losses import Adversarial, mean
from keras_gen.models.adversarial.gan import GAN


@keras.saving.register_keras_serializable("keras_gen")
class LSGAN(GAN):
    """Least squares GAN: squared distances from targets in place of a cross-entropy.

    The discriminator's output is drawn to one number for real images and to another for fakes. Unlike a cross-entropy,
    the square also pulls those fakes that pass for real but lie far from the boundary. The best discriminator is
    (b p_data + a p_model) / (p_data + p_model). With b - c = 1 and b - a = 2, as for -1, 1 and 0, the generator
    minimizes the Pearson chi-squared divergence between p_data + p_model and 2 p_model.

    Args:
        fake_target: the paper's a, of the discriminator's output for fake images.
        real_target: the paper's b, for real images; another number than a.
        generator_target: the paper's c, which the generator wants of its fakes.
        architecture: as for `GAN`; so are the following.
        norm: of the layers of both networks.
        dropout: share of the discriminator's hidden units that are left out in training.
        latent: distribution of the latents.
        **kwargs: of `GAN`.

    Raises:
        UsageError: real and fake images have one target; otherwise as for `GAN`.

    Example:
        >>> model = keras_gen.LSGAN(image_shape=(28, 28, 1))
        >>> model.compile()
        >>> model.fit(images, batch_size=64, epochs=5)
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        Mao, Li, Xie, Lau, Wang and Smolley, "Least Squares Generative Adversarial Networks", 2016, arXiv:1611.04076:
        targets 0, 1 and 1, which did as well as -1, 1 and 0; Adam 1e-3 with beta_1 0.5 on scenes.

    Deviations: the networks are those of DCGAN in place of the deeper ones for scenes of 112x112 pixels, and the usual
    learning rate is DCGAN's 2e-4, which the paper has for Chinese characters.
    """

    settled = ("adversarial", "label_smoothing")

    def __init__(
        self,
        fake_target: float = 0.0,
        real_target: float = 1.0,
        generator_target: float = 1.0,
        architecture: str = "conv",
        norm: str = "batch",
        dropout: float = 0.0,
        latent: str = "uniform",
        **kwargs: Any,
    ):
        if fake_target == real_target:
            raise UsageError(
                f"fake_target and real_target are both {real_target}; expected two numbers, such as 0 and 1"
            )
        made = {"architecture": architecture, "norm": norm, "dropout": dropout, "latent": latent}
        super().__init__(adversarial="least_squares", **made, **kwargs)
        self.fake_target, self.real_target, self.generator_target = fake_target, real_target, generator_target

    def sides(self) -> Adversarial:
        """Returns half of the mean squared distances from the targets."""

        def discriminator(real, fake):
            return _half_square(real, self.real_target) + _half_square(fake, self.fake_target)

        return Adversarial(discriminator, lambda fake: _half_square(fake, self.generator_target))


def _half_square(output, target):
    return 0.5 * mean(tf.square(output - target))

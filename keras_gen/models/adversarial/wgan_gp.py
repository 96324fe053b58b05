"""The Wasserstein GAN with gradient penalty."""

from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.game.config import refused
from keras_gen.layers import ModulatedBatchNormalization
from keras_gen.models.adversarial.gan import GAN
from keras_gen.ops.penalties import gradient_penalty


@keras.saving.register_keras_serializable("keras_gen")
class WGANGP(GAN):
    """Wasserstein GAN with a gradient penalty on the critic, in place of clipping.

    The penalty draws the critic's slope to 1 between real and fake images.

    Args:
        penalty_weight: of the gradient penalty, the paper's lambda.
        n_critic: critic steps for each generator step.
        architecture: as for `GAN`; so are the following.
        norm: of the generator's layers.
        discriminator_norm: of the critic's, `"layer"`, `"spectral"` or `"none"`: the penalty is of one image at a time.
        dropout: share of the critic's hidden units that are left out in training.
        **kwargs: of `GAN`.

    Raises:
        UsageError: as for `GAN`; batch normalization in the critic.

    Example:
        >>> model = keras_gen.WGANGP(image_shape=(28, 28, 1))
        >>> model.compile()
        >>> model.fit(images, batch_size=5 * 64, epochs=5)  # each critic step takes a fifth of the batch
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, arXiv:1704.00028: lambda 10, five critic steps,
        Adam 1e-4 with beta_1 0 and beta_2 0.9.

    Deviations: the networks of DCGAN by default (`architecture="resnet"` has residual ones), with batch normalization
    in the generator and layer normalization, a scale for each channel as theirs, in the critic; the authors' program
    for MNIST has neither, and a beta_1 of 0.5. Generator steps are on as many images as critic steps, and rates stay;
    in the authors' program of residual networks the former are on twice as many, and rates fall linearly to 0
    (`keras_gen.optimizers.HoldThenLinear`, `--decay-from 0`).
    """

    settled = ("adversarial",)

    def __init__(
        self,
        penalty_weight: float = 10.0,
        n_critic: int = 5,
        architecture: str = "conv",
        norm: str = "batch",
        discriminator_norm: str = "layer",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        if discriminator_norm in ("batch", "sync_batch"):
            raise UsageError(
                f"discriminator_norm={discriminator_norm!r} mixes the images of a batch, and the penalty is of each "
                "by itself; expected layer, spectral or none"
            )
        super().__init__(
            architecture=architecture,
            norm=norm,
            discriminator_norm=discriminator_norm,
            dropout=dropout,
            n_critic=n_critic,
            adversarial="wasserstein",
            **kwargs,
        )
        self.penalty_weight = penalty_weight
        kinds = (keras.layers.BatchNormalization, ModulatedBatchNormalization)
        for layer in self.discriminator._flatten_layers():
            if isinstance(layer, kinds) and layer.trainable:  # one that is not has fixed statistics
                refused(
                    f"the discriminator's layer {layer.name!r} mixes the images of a batch, and the penalty is of each "
                    "by itself; give keras.layers.LayerNormalization, or none"
                )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players."""
        return keras.optimizers.Adam(1e-4, beta_1=0.0, beta_2=0.9)

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the penalty to the critic's loss."""
        d, g = super().term_weights()
        return {**d, "penalty": self.penalty_weight}, g

    def discriminator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds how far the critic's slope is from 1 at a random point between each real image and a fake one."""
        between = self.between(self.real(batch, training), self.fake(batch, training), training)
        penalty = gradient_penalty(lambda image: self.judge(image, "between", batch, training), between)
        return {**super().discriminator_terms(batch, training), "penalty": penalty}

    def between(self, real: tf.Tensor, fake: tf.Tensor, training: bool) -> tf.Tensor:
        """Draws a point on the straight line from each fake image to a real one, (B, H, W, C)."""
        share = keras.random.uniform((tf.shape(real)[0], 1, 1, 1), dtype="float32", seed=self.seeds(training))
        fake = tf.cast(fake, real.dtype)  # half precision's generator meets float32 images
        return fake + share * (real - fake)

"""ProgressiveGAN: a GAN whose networks grow with the images."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import positive
from keras_gen.game.batch import Batch
from keras_gen.losses import mean
from keras_gen.models.adversarial.growing import Growing
from keras_gen.models.adversarial.wgan_gp import WGANGP
from keras_gen.networks import progressive
from keras_gen.signatures.law import Law


@keras.saving.register_keras_serializable("keras_gen")
class ProgressiveGAN(Growing, WGANGP):
    """Progressive GAN: grows from 4x4 pixels to full size, one doubling a stage.

    Each stage trains all layers that there are by then, on images made as small; its own fade in first. Samples have
    the full size in every stage, with pixels repeated.

    Args:
        image_shape: (H, W, C); the sides come from doubling 4 to 7 pixels: 28, 32, 48x64, 1024, ...
        latent_dim: number of latent coordinates, which are scaled to a mean square of 1.
        base: channels are `base` over the side, ...
        largest: ... and no more than this.
        fade_steps: steps of the critic in a stage after which its new layers count in full: in the paper those of
            600,000 images, and as many follow, in batches of 16 at most sizes.
        drift: weight of the mean square of the critic's output for real images.
        penalty_weight: of the gradient penalty, the paper's lambda.
        n_critic: critic steps for each generator step.
        update: as for `GAN`.
        ema: decay of the generator's average, which samples.
        **kwargs: of `GAN`, such as `augment`.

    Raises:
        UsageError: an image size that doubling cannot make, or a number out of range.

    Example:
        >>> model = keras_gen.ProgressiveGAN(image_shape=(8, 8, 1), base=64, latent_dim=16, fade_steps=20)
        >>> for stage in model.stages:  # ("4x4", "8x8")
        ...     model.compile(stage=stage)
        ...     model.fit(images, batch_size=16, epochs=20)
        >>> model.sample(16, seed=0).shape
        (16, 8, 8, 1)

    Reference:
        Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
        2017, arXiv:1710.10196.

    Deviations: one batch size and one length for all stages; the paper's batches get smaller from 256x256 on, and its
    4x4 stage is half as long. Optimizers begin anew with each stage, in the authors' program also when a fade ends.
    """

    settled = (*WGANGP.NETWORKS, "adversarial")

    def __init__(
        self,
        image_shape: Sequence[int] = (32, 32, 3),
        latent_dim: int = 512,
        base: int = 16384,
        largest: int = 512,
        fade_steps: int = 37_500,
        drift: float = 1e-3,
        penalty_weight: float = 10.0,
        n_critic: int = 1,
        update: str = "alternating",
        ema: float | None = 0.999,
        **kwargs: Any,
    ):
        laws = {"latent": ((None, positive("latent_dim", latent_dim)), Law(kwargs.get("latent", "normal")))}
        made = {"image_shape": image_shape, "base": base, "largest": largest, "dtype": kwargs.get("dtype")}
        super().__init__(
            generator=progressive.generator(laws, **made),
            discriminator=progressive.discriminator(**made),
            fade_steps=fade_steps,
            penalty_weight=penalty_weight,
            n_critic=n_critic,
            update=update,
            ema=ema,
            **kwargs,
        )
        self.base, self.largest, self.drift = base, largest, drift

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players."""
        return keras.optimizers.Adam(1e-3, beta_1=0.0, beta_2=0.99, epsilon=1e-8)

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the drift to the critic's loss."""
        d, g = super().term_weights()
        return {**d, "drift": self.drift}, g

    def discriminator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds how far the critic's output for real images is from 0."""
        real = self.logit(self.judge(self.real(batch, training), "real", batch, training))
        return {**super().discriminator_terms(batch, training), "drift": mean(tf.square(real))}

"""Adversarially learned inference."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen.models.adversarial.bigan import BiGAN
from keras_gen.networks.build import call


@keras.saving.register_keras_serializable("keras_gen")
class ALI(BiGAN):
    """Adversarially learned inference: a BiGAN with a stochastic encoder, as a VAE's.

    The code of an image is drawn from a Gaussian whose mean and variances the encoder gives.

    Args:
        encoder: as for `BiGAN`, to (B, 2 * latent_dim): means, then log variances.
        latent_dim: number of latent coordinates.
        architecture: as for `GAN`; so are the following.
        hidden: widths of the generator's dense layers; encoder and discriminator have them in reverse.
        width: channels (`"conv"`, `"resnet"`).
        norm: of the layers of generator and encoder.
        dropout: share of the discriminator's hidden units that are left out in training; the paper: 0.2.
        latent: prior of the latents, `"normal"` or `"uniform"` on [-1, 1); codes are normal in any case.
        **kwargs: of `GAN`. An injected discriminator takes `latent`, (B, latent_dim), too.

    Raises:
        UsageError: as for `GAN`.

    Example:
        >>> model = keras_gen.ALI(image_shape=(32, 32, 3), latent_dim=64)
        >>> model.compile()
        >>> model.fit(images, batch_size=100, epochs=25)
        >>> model.encode(images[:16]).shape, model.reconstruct(images[:16]).shape  # of the codes' means
        ((16, 64), (16, 32, 32, 3))

    Reference:
        Dumoulin, Belghazi, Poole, Mastropietro, Lamb, Arjovsky and Courville, "Adversarially Learned Inference", 2016,
        arXiv:1606.00704: Adam 1e-4 with beta_1 0.5.

    Deviations: the networks are those of DCGAN in place of maxout and 1x1 convolutions, with batch normalization in the
    discriminator, too.
    """

    statistics = 2

    def __init__(
        self,
        *,
        encoder: keras.Model | None = None,
        latent_dim: int = 64,
        architecture: str = "conv",
        hidden: Sequence[int] | None = None,
        width: int = 64,
        norm: str = "batch",
        dropout: float = 0.2,
        latent: str = "normal",
        **kwargs: Any,
    ):
        made = {"architecture": architecture, "hidden": hidden, "width": width, "norm": norm}
        super().__init__(encoder=encoder, latent_dim=latent_dim, dropout=dropout, latent=latent, **made, **kwargs)

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players."""
        return keras.optimizers.Adam(1e-4, beta_1=0.5)

    def inferred(self, image: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """Returns mean and log variance of the code, each (B, latent_dim)."""
        output = call(self.network("encoder", training), {"image": image}, training)
        return dict(zip(("mean", "log_variance"), tf.split(output, 2, axis=-1), strict=True))

    def code_of(self, inferred: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Draws a code: the mean, and noise times the standard deviation."""
        noise = keras.random.normal(tf.shape(inferred["mean"]), dtype="float32", seed=self.seeds(training))
        return inferred["mean"] + tf.exp(0.5 * inferred["log_variance"]) * noise

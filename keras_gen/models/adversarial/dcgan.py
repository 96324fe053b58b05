"""DCGAN: a GAN of strided convolutions."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gen.models.adversarial.gan import GAN


@keras.saving.register_keras_serializable("keras_gen")
class DCGAN(GAN):
    """Deep convolutional GAN: strided convolutions, batch normalization, no pooling.

    Args:
        image_shape: (H, W, C), C = 1 or 3; the sides must come from doubling a map of 4 to 8 pixels: 28, 32, 48x64, ...
        latent_dim: number of latent coordinates.
        width: channels of the stage nearest to the image; doubled with each halving, up to eight times.
        hidden: widths of dense layers between the latents and the generator's maps; the discriminator has them in
            reverse, at its end. The paper has none.
        latent: prior of the latents, `"uniform"` on [-1, 1) or `"normal"`.
        norm: `"batch"` normalization; `"sync_batch"` takes its statistics over all replicas of a `tf.distribute`
            strategy, which then train as one does; `"none"` has biases instead.
        dropout: as for `GAN`; the paper has none.
        **kwargs: of `GAN`, such as `adversarial`, `augment` and `ema`.

    Raises:
        UsageError: an image size that doubling cannot make, or a `norm` that does not exist; the message names the
            nearest.

    Example:
        >>> model = keras_gen.DCGAN(image_shape=(28, 28, 1), latent_dim=100)
        >>> model.compile()
        >>> model.fit(images, batch_size=128, epochs=5)
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
        Networks", 2015, arXiv:1511.06434: its five guidelines, initialization N(0, 0.02), Adam 2e-4 with beta_1 0.5.

    Deviations: the number of stages follows from the image's size (the paper: four, for 64x64).
    """

    settled = ("architecture",)

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        latent_dim: int = 100,
        width: int = 128,
        hidden: Sequence[int] = (),
        latent: str = "uniform",
        norm: str = "batch",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(
            image_shape=image_shape,
            latent_dim=latent_dim,
            architecture="conv",
            width=width,
            hidden=hidden,
            latent=latent,
            norm=norm,
            dropout=dropout,
            **kwargs,
        )

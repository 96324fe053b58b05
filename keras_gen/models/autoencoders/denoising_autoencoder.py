"""The denoising autoencoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice
from keras_gen.images import from_uint8
from keras_gen.metrics.samples import mean_psnr
from keras_gen.models.autoencoders.autoencoder import Autoencoder
from keras_gen.signatures.signature import Signature


@keras.saving.register_keras_serializable("keras_gen")
class DenoisingAutoencoder(Autoencoder):
    """Denoising autoencoder: reconstructs clean images from corrupted ones.

    Images are corrupted in training only: `evaluate`, `reconstruct` and exported files encode what they are given, be
    it clean or not. `fit(noisy, clean)` takes pairs that were corrupted otherwise, and adds nothing to them; where `y`
    is `x`, it counts as left out.

    Args:
        image_shape: (H, W, C).
        latent_dim: number of latent coordinates.
        architecture: `"mlp"` or `"conv"` (sides as for `DCGAN`).
        hidden: widths of the encoder's layers (`"mlp"`); the decoder has them in reverse.
        width: channels of the stage nearest to the image (`"conv"`).
        loss: `"mse"` or `"cross_entropy"`, against the clean image; as for `Autoencoder`.
        corruption: `"gaussian"` adds normal noise to every value, and cuts nothing off; `"masking"` makes pixels black.
        amount: of noise its standard deviation, at least 0, in units of [0, 1] gray levels (twice that in those of
            [-1, 1]); of masking the probability of each pixel to become black, in [0, 1].
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice or an amount that does not exist, or an image size that `"conv"` cannot make.

    Example:
        >>> model = keras_gen.DenoisingAutoencoder(image_shape=(28, 28, 1), amount=0.5)
        >>> model.compile()
        >>> model.fit(images, batch_size=128, epochs=20)
        >>> clean = model.reconstruct(model.corrupt(images[:16], seed=0))

    Reference:
        Vincent, Larochelle, Bengio and Manzagol, "Extracting and Composing Robust Features with Denoising
        Autoencoders", ICML 2008; Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010; what is learned:
        Alain and Bengio, 2012, arXiv:1211.4246.

    Deviations: masking draws each pixel for itself, and does not fix how many; several layers are trained at once. The
    Gaussian of `sample` is that of the codes of corrupted images, which are those that the decoder learned from.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 32,
        architecture: str = "mlp",
        hidden: Sequence[int] = (512, 256),
        width: int = 32,
        loss: str = "mse",
        corruption: str = "gaussian",
        amount: float = 0.5,
        **kwargs: Any,
    ):
        super().__init__(image_shape, latent_dim, architecture, hidden, width, loss, **kwargs)
        self.corruption = choice("corruption", corruption, ("gaussian", "masking"))
        most = 1.0 if corruption == "masking" else np.inf
        if not 0 <= amount <= most:
            raise UsageError(f"amount is {amount}; expected a number from 0 to {most:g} for {corruption!r}")
        self.amount = float(amount)

    def seen(self, image: tf.Tensor, training: bool, target: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the encoder's input for images (B, H, W, C) in [-1, 1]: corrupted ones, in training.

        Images with a target are corrupted already, and stay as they are; unless the batch is its own target.
        """
        corrupted = self.corrupted(image, self.seeds(training)) if training else image
        return corrupted if target is None else tf.where(tf.reduce_all(image == target), corrupted, image)

    def corrupted(self, image: tf.Tensor, seed: Any) -> tf.Tensor:
        """Corrupts images (B, H, W, C) in [-1, 1], by a seed or a seed generator."""
        shape = tf.shape(image)
        if self.corruption == "gaussian":
            return image + 2.0 * self.amount * keras.random.normal(shape, dtype="float32", seed=seed)
        pixels = tf.concat([shape[:-1], [1]], axis=0)  # all channels of a pixel become black together
        return tf.where(keras.random.uniform(pixels, dtype="float32", seed=seed) < self.amount, -1.0, image)

    def signatures(self) -> dict[str, Signature]:
        """Returns those of `Autoencoder`; `encode` takes images with the noise of training, six deviations of it."""
        found = super().signatures()
        reach = 1 + 12 * self.amount if self.corruption == "gaussian" else 1
        encode = found["encode"]
        meta = {**encode.meta, "image.range": f"[-{reach:.6g}, {reach:.6g}]"} if reach > 1 else encode.meta
        return {**found, "encode": encode._replace(meta=meta)}

    def corrupt(self, images: np.ndarray, seed: int = 0) -> np.ndarray:
        """Returns images (n, H, W, C) in [-1, 1] with the corruption of training; noise leads out of the range."""
        return self.corrupted(tf.constant(images, tf.float32), seed).numpy()

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Adds figures of denoising to those of `Autoencoder`; arguments as there, `seed` also of the corruption.

        Returns:
            `psnr_denoised`, the mean over test images of the peak signal-to-noise ratio, in dB, of what is made of
            corrupted images, and `psnr_gain`, by how much it is above that of the corrupted images. The latter are
            clipped to [-1, 1] for this: otherwise half of the gain would be that of the clipping.
        """
        images = from_uint8(test.arrays["image"])
        corrupted = self.corrupt(images, seed)
        denoised = mean_psnr(images, self.reconstruct(corrupted, batch_size=500))
        before = mean_psnr(images, corrupted.clip(-1, 1))
        found = {"psnr_denoised": denoised, "psnr_gain": denoised - before}
        return super().measures(train, test, seed) | found

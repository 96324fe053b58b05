"""SRGAN: images made larger, by a network that learns first from pixels, then from a discriminator."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import mean
from keras_gen.metrics.upscaling import of_images
from keras_gen.networks import patch, upscaler
from keras_gen.ops.resample import enlarged, shrunk
from keras_gen.signatures import tiles
from keras_gen.signatures.signature import Signature, enlarges, signature
from keras_gen.signatures.values import check_values

PIXEL, ADVERSARIAL = "pixel", "adversarial"


@keras.saving.register_keras_serializable("keras_gen")
class SRGAN(GenerativeModel):
    """SRGAN: makes images larger, and draws details that a filter does not have.

    Low images are made of those of a batch, `image`, by an antialiased bicubic filter; the generator adds what a
    bilinear enlargement of them lacks. Stage `pixel` trains it by the distance from the images, which gives the best
    ratio of signal to noise and no fine texture; stage `adversarial` trains it against a discriminator as well. Once
    trained, images of any height and width can be made larger, in pieces where memory is short.

    Args:
        image_shape: (H, W, C) of the large images; `scale` divides both sides.
        scale: 2 or 4, by which height and width grow.
        width: channels of the generator, and of the discriminator's first layer.
        blocks: residual blocks.
        kernel: side of the convolutions at both ends, odd.
        strided: halvings in the discriminator, as of `Pix2Pix`.
        adversarial: weight of the discriminator's judgment, beside 1 of the mean absolute difference in [-1, 1]; 0
            leaves the second stage out.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: another scale, sides that it does not divide, or a number out of range.

    Example:
        >>> model = keras_gen.SRGAN(image_shape=(32, 32, 3), scale=2, width=32, blocks=4)
        >>> for stage in model.stages:  # ("pixel", "adversarial")
        ...     model.compile(stage=stage)
        ...     model.fit(images, batch_size=16, epochs=5)
        >>> model.upscale(photos).shape  # (n, 48, 60, 3)
        (4, 96, 120, 3)

    Reference:
        Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", 2016,
        arXiv:1609.04802; without batch normalization, and with a relativistic average discriminator as Wang et al.,
        "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", 2018, arXiv:1809.00219.

    Deviations: no loss on features of a VGG network, whose weights are not here; the absolute difference in its place
    also in the first stage, where the paper squares it. What is learned is added to a bilinear enlargement, from 0 on.
    The discriminator is pix2pix's, of patches; on replicas, it compares with the average of a replica's own part. In
    the second stage Adam's beta_1 is 0.5, as pix2pix's: with the paper's 0.9, the discriminator does not catch up with
    a generator that has learned already. Low images are the data's own, made smaller: where the paper cuts windows out
    of photographs, the data are to be such windows.
    """

    averaged = ("generator",)
    stages = (PIXEL, ADVERSARIAL)

    def __init__(
        self,
        image_shape: Sequence[int] = (96, 96, 3),
        scale: int = 4,
        width: int = 64,
        blocks: int = 16,
        kernel: int = 9,
        strided: int | None = None,
        adversarial: float = 5e-3,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        *sides, channels = self.image_shape
        if not adversarial >= 0:
            raise UsageError(f"adversarial is {adversarial}; expected a weight of at least 0")
        made = {"width": width, "dtype": self.dtype_policy}
        self.generator = upscaler.upscaler(channels, scale, blocks=blocks, kernel=kernel, **made)
        if any(side % scale for side in sides):
            near = "x".join(str(max(1, round(side / scale)) * scale) for side in sides)
            raise UsageError(
                f"image_shape is {self.image_shape}; expected sides that the scale {scale} divides: such as {near}"
            )
        self.stages = type(self).stages if adversarial else (PIXEL,)
        self.scale, self.adversarial, self.strided = scale, adversarial, patch.halvings(sides, strided)
        self.reach = upscaler.reach(scale, blocks, kernel)
        self.discriminator = patch.discriminator({"image": channels}, strided=self.strided, **made)
        self.build()

    def players(self) -> tuple[Player, ...]:
        """Returns the generator alone in the first stage, then the discriminator, and the generator against it."""
        if (self.stage or self.stages[-1]) == PIXEL:
            return (Player("g", (self.generator,), self.pixel_loss, partial(keras.optimizers.Adam, 1e-4), ("l1",)),)
        weights = {"adversarial": self.adversarial}
        return (
            Player("d", (self.discriminator,), self.discriminator_loss, self.paper_optimizer),
            Player("g", (self.generator,), self.generator_loss, self.paper_optimizer, ("adversarial", "l1"), weights),
        )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the optimizer of a player of the second stage for whom `compile` was given none."""
        return keras.optimizers.Adam(1e-4, beta_1=0.5)

    def upscaled(self, source: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns images (B, H, W, C) of any height and width made larger, (B, scale H, scale W, C)."""
        residual = self.network("generator", training)({"source": source}, training=training)
        return enlarged(tf.cast(source, tf.float32), self.scale) + residual

    def pixel_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the distance from the images."""
        return {"l1": mean(tf.abs(self._fake(batch, training) - tf.cast(batch["image"], tf.float32)))}

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the loss of not telling that images are more real than enlarged ones on average, and these less."""
        real, fake = self._logits(batch, training)
        return {"adversarial": _above(real, fake) + _above(-fake, -real)}

    def generator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the loss of enlarged images that are less real than the images, and the distance from these."""
        real, fake = self._logits(batch, training)
        return {"adversarial": _above(fake, real) + _above(-real, -fake), **self.pixel_loss(batch, training)}

    def _fake(self, batch, training):
        return batch.once("fake", lambda: self.upscaled(shrunk(batch["image"], self.scale), training))

    def _logits(self, batch, training):
        def logits():
            images = batch["image"], self._fake(batch, training)
            return [self.discriminator({"image": image}, training=training) for image in images]

        return batch.once("logits", logits)

    def signatures(self) -> dict[str, Signature]:
        """Returns `upscale`: images of any height and width to images `scale` times as large, both in [-1, 1]."""

        def upscale(source):
            return {"image": tf.clip_by_value(self.upscaled(source, False), -1.0, 1.0)}

        shape = {"source": (None, None, None, self.image_shape[-1])}
        return {"upscale": signature(upscale, shape, enlarges(self.scale, self.reach))}

    def upscale(self, images: np.ndarray, tile: int | None = None, batch_size: int = 16) -> np.ndarray:
        """Makes images larger.

        Args:
            images: (n, H, W, C) in [-1, 1], of any height and width.
            tile: side of the pieces in which they are computed, whose seams do not show; `None` computes them whole.
            batch_size: how many are made at once.

        Returns:
            float32 (n, scale * H, scale * W, C) in [-1, 1].

        Raises:
            UsageError: images of another form or range.
        """

        def make(part):
            return self.run("upscale", batch_size, source=part)["image"]

        check_values({"source": images})
        return tiles.enlarged(make, images, self.scale, self.reach, tile)

    def beside(self, batch: Batch, seed: int = 0) -> list[np.ndarray]:
        """Returns low images, their pixels repeated, what is made of them, and what they were made of."""
        image = tf.convert_to_tensor(batch["image"])
        low = shrunk(image, self.scale).numpy()
        return [low.repeat(self.scale, 1).repeat(self.scale, 2), self.upscale(low), image.numpy()]

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns how near enlarged test images are to what they were made of, beside filters that learn nothing."""
        return of_images(self.upscale, self.scale, train, test, seed)


def _above(logits, others):
    """Returns the cross-entropy, in nats, of logits that are to be above the average of others."""
    return mean(tf.nn.softplus(mean(others) - logits))

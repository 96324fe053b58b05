"""BigGAN: a large class-conditional GAN."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.models.adversarial.sagan import SAGAN
from keras_gen.ops.penalties import orthogonal


@keras.saving.register_keras_serializable("keras_gen")
class BigGAN(SAGAN):
    """BigGAN: large batches and networks, a latent for each block, and truncation.

    A SAGAN whose classes share one table of vectors: a block of the generator makes gains and offsets of the vector and
    of its own part of the latent. The columns of the generator's kernels are drawn to be orthogonal, so that latents
    can be cut off near 0 (`truncation`): samples get better, and fewer kinds of them are left.

    Args:
        num_classes: number of classes; a label is a whole number below it.
        image_shape: as for `SAGAN`.
        latent_dim: number of latent coordinates, in equal parts for the first layer and each block; by default 20 each.
        width: channels of the largest map of 128x128 images; others have up to 16 times as many.
        attention: heights of the maps that have attention; `None` is 64, or less where that is all of the image.
        embedding: length of the classes' vectors.
        orthogonal: weight of the penalty of columns of the generator's kernels that are not orthogonal, the paper's
            beta; 0 is none. The classes' vectors are left out.
        n_critic: discriminator steps for each generator step, each on rows of its own.
        norm: `"sync_batch"` normalization takes its statistics over all replicas, `"batch"` of each.
        **kwargs: of `SAGAN`, such as `augment` and `ema`.

    Raises:
        UsageError: as for `SAGAN`.

    Example:
        >>> model = keras_gen.BigGAN(image_shape=(32, 32, 3), num_classes=10, width=4, embedding=32, ema=0.9999)
        >>> model.compile()
        >>> model.fit(images, labels, batch_size=2 * 64, epochs=5)  # each discriminator step takes half of the batch
        >>> model.standing_statistics(batches=8)
        >>> model.sample(16, seed=0, label=3, truncation=0.5).shape
        (16, 32, 32, 3)

    Reference:
        Brock, Donahue and Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2018,
        arXiv:1809.11096: width 96, hinge loss, two discriminator steps, batches of 2048 (`compile(accumulate=)` passes
        them in parts), Adam with beta_1 0 and beta_2 0.999, 5e-5 for the generator and 2e-4 for the
        discriminator, an average with `ema=0.9999`, standing statistics.

    Deviations: the average is followed from the first step on, with a decay that is smaller at first, (1 + t) / (10 +
    t), in place of from step 20,000 on. Truncation is by the inverse of the distribution, an input of the sampler and
    of its files as in all GANs here that have normal latents; the paper draws anew what is beyond, which has the same
    distribution. The penalty's gradient is that of the paper's formula; a well-known program adds half of it. Batch
    statistics are of each part of a batch that is accumulated. Generator steps are on as many images as discriminator
    steps. Sizes below 128x128 have the channels of the authors' program, 1024x1024 goes on with the rule of 512x512.
    """

    settled = ("initializer",)
    largest = 64

    def __init__(
        self,
        num_classes: int = 10,
        image_shape: Sequence[int] = (128, 128, 3),
        latent_dim: int | None = None,
        width: int = 96,
        attention: Sequence[int] | None = None,
        embedding: int = 128,
        orthogonal: float = 1e-4,
        n_critic: int = 2,
        norm: str = "sync_batch",
        **kwargs: Any,
    ):
        if not orthogonal >= 0:
            raise UsageError(f"orthogonal is {orthogonal}; expected a weight of at least 0")
        super().__init__(
            num_classes=positive("num_classes", num_classes),
            image_shape=image_shape,
            latent_dim=latent_dim,
            width=width,
            attention=attention,
            embedding=positive("embedding", embedding),
            norm=norm,
            initializer="orthogonal",
            n_critic=n_critic,
            **kwargs,
        )
        self.orthogonal = orthogonal

    @staticmethod
    def paper_optimizer(player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer of a player; the discriminator's learning rate is four times as large."""
        return keras.optimizers.Adam({"d": 2e-4, "g": 5e-5}[player], beta_1=0.0, beta_2=0.999)

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the penalty to the generator's loss."""
        d, g = super().term_weights()
        return d, {**g, "orthogonal": self.orthogonal} if self.orthogonal else g

    def generator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds how far the columns of the generator's kernels are from being orthogonal."""
        terms = super().generator_terms(batch, training)
        if not self.orthogonal:
            return terms
        shared = self.generator.get_layer("shared").trainable_variables
        kernels = [v for v in self.generator.trainable_variables if len(v.shape) > 1 and v is not shared[0]]
        return {**terms, "orthogonal": orthogonal(kernels)}

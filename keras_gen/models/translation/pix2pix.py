"""pix2pix: translation learned from pairs of images."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import ADVERSARIAL, mean
from keras_gen.metrics.translation import of_pairs
from keras_gen.networks import patch, unet
from keras_gen.ops.sizes import cropped, padded
from keras_gen.signatures.signature import TRANSLATES, Signature, signature


@keras.saving.register_keras_serializable("keras_gen")
class Pix2Pix(GenerativeModel):
    """pix2pix: translates images, by a GAN that learns from pairs.

    The generator, a U-Net, makes the target of the source; the discriminator sees both, patch by patch. A batch holds
    `source` and `target`, images of one size. Once trained, images of any height and width can be translated: inside,
    they are continued by their last row and column to a multiple of 2^levels.

    Args:
        image_shape: (H, W, C) of the targets.
        source_channels: of the sources; `None` takes those of the targets.
        width: channels of the generator's outermost stage, and of the discriminator's first layer.
        levels: halvings in the generator; `None` takes as many as the shorter side has.
        strided: halvings in the discriminator, whose logits see 16, 34 or 70 pixels on a side with 1, 2 or 3; `None`
            takes 3 from 128 pixels on, 2 from 32, and 1 from 6.
        dropout: of the generator's innermost stages, in training.
        l1: weight of the mean absolute difference from the target.
        adversarial: `"non_saturating"` or `"least_squares"`.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number out of range.

    Example:
        >>> model = keras_gen.Pix2Pix(image_shape=(64, 64, 3))
        >>> model.compile()
        >>> model.fit(edges, photos, batch_size=1, epochs=200)
        >>> model.translate(edges[:4]).shape
        (4, 64, 64, 3)

    Reference:
        Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2016,
        arXiv:1611.07004.

    Deviations: instance normalization in place of batch normalization with the statistics of the test batch, which is
    the same at the paper's batch size of 1; no dropout outside of training, where the paper keeps it as its only noise.
    """

    data_names = ("source", "target")
    reads = "pairs"
    averaged = ("generator",)
    update = "alternating"

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        source_channels: int | None = None,
        width: int = 64,
        levels: int | None = None,
        strided: int | None = None,
        dropout: float = 0.5,
        l1: float = 100.0,
        adversarial: str = "non_saturating",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        *sides, channels = self.image_shape
        self.source_channels = positive("source_channels", source_channels or channels)
        self.levels = positive("levels", levels or max(1, int(math.log2(min(sides)))))
        self.strided = patch.halvings(sides, strided)
        if not l1 >= 0:
            raise UsageError(f"l1 is {l1}; expected a weight of at least 0")
        if not 0 <= dropout < 1:
            raise UsageError(f"dropout is {dropout}; expected a share in [0, 1)")
        self.l1, self.dropout = l1, dropout
        self.adversarial = choice("adversarial", adversarial, ("non_saturating", "least_squares"))
        width, made = positive("width", width), {"dtype": self.dtype_policy}
        self.generator = unet.translator(self.source_channels, channels, width, self.levels, dropout, **made)
        seen = {"source": self.source_channels, "image": channels}
        self.discriminator = patch.discriminator(seen, width, self.strided, **made)
        self.build()

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the pairs that a batch holds."""
        return {"source": (None, *self.image_shape[:2], self.source_channels), "target": (None, *self.image_shape)}

    def players(self) -> tuple[Player, ...]:
        """Returns the discriminator, then the generator, which meets it when it has moved."""
        weights = {"l1": self.l1}
        return (
            Player("d", (self.discriminator,), self.discriminator_loss, self.paper_optimizer),
            Player("g", (self.generator,), self.generator_loss, self.paper_optimizer, ("adversarial", "l1"), weights),
        )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the optimizer of a player for whom `compile` was given none."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5)

    def translated(self, source: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the generator's images (B, H, W, C) of sources (B, H, W, source_channels) of any height and width."""
        whole = padded(source, 2**self.levels)
        return cropped(self.network("generator", training)({"source": whole}, training=training), source)

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns half the loss of telling targets from translations, so that it learns no faster than its rival."""
        images = batch["target"], self._fake(batch, training)
        real, fake = (self._logits(batch, image, training) for image in images)
        return {"adversarial": 0.5 * ADVERSARIAL[self.adversarial].discriminator(real, fake)}

    def generator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the loss of not passing for a target, and the distance from it."""
        fake = self._fake(batch, training)
        loss = ADVERSARIAL[self.adversarial].generator(self._logits(batch, fake, training))
        return {"adversarial": loss, "l1": mean(tf.abs(fake - tf.cast(batch["target"], fake.dtype)))}

    def _fake(self, batch, training):
        return batch.once("fake", lambda: self.translated(batch["source"], training))

    def _logits(self, batch, image, training):
        return self.discriminator({"source": batch["source"], "image": image}, training=training)

    def signatures(self) -> dict[str, Signature]:
        """Returns `translate`: sources of any height and width to images of the same, both in [-1, 1]."""

        def translate(source):
            return {"image": tf.cast(self.translated(source, False), tf.float32)}

        return {"translate": signature(translate, {"source": (None, None, None, self.source_channels)}, TRANSLATES)}

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns how far translations of test images are from their targets, beside baselines."""
        return of_pairs(partial(self.translate, seed=seed), train, test, seed)

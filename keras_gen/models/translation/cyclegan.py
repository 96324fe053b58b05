"""CycleGAN: translation learned from two sets of images, of which no two belong together."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.layers import ImagePool
from keras_gen.losses import ADVERSARIAL, mean
from keras_gen.metrics.translation import of_cycles
from keras_gen.networks import patch, translator
from keras_gen.ops.sizes import cropped, padded
from keras_gen.signatures.signature import TRANSLATES, Signature, signature

LEAST_SQUARES = ADVERSARIAL["least_squares"]


@keras.saving.register_keras_serializable("keras_gen")
class CycleGAN(GenerativeModel):
    """CycleGAN: translates between two kinds of images, both ways, without pairs.

    A batch holds `source`, images of the first kind (a), and `target`, others of the second (b), as many of each.
    A translation there and back is to return the image. `fit(a, b)` takes arrays of two lengths. Once trained, images
    of any height and width can be translated: inside, they are continued by their last row and column to a multiple
    of 4.

    Args:
        image_shape: (H, W, C) of the targets, b.
        source_channels: of the sources, a; `None` takes those of the targets.
        width: channels of both translators at full size, and of the discriminators' first layers.
        blocks: residual blocks; `None` takes 9 above 128 pixels, and 6.
        strided: halvings in the discriminators, as of `Pix2Pix`.
        upsample: `"transpose"` or `"resize"`, of the translators.
        cycle: weight of the mean absolute difference there and back.
        identity: weight, in units of `cycle`, of what a translator changes in images that are of its kind already; 0
            leaves colors free to change, and is needed where the channels differ.
        pool: translations that each discriminator is shown again later, half of the time; 0 keeps none.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number out of range.

    Example:
        >>> model = keras_gen.CycleGAN(image_shape=(64, 64, 3))
        >>> model.compile()
        >>> model.fit(apples, oranges, batch_size=1, epochs=200)
        >>> model.translate(apples[:4]).shape, model.translate(oranges[:4], to="a").shape
        ((4, 64, 64, 3), (4, 64, 64, 3))

    Reference:
        Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
        2017, arXiv:1703.10593.

    Deviations: both losses are computed on the same weights, and then everybody moves; the authors' program moves the
    translators first, and the discriminators by the translations from before that move, which is the same. Transposed
    convolutions pad by TensorFlow's rule, to the right and below.
    """

    data_names = ("source", "target")
    reads = "unpaired"
    averaged = ("a_to_b", "b_to_a")

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        source_channels: int | None = None,
        width: int = 64,
        blocks: int | None = None,
        strided: int | None = None,
        upsample: str = "transpose",
        cycle: float = 10.0,
        identity: float = 0.5,
        pool: int = 50,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        *sides, channels = self.image_shape
        self.source_channels = positive("source_channels", source_channels or channels)
        for name, weight in (("cycle", cycle), ("identity", identity)):
            if not weight >= 0:
                raise UsageError(f"{name} is {weight}; expected a weight of at least 0")
        if identity and self.source_channels != channels:
            raise UsageError(
                f"identity is {identity}, and sources have {self.source_channels} channels where targets have "
                f"{channels}: there is no identity; give identity=0, or one number of channels"
            )
        self.cycle, self.identity, self.strided = cycle, identity, patch.halvings(sides, strided)
        made = {"width": positive("width", width), "dtype": self.dtype_policy}
        inside = {"blocks": positive("blocks", blocks or (9 if min(sides) > 128 else 6))}
        inside |= {"upsample": choice("upsample", upsample, ("transpose", "resize"))}
        both = self.source_channels, channels
        self.a_to_b = translator.translator(*both, name="a_to_b", **inside, **made)
        self.b_to_a = translator.translator(*both[::-1], name="b_to_a", **inside, **made)
        kinds = {"a": self.source_channels, "b": channels}
        self.discriminator_a, self.discriminator_b = (
            patch.discriminator({"image": count}, strided=self.strided, name=f"discriminator_{kind}", **made)
            for kind, count in kinds.items()
        )
        self.pool_a, self.pool_b = (
            ImagePool(pool, (*sides, count), (self.seed or 0) + number, name=f"pool_{kind}")
            for number, (kind, count) in enumerate(kinds.items())
        )
        self.pool = self.pool_a.size
        self.build()

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the images of both kinds that a batch holds."""
        return {"source": (None, *self.image_shape[:2], self.source_channels), "target": (None, *self.image_shape)}

    def players(self) -> tuple[Player, ...]:
        """Returns both discriminators, one player, and both translators, another."""
        discriminators, translators = (self.discriminator_a, self.discriminator_b), (self.a_to_b, self.b_to_a)
        weights = {"cycle": self.cycle, **({"identity": self.cycle * self.identity} if self.identity else {})}
        return (
            Player("d", discriminators, self.discriminator_loss, self.paper_optimizer, ("a", "b")),
            Player("g", translators, self.translator_loss, self.paper_optimizer, ("adversarial", *weights), weights),
        )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the optimizer of a player for whom `compile` was given none."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5)

    def translated(self, way: str, image: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns images (B, H, W, C) of any height and width as the other kind; the way is `"a_to_b"` or back."""
        whole = padded(image, translator.STRIDE, translator.LEAST)
        return cropped(self.network(way, training)({"source": whole}, training=training), image)

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns half the squared errors of telling each kind from translations, of which some are older ones."""
        found = {}
        for kind, real, fake, judge, pool in (
            ("a", batch["source"], self._fake("b_to_a", batch, training), self.discriminator_a, self.pool_a),
            ("b", batch["target"], self._fake("a_to_b", batch, training), self.discriminator_b, self.pool_b),
        ):
            shown = batch.once(f"pool_{kind}", partial(pool, fake)) if training else fake
            logits = (judge({"image": image}, training=training) for image in (real, tf.stop_gradient(shown)))
            found[kind] = LEAST_SQUARES.discriminator(*logits)
        return found

    def translator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the losses of not passing for the other kind, of the way there and back, and of needless changes."""
        a, b = batch["source"], batch["target"]
        fake_b, fake_a = self._fake("a_to_b", batch, training), self._fake("b_to_a", batch, training)
        logits = (
            judge({"image": fake}, training=training)
            for judge, fake in ((self.discriminator_a, fake_a), (self.discriminator_b, fake_b))
        )
        back_a, back_b = self.translated("b_to_a", fake_b, training), self.translated("a_to_b", fake_a, training)
        terms = {
            "adversarial": 2 * tf.add_n([LEAST_SQUARES.generator(one) for one in logits]),  # the squares themselves
            "cycle": _apart(back_a, a) + _apart(back_b, b),
        }
        if self.identity:
            same_b, same_a = self.translated("a_to_b", b, training), self.translated("b_to_a", a, training)
            terms["identity"] = _apart(same_b, b) + _apart(same_a, a)
        return terms

    def _fake(self, way, batch, training):
        image = batch["source" if way == "a_to_b" else "target"]
        return batch.once(way, lambda: self.translated(way, image, training))

    def signatures(self) -> dict[str, Signature]:
        """Returns `a_to_b` and `b_to_a`: images of any height and width to images of the same, in [-1, 1]."""
        channels = {"a_to_b": self.source_channels, "b_to_a": self.image_shape[-1]}

        def make(way):
            def translate(source):
                return {"image": tf.cast(self.translated(way, source, False), tf.float32)}

            return signature(translate, {"source": (None, None, None, channels[way])}, TRANSLATES)

        return {way: make(way) for way in channels}

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns how much of a test image is lost there and back, and what a classifier of both kinds sees."""
        return of_cycles(partial(self.translate, seed=seed), train, test, seed)


def _apart(images, others):
    return mean(tf.abs(images - tf.cast(others, images.dtype)))

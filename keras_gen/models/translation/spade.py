"""SPADE: images painted by a map of classes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import ADVERSARIAL, gaussian_kl, mean
from keras_gen.metrics.translation import of_maps
from keras_gen.networks import spade
from keras_gen.ops.random import random_tensor
from keras_gen.signatures.classes import packed
from keras_gen.signatures.law import NORMAL, Law, metadata
from keras_gen.signatures.signature import Signature, signature

HINGE = ADVERSARIAL["hinge"]


@keras.saving.register_keras_serializable("keras_gen")
class SPADE(GenerativeModel):
    """SPADE: paints maps of classes, with normalization that follows the map.

    A batch holds `segmentation`, the class of each pixel, and `image`. The generator begins with a latent, and meets
    the map in each of its normalizations; two discriminators, of which one sees half the size, judge patches of image
    and map. Maps are painted in the height and width that the model is trained on.

    Args:
        image_shape: (H, W, C) of the images.
        num_classes: number of classes, all that a map can hold: one for unknown pixels, too, if there are some.
        latent_dim: length of the latent.
        width: channels of the generator at full size, and of the other networks' first layers.
        hidden: channels between the map and the scales and offsets.
        levels: doublings in the generator; `None` takes at most 5, down to 4 pixels.
        strided: halvings in a discriminator; `None` takes 3 from 256 pixels on, 2 from 64, and 1 below.
        scales: number of discriminators, each of which sees half the size of the one before.
        features: weight of the differences between the discriminators' features of an image and of the painted map.
        style: learn an encoder of the latent: an image can then lend its style to any map.
        kl: weight of the divergence of that latent's distribution from the prior.
        **kwargs: `class_names`, `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number out of range.

    Example:
        >>> model = keras_gen.SPADE(image_shape=(64, 64, 3), num_classes=12)
        >>> model.compile()
        >>> model.fit(maps, photos, batch_size=4, epochs=50)
        >>> model.translate(maps[:4], seed=3).shape
        (4, 64, 64, 3)

    Reference:
        Park, Liu, Wang and Zhu, "Semantic Image Synthesis with Spatially-Adaptive Normalization", 2019,
        arXiv:1903.07291.

    Deviations: instance normalization for batch normalization, so that training and inference are the same; no loss on
    the features of a VGG network, which would be weights of other data; both losses are computed on the same weights,
    and then everybody moves, where the authors' program moves the generator first; without an encoder, too, the
    generator begins with a latent; usual initial weights, where theirs are 50 times as small; the divergence is a mean
    over the batch; no bias where a normalization would take it away.
    """

    data_names = ("segmentation", "image")
    reads = "labels"
    averaged = ("generator",)
    adversarial = "hinge"

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        num_classes: int = 2,
        latent_dim: int = 256,
        width: int = 64,
        hidden: int = 128,
        levels: int | None = None,
        strided: int | None = None,
        scales: int = 2,
        features: float = 10.0,
        style: bool = False,
        kl: float = 0.05,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        self.num_classes, self.scales = positive("num_classes", num_classes), positive("scales", scales)
        self.latent_dim, width = positive("latent_dim", latent_dim), positive("width", width)
        for name, weight in (("features", features), ("kl", kl)):
            if not weight >= 0:
                raise UsageError(f"{name} is {weight}; expected a weight of at least 0")
        self.features, self.kl, self.style = features, kl, bool(style)
        sides = self.image_shape[:2]
        self.levels = spade.doublings(sides, levels)
        self.strided = spade.halved(sides, self.scales, strided)
        shapes, made = (self.image_shape, self.num_classes), {"width": width, "dtype": self.dtype_policy}
        inside = {"latent_dim": self.latent_dim, "hidden": positive("hidden", hidden), "levels": self.levels}
        self.generator = spade.generator(*shapes, **inside, **made)
        self.discriminator = spade.discriminator(*shapes, strided=self.strided, scales=self.scales, **made)
        if self.style:
            self.encoder = spade.encoder(self.image_shape, self.latent_dim, **made)
            self.averaged = ("generator", "encoder")
        self.build()

    def conditions(self) -> dict[str, Law]:
        """Returns none: classes are of pixels."""
        return {}

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the maps and images that a batch holds."""
        return {"segmentation": (None, *self.image_shape[:2]), "image": (None, *self.image_shape)}

    def players(self) -> tuple[Player, ...]:
        """Returns the discriminators, one player, and the generator, with the encoder if there is one."""
        weights = {"features": self.features, **({"kl": self.kl} if self.style else {})}
        painters = (self.generator, self.encoder) if self.style else (self.generator,)
        return (
            Player("d", (self.discriminator,), self.discriminator_loss, self.paper_optimizer),
            Player("g", painters, self.generator_loss, self.paper_optimizer, ("adversarial", *weights), weights),
        )

    @staticmethod
    def paper_optimizer(player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer of a player; the discriminators' learning rate is four times as large."""
        return keras.optimizers.Adam({"d": 4e-4, "g": 1e-4}[player], beta_1=0.0, beta_2=0.9)

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the hinge loss of telling images from painted maps, a mean over the discriminators."""
        pairs = zip(*self._seen(batch, training), strict=True)
        return {"adversarial": _mean_of([HINGE.discriminator(real[-1], fake[-1]) for real, fake in pairs])}

    def generator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the loss of not passing for an image, of features that differ from its own, and of the encoder."""
        reals, fakes = self._seen(batch, training)
        terms = {"adversarial": _mean_of([HINGE.generator(fake[-1]) for fake in fakes])}
        apart = [
            tf.add_n([mean(tf.abs(a - tf.stop_gradient(b))) for a, b in zip(fake[:-1], real[:-1], strict=True)])
            for real, fake in zip(reals, fakes, strict=True)
        ]
        terms["features"] = _mean_of(apart)
        if self.style:
            terms["kl"] = mean(gaussian_kl(*self._code(batch, training)))
        return terms

    def painted(self, segmentation: tf.Tensor, latent: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns images (B, H, W, C) of classes (B, H, W) and latents (B, latent_dim)."""
        return self.network("generator", training)({"segmentation": segmentation, "latent": latent}, training=training)

    def _seen(self, batch, training):
        """Returns what the discriminators see of images, and of painted maps."""

        def see():
            segmentation = tf.cast(batch["segmentation"], tf.int32)
            fake = self.painted(segmentation, self._latent(batch, training), training)
            given = ({"segmentation": segmentation, "image": image} for image in (batch["image"], fake))
            outputs, layers = [self.discriminator(one, training=training) for one in given], self.strided + 2
            return [[one[at : at + layers] for at in range(0, len(one), layers)] for one in outputs]

        return batch.once("seen", see)

    def _latent(self, batch, training):
        shape = (tf.shape(batch["image"])[0], self.latent_dim)
        noise = random_tensor(NORMAL, shape, self.seeds(training))
        if not self.style:
            return noise
        middle, log_variance = self._code(batch, training)
        return middle + tf.exp(0.5 * log_variance) * noise

    def _code(self, batch, training):
        def encode():
            return tf.split(self.network("encoder", training)({"image": batch["image"]}, training=training), 2, axis=-1)

        return batch.once("code", encode)

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`: classes and a latent to an image; with `style` also `encode`, an image to its latent."""
        shapes = {"segmentation": (None, *self.image_shape[:2]), "latent": (None, self.latent_dim)}
        of_image = {"image.range": "[-1, 1]", "image.layout": "NHWC"}
        meta = {"given": "segmentation", "sample": "image", **of_image, **metadata({"latent": NORMAL})}
        meta |= {"segmentation.range": f"0 to {self.num_classes - 1}", "segmentation.layout": "NHW"}
        meta |= {"segmentation.classes": packed(self.class_names)} if self.class_names else {}

        def generate(segmentation, latent):
            return {"image": tf.cast(self.painted(segmentation, latent, False), tf.float32)}

        def encode(image):
            code = self.network("encoder", False)({"image": image}, training=False)
            return {"latent": tf.cast(code[:, : self.latent_dim], tf.float32)}

        found = {"generate": signature(generate, shapes, meta)}
        if self.style:
            found["encode"] = signature(encode, {"image": (None, *self.image_shape)}, of_image)
        return found

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns how far painted test maps are from their images, beside baselines."""
        return of_maps(partial(self.translate, seed=seed), train, test, seed)


def _mean_of(losses):
    return tf.add_n(losses) / len(losses)

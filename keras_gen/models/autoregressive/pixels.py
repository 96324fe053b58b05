"""What autoregressive models of images share: exact likelihoods, and samples value by value."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import Levels, mean, per_example
from keras_gen.networks import raster
from keras_gen.networks.build import call
from keras_gen.signatures.law import UNIFORM, Law, metadata
from keras_gen.signatures.signature import Signature, signature

LIKELIHOODS = ("categorical", "mixture")
SMALLEST_LOG_SCALE = -7.0


class PixelModel(GenerativeModel):
    """Base of autoregressive models of images, which predict each value given those before it.

    The likelihood of an image is the product of those of its values. A subclass makes the network `pixels`, of `sizes`
    and its own arguments, and builds itself.

    Args:
        image_shape: (H, W, C); the channels of a pixel come one after the other.
        levels: values that a channel can have, equally spaced on [-1, 1]: 2 for black and white, 256 for all of 8 bits.
        likelihood: of a channel with more than two levels: `"categorical"`, a probability for each, or `"mixture"`, of
            logistic distributions that are cut into levels, so that neighbors are alike.
        mixtures: logistic distributions in a mixture.
        binarize: with two levels: `"stochastic"` draws each pixel anew at every step with its gray level as
            probability, `"threshold"` cuts at one half.
        num_classes: number of classes that the network is conditioned on; `None` is none.
        **kwargs: `ema`, `seed`, `name`, `dtype`.
    """

    density = "exact"
    averaged = ("pixels",)

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        levels: int = 2,
        likelihood: str = "categorical",
        mixtures: int = 10,
        binarize: str = "stochastic",
        num_classes: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.num_classes = tuple(image_shape), num_classes
        self.binarize = choice("binarize", binarize, ("stochastic", "threshold"))
        if not 2 <= levels <= 256:
            raise UsageError(f"levels is {levels}; expected 2 to 256")
        self.levels, self.mixed = levels, choice("likelihood", likelihood, LIKELIHOODS) == "mixture"
        if self.mixed and levels == 2:
            raise UsageError("likelihood='mixture' is of more than two levels; give levels=256, or leave it out")
        self.outputs = 3 * positive("mixtures", mixtures) if self.mixed else 1 if levels == 2 else levels

    def sizes(self, width: int, **sides: int) -> dict[str, Any]:
        """Returns arguments of a network of masked convolutions, checked.

        Args:
            width: features of a block.
            **sides: of kernels.

        Raises:
            UsageError: a width that is not a multiple of the channels, or an even side.
        """
        for name, side in sides.items():
            if positive(name, side) % 2 == 0:
                raise UsageError(f"{name} is {side}; expected an odd number, which has a middle")
        if positive("width", width) % self.image_shape[-1]:
            raise UsageError(f"width is {width}; expected a multiple of the {self.image_shape[-1]} channels")
        given = {"image_shape": self.image_shape, "outputs": self.outputs, "num_classes": self.num_classes}
        return {**given, "width": width, **sides, "dtype": self.dtype_policy}

    def call(self, inputs, training=False):
        """Returns the logits of images."""
        given = inputs if isinstance(inputs, dict) else {"image": inputs}
        return self.logits(self.observed(given["image"], training), training, **self.conditions_in(given))

    def players(self) -> tuple[Player, ...]:
        """Returns the one player."""
        return (Player("", (self.pixels,), self.loss_terms, lambda: keras.optimizers.Adam(1e-3), ("nll",)),)

    # --- likelihood --------------------------------------------------------------------------------------------------

    def pixel_levels(self) -> Levels:
        """Returns the model's own levels, of which `log_prob` is."""
        return Levels(self.levels)

    def loss_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the negative log-likelihood in nats per image."""
        return {"nll": -mean(self.log_likelihood(batch, training))}

    def log_likelihood(self, batch: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Returns log p(x) in nats, (B,), of images that are binarized or rounded to the levels."""
        image = self.observed(batch["image"], training)
        logits = self.logits(image, training, **self.conditions_in(batch))
        if self.levels == 2:
            on = 0.5 * (image + 1.0)
            return -per_example(tf.nn.sigmoid_cross_entropy_with_logits(on, logits[..., 0]))
        if self.mixed:
            return per_example(tf.reduce_logsumexp(self.log_mixture(image, logits), axis=-1))
        return -per_example(tf.nn.sparse_softmax_cross_entropy_with_logits(self.level(image), logits))

    def log_mixture(self, image: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Returns the joint log-probabilities of a mixture's components and the pixels, (B, H, W, C, mixtures)."""
        weight, mean, scale = self.mixture_of(logits)
        half = 1.0 / (self.levels - 1)  # of a step from level to level
        above, below = ((image[..., None] - mean + side) / scale for side in (half, -half))
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)); the end levels have all that is beyond.
        inside = (
            tf.math.log_sigmoid(above) + tf.math.log_sigmoid(-below) + tf.math.log(-tf.math.expm1(-2 * half / scale))
        )
        level = self.level(image)[..., None]
        probability = tf.where(level == 0, tf.math.log_sigmoid(above), inside)
        return weight + tf.where(level == self.levels - 1, tf.math.log_sigmoid(-below), probability)

    def mixture_of(self, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns log-weights, means and scales of the components, each (..., mixtures)."""
        weight, mean, scale = tf.split(logits, 3, axis=-1)
        return tf.nn.log_softmax(weight), mean, tf.exp(tf.maximum(scale, SMALLEST_LOG_SCALE))

    def observed(self, image: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the target of the likelihood: images in [-1, 1] whose values are levels."""
        image = tf.cast(image, tf.float32)
        if self.levels == 2 and self.binarize == "stochastic":
            cut = keras.random.uniform(tf.shape(image), dtype="float32", seed=self.seeds(training))
            return tf.where(0.5 * (image + 1.0) > cut, 1.0, -1.0)
        return self.value(self.level(image))

    def level(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the nearest levels of images in [-1, 1], int32."""
        return tf.cast(tf.floor(0.5 * (image + 1.0) * (self.levels - 1) + 0.5), tf.int32)

    def value(self, level: tf.Tensor) -> tf.Tensor:
        """Returns the pixels in [-1, 1] of levels."""
        return tf.cast(level, tf.float32) * (2.0 / (self.levels - 1)) - 1.0

    def logits(self, image: tf.Tensor, training: bool, **given: tf.Tensor) -> tf.Tensor:
        """Returns the parameters of the distribution of each value of images, (B, H, W, C, outputs).

        It is a logit for each level; with two levels that of the upper one alone; of a mixture the logits of its
        weights, their means and the logarithms of their scales.
        """
        given = {name: tf.convert_to_tensor(value) for name, value in {"image": image, **given}.items()}
        output = call(self.network("pixels", training), given, training)
        return tf.reshape(output, (-1, *self.image_shape, self.outputs))

    def log_prob(self, images: np.ndarray, seed: int = 0, batch_size: int = 500, **inputs: Any) -> np.ndarray:
        """Returns log p(x) in nats for each image, exactly.

        Args:
            images: float32 (n, H, W, C) in [-1, 1]; with stochastic binarization one draw of each is judged.
            seed: of the draws.
            batch_size: images at once.
            **inputs: `label`, with classes: one for all images, or one for each.

        Returns:
            float32 (n,).
        """
        density = partial(self.log_likelihood, training=False)
        return self.densities(density, {"image": images, **inputs}, seed=seed, batch_size=batch_size)

    # --- samples -----------------------------------------------------------------------------------------------------

    def complete(self, images: np.ndarray, rows: int, seed: int = 0, **inputs: Any) -> np.ndarray:
        """Returns images with their first rows kept and the rest drawn, (n, H, W, C) in [-1, 1].

        Args:
            images: float32 (n, H, W, C) in [-1, 1], whose values are levels, as samples are.
            rows: how many of them are kept, 0 to H.
            seed: of the draws.
            **inputs: `label`, with classes.

        Raises:
            UsageError: rows out of range.
        """
        if not 0 <= rows <= self.image_shape[0]:
            raise UsageError(f"rows is {rows}; expected 0 to {self.image_shape[0]}")
        keep = np.float32(rows * math.prod(self.image_shape[1:]))
        return self.sample(len(images), seed=seed, known=images, keep=keep, **inputs)

    def sampled_images(self, noise: tf.Tensor, known: tf.Tensor, keep: tf.Tensor, **given: tf.Tensor) -> tf.Tensor:
        """Samples images value by value.

        Args:
            noise: (B, H, W, C), uniform on [-1, 1).
            known: (B, H, W, C), images of which the first values are kept.
            keep: float32 (B,), how many, in the order of rows, pixels and channels.
            **given: the conditions.
        """
        height, width, channels = self.image_shape

        def fill(output, row, column, channel):
            whole = tf.reshape(output, (-1, channels * self.outputs))
            logits = whole[:, channel * self.outputs : (channel + 1) * self.outputs]
            share, old = (tf.slice(x, [0, row, column, channel], [-1, 1, 1, 1]) for x in (noise, known))
            made = tf.reshape(self.quantile(logits, 0.5 * (tf.reshape(share, (-1,)) + 1.0)), (-1, 1, 1, 1))
            place = tf.cast((row * width + column) * channels + channel, tf.float32)
            return tf.where(tf.reshape(place < keep, (-1, 1, 1, 1)), old, made)

        return raster.visited(self.inference("pixels"), self.image_shape, given, fill, tf.shape(noise)[0])

    def sampled_naively(self, noise: tf.Tensor, known: tf.Tensor, keep: tf.Tensor, **given: tf.Tensor) -> tf.Tensor:
        """Samples the same as `sampled_images`, with a pass over the whole image for each value, to compare with."""
        size = math.prod(self.image_shape)
        share = 0.5 * (noise + 1.0)
        place = tf.reshape(tf.range(size, dtype=tf.float32), (1, *self.image_shape))
        kept = place < tf.reshape(keep, (-1, 1, 1, 1))
        image = tf.where(kept, known, -1.0)

        def step(index, image):
            made = self.quantile(self.logits(image, False, **given), share)
            return index + 1.0, tf.where(tf.equal(place, index) & ~kept, made, image)

        shapes = [tf.TensorShape([]), tf.TensorShape([None, *self.image_shape])]
        return tf.while_loop(
            lambda index, _: index < float(size), step, [tf.constant(0.0), image], shape_invariants=shapes
        )[1]

    def quantile(self, logits: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        """Returns the values in [-1, 1] below which lie shares in [0, 1) of the probability; logits (..., outputs)."""
        if self.levels == 2:
            return tf.where(share < tf.sigmoid(-logits[..., 0]), -1.0, 1.0)
        if self.mixed:
            weight, mean, scale = (value[..., None] for value in self.mixture_of(logits))
            ends = self.value(tf.range(self.levels - 1)) + 1.0 / (self.levels - 1)  # of all levels but the last
            below = tf.reduce_sum(tf.exp(weight) * tf.sigmoid((ends - mean) / scale), axis=-2)
        else:
            below = tf.cumsum(tf.nn.softmax(logits), axis=-1)[..., :-1]
        level = tf.reduce_sum(tf.cast(below <= share[..., None], tf.float32), axis=-1)
        return level * (2.0 / (self.levels - 1)) - 1.0

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `logits` (of images), and `sample`: noise to images, of which the first `keep` values are `known`."""
        described = {"image.range": "[-1, 1]", "image.layout": "NHWC", **metadata(self.conditions())}
        shape, given = (None, *self.image_shape), {name: (None,) for name in self.conditions()}

        def logits(image, **given):
            return {"logits": self.logits(image, False, **given)}

        @partial(tf.function, autograph=False, reduce_retracing=True)  # eagerly, so many passes take minutes
        def sample(noise, known, keep, **given):
            return {"image": self.sampled_images(*map(tf.convert_to_tensor, (noise, known, keep)), **given)}

        laws = metadata({"noise": UNIFORM, "known": Law("constant", -1), "keep": Law("constant", 0)})
        inputs = {"noise": shape, "known": shape, "keep": (None,), **given}
        return {
            "logits": signature(logits, {"image": shape, **given}, described),
            "sample": signature(sample, inputs, {"sample": "image", **laws, **described}),
        }

"""AdaIN: the style of any image for any other, by the moments of an encoder's features."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import mean
from keras_gen.metrics.stylizing import of_styles
from keras_gen.networks import style as networks
from keras_gen.ops.sizes import cropped, padded
from keras_gen.ops.style import adapted, moments_apart
from keras_gen.signatures.law import Law, metadata
from keras_gen.signatures.signature import Signature, signature

RECONSTRUCT, STYLE = "reconstruct", "style"


@keras.saving.register_keras_serializable("keras_gen")
class AdaIN(GenerativeModel):
    """AdaIN: gives any image the style of any other, by moments of its features.

    A batch holds `source`, images whose content is kept, and `target`, others that lend their style; no two belong
    together. Stage `reconstruct` trains an encoder and a decoder to reconstruct both. In stage `style` the encoder
    stands still: its features of the content get the moments of those of the style, and the decoder learns images that
    have them. Once trained, both images may have any height and width.

    Args:
        image_shape: (H, W, C) of the images of both kinds.
        width: channels at full size, which double with each halving.
        levels: halvings; `None` takes 3, or as many as the shorter side allows: it has more than 2^levels pixels.
        style: weight of the moments' differences, beside 1 of the features'.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: sides that are too short, or a number out of range.

    Example:
        >>> model = keras_gen.AdaIN(image_shape=(64, 64, 3), width=32)
        >>> for stage in model.stages:  # ("reconstruct", "style")
        ...     model.compile(stage=stage)
        ...     model.fit(photos, paintings, batch_size=8, epochs=20)
        >>> model.translate(photos[:4], style=paintings[:4], strength=0.5).shape
        (4, 64, 64, 3)

    Reference:
        Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
        arXiv:1703.06868.

    Deviations: the encoder is trained here, on the images themselves, where the paper's is a VGG network of other data;
    it halves by convolutions of stride 2. Of features and of moments the mean squared differences are taken, as in the
    authors' program, where the paper writes norms. The decoder ends in a tanh.
    """

    data_names = ("source", "target")
    reads = "unpaired"
    averaged = ("decoder",)
    stages = (RECONSTRUCT, STYLE)

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        width: int = 64,
        levels: int | None = None,
        style: float = 10.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape = tuple(image_shape)
        *sides, channels = self.image_shape
        if not style >= 0:
            raise UsageError(f"style is {style}; expected a weight of at least 0")
        self.style, self.levels = style, networks.halvings(sides, levels)
        made = {"width": positive("width", width), "levels": self.levels, "dtype": self.dtype_policy}
        self.encoder, self.decoder = networks.encoder(channels, **made), networks.decoder(channels, **made)
        self.build()

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the images of both kinds that a batch holds."""
        return {name: (None, *self.image_shape) for name in self.data_names}

    def players(self) -> tuple[Player, ...]:
        """Returns the one player, who trains both networks in the first stage, and then the decoder alone."""
        adam = partial(keras.optimizers.Adam, 1e-4)
        if self.stage == RECONSTRUCT:
            return (Player("", (self.encoder, self.decoder), self.reconstruction_loss, adam, (RECONSTRUCT,)),)
        weights = {"style": self.style}
        return (Player("", (self.decoder,), self.style_loss, adam, ("content", "style"), weights),)

    def features(self, image: tf.Tensor, training: bool = False) -> list[tf.Tensor]:
        """Returns the features of images (B, H, W, C), float32, of each level."""
        return [tf.cast(one, tf.float32) for one in self.encoder({"image": image}, training=training)]

    def decoded(self, feature: tf.Tensor, like: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns images of features of the last level, in the height and width of those that they are like."""
        return cropped(self.network("decoder", training)({"feature": feature}, training=training), like)

    def reconstruction_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the squared error of images of both kinds that were encoded and decoded."""
        image = tf.concat([batch[name] for name in self.data_names], axis=0)
        again = self.decoded(self.features(image, training)[-1], image, training)
        return {RECONSTRUCT: mean(tf.square(again - tf.cast(image, tf.float32)))}

    def style_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns how far the output's features are from those it was made of, and its moments from the style's."""
        content, style = batch["source"], self.features(batch["target"], training)
        wanted = adapted(self.features(content, training)[-1], style[-1])
        found = self.features(self.decoded(wanted, content, training), training)
        return {"content": mean(tf.square(found[-1] - wanted)), "style": moments_apart(found, style)}

    def transferred(self, content: tf.Tensor, style: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
        """Returns contents (B, H, W, C) in the style of (B, H', W', C), as far as (B,) in [0, 1] tells, for inference.

        Images of fewer pixels than the encoder takes are continued by their last row and column.
        """
        least = networks.least(self.levels)
        whole, other = (self.features(padded(image, 1, least))[-1] for image in (content, style))
        share = tf.reshape(strength, (-1, 1, 1, 1))
        return self.decoded(share * adapted(whole, other) + (1.0 - share) * whole, content, False)

    def signatures(self) -> dict[str, Signature]:
        """Returns `transfer`: contents and styles, each of any height and width, to images of the contents' size."""

        def transfer(content, style, strength):
            return {"image": tf.cast(self.transferred(content, style, strength), tf.float32)}

        images = dict.fromkeys(("content", "style"), (None, None, None, self.image_shape[-1]))
        meta = {"given": " ".join(images), "sample": "image", **metadata({"strength": Law("constant", 1.0)})}
        for name in (*images, "image"):
            meta |= {f"{name}.range": "[-1, 1]", f"{name}.layout": "NHWC"}
        return {"transfer": signature(transfer, {**images, "strength": (None,)}, meta)}

    def beside(self, batch: Mapping[str, tf.Tensor], seed: int = 0) -> list[np.ndarray]:
        """Returns contents, styles, and the contents in these styles."""
        content, style = (batch[name].numpy() for name in self.data_names)
        return [content, style, self.translate(content, style=style, seed=seed)]

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns how near test images in the style of others are to both, in features, beside baselines."""
        return of_styles(lambda content, style: self.translate(content, style=style), self.features, test)

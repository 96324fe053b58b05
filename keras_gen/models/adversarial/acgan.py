"""The auxiliary classifier GAN."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import positive
from keras_gen.game.batch import Batch
from keras_gen.images import from_uint8
from keras_gen.losses import class_cross_entropy
from keras_gen.models.adversarial.gan import GAN
from keras_gen.networks.build import call
from keras_gen.ops.attacks import robustness


@keras.saving.register_keras_serializable("keras_gen")
class ACGAN(GAN):
    """Auxiliary classifier GAN: the discriminator is also a classifier of the images.

    It classifies real and fake images, and does not see the label. Its output has one column for real against fake,
    then one for each class.

    Args:
        num_classes: number of classes; a label is a whole number below it.
        class_weight: of the class's cross-entropy, in nats, in both losses.
        architecture: as for `GAN`; so are the following.
        norm: of the generator's layers; `"conditional_batch"` lets the class scale and shift its maps.
        dropout: share of the discriminator's hidden units that are left out in training; the paper: 0.5.
        **kwargs: of `GAN`. An injected generator takes `label`, int32 (B,), too; an injected discriminator gives
            (B, 1 + num_classes).

    Raises:
        UsageError: as for `GAN`; training without labels, or with one that is no class.

    Example:
        >>> model = keras_gen.ACGAN(image_shape=(28, 28, 1), num_classes=10)
        >>> model.compile()
        >>> model.fit(images, labels, batch_size=128, epochs=5)
        >>> model.sample(16, seed=0, label=3).shape
        (16, 28, 28, 1)

    Reference:
        Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", 2016, arXiv:1610.09585.

    Deviations: the networks are those of DCGAN, their depth follows from the image's size, and there is no noise on
    activations. Fakes are made for the labels of the real images.
    """

    def __init__(
        self,
        num_classes: int = 10,
        class_weight: float = 1.0,
        architecture: str = "conv",
        norm: str = "batch",
        dropout: float = 0.5,
        **kwargs: Any,
    ):
        self.num_classes = positive("num_classes", num_classes)  # first: the networks depend on it
        super().__init__(architecture=architecture, norm=norm, dropout=dropout, **kwargs)
        self.class_weight = class_weight

    def judged(self) -> dict[str, Any]:
        """Gives the discriminator a logit for each class."""
        return {"outputs": 1 + self.num_classes}

    def logit(self, output: tf.Tensor) -> tf.Tensor:
        """Returns the column that tells real from fake."""
        return output[:, :1]

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the class to both losses."""
        d, g = super().term_weights()
        return {**d, "class": self.class_weight}, {**g, "class": self.class_weight}

    def discriminator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds the class of real and of fake images."""
        loss = self.class_loss("real", batch, training) + self.class_loss("fake", batch, training)
        return {**super().discriminator_terms(batch, training), "class": loss}

    def generator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds the class of fake images."""
        return {"class": self.class_loss("fake", batch, training)}

    def class_loss(self, kind: str, batch: Batch, training: bool) -> tf.Tensor:
        """Returns the cross-entropy of the class, in nats, of images that the discriminator has judged already."""
        output = batch.once(f"{kind}_logits", None)
        return class_cross_entropy(batch["label"], output[:, 1:])

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Adds how often the classifier is right on 1,000 test images: on clean ones, and under two attacks on it."""
        if "label" not in test.arrays:
            return super().measures(train, test, seed)
        chosen = np.random.default_rng(seed).permutation(len(test))[:1000]
        images, labels = from_uint8(test.arrays["image"][chosen]), test.arrays["label"][chosen]

        def classify(image):
            return call(self.discriminator, {"image": image}, training=False)[:, 1:]

        return super().measures(train, test, seed) | robustness(classify, images, labels, seed=seed)

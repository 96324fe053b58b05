"""The stacked autoencoder: deep, and pretrained one layer at a time."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import metrics
from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.game.player import Player
from keras_gen.images import from_uint8
from keras_gen.losses import mean
from keras_gen.models.autoencoders.autoencoder import Autoencoder

WHOLE = "whole"
FEW = (10, 100)  # labels of each class that `measures` fine-tunes with
SEEDS = 5


@keras.saving.register_keras_serializable("keras_gen")
class StackedAutoencoder(Autoencoder):
    """Stacked autoencoder: deep, pretrained layer by layer, then trained as a whole.

    Stage `layer_k` trains one shallow autoencoder, of layer k and its mirror image in the decoder, on the codes of the
    layers below, which stay as they are; stage `whole` then trains all of them as one autoencoder.

    Args:
        image_shape: (H, W, C).
        latent_dim: number of coordinates of the code, the last layer's width.
        hidden: widths of the layers before it.
        loss: of the images, as for `Autoencoder`; codes between layers are compared by their mean squared error.
        corruption: share of the inputs of a shallow autoencoder that are set to 0 while it is trained, in [0, 1).
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a loss that does not exist, or a corruption out of range.

    Example:
        >>> model = keras_gen.StackedAutoencoder(image_shape=(8, 8, 1), hidden=(64, 32), latent_dim=16)
        >>> for stage in model.stages:  # ("layer_1", "layer_2", "layer_3", "whole")
        ...     model.compile(stage=stage)
        ...     model.fit(images, epochs=5)
        >>> classifier = model.classifier(num_classes=10)
        >>> classifier.fit(images[:100], labels[:100], epochs=20)

    Reference:
        Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006; Bengio et al.,
        "Greedy Layer-Wise Training of Deep Networks", 2006; with corruption: Vincent et al., "Stacked Denoising
        Autoencoders", 2010; a recent account: Bengio, Courville and Vincent, 2012, arXiv:1206.5538.

    Deviations: ReLU in place of logistic units and Adam in place of conjugate gradients or SGD; autoencoders in place
    of Boltzmann machines (as Bengio et al.); the code itself is linear; weights are not tied.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 64,
        hidden: Sequence[int] = (512, 256),
        loss: str = "mse",
        corruption: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(image_shape, latent_dim, "mlp", hidden, loss=loss, **kwargs)
        if not 0 <= corruption < 1:
            raise UsageError(f"corruption is {corruption}; expected a share in [0, 1), such as 0.25")
        self.corruption = corruption
        depth = len(self.layer_pairs())
        self.stages = (*(f"layer_{number}" for number in range(1, depth + 1)), WHOLE)

    def layer_pairs(self) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
        """Returns each layer of the encoder with the one of the decoder that undoes it, nearest to the image first."""
        dense = [
            [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
            for network in (self.encoder, self.decoder)
        ]
        return list(zip(dense[0], reversed(dense[1]), strict=True))

    def players(self) -> tuple[Player, ...]:
        """Returns the one player, who moves a layer and its mirror image, or, in the last stage, all of them."""
        if self.stage in (None, WHOLE):
            return super().players()
        depth = self.stages.index(self.stage)
        loss = functools.partial(self.shallow_loss, depth)
        return (Player("", self.layer_pairs()[depth], loss, self.paper_optimizer, terms=("reconstruction",)),)

    def accepts(self) -> dict[str, tuple[int | None, ...]]:
        """Returns nothing: layers are pretrained on codes of one kind of images."""
        return {}

    def seen(self, image: tf.Tensor, training: bool, target: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the encoder's input for images in the last stage: in training, with some pixels made black."""
        return self.masked(image, -1.0) if training else image

    def masked(self, values: tf.Tensor, empty: float) -> tf.Tensor:
        """Masks a share `corruption` of the values, which become `empty`."""
        if not self.corruption:
            return values
        uniform = keras.random.uniform(tf.shape(values), dtype="float32", seed=self.seeds(True))
        return tf.where(uniform < self.corruption, tf.cast(empty, values.dtype), values)

    def shallow_loss(self, depth: int, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the error with which one layer and its mirror image reconstruct the codes of `depth` layers below."""
        pairs = self.layer_pairs()
        given = tf.reshape(0.5 * batch["image"] + 0.5, (tf.shape(batch["image"])[0], -1))  # as the encoder sees it
        for layer, _ in pairs[:depth]:
            given = layer(given)
        given = tf.stop_gradient(given)
        seen = self.masked(given, 0.0) if training else given
        layer, mirror = pairs[depth]
        if training and depth == len(pairs) - 1:
            self.moments.update(layer(given))
        again = mirror(layer(seen))
        if depth == 0:
            return self.reconstruction(batch["image"], tf.reshape(again, tf.shape(batch["image"])))
        return {"reconstruction": mean(tf.square(again - given))}

    # --- classifier --------------------------------------------------------------------------------------------------

    def classifier(self, num_classes: int = 10) -> keras.Model:
        """Returns a copy of the encoder with one more layer, compiled, to be fine-tuned with labels by plain `fit`.

        Args:
            num_classes: how many.

        Returns:
            A `keras.Model` from images (B, H, W, C) in [-1, 1] to logits (B, num_classes).
        """
        encoder = keras.models.clone_model(self.inference("encoder"))
        encoder.set_weights(self.inference("encoder").get_weights())
        for layer in encoder.layers:
            layer.trainable = True  # a moving average's are not
        logits = keras.layers.Dense(positive("num_classes", num_classes), name="classes")(encoder.outputs[0])
        logits = keras.layers.Activation("linear", dtype="float32")(logits)
        model = keras.Model(encoder.inputs[0], logits, name="classifier")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        return model

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Adds how well classifiers do on the test images that are fine-tuned with few labels.

        Args:
            train: `keras_gen.data.Examples` that the model was trained on.
            test: the rest.
            seed: of the choice of labelled images and of random weights.

        Returns:
            What an autoencoder measures and, with labels, `pretrained_K` and `random_K`: mean accuracies over 5 seeds
            with K labels of each class (10 and 100), from this model's layers and from random ones; `gain_K` is their
            difference.
        """
        found = super().measures(train, test, seed)
        if not all("label" in part.arrays for part in (train, test)):
            return found
        known, asked = ((from_uint8(part.arrays["image"]), part.arrays["label"]) for part in (train, test))
        for count in FEW:
            if np.bincount(known[1]).min() < count:
                continue
            for kind in ("pretrained", "random"):
                shares = [
                    metrics.few_labels(
                        self.classifier(int(known[1].max()) + 1), *known, *asked, count, seed + one, kind == "random"
                    )
                    for one in range(SEEDS)
                ]
                found[f"{kind}_{count}"] = float(np.mean(shares))
            found[f"gain_{count}"] = found[f"pretrained_{count}"] - found[f"random_{count}"]
        return found

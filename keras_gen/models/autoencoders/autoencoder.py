"""The autoencoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import metrics
from keras_gen.errors import choice, positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.images import from_uint8
from keras_gen.layers import RunningMoments
from keras_gen.losses import mean
from keras_gen.networks import conv, mlp
from keras_gen.signatures.law import NORMAL, metadata
from keras_gen.signatures.signature import Signature, signature

PROBED = 10_000  # training examples that the classifiers on codes learn from


@keras.saving.register_keras_serializable("keras_gen")
class Autoencoder(GenerativeModel):
    """Autoencoder: compresses an image to a short code and reconstructs it.

    Its codes have no prior. To sample all the same, a Gaussian of full covariance follows the codes in training
    (`moments`); `examples/latent_gaps.py` shows how far that goes.

    `fit(x, y)` takes pairs of images: the encoder sees `x`, and the loss compares with `y` (`target` in a dict).

    Args:
        image_shape: (H, W, C).
        latent_dim: number of latent coordinates.
        architecture: `"mlp"` or `"conv"` (sides as for `DCGAN`).
        hidden: widths of the encoder's layers (`"mlp"`); the decoder has them in reverse. Without any, and with
            `loss="mse"`, the best code is that of principal components.
        width: channels of the stage nearest to the image (`"conv"`).
        loss: `"mse"` (squared error in the units of [-1, 1]; images are clipped to them outside the loss) or
            `"cross_entropy"` (in nats, of pixels mapped to [0, 1]); both are means over pixels and the batch.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or an image size that `"conv"` cannot make.

    Example:
        >>> model = keras_gen.Autoencoder(image_shape=(28, 28, 1), latent_dim=32)
        >>> model.compile()
        >>> model.fit(images, batch_size=128, epochs=20)
        >>> model.reconstruct(images).shape, model.encode(images).shape, model.sample(16).shape
        ((60000, 28, 28, 1), (60000, 32), (16, 28, 28, 1))

    Reference:
        Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 313, 2006; the
        linear one: Baldi and Hornik, 1989; the Gaussian: Ghosh et al., "From Variational to Deterministic
        Autoencoders", 2019, arXiv:1903.12436.

    Deviations: ReLU and Adam in place of sigmoids that are pretrained layer by layer. The Gaussian is fitted while
    training goes on, to the latest codes of the trained encoder, and not afterwards.
    """

    averaged = ("encoder", "decoder")

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 32,
        architecture: str = "mlp",
        hidden: Sequence[int] = (512, 256),
        width: int = 32,
        loss: str = "mse",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim = tuple(image_shape), positive("latent_dim", latent_dim)
        self.distortion = choice("loss", loss, ("mse", "cross_entropy"))  # `loss` is Keras' own attribute
        dtype = self.dtype_policy
        if choice("architecture", architecture, ("mlp", "conv")) == "mlp":
            self.encoder = mlp.encoder(self.image_shape, hidden, latent_dim, dtype=dtype)
            self.decoder = mlp.decoder(latent_dim, self.image_shape, hidden[::-1], dtype=dtype)
        else:
            self.encoder = conv.encoder(self.image_shape, latent_dim, width, dtype=dtype)
            self.decoder = conv.decoder(latent_dim, self.image_shape, width, dtype=dtype)
        self.moments = RunningMoments(latent_dim)
        self.build()

    def accepts(self) -> dict[str, tuple[int | None, ...]]:
        """Returns `target`, the images that are to be made of others; without it they are the images themselves."""
        return {"target": (None, *self.image_shape)}

    def call(self, inputs, training=False):
        """Reconstructs images."""
        image = inputs["image"] if isinstance(inputs, dict) else inputs
        code = self.network("encoder", training)({"image": image}, training=training)
        return self.images(self.network("decoder", training)({"latent": code}, training=training))

    def players(self) -> tuple[Player, ...]:
        """Returns the one player, who moves encoder and decoder."""
        networks = (self.encoder, self.decoder)
        return (Player("", networks, self.reconstruction_loss, self.paper_optimizer, terms=("reconstruction",)),)

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the optimizer for a `compile` that was given none."""
        return keras.optimizers.Adam(1e-3)

    # --- loss --------------------------------------------------------------------------------------------------------

    def reconstruction_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the reconstruction loss; the running moments follow the codes."""
        image = tf.cast(batch["image"], tf.float32)
        paired = (tf.cast(batch["target"], tf.float32),) if "target" in batch else ()
        seen = self.seen(image, training, *paired)
        code = self.network("encoder", training)({"image": seen}, training=training)
        if training:
            self.moments.update(code)
        target = paired[0] if paired else image
        return self.reconstruction(target, self.network("decoder", training)({"latent": code}, training=training))

    def reconstruction(self, image: tf.Tensor, output: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the error of the decoder's output against images, both (B, H, W, C), as a mean over pixels."""
        if self.distortion == "mse":
            return {"reconstruction": mean(tf.square(output - image))}
        levels = 0.5 * (image + 1.0)
        return {"reconstruction": mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=levels, logits=output))}

    def seen(self, image: tf.Tensor, training: bool, target: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the encoder's input for images (B, H, W, C) in [-1, 1], whatever the target: the images."""
        return image

    def images(self, output: tf.Tensor) -> tf.Tensor:
        """Returns the decoder's output as images in [-1, 1]."""
        if self.distortion == "cross_entropy":
            return 2.0 * tf.sigmoid(output) - 1.0
        return tf.clip_by_value(output, -1.0, 1.0)

    # --- figures -----------------------------------------------------------------------------------------------------

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns reconstruction errors, and the accuracy of classifiers on codes and, to compare, on pixels.

        Args:
            train: `keras_gen.data.Examples` that the model was trained on.
            test: the rest; all of it is used.
            seed: of the choice of 10,000 training examples, from which the classifiers learn.

        Returns:
            `mse_01` and `pca_mse_01`, the squared error per pixel, pixels in [0, 1], of this model and of as many
            principal components; with labels `linear_probe` and `knn` (5 neighbors), shares of right answers on codes,
            and `pixels_linear_probe` and `pixels_knn` on images.
        """
        known, images = from_uint8(train.arrays["image"]), from_uint8(test.arrays["image"])
        errors = np.square(self.reconstruct(images, batch_size=500) - images)
        components = min(self.latent_dim, len(known), known[0].size)
        pca_error = metrics.pca_error(known, images, components, seed)
        found = {"mse_01": float(np.mean(errors)) / 4, "pca_mse_01": pca_error / 4}  # from the units of [-1, 1]
        if not all("label" in part.arrays for part in (train, test)):
            return found
        chosen = np.random.default_rng(seed).permutation(len(known))[:PROBED]
        known, labels, asked = known[chosen], train.arrays["label"][chosen], test.arrays["label"]
        codes, test_codes = (self.encode(part, batch_size=500) for part in (known, images))
        for prefix, ours, theirs in (("", codes, test_codes), ("pixels_", known, images)):
            found[f"{prefix}linear_probe"] = metrics.linear_probe(ours, labels, theirs, asked)
            found[f"{prefix}knn"] = metrics.nearest_neighbors(ours, labels, theirs, asked)
        return found

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `encode` (image to code), `decode` (code to image), and `generate` (standard normal to image)."""
        image, latent = {"image": (None, *self.image_shape)}, {"latent": (None, self.latent_dim)}
        images = {"image.range": "[-1, 1]", "image.layout": "NHWC"}

        def encode(image):
            return {"code": self.inference("encoder")({"image": image}, training=False)}

        def decode(latent):
            return {"image": self.images(self.inference("decoder")({"latent": latent}, training=False))}

        def generate(latent):
            return decode(self.moments.transform(latent))

        return {
            "encode": signature(encode, image, images),
            "decode": signature(decode, latent, images),
            "generate": signature(generate, latent, {"sample": "image", **metadata({"latent": NORMAL}), **images}),
        }

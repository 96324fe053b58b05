"""The variational autoencoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import choice, positive
from keras_gen.game.batch import Batch, unpack
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import PIXEL_LIKELIHOODS, Levels, gaussian_kl, mean, per_example
from keras_gen.networks import conv, mlp
from keras_gen.signatures.law import NORMAL, metadata
from keras_gen.signatures.signature import Signature, signature


@keras.saving.register_keras_serializable("keras_gen")
class VAE(GenerativeModel):
    """Variational autoencoder, with a Bernoulli or a Gaussian decoder.

    The loss is the negative evidence lower bound (ELBO) in nats: a sum over pixels and latents, a mean over the batch.

    Args:
        image_shape: (H, W, C).
        latent_dim: number of latent coordinates.
        architecture: `"mlp"` or `"conv"` (sides as for `DCGAN`).
        hidden: widths of the encoder's layers (`"mlp"`); the decoder has them in reverse.
        width: channels of the stage nearest to the image (`"conv"`).
        likelihood: `"bernoulli"` (pixels mapped to [0, 1]) or `"gaussian"` (the decoder gives mean and log variance of
            every pixel, in the units of [-1, 1]).
        beta: weight of the KL term; 1 is the evidence lower bound.
        samples: Monte Carlo samples of the latent for each image.
        binarize: for the Bernoulli likelihood: `"stochastic"` draws each pixel anew at every step with its gray level
            as probability, `"threshold"` cuts at one half, `"none"` keeps gray levels.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or an image size that `"conv"` cannot make.

    Example:
        >>> model = keras_gen.VAE(image_shape=(28, 28, 1), latent_dim=20)
        >>> model.compile()
        >>> model.fit(images, batch_size=100, epochs=20)
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114; the importance-weighted bound of
        `log_prob`: Burda, Grosse and Salakhutdinov, 2015, arXiv:1509.00519.

    Deviations: ReLU in place of tanh, Adam 1e-3 in place of Adagrad, whose steps shrink; a rate that falls
    (`keras_gen.optimizers.HoldThenLinear`, `--decay-from`), as programs for the last nats have it, is for the caller.
    The Gaussian decoder's standard deviation stays above half a gray level. Samples are the decoder's means.
    """

    density = "bound"
    label_layers = "first"  # of a variant whose networks see the label
    averaged = ("encoder", "decoder")

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        latent_dim: int = 20,
        architecture: str = "mlp",
        hidden: Sequence[int] = (400,),
        width: int = 32,
        likelihood: str = "bernoulli",
        beta: float = 1.0,
        samples: int = 1,
        binarize: str = "stochastic",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.latent_dim = tuple(image_shape), positive("latent_dim", latent_dim)
        self.likelihood = choice("likelihood", likelihood, PIXEL_LIKELIHOODS)
        self.binarize = choice("binarize", binarize, ("stochastic", "threshold", "none"))
        self.beta, self.samples = beta, positive("samples", samples)
        output = (*self.image_shape[:2], self.image_shape[2] * PIXEL_LIKELIHOODS[likelihood].outputs)
        common = {"num_classes": self.num_classes, "label_layers": self.label_layers, "dtype": self.dtype_policy}
        if choice("architecture", architecture, ("mlp", "conv")) == "mlp":
            self.encoder = mlp.encoder(self.image_shape, hidden, 2 * latent_dim, **common)
            self.decoder = mlp.decoder(latent_dim, output, hidden[::-1], **common)
        else:
            self.encoder = conv.encoder(self.image_shape, 2 * latent_dim, width, **common)
            self.decoder = conv.decoder(latent_dim, output, width, **common)
        self.build()

    def call(self, inputs, training=False):
        """Reconstructs images: the decoder's mean at the code's mean."""
        batch = unpack(inputs, self.data_names)
        code = self.posterior(batch["image"], training, **self.conditions_in(batch))[0]
        return PIXEL_LIKELIHOODS[self.likelihood].mean(self.decoded(code, training, **self.conditions_in(batch)))

    def players(self) -> tuple[Player, ...]:
        """Returns the one player, who moves encoder and decoder."""
        networks, terms = (self.encoder, self.decoder), ("reconstruction", "kl")
        return (
            Player("", networks, self.negative_elbo, lambda: keras.optimizers.Adam(1e-3), terms, self.term_weights()),
        )

    def term_weights(self) -> dict[str, float]:
        """Returns the weights of the loss's terms, where they are not 1."""
        return {"kl": self.beta}

    # --- loss --------------------------------------------------------------------------------------------------------

    def negative_elbo(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the terms of the negative ELBO in nats per image: reconstruction, and the KL of the code."""
        code, log_likelihood, *_ = self.explained(batch, training)
        return {"reconstruction": -mean(log_likelihood), "kl": mean(gaussian_kl(*code))}

    def explained(self, batch: Batch, training: bool) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor, tf.Tensor]:
        """Draws `samples` latents for each image: its posterior, then their `log_densities`, (B * samples,) each."""
        image, given = self.observed(batch["image"], training), self.conditions_in(batch)
        code = self.posterior(image, training, **given)
        image, *many = (tf.repeat(value, self.samples, axis=0) for value in (image, *code))
        given = {name: tf.repeat(value, self.samples, axis=0) for name, value in given.items()}
        return code, *self.log_densities(image, *many, training, **given)

    def log_densities(
        self, image: tf.Tensor, means: tf.Tensor, log_variance: tf.Tensor, training: bool, **given: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Draws a latent z for each image x; returns log p(x | z), log p(z) and log q(z | x) in nats, (B,) each."""
        latent, noise = self.code(means, log_variance, training)
        output = self.decoded(latent, training, **given)
        log_likelihood = PIXEL_LIKELIHOODS[self.likelihood].log_likelihood(image, output)
        log_prior = -0.5 * per_example(tf.square(latent))
        log_posterior = -0.5 * per_example(tf.square(noise) + log_variance)
        return log_likelihood, log_prior, log_posterior  # the last two without log(2 pi), which cancels

    def observed(self, image: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the target of the likelihood: images in [-1, 1], binarized for a Bernoulli decoder."""
        image = tf.cast(image, tf.float32)
        if self.likelihood == "gaussian" or self.binarize == "none":
            return image
        level = 0.5
        if self.binarize == "stochastic":
            level = keras.random.uniform(tf.shape(image), dtype="float32", seed=self.seeds(training))
        return tf.where(0.5 * (image + 1.0) > level, 1.0, -1.0)

    def posterior(self, image: tf.Tensor, training: bool, **given: tf.Tensor) -> list[tf.Tensor]:
        """Returns mean and log variance of the code, each (B, latent_dim)."""
        return tf.split(self.network("encoder", training)({"image": image, **given}, training=training), 2, axis=-1)

    def decoded(self, latent: tf.Tensor, training: bool, **given: tf.Tensor) -> tf.Tensor:
        """Returns the decoder's output, the likelihood's parameters of every pixel."""
        return self.network("decoder", training)({"latent": latent, **given}, training=training)

    def code(self, means: tf.Tensor, log_variance: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws latents from the posterior; returns them and the noise that they are made of, each (B, latent_dim)."""
        noise = keras.random.normal(tf.shape(means), dtype="float32", seed=self.seeds(training))
        return means + tf.exp(0.5 * log_variance) * noise, noise

    # --- likelihood --------------------------------------------------------------------------------------------------

    def pixel_levels(self) -> Levels:
        """Returns black and white, or the 256 gray levels of which a Gaussian's density is taken in the middle."""
        # Gray levels as a Bernoulli's targets bound the mean over binary draws of them, by Hoelder's inequality.
        return PIXEL_LIKELIHOODS[self.likelihood].levels

    def log_prob(
        self, images: np.ndarray, samples: int = 100, seed: int = 0, batch_size: int = 500, **inputs: Any
    ) -> np.ndarray:
        """Returns a lower bound of log p(x) in nats for each image: the importance-weighted bound.

        Args:
            images: float32 (n, H, W, C) in [-1, 1]; with stochastic binarization one draw of each is judged.
            samples: of the latent for each image; the bound rises with them, and 1 gives the evidence lower bound.
            seed: of the draws.
            batch_size: images at once.
            **inputs: what the networks see besides, such as `label`: one for all images, or one for each.

        Returns:
            float32 (n,).
        """
        count = positive("samples", samples)
        return self.densities(self._log_prob, {"image": images, **inputs}, count, seed=seed, batch_size=batch_size)

    def _log_prob(self, batch, samples):
        image, given = self.observed(batch["image"], False), self.conditions_in(batch)
        code = self.posterior(image, False, **given)
        total = tf.fill(tf.shape(image)[:1], -np.inf)
        for _ in tf.range(samples):  # one after the other: memory does not grow with them
            log_likelihood, log_prior, log_posterior = self.log_densities(image, *code, False, **given)
            total = keras.ops.logaddexp(total, log_likelihood + log_prior - log_posterior)
        return total - tf.math.log(tf.cast(samples, tf.float32))

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `encode` (image to mean and log variance of its code) and `decode` (latent to image)."""
        conditions = self.conditions()
        images = {"image.range": "[-1, 1]", "image.layout": "NHWC"}
        meta = metadata(conditions) | images
        shapes = {name: (None,) for name in conditions}

        def encode(image, **given):
            return dict(zip(("mean", "log_variance"), self.posterior(image, False, **given), strict=True))

        def decode(latent, **given):
            return {"image": PIXEL_LIKELIHOODS[self.likelihood].mean(self.decoded(latent, False, **given))}

        return {
            "encode": signature(encode, {"image": (None, *self.image_shape), **shapes}, meta),
            "decode": signature(
                decode,
                {"latent": (None, self.latent_dim), **shapes},
                {"sample": "image", **metadata({"latent": NORMAL}), **meta},
            ),
        }

"""The variational autoencoder."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.batch import Batch, check_shapes, check_values
from keras_gen.config import choice, positive
from keras_gen.draws import sample_inputs
from keras_gen.losses import bernoulli_log_likelihood, gaussian_kl, gaussian_log_likelihood, mean, per_example
from keras_gen.model import GenerativeModel, Player
from keras_gen.networks import conv, mlp
from keras_gen.signature import Signature

SMALLEST_LOG_VARIANCE = -2 * np.log(255.0)  # half a gray level: below it a density on 8-bit images grows without bound


@keras.saving.register_keras_serializable("keras_gen")
class VAE(GenerativeModel):
    """Variational autoencoder, with a Bernoulli or a Gaussian decoder.

    The loss is minus the evidence lower bound in nats: summed over pixels and latents, averaged over the batch.

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

    Deviations: ReLU in place of tanh, Adam 1e-3 in place of Adagrad; the Gaussian decoder's standard deviation stays
    above half a gray level. Samples are the decoder's means.
    """

    density = "bound"
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
        self.likelihood = choice("likelihood", likelihood, ("bernoulli", "gaussian"))
        self.binarize = choice("binarize", binarize, ("stochastic", "threshold", "none"))
        self.beta, self.samples = beta, positive("samples", samples)
        height, breadth, channels = self.image_shape
        output = (height, breadth, channels * (2 if likelihood == "gaussian" else 1))
        dtype = self.dtype_policy
        if choice("architecture", architecture, ("mlp", "conv")) == "mlp":
            self.encoder = mlp.encoder(self.image_shape, hidden, 2 * latent_dim, dtype=dtype)
            self.decoder = mlp.decoder(latent_dim, output, hidden[::-1], dtype=dtype)
        else:
            self.encoder = conv.encoder(self.image_shape, 2 * latent_dim, width, dtype=dtype)
            self.decoder = conv.decoder(latent_dim, output, width, dtype=dtype)
        self.build()

    def call(self, inputs, training=False):
        """Reconstructs images: the decoder's mean at the code's mean."""
        image = inputs["image"] if isinstance(inputs, dict) else inputs
        code = self.posterior(image, training)[0]
        return self.images(self.network("decoder", training)({"latent": code}, training=training))

    def players(self) -> tuple[Player, ...]:
        """Returns the one player, who moves encoder and decoder."""
        return (
            Player(
                "",
                (self.encoder, self.decoder),
                self.negative_elbo,
                lambda: keras.optimizers.Adam(1e-3),
                terms=("reconstruction", "kl"),
                weights={"kl": self.beta},
            ),
        )

    # --- loss --------------------------------------------------------------------------------------------------------

    def negative_elbo(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns minus the expected log-likelihood, and the KL of the code, in nats per image."""
        image = self.observed(batch["image"], training)
        code_mean, code_log_variance = self.posterior(image, training)
        many = (tf.repeat(value, self.samples, axis=0) for value in (code_mean, code_log_variance))
        latent, _ = self.code(*many, training)  # (B * samples, latent_dim)
        output = self.network("decoder", training)({"latent": latent}, training=training)
        log_likelihood = self.log_likelihood(tf.repeat(image, self.samples, axis=0), output)
        return {"reconstruction": -mean(log_likelihood), "kl": mean(gaussian_kl(code_mean, code_log_variance))}

    def observed(self, image: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns what the likelihood is of: images in [-1, 1], binarized for a Bernoulli decoder."""
        image = tf.cast(image, tf.float32)
        if self.likelihood == "gaussian" or self.binarize == "none":
            return image
        level = 0.5
        if self.binarize == "stochastic":
            level = keras.random.uniform(tf.shape(image), dtype="float32", seed=self.draws(training))
        return tf.where(0.5 * (image + 1.0) > level, 1.0, -1.0)

    def posterior(self, image: tf.Tensor, training: bool) -> list[tf.Tensor]:
        """Returns mean and log variance of the code, each (B, latent_dim)."""
        return tf.split(self.network("encoder", training)({"image": image}, training=training), 2, axis=-1)

    def code(self, means: tf.Tensor, log_variance: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws latents from the posterior; returns them and the noise that they are made of, each (B, latent_dim)."""
        noise = keras.random.normal(tf.shape(means), dtype="float32", seed=self.draws(training))
        return means + tf.exp(0.5 * log_variance) * noise, noise

    def log_likelihood(self, image: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Returns log p(image | latent) in nats, (B,), from the decoder's output."""
        if self.likelihood == "bernoulli":
            return bernoulli_log_likelihood(0.5 * (image + 1.0), output)
        means, raw = tf.split(output, 2, axis=-1)
        return gaussian_log_likelihood(
            image, means, SMALLEST_LOG_VARIANCE + tf.nn.softplus(raw - SMALLEST_LOG_VARIANCE)
        )

    def images(self, output: tf.Tensor) -> tf.Tensor:
        """Returns the means of the decoder's output as images in [-1, 1]."""
        if self.likelihood == "bernoulli":
            return 2.0 * tf.sigmoid(output) - 1.0
        return tf.clip_by_value(tf.split(output, 2, axis=-1)[0], -1.0, 1.0)

    # --- likelihood --------------------------------------------------------------------------------------------------

    def log_prob(self, images: np.ndarray, samples: int = 100, seed: int = 0, batch_size: int = 500) -> np.ndarray:
        """Returns a lower bound of log p(x) in nats for each image: the importance-weighted bound.

        Args:
            images: float32 (n, H, W, C) in [-1, 1]; with stochastic binarization one draw of each is judged.
            samples: of the latent for each image; the bound rises with them, and 1 gives the evidence lower bound.
            seed: of the draws.
            batch_size: images at once.

        Returns:
            float32 (n,).
        """
        check_shapes({"image": (None, *np.shape(images)[1:])}, self.expects())
        check_values({"image": images})
        self.test_seed_generator.state.assign([seed, 0])
        if "log_prob" not in self._compiled_functions:
            self._compiled_functions["log_prob"] = tf.function(self._log_prob, reduce_retracing=True)
        run, count = self._compiled_functions["log_prob"], tf.constant(samples)
        parts = [run(images[at : at + batch_size], count).numpy() for at in range(0, len(images), batch_size)]
        return np.concatenate(parts)

    def _log_prob(self, image, samples):
        image = self.observed(image, False)
        means, log_variance = self.posterior(image, False)
        total = tf.fill(tf.shape(means)[:1], -np.inf)
        for _ in tf.range(samples):
            latent, noise = self.code(means, log_variance, False)
            log_joint = self.log_likelihood(image, self.inference("decoder")({"latent": latent}, training=False))
            log_joint -= 0.5 * per_example(tf.square(latent))
            log_posterior = -0.5 * per_example(tf.square(noise) + log_variance)  # log(2 pi) cancels
            total = _log_add(total, log_joint - log_posterior)
        return total - tf.math.log(tf.cast(samples, tf.float32))

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `encode` (image to mean and log variance of its code) and `decode` (latent to image)."""
        images = {"image.range": "[-1, 1]", "image.layout": "NHWC"}
        laws = {"sample": "image", "latent.law": "normal", **images}

        def encode(image):
            return dict(zip(("mean", "log_variance"), self.posterior(image, False), strict=True))

        def decode(latent):
            return {"image": self.images(self.inference("decoder")({"latent": latent}, training=False))}

        def latents(n):
            return sample_inputs({"latent": (None, self.latent_dim)}, laws, n)

        def pictures(n):
            return {"image": np.random.default_rng(0).uniform(-1, 1, (n, *self.image_shape)).astype(np.float32)}

        return {
            "encode": Signature(
                encode, {"image": tf.TensorSpec((None, *self.image_shape), tf.float32)}, pictures, images
            ),
            "decode": Signature(decode, {"latent": tf.TensorSpec((None, self.latent_dim), tf.float32)}, latents, laws),
        }


def _log_add(a, b):
    return tf.maximum(a, b) + tf.math.log1p(tf.exp(-tf.abs(a - b)))

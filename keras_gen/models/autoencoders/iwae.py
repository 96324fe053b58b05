"""The importance-weighted autoencoder."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_gen.game.batch import Batch
from keras_gen.losses import mean
from keras_gen.models.autoencoders.vae import VAE


@keras.saving.register_keras_serializable("keras_gen")
class IWAE(VAE):
    """Importance-weighted autoencoder: a VAE trained on a tighter lower bound.

    The loss is -log 1/K sum_k p(x, z_k) / q(z_k | x) in nats, with K latents for each image. With K = 1 it is the
    evidence lower bound, its KL estimated by the draw; it rises with K towards log p(x).

    Args:
        samples: the K latents for each image.
        **kwargs: of `VAE`. With another `beta` than 1, p(z) / q(z | x) is taken to that power.

    Raises:
        UsageError: as for `VAE`.

    Example:
        >>> model = keras_gen.IWAE(image_shape=(28, 28, 1), latent_dim=50, samples=5)
        >>> model.compile()
        >>> model.fit(images, batch_size=100, epochs=20)
        >>> bound = model.log_prob(images[:100], samples=5000).mean()  # nats

    Reference:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2015, arXiv:1509.00519.

    Deviations: those of `VAE` (one hidden layer in place of two); Adam at a constant rate in place of a schedule. The
    metrics `reconstruction` and `kl` are means over all draws, for comparison with a VAE's: they are not minimized.
    """

    def __init__(self, samples: int = 5, **kwargs: Any):
        super().__init__(samples=samples, **kwargs)

    def term_weights(self) -> dict[str, float]:
        """Returns zeros for the terms that are only reported."""
        return {"reconstruction": 0.0, "kl": 0.0}

    def negative_elbo(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the negative importance-weighted bound in nats per image, and the terms of the ELBO."""
        _, log_likelihood, log_prior, log_posterior = self.explained(batch, training)
        kl = log_posterior - log_prior  # (B * K,), one draw of the KL each
        log_weights = tf.reshape(log_likelihood - self.beta * kl, (-1, self.samples))  # (B, K)
        bound = tf.reduce_logsumexp(log_weights, axis=1) - math.log(self.samples)
        return {"bound": -mean(bound), "reconstruction": -mean(log_likelihood), "kl": mean(kl)}

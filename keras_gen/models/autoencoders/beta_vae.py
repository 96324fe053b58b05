"""The beta-VAE."""

from typing import Any

import keras

from keras_gen.errors import UsageError
from keras_gen.models.autoencoders.vae import VAE


@keras.saving.register_keras_serializable("keras_gen")
class BetaVAE(VAE):
    """beta-VAE: a VAE with weights on its two terms, for disentangled codes.

    The larger `beta`, the less of the image the code may tell, and the more its coordinates are kept apart. At the end
    of that way the code is the prior whatever the image, and the best that the decoder can draw is the mean image. Two
    ablations are the ends: `beta=0` reconstructs from codes that follow no prior; `reconstruction_weight=0` leaves the
    KL alone, which turns the code into the prior and gives the decoder no gradient at all: it stays as it was
    initialized.

    Args:
        beta: weight of the KL term, at least 0; 1 is the VAE.
        reconstruction_weight: weight of the reconstruction term, at least 0.
        **kwargs: of `VAE`.

    Raises:
        UsageError: a negative weight; otherwise as for `VAE`.

    Example:
        >>> model = keras_gen.BetaVAE(image_shape=(28, 28, 1), latent_dim=10, beta=4.0)
        >>> model.compile()
        >>> model.fit(images, batch_size=100, epochs=20)
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework", ICLR 2017;
        why it works: Burgess et al., "Understanding disentangling in beta-VAE", 2018, arXiv:1804.03599.

    Deviations: those of `VAE`; the later paper's capacity |KL - C| is left out. `log_prob` is the lower bound of the
    VAE, without weights.
    """

    def __init__(self, beta: float = 4.0, reconstruction_weight: float = 1.0, **kwargs: Any):
        for name, value in (("beta", beta), ("reconstruction_weight", reconstruction_weight)):
            if not value >= 0:
                raise UsageError(f"{name} is {value}; expected a weight of at least 0")
        super().__init__(beta=beta, **kwargs)
        self.reconstruction_weight = reconstruction_weight

    def term_weights(self) -> dict[str, float]:
        """Returns the weights of both terms."""
        return {"reconstruction": self.reconstruction_weight, "kl": self.beta}

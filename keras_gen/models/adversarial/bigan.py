"""The bidirectional GAN."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.images import from_uint8
from keras_gen.models.adversarial.gan import GAN
from keras_gen.networks import adversarial as networks
from keras_gen.networks.build import call
from keras_gen.signatures.law import metadata
from keras_gen.signatures.signature import Signature, signature

MEASURED_IMAGES = 1000


@keras.saving.register_keras_serializable("keras_gen")
class BiGAN(GAN):
    """Bidirectional GAN: a GAN with an encoder, which learns to invert the generator.

    The discriminator tells pairs (x, E(x)) of a real image and its code from pairs (G(z), z). Generator and encoder
    move together, each to make its own pairs pass for the other's: no loss compares an image with its reconstruction.

    Args:
        encoder: a `keras.Model` from `{"image": (B, H, W, C)}`, or from one plain tensor, to (B, latent_dim). `None`
            makes one: the discriminator's layers without dropout, and one more.
        latent_dim: number of latent coordinates.
        architecture: as for `GAN`; so are the following.
        hidden: widths of the generator's dense layers; encoder and discriminator have them in reverse.
        width: channels (`"conv"`, `"resnet"`).
        norm: of the layers of generator and encoder.
        dropout: share of the discriminator's hidden units that are left out in training.
        latent: prior of the latents, `"uniform"` on [-1, 1), where a tanh keeps the codes, or `"normal"`.
        **kwargs: of `GAN`. An injected discriminator takes `latent`, (B, latent_dim), too.

    Raises:
        UsageError: as for `GAN`.

    Example:
        >>> model = keras_gen.BiGAN(image_shape=(28, 28, 1), latent_dim=50)
        >>> model.compile()
        >>> model.fit(images, batch_size=128, epochs=25)
        >>> model.encode(images[:16]).shape, model.reconstruct(images[:16]).shape
        ((16, 50), (16, 28, 28, 1))

    Reference:
        Donahue, Krähenbühl and Darrell, "Adversarial Feature Learning", 2016, arXiv:1605.09782: 50 uniform latents,
        Adam 2e-4 with beta_1 0.5.

    Deviations: the networks are those of DCGAN in place of fully connected ones (`architecture="mlp"` has them), the
    discriminator's first layers see the image alone, and there is no weight decay.
    """

    averaged = ("generator", "encoder")
    statistics = 1  # columns of the encoder's output for each latent coordinate

    def __init__(
        self,
        *,
        encoder: keras.Model | None = None,
        latent_dim: int = 50,
        architecture: str = "conv",
        hidden: Sequence[int] | None = None,
        width: int = 64,
        norm: str = "batch",
        dropout: float = 0.0,
        latent: str = "uniform",
        **kwargs: Any,
    ):
        made = {"architecture": architecture, "hidden": hidden, "width": width, "norm": norm}
        super().__init__(latent_dim=latent_dim, dropout=dropout, latent=latent, **made, **kwargs)
        outputs = self.statistics * self.latent_dim
        self.encoder = encoder or networks.encoder(
            image_shape=self.image_shape, outputs=outputs, dtype=self.dtype_policy, **made
        )
        shapes = [tuple(output.shape) for output in getattr(self.encoder, "outputs", None) or ()]
        if shapes and (len(shapes) > 1 or len(shapes[0]) != 2 or shapes[0][1] != outputs):
            raise UsageError(f"the encoder gives {', '.join(map(str, shapes))}; expected one tensor (B, {outputs})")
        self.build()

    def judged(self) -> dict[str, Any]:
        """Gives the discriminator codes beside images."""
        return {"beside": {"latent": self.laws()["latent"]}}

    def networks_of(self, player: str) -> tuple:
        """Gives the encoder to the generator's player."""
        return super().networks_of(player) + ((self.encoder,) if player == "g" else ())

    def discriminator_inputs(self, image: tf.Tensor, kind: str, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Shows a generated image beside its latent, and a real one beside its code."""
        latent = self.given(batch, training)["latent"] if kind == "fake" else self.code(batch, training)
        return {**super().discriminator_inputs(image, kind, batch, training), "latent": latent}

    # --- encoder -----------------------------------------------------------------------------------------------------

    def code(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns the codes (B, latent_dim) of this step's real images, whatever augmentation they suffer later."""
        return batch.once("code", lambda: self.code_of(self.inferred(self.real(batch, training), training), training))

    def inferred(self, image: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        """Returns the encoder's outputs for images; the first is their code."""
        code = call(self.network("encoder", training), {"image": image}, training)
        return {"code": tf.tanh(code) if self.latent == "uniform" else code}

    def code_of(self, inferred: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Returns the code of the encoder's outputs; of a stochastic encoder, a sample."""
        return inferred["code"]

    # --- loss --------------------------------------------------------------------------------------------------------

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the encoder's part to the generator's loss."""
        d, g = super().term_weights()
        return d, {**g, "encoder": 1.0}

    def generator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds the same loss with the labels swapped: pairs of real images shall pass for generated ones."""
        real = self.logit(self.judge(self.real(batch, training), "real", batch, training))
        # The generator's loss of the logit on the other side of undecided, which is 1/2 between the targets 0 and 1.
        mirrored = 1.0 - real if self.adversarial == "least_squares" else -real
        loss = self.sides().generator(mirrored)
        return {**super().generator_terms(batch, training), "encoder": loss}

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`, `encode` (image to its code, and the encoder's other outputs) and `decode`."""
        generator, images = self.inference("generator"), {"image.range": "[-1, 1]", "image.layout": "NHWC"}

        def encode(image):
            return self.inferred(image, training=False)

        def decode(latent):
            return {"image": tf.cast(call(generator, {"latent": latent}, training=False), tf.float32)}

        return {
            **super().signatures(),
            "encode": signature(encode, {"image": (None, *self.image_shape)}, images),
            "decode": signature(
                decode, {"latent": (None, self.latent_dim)}, metadata({"latent": self.latent}) | images
            ),
        }

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns the mean |x - G(E(x))| of test images, as a multiple of the one with another image's code."""
        order = np.random.default_rng(seed).permutation(len(test))[:MEASURED_IMAGES]
        images = from_uint8(test.arrays["image"][order])
        again = self.reconstruct(images, batch_size=256)
        own, other = (np.abs(images - made).mean() for made in (again, np.roll(again, 1, axis=0)))
        return {"reconstruction_ratio": float(own / other)}

"""The generative adversarial network, and the game that its descendants play."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen.batch import Batch
from keras_gen.config import choice, positive
from keras_gen.errors import UsageError
from keras_gen.losses import ADVERSARIAL
from keras_gen.model import GenerativeModel, Player
from keras_gen.networks import mlp
from keras_gen.networks.build import call, input_names
from keras_gen.signature import Signature, signature


@keras.saving.register_keras_serializable("keras_gen")
class GAN(GenerativeModel):
    """Generative adversarial network: your own two networks, or fully connected ones.

    Args:
        generator: a `keras.Model` from `{"latent": (B, latent_dim)}`, or from one plain tensor, to images (B, H, W, C)
            in [-1, 1]. `None` makes a fully connected one.
        discriminator: a `keras.Model` from `{"image": (B, H, W, C)}`, or from one plain tensor, to logits (B, 1).
        latent_dim: number of latent coordinates; read from an injected generator of named inputs, otherwise 100.
        image_shape: (H, W, C) of the fully connected networks; an injected generator tells it.
        hidden: widths of the fully connected generator's layers; the discriminator has them in reverse.
        adversarial: `"non_saturating"`, `"minimax"`, `"least_squares"`, `"wasserstein"` or `"hinge"`.
        latent: law of the latents, `"normal"` or `"uniform"` on [-1, 1).
        update: `"simultaneous"` (both losses on one forward pass) or `"alternating"` (Algorithm 1 of the paper).
        n_critic: discriminator steps for each generator step, each on rows of its own; more than one alternates.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or networks that do not fit each other.

    Example:
        >>> model = keras_gen.GAN(image_shape=(8, 8, 1), latent_dim=16)
        >>> model.compile()
        >>> model.fit(images, epochs=1)
        >>> model.sample(4, seed=0).shape
        (4, 8, 8, 1)

    Reference:
        Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661.

    Deviations: leaky ReLU and dropout in place of maxout, tanh in place of sigmoid, Adam in place of momentum SGD.
    """

    averaged = ("generator",)

    def __init__(
        self,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        latent_dim: int | None = None,
        image_shape: Sequence[int] | None = None,
        hidden: Sequence[int] = (256, 512),
        adversarial: str = "non_saturating",
        latent: str = "normal",
        update: str = "simultaneous",
        n_critic: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if generator is None:
            image_shape = tuple(image_shape or (28, 28, 1))
            latent_dim = positive("latent_dim", 100 if latent_dim is None else latent_dim)
            generator = mlp.generator(latent_dim, image_shape, hidden, dtype=self.dtype_policy)
        self.latent_dim = positive("latent_dim", _latent_dim(generator) if latent_dim is None else latent_dim)
        self.generator = generator
        image = call(generator, {"latent": tf.zeros((1, self.latent_dim))}, training=False)
        self.image_shape = tuple(image.shape[1:])
        if image_shape is not None and tuple(image_shape) != self.image_shape:
            raise UsageError(f"image_shape is {tuple(image_shape)}, but the generator makes {self.image_shape}")
        if discriminator is None:
            discriminator = mlp.discriminator(self.image_shape, hidden[::-1], dropout=0.3, dtype=self.dtype_policy)
        self.discriminator = discriminator
        _check_fit(discriminator, image)
        self.adversarial = choice("adversarial", adversarial, ADVERSARIAL)
        self.latent = choice("latent", latent, ("normal", "uniform"))
        self.update = choice("update", update if n_critic == 1 else "alternating", ("simultaneous", "alternating"))
        self.n_critic = positive("n_critic", n_critic)
        self.build()

    def call(self, inputs, training=False):
        """Maps latents to images."""
        generator = self.network("generator", training)
        return call(generator, inputs if isinstance(inputs, dict) else {"latent": inputs}, training)

    def players(self) -> tuple[Player, ...]:
        """Returns the discriminator, then the generator."""
        return (
            Player("d", (self.discriminator,), self.discriminator_loss, self.paper_optimizer, steps=self.n_critic),
            Player("g", (self.generator,), self.generator_loss, self.paper_optimizer),
        )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the optimizer of a player for whom `compile` was given none."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5)

    # --- losses ------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Tells real images from fake ones."""
        real = self.judge(batch["image"], "real", batch, training)
        fake = self.judge(self.fake(batch, training), "fake", batch, training)
        return {"adversarial": ADVERSARIAL[self.adversarial].discriminator(real, fake)}

    def generator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Makes fakes that pass for real."""
        fake = self.judge(self.fake(batch, training), "fake", batch, training)
        return {"adversarial": ADVERSARIAL[self.adversarial].generator(fake)}

    def fake(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns this step's generated images (B, H, W, C)."""
        latents = batch.once("latent", lambda: self.draw_latents(tf.shape(batch["image"])[0], training))
        inputs = self.generator_inputs({**batch, "latent": latents})
        return batch.once("fake", lambda: call(self.network("generator", training), inputs, training))

    def judge(self, image: tf.Tensor, kind: str, batch: Batch, training: bool) -> tf.Tensor:
        """Returns the discriminator's logits for the `"real"` or the `"fake"` images of this step."""
        inputs = self.discriminator_inputs(image, batch)
        return batch.once(f"{kind}_logits", lambda: call(self.discriminator, inputs, training))

    def generator_inputs(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns what the generator sees of a batch that holds `latent`."""
        return {"latent": batch["latent"]}

    def discriminator_inputs(self, image: tf.Tensor, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns what the discriminator sees beside an image."""
        return {"image": image}

    def draw_latents(self, rows: tf.Tensor, training: bool) -> tf.Tensor:
        """Draws latents (rows, latent_dim) after their law."""
        shape, seed = (rows, self.latent_dim), self.draws(training)
        if self.latent == "normal":
            return keras.random.normal(shape, dtype="float32", seed=seed)
        return keras.random.uniform(shape, -1.0, 1.0, dtype="float32", seed=seed)

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`: latents to images in [-1, 1]."""
        generator = self.inference("generator")
        meta = {"sample": "image", "latent.law": self.latent, "image.range": "[-1, 1]", "image.layout": "NHWC"}

        def generate(**tensors):
            return {"image": tf.cast(call(generator, tensors, training=False), tf.float32)}

        return {"generate": signature(generate, {"latent": (None, self.latent_dim)}, meta)}


def _latent_dim(generator):
    shape = getattr(generator, "input_shape", None) if getattr(generator, "inputs", None) else None
    if isinstance(shape, dict):
        shape = shape.get("latent")
    return shape[-1] if shape else 100


def _check_fit(discriminator, image):
    """Shows the discriminator one image, which also makes the weights of a network that has none yet."""
    names = input_names(discriminator)
    shape = getattr(discriminator, "input_shape", None) if getattr(discriminator, "inputs", None) else None
    shape = shape.get("image") if names and isinstance(shape, dict) else shape
    if shape and any(want not in (None, have) for want, have in zip(shape[1:], image.shape[1:], strict=False)):
        raise UsageError(
            f"the generator makes images {tuple(image.shape[1:])}, the discriminator expects {tuple(shape[1:])}; "
            "give networks that fit"
        )
    if names is None:
        discriminator(image)

"""Rob-GAN: a GAN whose discriminator learns from attacked images."""

from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive
from keras_gen.game.batch import Batch
from keras_gen.game.player import Player
from keras_gen.losses import class_cross_entropy
from keras_gen.models.adversarial.acgan import ACGAN
from keras_gen.networks.build import call
from keras_gen.ops.attacks import pgd


@keras.saving.register_keras_serializable("keras_gen")
class RobGAN(ACGAN):
    """Rob-GAN: an ACGAN with a robust classifier, trained on attacked images.

    The attack raises the discriminator's loss of the real image, source and class. Fakes are not attacked, and their
    class is in the generator's loss only.

    Args:
        epsilon: the largest change of a value of a real image, in units of [-1, 1], as in the official code: 0.03125 is
            4 of 256 gray levels. 0 is no attack.
        attack: `"pgd"` (steps of projected gradient before each update) or `"free"` (FastGAN: several updates on each
            batch; the change grows by one step in each of them, by the gradient of the very pass that updates).
        attack_steps: steps before each update (`"pgd"`).
        attack_step_size: change of a value in a step, in units of [-1, 1].
        replays: discriminator updates on each batch (`"free"`).
        n_critic: discriminator steps for each generator step, each on rows of its own; by default 5, and with `"free"`
            1, which `replays` multiplies.
        architecture: as for `GAN`; so are the following.
        norm: of the generator's layers, as for `ACGAN`.
        discriminator_norm: as for `GAN`. The attack sees running statistics, the update those of the batch.
        dropout: share of the discriminator's hidden units that are left out in training, not in the attack.
        update: `"free"` needs `"alternating"`.
        **kwargs: of `ACGAN`.

    Raises:
        UsageError: as for `ACGAN`; a negative `epsilon`, no step, `"free"` with the simultaneous rule.

    Example:
        >>> model = keras_gen.RobGAN(image_shape=(28, 28, 1), architecture="conv", epsilon=0.4, attack_step_size=0.1)
        >>> model.compile()
        >>> model.fit(images, labels, batch_size=5 * 64, epochs=5)  # each discriminator step takes a fifth
        >>> model.sample(16, seed=0, label=3).shape
        (16, 28, 28, 1)

    Reference:
        Liu and Hsieh, "Rob-GAN: Generator, Discriminator, and Adversarial Attacker", 2018, arXiv:1807.10454: residual
        networks, five attack steps from the image itself, five discriminator steps on 64 images each, Adam 2e-4 with
        beta_1 0 and beta_2 0.9. Free training: Zhong, Liu and Hsieh, "Improving the Speed and Quality of GAN by
        Adversarial Training", 2020, arXiv:2008.03364.

    Deviations: source and class weigh as in the paper's equations; the official code counts the source of fakes twice.
    Its discriminator of 32x32 images has batch normalization, here none has, as its others; its rates halve every 50
    epochs, and its Adam has Keras' betas. Its images are cropped and mirrored at random, with noise of less than a gray
    level. Fakes are made for the labels of the real images, theirs for random ones. No fine-tuning of the classifier
    follows. Free training: the change begins anew in each batch, uniform within epsilon (theirs goes on from the former
    batch's), and each replay draws fakes of its own.
    """

    former = {"n_critic": 5}  # of files that do not hold it: for either attack

    def __init__(
        self,
        epsilon: float = 0.03125,
        attack: str = "pgd",
        attack_steps: int = 5,
        attack_step_size: float = 2 / 256,
        replays: int = 2,
        n_critic: int | None = None,
        architecture: str = "resnet",
        norm: str = "conditional_batch",
        discriminator_norm: str = "none",
        dropout: float = 0.0,
        update: str = "alternating",
        **kwargs: Any,
    ):
        super().__init__(
            architecture=architecture,
            norm=norm,
            discriminator_norm=discriminator_norm,
            dropout=dropout,
            n_critic=(1 if attack == "free" else 5) if n_critic is None else n_critic,
            update=update,
            **kwargs,
        )
        self.attack = choice("attack", attack, ("pgd", "free"))
        if not epsilon >= 0 or not attack_step_size > 0:
            raise UsageError(
                f"epsilon is {epsilon}, attack_step_size {attack_step_size}; expected at least 0, and above 0"
            )
        if attack == "free" and self.update == "simultaneous":
            raise UsageError("attack='free' updates several times on a batch; give update='alternating'")
        self.epsilon, self.attack_step_size = epsilon, attack_step_size
        self.attack_steps, self.replays = positive("attack_steps", attack_steps), positive("replays", replays)

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players."""
        return keras.optimizers.Adam(2e-4, beta_1=0.0, beta_2=0.9)

    def players(self) -> tuple[Player, ...]:
        """Lets the discriminator replay each batch in free training."""
        d, g = super().players()
        return (d._replace(replays=self.replays) if self.attack == "free" else d), g

    def real(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns this step's real images (B, H, W, C): in training, attacked ones."""
        image = super().real(batch, training)
        if not training or not self.epsilon:
            return image
        change = self.moved if self.attack == "free" else self.found
        return batch.once("attacked", lambda: change(image, batch))

    def found(self, image: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns images attacked by projected gradient ascent, so that they look fake and of another class."""

        def loss(changed):
            output = call(self.discriminator, self.discriminator_inputs(changed, "real", batch, False), False)
            real = self.logit(output)
            source = self.sides().discriminator(real, tf.zeros_like(real))  # fakes do not change
            return source + self.class_weight * class_cross_entropy(batch["label"], output[:, 1:])

        return pgd(loss, image, self.epsilon, self.attack_step_size, self.attack_steps)

    def moved(self, image: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns images with the perturbation that the former replay of this batch has left, at first a random one."""
        if "change" not in batch.carried:
            seed, epsilon = self.seeds(True), self.epsilon
            batch.carried["change"] = keras.random.uniform(tf.shape(image), -epsilon, epsilon, "float32", seed)
        return tf.clip_by_value(image + batch.carried["change"], -1.0, 1.0)

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the terms of the loss; in free training, the same pass updates the perturbation of real images."""
        if self.attack != "free" or not training or not self.epsilon:
            return super().discriminator_loss(batch, training)
        image = self.real(batch, training)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(image)
            terms = super().discriminator_loss(batch, training)
            loss = terms["adversarial"] + self.class_weight * terms["class"]
        change = batch.carried["change"] + self.attack_step_size * tf.sign(tape.gradient(loss, image))
        batch.carried["change"] = tf.stop_gradient(tf.clip_by_value(change, -self.epsilon, self.epsilon))
        return terms

    def discriminator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds the class of real images, and not that of fakes."""
        return {**super().discriminator_terms(batch, training), "class": self.class_loss("real", batch, training)}

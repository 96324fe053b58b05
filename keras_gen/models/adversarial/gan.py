"""The generative adversarial network, and the game that its descendants play."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive, widths
from keras_gen.game.batch import Batch
from keras_gen.game.config import refused
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.losses import ADVERSARIAL, Adversarial, mean
from keras_gen.networks import adversarial as networks
from keras_gen.networks.build import (
    DISCRIMINATOR_NORMS,
    GENERATOR_NORMS,
    Laws,
    call,
    check_fit,
    columns,
    final_activation,
    image_of,
    input_names,
    input_shape,
)
from keras_gen.ops.augment import KINDS, augment
from keras_gen.ops.penalties import lazily, r1
from keras_gen.ops.random import UNTRUNCATED, random_tensor, truncated
from keras_gen.signatures.draws import example_inputs
from keras_gen.signatures.law import NORMAL, Law, metadata
from keras_gen.signatures.signature import Signature, signature


@keras.saving.register_keras_serializable("keras_gen")
class GAN(GenerativeModel):
    """Generative adversarial network: of your own two networks, or ready-made ones.

    The arguments come in two groups: those of the networks, whose names are `NETWORKS`, down to `minibatch_stddev`; and
    those of the game, from `adversarial` on. A subclass that makes both networks itself has `settled = GAN.NETWORKS`,
    passes on `generator=` and `discriminator=`, and takes what arguments of the first group it names itself.

    Args:
        generator: a `keras.Model` from `{"latent": (B, latent_dim)}`, or from one plain tensor, to images (B, H, W, C)
            in [-1, 1]. `None` makes one.
        discriminator: a `keras.Model` from `{"image": (B, H, W, C)}`, or from one plain tensor, to logits (B, 1): no
            sigmoid at its end. Both networks have inputs for whatever a subclass shows them, such as `label`.
        latent_dim: number of latent coordinates; read from an injected generator of named inputs, otherwise 100.
        image_shape: (H, W, C) of the networks that are made, 28x28x1 by default; an injected generator tells it.
        architecture: `"mlp"`, `"conv"` (as `DCGAN`) or `"resnet"` (as `SNGAN`), of the networks that are made.
        hidden: widths of the generator's dense layers, which come first; the discriminator has them in reverse, at its
            end. By default 256 and 512 (`"mlp"`), or none.
        width: channels of the stage nearest to the image (`"conv"`), of the discriminator's maps (`"resnet"`).
        norm: of the generator's layers, `"none"`, `"batch"`, `"sync_batch"` (statistics over all replicas) or, with
            labels, `"conditional_batch"`.
        discriminator_norm: `"none"`, `"batch"`, `"sync_batch"`, `"layer"` or `"spectral"`; by default as the
            generator's.
        norm_epsilon: added to the variances of `"layer"`, above 0.
        dropout: share of the discriminator's hidden units that are left out in training, in [0, 1).
        minibatch_stddev: show the discriminator how much the features vary in its batch.

        adversarial: `"non_saturating"`, `"minimax"`, `"least_squares"`, `"wasserstein"` or `"hinge"`.
        latent: prior of the latents, `"normal"` or `"uniform"` on [-1, 1).
        update: `"simultaneous"` (both losses on one forward pass) or `"alternating"` (Algorithm 1 of the paper),
            which is also the default with `n_critic` above 1.
        n_critic: discriminator steps for each generator step, each on rows of its own.
        label_smoothing: what real images lack of being surely real, in [0, 0.5), with a cross-entropy loss.
        r1: gamma of the gradient penalty on real images, through their augmentation; 0 is none.
        r1_every: steps from one such penalty to the next, which counts as often.
        augment: kinds of differentiable augmentation of all that the discriminator sees: `"color"`, `"translation"`,
            `"cutout"`.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, networks that do not fit each other, or several steps at once
            (`n_critic` above 1 with `"simultaneous"`).

    Example:
        >>> model = keras_gen.GAN(image_shape=(8, 8, 1), latent_dim=16)
        >>> model.compile()
        >>> model.fit(images, epochs=1)
        >>> model.sample(4, seed=0, truncation=0.7).shape  # without truncation, latents of the prior itself
        (4, 8, 8, 1)

    Reference:
        Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661. Label smoothing: Salimans et al., 2016,
        arXiv:1606.03498; minibatch deviation: Karras et al., 2017, arXiv:1710.10196; R1: Mescheder et al., 2018,
        arXiv:1801.04406, lazy as in Karras et al., 2019, arXiv:1912.04958; augmentation: Zhao et al., 2020,
        arXiv:2006.10738; truncation: Brock et al., 2018, arXiv:1809.11096, here by the inverse of the distribution.

    Deviations: leaky ReLU and dropout in place of maxout, tanh in place of sigmoid, Adam in place of momentum SGD
    (which the recipe for MNIST has, with the alternating rule). R1 sees the discriminator as in inference, with running
    statistics and without dropout, so that it is of each image by itself; the official programs (StyleGAN2's) see it as
    in training, with discriminators that have neither.
    """

    averaged = ("generator",)
    augment_probability: Any = None  # variable of a variant that augments some images only
    former = {"norm_epsilon": 1e-3}  # of files that do not hold it
    NETWORKS = (
        *("generator", "discriminator", "latent_dim", "image_shape", "architecture", "hidden", "width"),
        *("norm", "discriminator_norm", "norm_epsilon", "dropout", "minibatch_stddev"),
    )

    def __init__(
        self,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        latent_dim: int | None = None,
        image_shape: Sequence[int] | None = None,
        architecture: str = "mlp",
        hidden: Sequence[int] | None = None,
        width: int = 64,
        norm: str = "none",
        discriminator_norm: str | None = None,
        norm_epsilon: float = 1e-5,
        dropout: float = 0.3,
        minibatch_stddev: bool = False,
        adversarial: str = "non_saturating",
        latent: str = "normal",
        update: str = "simultaneous",
        n_critic: int = 1,
        label_smoothing: float = 0.0,
        r1: float = 0.0,
        r1_every: int = 16,
        augment: Sequence[str] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.adversarial = choice("adversarial", adversarial, ADVERSARIAL)
        self.latent = choice("latent", latent, ("normal", "uniform"))
        self.n_critic = positive("n_critic", n_critic)
        if n_critic > 1 and update == "simultaneous":
            if "update" in self._given:  # otherwise it is the default, which stands in the cards of runs
                refused(f"n_critic is {n_critic} with update='simultaneous'; give update='alternating', or n_critic=1")
            update = "alternating"
        self.update = choice("update", update, ("simultaneous", "alternating"))
        if not 0 <= label_smoothing < 0.5 or label_smoothing and adversarial not in ("non_saturating", "minimax"):
            raise UsageError(
                f"label_smoothing is {label_smoothing} with {adversarial!r}; expected 0 to 0.5, and a cross-entropy"
            )
        if not r1 >= 0:
            raise UsageError(f"r1 is {r1}; expected a weight of at least 0")
        self.label_smoothing, self.r1, self.r1_every = label_smoothing, r1, positive("r1_every", r1_every)
        self.augment = tuple(choice("augment", kind, KINDS) for kind in augment)

        made = {"architecture": choice("architecture", architecture, networks.ARCHITECTURES)}
        made |= {"hidden": None if hidden is None else widths("hidden", hidden)}
        made |= {"width": positive("width", width), "dtype": self.dtype_policy}
        choice("norm", norm, GENERATOR_NORMS)
        if not norm_epsilon > 0:
            raise UsageError(f"norm_epsilon is {norm_epsilon}; expected a small number above 0, such as 1e-5")
        self.norm_epsilon = norm_epsilon
        if latent_dim is None:
            latent_dim = ((generator and input_shape(generator, "latent")) or (100,))[-1]
        self.latent_dim = positive("latent_dim", latent_dim)
        if generator is None:
            image_shape = tuple(image_shape or (28, 28, 1))
            generator = networks.generator(laws=self.laws(), image_shape=image_shape, norm=norm, **made)
        else:
            self._check_inputs("generator", generator, self.laws())
        self.generator = generator
        image = image_of(generator, example_of(self.laws()))
        self.image_shape = tuple(image.shape[1:])
        if image_shape is not None and tuple(image_shape) != self.image_shape:
            raise UsageError(f"image_shape is {tuple(image_shape)}, but the generator makes {self.image_shape}")
        if discriminator is None:
            usual = "batch" if norm == "conditional_batch" else norm
            discriminator = networks.discriminator(
                image_shape=self.image_shape,
                norm=choice("discriminator_norm", discriminator_norm or usual, DISCRIMINATOR_NORMS),
                norm_epsilon=norm_epsilon,
                dropout=dropout,
                minibatch_stddev=minibatch_stddev,
                **made,
                **self.judged(),
            )
        else:
            self._check_inputs("discriminator", discriminator, {"image": None, **self.judged().get("beside", {})})
        self.discriminator = discriminator
        check_fit(discriminator, image)
        outputs = getattr(discriminator, "outputs", None) or [None]
        if len(outputs) > 1 and type(self).logit is GAN.logit:  # a variant may choose among them
            raise UsageError(f"the discriminator gives {len(outputs)} outputs; expected one tensor of logits (B, 1)")
        self._check_logits(discriminator, image)
        self.build()

    def _check_inputs(self, kind, network, wanted):
        """Refuses a network of one's own to which an input, such as the label, would never come."""
        names = input_names(network) or tuple(wanted)[:1]
        missing = [name for name in wanted if name not in names]
        if missing:
            named = ", ".join(f"{name!r}: ..." for name in wanted)
            refused(
                f"the {kind} of {type(self).__name__} takes {', '.join(map(repr, names))} and not {missing[0]!r}; "
                f"give a keras.Model with named inputs: {{{named}}}"
            )

    def _check_logits(self, discriminator, image):
        """Refuses a discriminator that gives probabilities, or other columns than the losses read."""
        extra, shape = self.judged(), columns(discriminator, image)
        wanted = extra.get("outputs", 1) + extra.get("codes", 0)
        known = type(self).logit is GAN.logit or wanted > 1  # a variant may choose among columns
        fits = shape[1:] == (wanted,) if wanted > 1 else shape[1:][-1:] in ((), (1,))  # logits may be of patches
        if known and not fits:
            refused(f"the discriminator gives {('B', *shape[1:])}; {type(self).__name__} expects logits (B, {wanted})")
        end = final_activation(discriminator)
        if end and not (self.adversarial == "least_squares" and wanted == 1):  # which are of any numbers
            refused(f"the discriminator ends in {end}; the losses take logits: leave that activation out")

    def call(self, inputs, training=False):
        """Maps latents, or the generator's inputs by name, to images."""
        generator = self.network("generator", True) if training else self.inference("generator")
        return call(generator, inputs if isinstance(inputs, dict) else {"latent": inputs}, training)

    def players(self) -> tuple[Player, ...]:
        """Returns the discriminator, then the generator."""
        d, g = self.term_weights()
        return (
            Player("d", self.networks_of("d"), self.discriminator_loss, self.paper_optimizer, (*d,), d, self.n_critic),
            Player("g", self.networks_of("g"), self.generator_loss, self.paper_optimizer, (*g,), g),
        )

    @staticmethod
    def paper_optimizer() -> keras.optimizers.Optimizer:
        """Returns the optimizer of a player without one in `compile`; a variant may take its name, `player`."""
        return keras.optimizers.Adam(2e-4, beta_1=0.5)

    # --- what a variant changes --------------------------------------------------------------------------------------

    def laws(self) -> Laws:
        """Returns the generator's inputs: name to shape and distribution. What a batch holds is not drawn."""
        conditions = {name: ((None,), law) for name, law in self.conditions().items()}
        return {"latent": ((None, self.latent_dim), Law(self.latent)), **conditions}

    def accepts(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the generator's inputs, which are drawn where a batch does not hold them."""
        return {name: tuple(shape) for name, (shape, _) in self.laws().items()}

    def sides(self) -> Adversarial:
        """Returns the losses of both sides, on logits."""
        return ADVERSARIAL[self.adversarial]

    def judged(self) -> dict[str, Any]:
        """Returns what the discriminator takes beside images, and gives beside a logit: arguments of its function."""
        return {}

    def networks_of(self, player: str) -> tuple:
        """Returns the networks, or layers, that a player updates."""
        return (self.discriminator,) if player == "d" else (self.generator,)

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Returns the weights of the further terms of both players' losses, discriminator first."""
        return {"r1": self.r1} if self.r1 else {}, {}

    def discriminator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the further terms of the discriminator's loss."""
        if not self.r1:
            return {}

        def critic(image):  # in inference mode: each image by itself, and inside a condition nothing may move
            seen = self.augmented(image, "r1", batch, training)
            return self.logit(self.judge(seen, "r1", batch, False))

        image = self.images(batch)

        every = self.r1_every if training else 1
        return {"r1": lazily(lambda: r1(critic, image), every, self.d_optimizer.iterations)}

    def generator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the further terms of the generator's loss."""
        return {}

    def generator_inputs(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the generator's inputs from a batch that also holds what was drawn."""
        return {name: batch[name] for name in self.laws()}

    def discriminator_inputs(self, image: tf.Tensor, kind: str, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the discriminator's inputs for an image of a kind, such as `"real"` and `"fake"`: its label, too."""
        beside = self.judged().get("beside", ())
        return {"image": image, **{name: value for name, value in self.conditions_in(batch).items() if name in beside}}

    def logit(self, output: tf.Tensor) -> tf.Tensor:
        """Returns the part of the discriminator's output that tells real from fake."""
        return output

    # --- losses ------------------------------------------------------------------------------------------------------

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the terms of the discriminator's loss: to tell real images from fake ones."""
        real = self.logit(self.judge(self.real(batch, training), "real", batch, training))
        fake = self.logit(self.judge(self.fake(batch, training), "fake", batch, training))
        loss = self.sides().discriminator(real, fake)
        if self.label_smoothing and training:
            loss += self.label_smoothing * mean(real)  # the cross-entropy is linear in its target
        return {"adversarial": loss, **self.discriminator_terms(batch, training)}

    def generator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the terms of the generator's loss: to make fakes that pass for real."""
        fake = self.logit(self.judge(self.fake(batch, training), "fake", batch, training))
        return {"adversarial": self.sides().generator(fake), **self.generator_terms(batch, training)}

    def real(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns this step's real images (B, H, W, C)."""
        return self.images(batch)

    def images(self, batch: Batch) -> tf.Tensor:
        """Returns a batch's images (B, H, W, C) as the networks see them."""
        return tf.cast(batch["image"], tf.float32)

    def fake(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns this step's generated images (B, H, W, C)."""
        inputs = self.given(batch, training)
        return batch.once("fake", lambda: call(self.network("generator", training), inputs, training))

    def given(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the generator's inputs of this step: what the batch holds, and what was drawn once."""
        rows = tf.shape(batch["image"])[0]
        missing = [name for name in self.laws() if name not in batch]
        found = {name: batch.once(name, lambda name=name: self.random_input(name, rows, training)) for name in missing}
        return self.generator_inputs({**batch, **found})

    def judge(self, image: tf.Tensor, kind: str, batch: Batch, training: bool) -> tf.Tensor:
        """Returns the discriminator's output for images of this step, `"real"` and `"fake"` ones computed once."""

        def output():
            seen = self.augmented(image, kind, batch, training)
            judge = self.network("discriminator", training)
            return call(judge, self.discriminator_inputs(seen, kind, batch, training), training)

        return batch.once(f"{kind}_logits", output)

    def augmented(self, image: tf.Tensor, kind: str, batch: Batch, training: bool) -> tf.Tensor:
        """Returns images as the discriminator sees them: changed at random in training, for `"r1"` as the real ones."""
        if not self.augment or not training:
            return image
        seed, of = self.seeds(training), "real" if kind == "r1" else kind
        state = batch.once(f"{of}_augmentation", lambda: tf.convert_to_tensor(seed.state))
        if kind != "r1":
            return augment(image, self.augment, seed, self.augment_probability)
        with keras.StatelessScope([(seed.state, state)]):  # the same draws, which move the generator no further
            return augment(image, self.augment, seed, self.augment_probability)

    def random_input(self, name: str, rows: tf.Tensor, training: bool) -> tf.Tensor:
        """Draws an input of the generator from its distribution."""
        shape, law = self.laws()[name]
        return random_tensor(law, (rows, *shape[1:]), self.seeds(training))

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`: latents, and what a variant adds, to images in [-1, 1].

        Normal latents come with `truncation`, the largest of them in standard deviations; from 100 on there is none.
        """
        generator = self.inference("generator")
        laws = dict(self.laws())
        if Law.parse(laws["latent"][1]) == NORMAL:
            laws["truncation"] = ((None,), Law("constant", UNTRUNCATED))
        meta = metadata({name: law for name, (_, law) in laws.items()})
        meta |= {"sample": "image", "image.range": "[-1, 1]", "image.layout": "NHWC"}
        shapes = {name: shape for name, (shape, _) in laws.items()}

        def generate(latent, truncation=None, **given):
            latent = latent if truncation is None else truncated(latent, truncation)
            given = {name: tf.convert_to_tensor(value) for name, value in {"latent": latent, **given}.items()}
            return {"image": tf.cast(call(generator, given, training=False), tf.float32)}

        def example(n):
            inputs = example_inputs(shapes, meta, n)
            if "truncation" in inputs:
                inputs["truncation"][1::2] = np.linspace(0.5, 2, n // 2)  # both ways are checked in an export
            return inputs

        return {"generate": signature(generate, shapes, meta)._replace(example=example)}


def example_of(laws: Laws) -> dict[str, tf.Tensor]:
    """Returns one row of a generator's inputs."""
    meta = metadata({name: law for name, (_, law) in laws.items()})
    inputs = example_inputs({name: shape for name, (shape, _) in laws.items()}, meta, 1)
    return {name: tf.constant(inputs[name]) for name in laws}

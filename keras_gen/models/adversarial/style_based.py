"""What all generators that work by styles have in common."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import metrics
from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.layers.style import STATE, sum_over_replicas
from keras_gen.models.adversarial.gan import GAN
from keras_gen.networks import style_based as networks
from keras_gen.networks.build import Laws, call
from keras_gen.ops.augment import adapted
from keras_gen.ops.penalties import is_due
from keras_gen.ops.random import mixed
from keras_gen.signatures.draws import example_inputs, sample_inputs
from keras_gen.signatures.law import NORMAL, Law, metadata
from keras_gen.signatures.signature import Signature, signature

PARTS = ("map", "synthesize")
PAIRS = 1000  # of styles, for the path length: the classes of a pair are one where their number divides it
ADAPTS = 4  # steps from one change of the share of augmented images to the next


class StyleBased(GAN):
    """Base of generators of two networks: a mapping of latents to styles, and a synthesis of images from them.

    Args:
        synthesis: a `keras.Model` from `{"style": (B, n, style_dim)}`, and `noise` (B, m) where it has some, to images.
        discriminator: as for `GAN`; with classes it takes `label`, too.
        latent_dim: number of latent coordinates.
        depth: dense layers of the mapping.
        num_classes: number of classes that both networks are conditioned on; `None` for none.
        mixing: share of the rows whose later layers get the style of another latent, in [0, 1].
        style_decay: of the running mean of w in a step, in [0, 1).
        style_cutoff: styles, from the first on, that truncation changes; by default all.
        augment_target: mean sign of the logits of real images, such as 0.6, which the share of augmented images is to
            keep: it rises and falls between 0 and 1. `None` augments all.
        **kwargs: of `GAN`.

    Raises:
        UsageError: as for `GAN`; `mixing` is no share.
    """

    settled = (*GAN.NETWORKS, "latent", "update", "n_critic", "label_smoothing")

    def __init__(
        self,
        synthesis: keras.Model,
        discriminator: keras.Model,
        latent_dim: int = 512,
        depth: int = 8,
        num_classes: int | None = None,
        mixing: float = 0.9,
        style_decay: float = 0.998,
        style_cutoff: int | None = None,
        augment_target: float | None = None,
        **kwargs: Any,
    ):
        if augment_target is not None and not (kwargs.get("augment") and -1 < augment_target < 1):
            raise UsageError(
                f"augment_target is {augment_target} with augment={kwargs.get('augment', ())}; expected a mean of "
                "signs in (-1, 1), such as 0.6, and kinds of augmentation"
            )
        if not 0 <= mixing <= 1:
            raise UsageError(f"mixing is {mixing}; expected a share of the rows, in [0, 1]")
        # First: the inputs of the networks follow from them.
        self.num_classes = None if num_classes is None else positive("num_classes", num_classes)
        self.mixing, self.noise_size = mixing, synthesis.input["noise"].shape[-1] if "noise" in synthesis.input else 0
        count, style_dim = synthesis.input["style"].shape[1:]
        sizes = {"latent_dim": positive("latent_dim", latent_dim), "style_dim": style_dim, "depth": depth}
        how = {"decay": style_decay, "cutoff": style_cutoff, "dtype": kwargs.get("dtype")}
        mapping = networks.mapping(count, **sizes, num_classes=num_classes, **how)
        generator = networks.generator(mapping, synthesis, dtype=kwargs.get("dtype"))
        super().__init__(generator=generator, discriminator=discriminator, **kwargs)
        self.augment_target = augment_target
        if augment_target is not None:
            state = {"initializer": "zeros", "dtype": "float32", **STATE}
            self.augment_probability = self.add_weight(name="augment_probability", shape=(), **state)
            self.signs = self.add_weight(name="signs", shape=(2,), **state)  # of real logits: their sum and number

    def laws(self) -> Laws:
        """Adds the noise, one flat vector for all layers."""
        noise = {"noise": ((None, self.noise_size), NORMAL)} if self.noise_size else {}
        return {**super().laws(), **noise}

    def judged(self) -> dict[str, Any]:
        """Gives the discriminator the label, where there are classes."""
        return {"beside": {"label": self.laws()["label"]}} if self.num_classes else {}

    # --- styles ------------------------------------------------------------------------------------------------------

    def part(self, name: str, training: bool) -> keras.Model:
        """Returns `"mapping"` or `"synthesis"`, in inference of the moving average."""
        return self.network("generator", training).get_layer(name)

    def styles(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns this step's styles (B, n, style_dim); in training some rows are mixed, and the mean of w moves."""
        return batch.once("styles", lambda: self._styles(self.given(batch, training), training))

    def _styles(self, given, training):
        mapping = self.part("mapping", training)
        styles = call(mapping, given, training)
        if not training or not self.mixing:
            return styles
        other = self.random_input("latent", tf.shape(styles)[0], training)
        # Not as in training: the mean of w moves once a step.
        return mixed(styles, call(mapping, {**given, "latent": other}, False), self.mixing, self.seeds(training))

    def fake(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns this step's images of its styles (B, H, W, C)."""
        return batch.once(
            "fake", lambda: self.painted(self.styles(batch, training), self.given(batch, training), training)
        )

    def painted(self, styles: tf.Tensor, given: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Returns the images of styles, and of what else the synthesis takes."""
        return call(self.part("synthesis", training), {**given, "style": styles}, training)

    # --- adaptive augmentation ---------------------------------------------------------------------------------------

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Counts on how many real images the discriminator is right, and lets the share of augmented ones follow."""
        terms = super().discriminator_loss(batch, training)
        if training and self.augment_target is not None:
            sign = tf.sign(tf.reshape(self.logit(batch.once("real_logits", None)), (-1,)))  # (B,)
            signs = self.signs + sum_over_replicas(tf.stack([sign, tf.ones_like(sign)], axis=1))
            due = is_due(ADAPTS, self.d_optimizer.iterations + 1)
            probability, signs = adapted(
                tf.convert_to_tensor(self.augment_probability), signs, due, self.augment_target
            )
            self.augment_probability.assign(probability)
            self.signs.assign(signs)
        return terms

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`, and its parts `map`, latents to styles, and `synthesize`, styles to images.

        `truncation`, psi, draws styles toward the mean of w: 1 is none, and 0 makes one image of all latents. Images
        are cut at the ends of [-1, 1].
        """
        mapping, synthesis = map(self.inference("generator").get_layer, ("mapping", "synthesis"))
        laws, shapes = {**self.laws(), "truncation": ((None,), Law("constant", 1))}, {}
        shapes = {name: shape for name, (shape, _) in laws.items()}
        more = [name for name in synthesis.input if name != "style"]
        meta = metadata({name: law for name, (_, law) in laws.items()})
        image = {"image.range": "[-1, 1]", "image.layout": "NHWC"}

        def map_(truncation, **given):
            styles = call(mapping, {name: tf.convert_to_tensor(value) for name, value in given.items()}, False)
            return {"style": tf.cast(mapping.get_layer("styles").truncated(styles, truncation), tf.float32)}

        def synthesize(**given):
            image = call(synthesis, {name: tf.convert_to_tensor(value) for name, value in given.items()}, False)
            return {"image": tf.clip_by_value(tf.cast(image, tf.float32), -1.0, 1.0)}

        def generate(**given):
            beside = {name: given.pop(name) for name in more}
            return synthesize(**map_(**given), **beside)

        def made(function, names, own):
            kept = {key: value for key, value in meta.items() if key.partition(".")[0] in names}
            inputs = {name: shapes[name] for name in names}

            def example(n):
                drawn = example_inputs(inputs, {**kept, **own}, n)
                if "truncation" in drawn:
                    drawn["truncation"][1::2] = np.linspace(0.0, 0.9, n // 2)
                return drawn

            return signature(function, inputs, {**kept, **own})._replace(example=example)

        whole = [name for name in shapes if name not in more]
        shapes["style"] = (None, *synthesis.input["style"].shape[1:])
        layout = {"style.layout": "NLD"}  # rows, layers, coordinates
        return {
            "generate": made(generate, [*whole, *more], {"sample": "image", **image}),
            "map": made(map_, whole, layout),
            "synthesize": made(synthesize, ["style", *more], {**layout, **image}),
        }

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns `ppl`, the perceptual path length, as `keras_gen.metrics.path_length` has it.

        On the features of the judge of these data: a classifier where there are labels, otherwise principal components.
        """
        found = self.signatures()
        mapped, painted = ({name: spec.shape for name, spec in found[key].inputs.items()} for key in PARTS)
        drawn = sample_inputs(mapped, found["map"].meta, 2 * PAIRS, seed)
        styles = self.run("map", 256, **drawn)["style"]
        held = {name: shape for name, shape in painted.items() if name != "style"}
        held = sample_inputs(held, found["synthesize"].meta, PAIRS, seed) if held else {}
        labelled = all("label" in part.arrays for part in (train, test))
        judge = (metrics.Judge if labelled else metrics.NeighborJudge).for_data(train, test, seed=seed)

        def synthesize(style):
            return self.run("synthesize", 256, style=style.astype(np.float32), **held)["image"]

        return {"ppl": metrics.path_length(synthesize, styles[:PAIRS], styles[PAIRS:], judge.features)}

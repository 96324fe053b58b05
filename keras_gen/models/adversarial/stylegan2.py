"""StyleGAN2: styles that scale the kernels of a synthesis, and a penalty that keeps its steps even."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.layers.style import STATE, mean_over_replicas
from keras_gen.losses import mean
from keras_gen.models.adversarial.style_based import StyleBased
from keras_gen.networks import style_based as networks
from keras_gen.ops.penalties import is_due, path_lengths, when_due


@keras.saving.register_keras_serializable("keras_gen")
class StyleGAN2(StyleBased):
    """StyleGAN2: styles modulate convolutions; lazy penalties on both players.

    Styles and noise are inputs: `map` and `synthesize` are signatures beside `generate`, and `truncation` draws styles
    toward their mean.

    Args:
        image_shape: (H, W, C) of squares, whose side is a power of 2 from 8 on.
        latent_dim: number of latent coordinates.
        style_dim: number of coordinates of w.
        depth: dense layers of the mapping.
        base: channels of maps of a side are base / side, but
        largest: no more than this.
        num_classes: number of classes: a class's vector stands beside the latent, and the discriminator projects on
            another one. `None` for none.
        mixing: share of the rows in which the later layers get the style of another latent.
        r1: gamma of the gradient penalty on real images; 0.0002 H^2 / batch size is the authors' rule of thumb.
        r1_every: steps from one such penalty to the next.
        path_length: weight of the path length penalty; 0 is none.
        path_every: steps from one such penalty to the next, which counts as often.
        path_decay: share of the mean of path lengths that a penalty replaces, in (0, 1].
        ema: decay of the average of the generator's weights in a step: half of it is of the last 312 steps.
        **kwargs: of `GAN`, but the arguments of its networks.

    Raises:
        UsageError: an image size that doubling cannot make, or an argument out of its range.

    Example:
        >>> model = keras_gen.StyleGAN2(image_shape=(32, 32, 1), latent_dim=32, style_dim=32, base=512, largest=32)
        >>> model.compile()
        >>> model.fit(images, batch_size=32, epochs=10)
        >>> model.sample(16, seed=0, truncation=0.7).shape
        (16, 32, 32, 1)

    Reference:
        Karras, Laine, Aittala, Hellsten, Lehtinen and Aila, "Analyzing and Improving the Image Quality of StyleGAN",
        2020, arXiv:1912.04958; classes, and the average's half-life, as in Karras et al., "Training Generative
        Adversarial Networks with Limited Data", 2020, arXiv:2006.06676.

    Deviations: both losses are of one forward pass, where the authors draw latents for each. Lazy penalties join a
    step, times `every`, so that rates and betas stay as they are: theirs are optimizer steps of their own, for which
    both are corrected. From which layer on a row has another style is drawn for each row, theirs for a batch. The mean
    of path lengths is a constant to the gradient, and begins at the first length; theirs begins at 0, which first
    teaches the generator to ignore styles. Path lengths are of every second row of the step's own styles.
    """

    settled = ("synthesis", "discriminator", "style_decay", "style_cutoff")

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        latent_dim: int = 512,
        style_dim: int = 512,
        depth: int = 8,
        base: int = 32_768,
        largest: int = 512,
        num_classes: int | None = None,
        r1: float = 10.0,
        path_length: float = 2.0,
        path_every: int = 4,
        path_decay: float = 0.01,
        ema: float | None = 0.99778,
        **kwargs: Any,
    ):
        if not path_length >= 0 or not 0 < path_decay <= 1:
            raise UsageError(
                f"path_length is {path_length} and path_decay {path_decay}; expected a weight from 0 on, and a share"
            )
        sizes = {"base": positive("base", base), "largest": positive("largest", largest), "dtype": kwargs.get("dtype")}
        synthesis = networks.synthesis(image_shape, positive("style_dim", style_dim), **sizes)
        judge = networks.discriminator(image_shape, **sizes, num_classes=num_classes, depth=positive("depth", depth))
        given = {"latent_dim": latent_dim, "depth": depth, "num_classes": num_classes, "r1": r1, "ema": ema}
        super().__init__(synthesis, judge, **given, **kwargs)
        self.path_length, self.path_every = path_length, positive("path_every", path_every)
        self.path_decay = path_decay
        # 0 until there was a length.
        self.mean_length = self.add_weight(name="mean_length", shape=(), initializer="zeros", dtype="float32", **STATE)

    @staticmethod
    def paper_optimizer(player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players."""
        return keras.optimizers.Adam(2e-3, beta_1=0.0, beta_2=0.99, epsilon=1e-8)

    def moved_once(self) -> list:
        """Returns what a step moves once: the mean of path lengths."""
        return [self.mean_length]

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the path length to the generator's loss."""
        d, g = super().term_weights()
        return d, {**g, **({"path": self.path_length} if self.path_length else {})}

    def generator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds how far path lengths are from their mean, in each `path_every`-th step."""
        terms = super().generator_terms(batch, training)
        if not self.path_length:
            return terms
        taken = 2 if training else 1  # every second row, on replicas as on one; all where nothing is to be saved
        styles, given = self.styles(batch, training)[::taken], self.given(batch, training)
        given = {name: value[::taken] for name, value in given.items()}
        directions = self.directions(styles, training)
        every = self.path_every if training else 1
        step = self.g_optimizer.iterations if every > 1 else tf.constant(0)

        def lengths():
            return path_lengths(lambda w: self.painted(w, given, training), styles, directions)

        found = when_due(lengths, every, step, tf.zeros(tf.shape(styles)[:1]))  # (B / 2,)
        known = tf.convert_to_tensor(self.mean_length)
        new, due = mean_over_replicas(found), is_due(every, step)
        moved = tf.where(known > 0, known + self.path_decay * (new - known), new)
        if training:
            self.mean_length.assign(tf.where(due, moved, known))
        return {**terms, "path": tf.where(due, float(every) * mean(tf.square(found - moved)), 0.0)}

    def directions(self, styles: tf.Tensor, training: bool) -> tf.Tensor:
        """Draws the directions of images (B, H, W, C) that path lengths are along."""
        shape = (tf.shape(styles)[0], *self.image_shape)
        return keras.random.normal(shape, dtype="float32", seed=self.seeds(training))

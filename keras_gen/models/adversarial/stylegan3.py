"""StyleGAN3: styles whose images are samples of continuous signals, and move and turn as these do."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.metrics.equivariance import equivariance
from keras_gen.models.adversarial.style_based import StyleBased
from keras_gen.networks import alias_free, style_based
from keras_gen.networks.build import Laws
from keras_gen.ops.blur import blurred
from keras_gen.signatures.draws import sample_inputs
from keras_gen.signatures.law import Law
from keras_gen.signatures.signature import Signature


@keras.saving.register_keras_serializable("keras_gen")
class StyleGAN3(StyleBased):
    """StyleGAN3: alias-free styles, whose images move and turn as they are asked to.

    Waves take the place of a learned constant and of noise; every leaky ReLU lies between filters. `shift` and `angle`
    are inputs: to the right and down, in sides of the image, and counterclockwise, in degrees.

    Args:
        image_shape: (H, W, C) of squares, whose side is a power of 2 from 8 to 1024.
        variant: `"t"`, equivariant to translation, or `"r"`, to rotation as well: kernels of single pixels, twice the
            channels, and filters that treat all directions alike.
        latent_dim: number of latent coordinates.
        style_dim: number of coordinates of w.
        depth: dense layers of the mapping.
        synthesis_layers: of the synthesis, before that which makes colors.
        critical: how many of the last of these keep all that their sampling rate can hold.
        base: channels are base over twice the cutoff frequency, and base / side in the discriminator, but
        largest: no more than this; `"r"` doubles both in the generator.
        num_classes: as for `StyleGAN2`.
        r1: gamma of the gradient penalty on real images; by default 0.5 (H / 128)^2.
        blur: pixels from its middle at which a filter has half of its height, through which the discriminator sees all
            images at first; by default 10 of `"r"`, and 0, none, of `"t"`.
        blur_steps: in which it fades.
        ema: as for `StyleGAN2`.
        **kwargs: of `GAN`, but the arguments of its networks.

    Raises:
        UsageError: an image size that doubling cannot make, or an argument out of its range.

    Example:
        >>> model = keras_gen.StyleGAN3(image_shape=(32, 32, 1), synthesis_layers=8, base=512, largest=16)
        >>> model.compile()
        >>> model.fit(images, batch_size=32, epochs=10)
        >>> model.sample(16, seed=0, truncation=0.7, shift=(0.1, 0.0), angle=15.0).shape
        (16, 32, 32, 1)

    Reference:
        Karras, Aittala, Laine, Härkönen, Hellsten, Lehtinen and Aila, "Alias-Free Generative Adversarial Networks",
        2021, arXiv:2106.12423: configurations T and R; rates of 2.5e-3 and 2e-3, R1 each 16 steps, no mixing, no path
        length. The blur fades over 200,000 images of batches of 32, which are 6,250 steps.

    Deviations: as of `StyleGAN2`, as far as they apply. Factors of styles are not divided by the root of their mean
    square in the batch: demodulation cancels it, but for colors, where the authors' program has none either. There are
    no transforms that bring waves beyond their band, and so nothing damps them.
    """

    settled = ("synthesis", "discriminator", "mixing", "style_decay", "style_cutoff")

    def __init__(
        self,
        image_shape: Sequence[int] = (256, 256, 3),
        variant: str = "t",
        latent_dim: int = 512,
        style_dim: int = 512,
        depth: int = 2,
        synthesis_layers: int = 14,
        critical: int = 2,
        base: int = 32_768,
        largest: int = 512,
        num_classes: int | None = None,
        r1: float | None = None,
        blur: float | None = None,
        blur_steps: int = 6250,
        ema: float | None = 0.99778,
        **kwargs: Any,
    ):
        sizes = {"base": base, "largest": largest, "dtype": kwargs.get("dtype")}
        how = {"depth": synthesis_layers, "critical": critical, "variant": variant}
        synthesis = alias_free.synthesis(image_shape, positive("style_dim", style_dim), **sizes, **how)
        judge = style_based.discriminator(image_shape, **sizes, num_classes=num_classes)
        given = {"latent_dim": latent_dim, "depth": depth, "num_classes": num_classes, "ema": ema, "mixing": 0.0}
        r1 = 0.5 * (image_shape[0] / 128) ** 2 if r1 is None else r1
        super().__init__(synthesis, judge, r1=r1, **given, **kwargs)
        self.blur = blur if blur is not None else 10.0 if variant == "r" else 0.0
        if not self.blur >= 0:
            raise UsageError(f"blur is {blur}; expected a number of pixels, at least 0")
        self.blur_steps = positive("blur_steps", blur_steps)

    @staticmethod
    def paper_optimizer(player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer of a player."""
        return keras.optimizers.Adam(2.5e-3 if player == "g" else 2e-3, beta_1=0.0, beta_2=0.99, epsilon=1e-8)

    def laws(self) -> Laws:
        """Adds how the image is to be shifted and turned: not at all, where nobody asks."""
        still = Law("constant", 0)
        return {**super().laws(), "shift": ((None, 2), still), "angle": ((None,), still)}

    def signatures(self) -> dict[str, Signature]:
        """Returns those of all generators of styles; their examples are of images that move and turn."""

        def example(one, n):
            rng = np.random.default_rng(n)
            drawn = {"shift": rng.uniform(-0.2, 0.2, (n, 2)), "angle": rng.uniform(-180.0, 180.0, n)}
            return {**one.example(n), **{name: value.astype(np.float32) for name, value in drawn.items()}}

        found = super().signatures().items()
        return {k: one._replace(example=partial(example, one)) if "angle" in one.inputs else one for k, one in found}

    def augmented(self, image: tf.Tensor, kind: str, batch: Batch, training: bool) -> tf.Tensor:
        """Blurs all that the discriminator sees in the first steps, which would not let details hide the rest."""
        if training and self.blur:
            done = tf.cast(self.d_optimizer.iterations, tf.float32) / self.blur_steps
            image = blurred(image, self.blur * tf.maximum(1.0 - done, 0.0), self.blur)
        return super().augmented(image, kind, batch, training)

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Adds how exactly images move and turn."""
        return {**super().measures(train, test, seed), **self.equivariance(seed=seed)}

    def equivariance(self, n: int = 32, seed: int = 0) -> dict[str, float]:
        """Returns how exactly images move and turn, in decibels against what they vary over.

        Args:
            n: images.
            seed: of latents and motions.

        Returns:
            `eq_t`, `eq_t_fractional` and, of images that are not too small to be turned, `eq_r`, as
            `keras_gen.metrics.equivariance` has them.
        """
        signature = self.signatures()["map"]
        shapes = {name: spec.shape for name, spec in signature.inputs.items()}
        style = self.run("map", **sample_inputs(shapes, signature.meta, n, seed))["style"]

        def synthesize(shift, angle):
            return self.run("synthesize", 16, style=style, shift=shift, angle=angle)["image"]

        found = equivariance(synthesize, n, seed)
        figures = {name: getattr(found, name) for name in ("eq_t", "eq_t_fractional", "eq_r")}
        return {name: value for name, value in figures.items() if not np.isnan(value)}

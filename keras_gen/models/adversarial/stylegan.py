"""StyleGAN: styles that normalize a growing synthesis, and noise for every pixel."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_gen.errors import positive
from keras_gen.models.adversarial.growing import Growing
from keras_gen.models.adversarial.style_based import StyleBased
from keras_gen.networks import progressive, style_based
from keras_gen.signatures.signature import Signature


@keras.saving.register_keras_serializable("keras_gen")
class StyleGAN(Growing, StyleBased):
    """StyleGAN: styles normalize the maps of a synthesis that grows, stage by stage.

    Styles and noise are inputs: `map` and `synthesize` are signatures beside `generate`, and `truncation` draws the
    first eight styles toward their mean. Stages are sizes from 8x8 on, as of `ProgressiveGAN`.

    Args:
        image_shape: (H, W, C); the sides come from doubling 4 to 7 pixels, at least once.
        latent_dim: number of latent coordinates.
        style_dim: number of coordinates of w.
        depth: dense layers of the mapping.
        base: channels of maps of a side are base / side, but
        largest: no more than this.
        fade_steps: steps of the discriminator in a stage after which its new layers count in full: in the paper those
            of 600,000 images, and as many follow.
        mixing: share of the rows in which the later layers get the style of another latent.
        r1: gamma of the gradient penalty on real images.
        r1_every: steps from one such penalty to the next.
        ema: decay of the average of the generator's weights in a step: half of it is of the last 312 steps, the paper's
            10,000 images in batches of 32.
        **kwargs: of `GAN`, but the arguments of its networks.

    Raises:
        UsageError: an image size that doubling cannot make, or an argument out of its range.

    Example:
        >>> model = keras_gen.StyleGAN(image_shape=(16, 16, 1), base=64, latent_dim=16, style_dim=16, fade_steps=20)
        >>> for stage in model.stages:  # ("8x8", "16x16")
        ...     model.compile(stage=stage)
        ...     model.fit(images, batch_size=16, epochs=20)
        >>> model.sample(16, seed=0, truncation=0.7).shape
        (16, 16, 16, 1)

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948.

    Deviations: one batch size and one length for all stages; optimizers begin anew with each, in the authors' program
    also when a fade ends. Both losses are of one forward pass, where the authors draw latents for each. The layer from
    which a row has another style is drawn for each row, and among all, grown or not. The gain of the mapping's leaky
    ReLU stands after it, as in StyleGAN2: biases learn faster by sqrt(2).
    """

    settled = ("synthesis", "discriminator", "num_classes", "style_decay", "style_cutoff")
    smallest, smooth = 1, progressive.BLUR

    def __init__(
        self,
        image_shape: Sequence[int] = (64, 64, 3),
        latent_dim: int = 512,
        style_dim: int = 512,
        depth: int = 8,
        base: int = 16_384,
        largest: int = 512,
        fade_steps: int = 18_750,
        mixing: float = 0.9,
        r1: float = 10.0,
        r1_every: int = 1,
        ema: float | None = 0.99778,
        **kwargs: Any,
    ):
        sizes = {"base": base, "largest": largest, "dtype": kwargs.get("dtype")}
        given = {"latent_dim": latent_dim, "depth": positive("depth", depth), "mixing": mixing, "ema": ema}
        super().__init__(
            fade_steps=fade_steps,
            synthesis=progressive.synthesis(image_shape, positive("style_dim", style_dim), **sizes),
            discriminator=progressive.discriminator(image_shape, smooth=self.smooth, **sizes),
            style_decay=0.995,
            style_cutoff=8,
            r1=r1,
            r1_every=r1_every,
            **given,
            **kwargs,
        )
        self.base, self.largest, self.style_dim, self.depth = base, largest, style_dim, depth

    def paper_optimizer(self, player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer, of both players; large images learn faster."""
        side = max(progressive.sides(self.stage or self.stages[-1]))
        rate = 1e-3 if side < 128 else 1.5e-3 if side < 256 else 2e-3 if side < 512 else 3e-3
        return keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99, epsilon=1e-8)

    def cut(self, net: keras.Model, *how: Any, **more: Any) -> keras.Model:
        """Returns the mapping, and the part of the synthesis that has grown."""
        parts = net.get_layer("mapping"), super().cut(net.get_layer("synthesis"), *how, **more)
        return style_based.generator(*parts, **more)

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`, `map` and `synthesize`.

        Files may differ by 1e-3: the constant begins as ones, and the first normalization divides by what it has come
        to differ by, which is little at first. Rounding is divided by it, too.
        """
        return {name: one._replace(atol=1e-3) for name, one in super().signatures().items()}

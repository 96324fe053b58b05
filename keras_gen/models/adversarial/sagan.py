"""The self-attention GAN."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_gen.errors import UsageError, choice, positive
from keras_gen.game.averages import standing, statistics
from keras_gen.models.adversarial.gan import GAN
from keras_gen.networks import biggan
from keras_gen.signatures.draws import sample_inputs
from keras_gen.signatures.law import metadata


@keras.saving.register_keras_serializable("keras_gen")
class SAGAN(GAN):
    """Self-attention GAN: pixels that are far apart see each other, in both networks.

    Both networks are residual, all of their layers are spectrally normalized, and the class scales and shifts the
    generator's normalizations and meets the discriminator's features in an inner product.

    Args:
        num_classes: number of classes; a label is a whole number below it. `None` for none.
        image_shape: (H, W, C); the sides must come from doubling a map of 4 to 8 pixels: 16, 28, 32, 64, 128, ...
        latent_dim: number of latent coordinates, by default 128; with `embedding` 20 for each part.
        width: channels of the largest map of 128x128 images; others have up to 16 times as many.
        attention: heights of the maps that have attention; `None` is 32, or less where that is all of the image.
        embedding: length of a vector of the class that all of the generator's blocks share; beside the block's own part
            of the latent it gives the gains and offsets of the normalizations, as in `BigGAN`. `None`: each
            normalization has a table of the classes, and the first layer the whole latent.
        norm: `"batch"` normalization in the generator; `"sync_batch"` takes its statistics over all replicas.
        initializer: of all kernels, `"glorot_uniform"` or `"orthogonal"`.
        adversarial: as for `GAN`.
        **kwargs: of `GAN`, such as `augment` and `ema`.

    Raises:
        UsageError: an image size that doubling cannot make, a map that is not there, or a latent that cannot be divided
            into equal parts.

    Example:
        >>> model = keras_gen.SAGAN(image_shape=(32, 32, 3), num_classes=10, width=4)
        >>> model.compile()
        >>> model.fit(images, labels, batch_size=64, epochs=5)
        >>> model.sample(16, seed=0, label=3).shape
        (16, 32, 32, 3)

    Reference:
        Zhang, Goodfellow, Metaxas and Odena, "Self-Attention Generative Adversarial Networks", 2018, arXiv:1805.08318:
        hinge loss, Adam with beta_1 0 and beta_2 0.9, 1e-4 for the generator and 4e-4 for the discriminator. The inner
        product with the class: Miyato and Koyama, 2018, arXiv:1802.05637.

    Deviations: sizes other than 128x128 have the channels of BigGAN's program. Both losses are computed on the same
    weights, and then both networks move. Fakes are made for the labels of the real images.
    """

    settled = GAN.NETWORKS
    largest = 32  # height of the map that has attention, where nobody says otherwise

    def __init__(
        self,
        num_classes: int | None = 10,
        image_shape: Sequence[int] = (128, 128, 3),
        latent_dim: int | None = None,
        width: int = 64,
        attention: Sequence[int] | None = None,
        embedding: int | None = None,
        norm: str = "batch",
        initializer: str = "glorot_uniform",
        adversarial: str = "hinge",
        **kwargs: Any,
    ):
        # First: the generator's inputs depend on it.
        self.num_classes = None if num_classes is None else positive("num_classes", num_classes)
        parts = biggan.parts(image_shape)
        if latent_dim is None:
            latent_dim = biggan.PART * parts if embedding else 128
        if embedding and positive("latent_dim", latent_dim) % parts:
            near = parts * max(1, round(latent_dim / parts))
            raise UsageError(f"latent_dim is {latent_dim}; expected {parts} equal parts, such as {near}")
        if embedding and not num_classes:
            raise UsageError(f"embedding is {embedding} of no classes; give num_classes, or leave embedding out")
        made = {"image_shape": image_shape, "num_classes": num_classes, "width": positive("width", width)}
        made |= {"attention": biggan.attended(image_shape, attention, self.largest), "dtype": kwargs.get("dtype")}
        made |= {"initializer": choice("initializer", initializer, biggan.INITIALIZERS)}
        of_generator = {"latent_dim": latent_dim, "embedding": embedding, "norm": choice("norm", norm, biggan.NORMS)}
        super().__init__(
            generator=biggan.generator(**of_generator, **made),
            discriminator=biggan.discriminator(**made),
            latent_dim=latent_dim,
            adversarial=adversarial,
            **kwargs,
        )

    @staticmethod
    def paper_optimizer(player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer of a player; the discriminator's learning rate is four times as large."""
        return keras.optimizers.Adam({"d": 4e-4, "g": 1e-4}[player], beta_1=0.0, beta_2=0.9)

    def judged(self) -> dict[str, Any]:
        """Gives the discriminator labels, if there are some."""
        return {"beside": {"label": self.laws()["label"]}} if self.num_classes else {}

    def standing_statistics(self, batches: int = 16, batch_size: int = 64, seed: int = 0) -> None:
        """Gives the generator that samples, an average or not, the statistics that batches of its own samples have.

        The running statistics of training are of the last ten batches, of other weights. These are means over so many
        batches of their means and variances. `train` does it whenever it writes the model.

        Args:
            batches: how many.
            batch_size: samples in each; classes come equally often in all of them together.
            seed: of the latents, and of the order of the classes.
        """
        shapes = {name: shape for name, (shape, _) in self.laws().items()}
        meta = metadata({name: law for name, (_, law) in self.laws().items()})
        rows = positive("batches", batches) * positive("batch_size", batch_size)
        drawn, order = sample_inputs(shapes, meta, rows, seed), np.random.default_rng(seed).permutation(rows)
        parts = ({name: value[part] for name, value in drawn.items()} for part in np.split(order, batches))
        sampled = self.inference("generator")
        for weight, value in zip(statistics(sampled), standing(self.generator, sampled, parts), strict=True):
            weight.assign(value)

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Gives the generator that samples standing statistics, and afterwards those of training again."""
        held = [(weight, np.asarray(weight)) for weight in statistics(self.inference("generator"))]
        self.standing_statistics()
        try:
            yield
        finally:
            for weight, value in held:
                weight.assign(value)

"""InfoGAN: a generator whose codes can be read from its images."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.images import from_uint8
from keras_gen.losses import class_cross_entropy, gaussian_log_likelihood, mean
from keras_gen.models.adversarial.gan import GAN
from keras_gen.networks.build import Laws, call
from keras_gen.signatures.draws import sample_inputs
from keras_gen.signatures.law import UNIFORM, Law
from keras_gen.signatures.signature import Signature, signature

MEASURED_IMAGES = 10_000
SMALLEST_LOG_VARIANCE = -6.0  # of a continuous code: a density without such an end grows without bound


@keras.saving.register_keras_serializable("keras_gen")
class InfoGAN(GAN):
    """InfoGAN: a GAN with interpretable codes, learned without labels.

    Beside latents, the generator has a category and continuous codes as inputs. A head Q on the discriminator's
    features reads them from generated images: a softmax over the categories, and mean and variance of a Gaussian for
    each continuous code. Their negative log-likelihood in nats, `info` and `continuous`, is in both losses. With the
    entropy ln K of K categories, ln K - `info` is a lower bound of the information between category and image.

    Args:
        num_categories: values K of the categorical code, the generator's input `category`, int32 (B,), all equally
            likely.
        continuous: number of continuous codes, the generator's input `code`, float32 (B, `continuous`), uniform on
            [-1, 1); 0 is none.
        info_weight: of `info`, the paper's lambda; 0 is the control.
        continuous_weight: of `continuous`, which is a sum over the codes.
        latent_dim: number of latent coordinates that nothing is read from.
        architecture: as for `GAN`; so are the following.
        hidden: widths of the generator's dense layers, by default the paper's for MNIST; the discriminator has them in
            reverse.
        norm: of the generator's layers.
        dropout: share of the discriminator's hidden units that are left out in training.
        latent: prior of the latents.
        **kwargs: of `GAN`. An injected generator takes `category` and `code`, too; an injected discriminator gives
            (B, 1 + K + 2 `continuous`): a logit, logits of the categories, means, log variances. Those of its layers
            whose names begin with `codes_` are Q's head.

    Raises:
        UsageError: as for `GAN`; a negative number of codes.

    Example:
        >>> model = keras_gen.InfoGAN(image_shape=(28, 28, 1))
        >>> model.compile()
        >>> model.fit(images, batch_size=128, epochs=10)
        >>> model.sample(16, seed=0, category=3).shape
        (16, 28, 28, 1)
        >>> model.run("infer", image=images[:16])["category_probability"].shape
        (16, 10)

    Reference:
        Chen, Duan, Houthooft, Schulman, Sutskever and Abbeel, "InfoGAN: Interpretable Representation Learning by
        Information Maximizing Generative Adversarial Nets", 2016, arXiv:1606.03657: Adam 2e-4 for the discriminator
        and 1e-3 for the generator, beta_1 0.5.

    Deviations: kernels of 5 in place of 4; a slope of 0.2 in place of 0.1 in the discriminator. The generator's player
    moves Q's head, the discriminator's its features; the authors' code gives both to the discriminator's. A standard
    deviation of Q is learned, and stays above 0.05.
    """

    def __init__(
        self,
        num_categories: int = 10,
        continuous: int = 2,
        info_weight: float = 1.0,
        continuous_weight: float = 0.1,
        latent_dim: int = 62,
        architecture: str = "conv",
        hidden: Sequence[int] | None = (1024,),
        norm: str = "batch",
        dropout: float = 0.0,
        latent: str = "uniform",
        **kwargs: Any,
    ):
        # First: the networks depend on them.
        self.num_categories = positive("num_categories", num_categories)
        if continuous < 0:
            raise UsageError(f"continuous is {continuous}; expected a number of codes, at least 0")
        self.continuous = continuous
        made = {"architecture": architecture, "hidden": hidden, "norm": norm, "dropout": dropout}
        super().__init__(latent_dim=latent_dim, latent=latent, **made, **kwargs)
        self.info_weight, self.continuous_weight = info_weight, continuous_weight

    @staticmethod
    def paper_optimizer(player: str) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer of a player; the generator's learning rate is five times as large."""
        return keras.optimizers.Adam({"d": 2e-4, "g": 1e-3}[player], beta_1=0.5)

    def laws(self) -> Laws:
        """Adds the codes."""
        codes = {"category": ((None,), Law("classes", self.num_categories))}
        if self.continuous:
            codes["code"] = ((None, self.continuous), UNIFORM)
        return {**super().laws(), **codes}

    def judged(self) -> dict[str, Any]:
        """Gives the discriminator the head Q."""
        return {"codes": self.num_categories + 2 * self.continuous}

    def networks_of(self, player: str) -> tuple:
        """Gives the head to the generator's player, and all layers below it to the discriminator's."""
        head = tuple(layer for layer in self.discriminator.layers if layer.name.startswith("codes_"))
        if player == "g":
            return (self.generator, *head)
        return tuple(layer for layer in self.discriminator.layers if layer not in head)

    def logit(self, output: tf.Tensor) -> tf.Tensor:
        """Returns the column that tells real from fake."""
        return output[:, :1]

    # --- loss --------------------------------------------------------------------------------------------------------

    def term_weights(self) -> tuple[dict[str, float], dict[str, float]]:
        """Adds the codes to both losses."""
        d, g = super().term_weights()
        codes = {"info": self.info_weight, **({"continuous": self.continuous_weight} if self.continuous else {})}
        return {**d, **codes}, {**g, **codes}

    def discriminator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds how well Q reads the codes."""
        return {**super().discriminator_terms(batch, training), **self.surprise(batch, training)}

    def generator_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Adds how well Q reads the codes."""
        return {**super().generator_terms(batch, training), **self.surprise(batch, training)}

    def surprise(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the negative log-likelihood of the codes under Q in nats, for images that were judged already."""
        given = self.given(batch, training)
        logits, means, log_variance = self.read(batch.once("fake_logits", None))
        terms = {"info": class_cross_entropy(given["category"], logits)}
        if self.continuous:
            terms["continuous"] = -mean(gaussian_log_likelihood(given["code"], means, log_variance))
        return terms

    def read(self, output: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns Q's outputs: logits (B, K) of the categories, means and log variances of the continuous codes."""
        sizes = (1, self.num_categories, self.continuous, self.continuous)
        _, logits, means, raw = tf.split(output, sizes, axis=-1)
        return logits, means, SMALLEST_LOG_VARIANCE + tf.nn.softplus(raw - SMALLEST_LOG_VARIANCE)

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `generate`, and `infer`: images to Q's estimates of their codes."""

        def infer(image):
            logits, means, log_variance = self.read(call(self.discriminator, {"image": image}, training=False))
            found = {"category_probability": tf.nn.softmax(logits)}
            return found | ({"code_mean": means, "code_log_variance": log_variance} if self.continuous else {})

        meta = {"image.range": "[-1, 1]", "image.layout": "NHWC"}
        return {**super().signatures(), "infer": signature(infer, {"image": (None, *self.image_shape)}, meta)}

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns figures of what the codes mean.

        `cluster_accuracy`, with labels: share of test images whose likeliest category is that of their class, where a
        category means the class of most training images in it. `information`: the bound in nats. `slant_spearman` and
        `width_spearman`: of the continuous code for which it is largest, the rank correlation with slant or width of
        the images, averaged over categories.
        """
        rng = np.random.default_rng(seed)
        found = {}
        if all("label" in part.arrays for part in (train, test)):
            (known, labels), (asked, wanted) = (self._clustered(part, rng) for part in (train, test))
            table = np.zeros((self.num_categories, max(labels.max(), wanted.max()) + 1))
            np.add.at(table, (known, labels), 1)
            found["cluster_accuracy"] = float(np.mean(table.argmax(axis=1)[asked] == wanted))

        generate = self.signatures()["generate"]
        shapes = {name: spec.shape.as_list() for name, spec in generate.inputs.items()}
        given = sample_inputs(shapes, generate.meta, 200 * self.num_categories, seed)
        images = self.run("generate", 256, **given)["image"]
        category = given["category"]
        probability = self.run("infer", 256, image=images)["category_probability"]
        chosen = np.maximum(probability[np.arange(len(category)), category], 1e-12)
        found["information"] = float(math.log(self.num_categories) + np.mean(np.log(chosen)))
        if self.continuous:
            groups = [category == value for value in range(self.num_categories)]
            for name, trait in zip(("slant", "width"), slant_and_width(images), strict=True):
                by_code = [
                    np.mean([rank_correlation(code[group], trait[group]) for group in groups])
                    for code in given["code"].T
                ]
                found[f"{name}_spearman"] = float(np.abs(by_code).max())
        return found

    def _clustered(self, examples, rng):
        """Returns categories and labels of some images."""
        order = np.sort(rng.permutation(len(examples))[:MEASURED_IMAGES])
        image = from_uint8(examples.arrays["image"][order])
        probability = self.run("infer", 256, image=image)["category_probability"]
        return probability.argmax(axis=1), np.asarray(examples.arrays["label"])[order]


def slant_and_width(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how figures in images (n, H, W, C) in [-1, 1] lean and spread, by the moments of their brightness.

    The slant is the regression of columns on rows, above 0 where a figure leans to the left at its top; the width is
    the standard deviation of columns, in pixels, of the figure put upright.
    """
    ink = (np.asarray(images, np.float64).mean(axis=-1) + 1) / 2 + 1e-9  # (n, H, W)
    ink /= ink.sum(axis=(1, 2), keepdims=True)
    y, x = (np.arange(side, dtype=np.float64) for side in ink.shape[1:])
    rows, columns = ink.sum(axis=2), ink.sum(axis=1)
    y = y - (rows @ y)[:, None]  # (n, H), from the center
    x = x - (columns @ x)[:, None]
    vertical = (rows * y**2).sum(axis=1)
    horizontal = (columns * x**2).sum(axis=1)
    slant = np.einsum("nij,ni,nj->n", ink, y, x) / np.maximum(vertical, 1e-9)
    return slant, np.sqrt(np.maximum(horizontal - slant**2 * vertical, 0))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Spearman's rank correlation of two series, 0 where one never changes."""
    from scipy.stats import spearmanr

    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else float(spearmanr(a, b).statistic)

"""Watches a game for the ways in which it is known to fail."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.callbacks.quality import EverySteps
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch

WIDTH = 0.2  # of the kernel that tells images apart, as a share of the mean distance of two real ones


class GANHealth(EverySteps):
    """Watches a game for the ways in which it is known to fail, and says which one and what to try.

    A failure is told once, as a warning, until it has gone away and come back: `nan` (a loss is not finite),
    `discriminator_at_zero` (its loss without further terms, such as of classes, is near 0: nothing is left to learn
    from it), `vanishing_gradient` (the gradient of the generator's whole loss is tiny beside its weights),
    `low_diversity` (samples are much more alike than real images, or far fewer are distinct: mode collapse).

    The gradient is that of the networks in training, whether or not a moving average follows them; samples are those of
    `sample`, of the average where there is one. Labels of a labelled game come in turn.

    Two figures tell diversity, each as a share of that of as many real images: the mean distance of two samples, which
    falls when all are near each other, and the effective number of distinct ones, which falls when they are near a few
    (Friedman and Dieng, "The Vendi Score", 2022, arXiv:2210.02410, with a Gaussian kernel a fifth as wide as the mean
    distance of two real images). The smaller counts. An untrained generator has little of either: it is believed to
    have collapsed when two looks in a row say so.

    Args:
        real: some real images (n, H, W, C), the yardstick of diversity; without them it is not watched.
        every: train steps between two looks.
        n: samples in a look.
        loss: discriminator loss that counts as zero. Of Wasserstein and hinge critics it is not watched.
        gradient: norm of the generator's gradient, as a share of the norm of its weights, that counts as vanished.
        diversity: share of the real images' diversity that counts as low.
        seed: of the samples.

    Raises:
        UsageError: `fit` of a model without a player `"g"`, or one whose batches hold more than images and conditions.

    Attributes:
        history: one dict of measurements for each look.
        failures: names of the failures that are present now.
    """

    ADVICE = {
        "nan": "lower the learning rates, or check the data",
        "discriminator_at_zero": "slow the discriminator: a lower d_optimizer rate, dropout, or smoothed labels",
        "vanishing_gradient": "use adversarial='non_saturating' or a Wasserstein critic",
        "low_diversity": "a lower g_optimizer rate, minibatch statistics, or another loss: the generator has collapsed",
    }

    def __init__(
        self,
        real: np.ndarray | None = None,
        every: int = 200,
        n: int = 64,
        loss: float = 0.02,
        gradient: float = 1e-6,
        diversity: float = 0.3,
        seed: int = 0,
    ):
        super().__init__(every)
        self.n, self.seed = n, seed
        self.least = {"loss": loss, "gradient": gradient, "diversity": diversity}
        self.real = real = None if real is None else np.asarray(real)[:n]
        self.real_distance = None if real is None else _mean_distance(real)
        self.real_distinct = None if real is None else _distinct(real, WIDTH * self.real_distance)
        self.history: list[dict[str, float]] = []
        self.failures: set[str] = set()

    def on_train_begin(self, logs: Any = None) -> None:
        """Refuses what it cannot look at, before the first step."""
        name = type(self.model).__name__
        if "g" not in (player.name for player in self.model.players()):
            raise UsageError(f"GANHealth watches a game with a player 'g', which {name} has not; leave it out")
        other = sorted(set(self.model.expects()) - {"image", *self.model.conditions()})
        if other:
            raise UsageError(f"GANHealth knows images and conditions, and {name} also takes {other[0]!r}; leave it out")
        if any(signature.meta.get("given") for signature in self.model.signatures().values()):
            raise UsageError(f"GANHealth looks at samples of latents, and {name} makes images of images; leave it out")

    def look(self, logs: Mapping[str, Any]) -> None:
        """Measures, and warns of what is new."""
        losses = {name: float(value) for name, value in logs.items() if name.endswith("loss")}
        found = {"d_loss": losses.get("d_loss", math.nan), "gradient": self._gradient()}
        if self.real_distance:
            samples = self.model.sample(self.n, seed=self.seed)
            found["diversity"] = _mean_distance(samples) / self.real_distance
            found["distinct"] = _distinct(samples, WIDTH * self.real_distance) / self.real_distinct
        self.history.append(found)
        present = {
            "nan": not all(map(math.isfinite, [*losses.values(), found["gradient"]])),
            "discriminator_at_zero": self._bounded() and self._adversarial(logs) < self.least["loss"],
            "vanishing_gradient": found["gradient"] < self.least["gradient"],
            "low_diversity": all(
                min(look.get("diversity", math.inf), look.get("distinct", math.inf)) < self.least["diversity"]
                for look in (self.history[-2:] if len(self.history) > 1 else [{}])
            ),
        }
        now = {name for name, here in present.items() if here}
        for name in sorted(now - self.failures):
            measured = ", ".join(f"{key} {value:.3g}" for key, value in found.items())
            warnings.warn(f"{name.replace('_', ' ')} ({measured}): {self.ADVICE[name]}", stacklevel=2)
        self.failures = now

    def _bounded(self):
        """Whether the discriminator's loss is positive, and 0 only for one that is never wrong."""
        return getattr(self.model, "adversarial", "") in ("minimax", "non_saturating", "least_squares")

    def _adversarial(self, logs):
        """Returns the discriminator's loss without its further terms."""
        player = next(player for player in self.model.players() if player.name == "d")
        terms = {term: float(logs.get(player.prefixed(term), 0.0)) for term in player.terms}
        return float(logs.get("d_loss", math.nan)) - float(player.total(terms) if terms else 0.0)

    def _gradient(self):
        """Returns the norm of the generator's gradient over the norm of its weights, on fixed latents."""
        model = self.model
        player = next(player for player in model.players() if player.name == "g")
        generator = model.test_seed_generator
        state = np.asarray(generator.state)
        generator.state.assign([self.seed, 0])
        try:
            batch = self._batch()
            with model.without_averages(), tf.GradientTape() as tape:
                loss = player.total(player.losses(batch, False))
            gradients = tape.gradient(loss, player.variables)
        finally:
            generator.state.assign(state)
        weights = tf.linalg.global_norm([variable.value for variable in player.variables])
        return float(tf.linalg.global_norm([value for value in gradients if value is not None]) / weights)

    def _batch(self):
        """Returns what a batch holds: real images, in their absence samples, and conditions drawn in turn."""
        image = self.model.sample(self.n, seed=self.seed) if self.real is None else self.real.astype(np.float32)
        rng = np.random.default_rng(self.seed)
        drawn = {name: law.draw((len(image),), rng) for name, law in self.model.conditions().items()}
        return Batch({name: tf.constant(value) for name, value in {"image": image, **drawn}.items()})


def _mean_distance(images):
    """Returns the root mean squared distance between two of the images."""
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    return float(np.sqrt(2 * len(flat) / max(len(flat) - 1, 1) * flat.var(axis=0).sum()))


def _distinct(images, scale):
    """Returns the effective number of different images: the exponential of the entropy of their kernel's spectrum."""
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    products = flat @ flat.T
    squared = np.maximum(np.diag(products)[:, None] + np.diag(products) - 2 * products, 0)
    spectrum = np.linalg.eigvalsh(np.exp(-squared / (2 * scale**2)) / len(flat))
    spectrum = spectrum[spectrum > 1e-12]
    return float(np.exp(-np.sum(spectrum * np.log(spectrum))))

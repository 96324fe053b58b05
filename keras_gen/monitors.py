"""Callbacks that watch quality and health during training; all are in `keras_gen.callbacks`, too."""

import importlib.util
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.batch import Batch
from keras_gen.errors import UsageError

WIDTH = 0.2  # of the kernel that tells images apart, as a share of the mean distance of two real ones


class _EverySteps(keras.callbacks.Callback):
    """Calls `look` every so many calls of the train function, which are train steps unless it takes several at once."""

    def __init__(self, every: int):
        super().__init__()
        if every < 1:
            raise UsageError(f"every is {every}; expected at least 1 step")
        self.every, self._since = every, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the step."""
        self._since += 1
        if self._since >= self.every:
            self._since = 0
            self.look(logs or {})

    def look(self, logs: Mapping[str, Any]) -> None:
        """Does what is to be done now and then."""
        raise NotImplementedError


class Quality(_EverySteps):
    """Measures samples of fixed latents during training, and adds the figures to the logs of each epoch.

    Put it before callbacks that read the logs (`CSVLogger`, `ModelCheckpoint`).

    Args:
        metrics: name to function of samples, float32 (n, H, W, C) in [-1, 1], that returns a number.
        every: train steps between two measurements.
        n: samples.
        seed: of the samples.

    Example:
        ```python
        judge = keras_gen.metrics.Judge.for_data("digits")
        real = judge.features(test_images)
        fd = lambda images: keras_gen.metrics.frechet_distance(real, judge.features(images))
        model.fit(images, callbacks=[keras_gen.callbacks.Quality({"fd": fd}, every=500)])
        ```
    """

    def __init__(
        self, metrics: Mapping[str, Callable[[np.ndarray], float]], every: int = 500, n: int = 1000, seed: int = 0
    ):
        super().__init__(every)
        self.metrics, self.n, self.seed = dict(metrics), n, seed
        self.history: dict[str, list[float]] = {name: [] for name in self.metrics}

    def look(self, logs: Mapping[str, Any]) -> None:
        """Measures."""
        samples = self.model.sample(self.n, seed=self.seed)
        for name, metric in self.metrics.items():
            self.history[name].append(float(metric(samples)))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Adds the newest figures to the epoch's logs."""
        if logs is not None:
            if not all(self.history.values()):
                self.look(logs)
            logs.update({name: values[-1] for name, values in self.history.items()})


class GANHealth(_EverySteps):
    """Watches a game for the ways in which it is known to fail, and says which one and what to try.

    A failure is told once, as a warning, until it has gone away and come back: `nan` (a loss is not finite),
    `discriminator_at_zero` (its loss is near 0: nothing is left to learn from it), `vanishing_gradient` (the
    generator's gradient is tiny beside its weights), `low_diversity` (samples are much more alike than real images, or
    far fewer are distinct: mode collapse).

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
        real = None if real is None else np.asarray(real)[:n]
        self.real_distance = None if real is None else _mean_distance(real)
        self.real_distinct = None if real is None else _distinct(real, WIDTH * self.real_distance)
        self.history: list[dict[str, float]] = []
        self.failures: set[str] = set()

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
            "discriminator_at_zero": self._bounded() and found["d_loss"] < self.least["loss"],
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

    def _gradient(self):
        """Returns the norm of the generator's gradient over the norm of its weights, on fixed latents."""
        player = next(player for player in self.model.players() if player.name == "g")
        state = np.asarray(self.model.test_seed_generator.state)
        self.model.test_seed_generator.state.assign([self.seed, 0])
        with tf.GradientTape() as tape:
            terms = player.loss(Batch(image=self.model.sample(self.n, seed=self.seed)), False)
            loss = tf.add_n(list(terms.values()))
        gradients = [value for value in tape.gradient(loss, player.variables) if value is not None]
        self.model.test_seed_generator.state.assign(state)
        weights = tf.linalg.global_norm([variable.value for variable in player.variables])
        return float(tf.linalg.global_norm(gradients) / weights)


class TraversalImages(keras.callbacks.Callback):
    """Writes traversals of latent coordinates to TensorBoard at the end of epochs.

    Args:
        folder: of the TensorBoard logs.
        coordinates: one row for each.
        steps: images in a row, from -3 to 3, or from -1 to 1 for uniform latents.
        every: epochs between two pictures.
        seed: of the latents that are moved.

    Raises:
        UsageError: TensorBoard is not installed.
    """

    def __init__(
        self,
        folder: str | Path,
        coordinates: tuple[int, ...] = (0, 1, 2, 3),
        steps: int = 8,
        every: int = 1,
        seed: int = 0,
    ):
        super().__init__()
        if importlib.util.find_spec("tensorboard") is None:
            raise UsageError("TraversalImages needs tensorboard, which is absent: pip install keras-gen[tensorboard]")
        self.folder, self.coordinates, self.steps, self.every, self.seed = folder, coordinates, steps, every, seed
        self._writer: Any = None

    def picture(self) -> np.ndarray:
        """Returns the grid, uint8 (H, W, C)."""
        from keras_gen import images, latent

        decoder = latent.decoder(self.model)
        start = decoder.draw(1, self.seed)
        rows = [latent.traverse(start, k, latent.span(decoder.law, self.steps)) for k in self.coordinates]
        latents = np.concatenate([np.asarray(row).reshape(-1, start.shape[-1]) for row in rows])
        return images.grid(decoder(latents), self.steps)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the picture."""
        if (epoch + 1) % self.every:
            return
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default():
            tf.summary.image("latent traversal", self.picture()[None], step=epoch)
        self._writer.flush()


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

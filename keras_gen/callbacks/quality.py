"""Figures and pictures of samples during training."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen import images, latent
from keras_gen.errors import UsageError


class EverySteps(keras.callbacks.Callback):
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
        """Called every N steps."""
        raise NotImplementedError


class Quality(EverySteps):
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

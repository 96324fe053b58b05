"""Judges: classifiers of the user's own labelled data, on whose features every model of that data is measured."""

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_gen import data
from keras_gen.callbacks.progress import ProgressLine
from keras_gen.data import store
from keras_gen.data.examples import Examples
from keras_gen.data.messages import notice
from keras_gen.data.splits import held_out
from keras_gen.errors import UsageError, near_misses
from keras_gen.files import writing
from keras_gen.images import from_uint8
from keras_gen.metrics.checks import class_labels

# Plain data, and a part of the cache's key: another recipe is another judge.
RECIPE = {
    "filters": 32,  # of the first stage; later ones have twice as many
    "smallest": 4,  # stages halve the image until its shorter side is at most this
    "features": 64,
    "dropout": 0.3,
    "batch_size": 128,
    "learning_rate": 2e-3,  # of Adam, falling to 0 along a cosine
    "epochs": 4,
    "least_steps": 500,  # small sets are passed more often
}
NEIGHBOR_RECIPE = {"components": 64, "neighbors": 5, "least_variance": 1e-4}  # as a share of the largest

_BLOCK = 256  # images in a forward pass
_HELD_OUT = 1 / 7  # of each class, where a set has no test split
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


class Judged(NamedTuple):
    """What a judge says of images."""

    features: np.ndarray  # (n, d) float32
    labels: np.ndarray  # (n,) int32


class Judge:
    """A small convolutional classifier, with 64 features before its last layer.

    Make it with `for_data`, or with `train` from arrays.

    Args:
        network: maps (B, H, W, C) in [-1, 1] to a dict of `features` (B, d) and `logits` (B, classes).
        accuracy: on held-out real examples, a share.
        name: of the data.

    Example:
        ```python
        judge = keras_gen.metrics.Judge.for_data("mnist.npz")
        judge.accuracy, judge.features(images), judge.labels(images)
        ```
    """

    kind = "cnn"

    def __init__(self, network: keras.Model, accuracy: float, name: str = ""):
        self.network, self.accuracy, self.name = network, float(accuracy), name
        self.image_shape = tuple(network.input_shape[1:])
        self.digest = store.digest({f"{i:03d}": value for i, value in enumerate(network.get_weights())})[:16]

    @classmethod
    def for_data(
        cls,
        examples: Examples | str | os.PathLike,
        test: Examples | None = None,
        seed: int = 0,
        recipe: Mapping[str, Any] | None = None,
        image_size: int | tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> "Judge":
        """Loads the judge of a data set from the cache, or trains it: two models then meet the same judge.

        The cache is the folder `KERAS_GEN_CACHE` (default `~/.cache/keras_gen`); a judge is found by the digests of its
        data, its recipe and its seed.

        Args:
            examples: labelled train examples, or a name or path that `keras_gen.data.load` knows.
            test: labelled examples on which `accuracy` is measured. By default the set's test split; without one, a
                seventh of each class is held out at random.
            seed: of the weights and of the order of the examples.
            recipe: changes of `RECIPE`.
            image_size: for a name or path, as in `keras_gen.data.load`.
            channels: for a name or path, as in `keras_gen.data.load`.

        Raises:
            UsageError: no such data, no labels, or an unknown entry of the recipe.
        """
        recipe = _recipe(cls.default_recipe(), recipe)
        train, test = _splits(examples, test, image_size, channels, _labelled)
        key = json.dumps([cls.kind, *(_digest(part) for part in (train, test)), recipe, int(seed), 1], sort_keys=True)
        slug = re.sub(r"[^\w-]+", "_", train.name)[-40:] or "data"
        path = store.cache_folder() / "judges" / f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        judge = cls._load(path, train, recipe)
        if judge is None:
            judge = cls.train(train, test, seed, recipe)
            try:
                writing.write(path, judge._bytes())
            except writing.WriteError as error:  # a judge is of use without its cache
                notice(f"the judge is not kept: {error}")
        return judge

    @classmethod
    def train(
        cls, examples: Examples, test: Examples, seed: int = 0, recipe: Mapping[str, Any] | None = None
    ) -> "Judge":
        """Trains a judge, which depends on nothing but its arguments; the cache is not touched.

        Args:
            examples: labelled train examples.
            test: labelled examples on which `accuracy` is measured.
            seed: as for `for_data`.
            recipe: changes of `RECIPE`.

        Raises:
            UsageError: no labels, or an unknown entry of the recipe.
        """
        recipe = _recipe(cls.default_recipe(), recipe)
        for part in (examples, test):
            _labelled(part)
        network = _network(_shape(examples), _classes(examples), recipe, seed)
        batch = min(recipe["batch_size"], len(examples))
        per_epoch = examples.steps(batch, drop_remainder=True)
        steps = max(recipe["least_steps"], recipe["epochs"] * per_epoch)
        network.compile(
            keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(recipe["learning_rate"], steps)),
            {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        )
        only = Examples({name: examples.arrays[name] for name in ("image", "label")})
        stream = only.stream(batch, seed, drop_remainder=True)
        stream = stream.map(lambda batch: (batch["image"], {"logits": batch["label"]}))
        progress = ProgressLine(f"training a judge of {examples.name or 'the data'}")
        network.fit(stream, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[progress])
        judge = cls(network, 0.0, examples.name)
        judge.accuracy = judge._accuracy_on(test)
        return judge

    @staticmethod
    def default_recipe() -> dict[str, Any]:
        """Returns a copy of the recipe."""
        return dict(RECIPE)

    def __call__(self, images: np.ndarray) -> Judged:
        """Returns features and labels of images from one pass.

        Args:
            images: (n, H, W, C), uint8, or float32 in [-1, 1].

        Raises:
            UsageError: images of another shape.
        """
        out = [self.network(block, training=False) for block in _blocks(images, self.image_shape)]
        features, logits = (np.concatenate([part[name].numpy() for part in out]) for name in ("features", "logits"))
        return Judged(features, logits.argmax(axis=1).astype(np.int32))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns (n, d) features of images (n, H, W, C), uint8, or float32 in [-1, 1]."""
        return self(images).features

    def labels(self, images: np.ndarray) -> np.ndarray:
        """Returns the class (n,) that the judge sees in each image."""
        return self(images).labels

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.network.output["logits"].shape[-1]

    def _accuracy_on(self, test):
        return float(np.mean(self.labels(test.arrays["image"]) == test.arrays["label"]))

    def _bytes(self):
        held = io.BytesIO()
        weights = {f"w{i:03d}": value for i, value in enumerate(self.network.get_weights())}
        np.savez(held, accuracy=np.float64(self.accuracy), classes=np.int64(self.classes), **weights)
        return held.getvalue()

    @classmethod
    def _load(cls, path, train, recipe):
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
                network = _network(_shape(train), int(held["classes"]), recipe, 0)
                weights = [held[name] for name in sorted(held.files) if name.startswith("w")]
                network.set_weights(weights)
                return cls(network, float(held["accuracy"]), train.name)
        except _BROKEN:  # absent, or not whole: it is trained again
            return None


class NeighborJudge:
    """A second opinion without a network: the k nearest neighbors in whitened principal components of the pixels.

    It takes the same arguments and has the same attributes as `Judge`. Fitting takes seconds, so nothing is cached.
    Features need no labels: of examples without them it sees no classes, `classes` is 0 and `accuracy` is `None`.

    Args:
        components: a fitted `sklearn.decomposition.PCA`.
        neighbors: a fitted `sklearn.neighbors.KNeighborsClassifier` on its output; `None` sees no classes.
        image_shape: (H, W, C).
        name: of the data.
    """

    kind = "neighbors"

    def __init__(self, components: Any, neighbors: Any, image_shape: tuple[int, int, int], name: str = ""):
        self.components, self.neighbors = components, neighbors
        self.image_shape, self.name = tuple(image_shape), name
        self.accuracy: float | None = None
        self.classes = int(neighbors.classes_.max()) + 1 if neighbors else 0
        parts = {"mean": components.mean_, "axes": components.components_, "scale": components.explained_variance_}
        self.digest = store.digest({"kind": np.frombuffer(self.kind.encode(), np.uint8), **parts})[:16]

    @classmethod
    def for_data(
        cls,
        examples: Examples | str | os.PathLike,
        test: Examples | None = None,
        seed: int = 0,
        recipe: Mapping[str, Any] | None = None,
        image_size: int | tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> "NeighborJudge":
        """Fits the judge of a data set; arguments as for `Judge.for_data`, and examples may have no labels.

        Raises:
            UsageError: no such data, no images, or an unknown entry of the recipe.
        """
        return cls.train(*_splits(examples, test, image_size, channels, _pictured), seed, recipe)

    @classmethod
    def train(
        cls, examples: Examples, test: Examples, seed: int = 0, recipe: Mapping[str, Any] | None = None
    ) -> "NeighborJudge":
        """Fits a judge; arguments as for `Judge.train`, and examples may have no labels.

        Raises:
            UsageError: no images, or an unknown entry of the recipe.
        """
        from sklearn.decomposition import PCA
        from sklearn.neighbors import KNeighborsClassifier

        recipe = _recipe(dict(NEIGHBOR_RECIPE), recipe)
        for part in (examples, test):
            _pictured(part)
        pixels = _flat(examples.arrays["image"], _shape(examples))
        count = min(recipe["components"], *pixels.shape)
        pca = PCA(count, whiten=True, random_state=seed).fit(pixels)
        # Pixels that hardly vary must not be blown up to unit variance.
        kept = int(np.sum(pca.explained_variance_ > recipe["least_variance"] * pca.explained_variance_[0]))
        pca = pca if kept == count else PCA(max(1, kept), whiten=True, random_state=seed).fit(pixels)
        neighbors = None
        if "label" in examples.arrays:
            neighbors = KNeighborsClassifier(min(recipe["neighbors"], len(pixels)), algorithm="brute")
            neighbors.fit(pca.transform(pixels), examples.arrays["label"])
        judge = cls(pca, neighbors, _shape(examples), examples.name)
        if neighbors and "label" in test.arrays:
            judge.accuracy = float(np.mean(judge.labels(test.arrays["image"]) == test.arrays["label"]))
        return judge

    def __call__(self, images: np.ndarray) -> Judged:
        """Returns features and labels of images (n, H, W, C), uint8, or float32 in [-1, 1].

        Raises:
            UsageError: it sees no classes, or images of another shape.
        """
        if not self.classes:
            raise UsageError(f"{self.name or 'the data'} has no labels, so this judge sees no classes; call features()")
        features = self.features(images)
        return Judged(features, self.neighbors.predict(features).astype(np.int32))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns (n, d) features of images (n, H, W, C), uint8, or float32 in [-1, 1]."""
        return self.components.transform(_flat(images, self.image_shape)).astype(np.float32)

    def labels(self, images: np.ndarray) -> np.ndarray:
        """Returns the class (n,) that the judge sees in each image."""
        return self(images).labels


def _network(shape, classes, recipe, seed):
    """Stages of one convolution and one halving, then the features."""
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def weights():
        return keras.initializers.HeNormal(seed=next(seeds))

    x = image = keras.Input(shape)
    filters, side, stage = recipe["filters"], min(shape[:2]), 0
    while side > recipe["smallest"] or stage == 0:
        width = filters * min(2, 2**stage)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer=weights())(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.MaxPooling2D(2)(x) if side > 1 else x
        side, stage = side // 2, stage + 1
    x = layers.Dropout(recipe["dropout"], seed=next(seeds))(layers.Flatten()(x))
    features = layers.Dense(recipe["features"], activation="relu", kernel_initializer=weights())(x)
    logits = layers.Dense(classes, kernel_initializer=weights())(features)
    return keras.Model(image, {"features": features, "logits": logits})


def _recipe(default, changes):
    for word in changes or {}:
        if word not in default:
            raise UsageError(f"the recipe has no entry {str(word)[:30]!r}; {near_misses(str(word), default)}")
    return {**default, **(changes or {})}


def _splits(examples, test, image_size, channels, checked):
    """Returns train and test examples, checked."""
    if isinstance(examples, Examples):
        train = examples
    else:
        train = data.examples(examples, "train", image_size=image_size, channels=channels)
        if test is None:
            try:
                test = data.examples(examples, "test", image_size=image_size, channels=channels)
            except UsageError:  # it has no such split
                test = None
    checked(train)
    if test is None:
        held = held_out(len(train), train.arrays.get("label"), _HELD_OUT)
        test, train = _part(train, held), _part(train, ~held)
    return train, checked(test)


def _part(examples, rows):
    return Examples({name: value[rows] for name, value in examples.arrays.items()}, examples.classes, examples.name)


def _labelled(examples):
    if not {"image", "label"} <= set(examples.arrays):
        held = ", ".join(examples.arrays)
        raise UsageError(f"{examples.name or 'the data'} holds {held}; a judge is trained on images with labels")
    return _pictured(examples)


def _pictured(examples):
    if "image" not in examples.arrays:
        held = ", ".join(examples.arrays)
        raise UsageError(f"{examples.name or 'the data'} holds {held}; a judge is fitted on images")
    if "label" in examples.arrays:
        class_labels("label", examples.arrays["label"], len(examples))
    return examples


def _shape(examples):
    return tuple(examples.arrays["image"].shape[1:])


def _classes(examples):
    return max(len(examples.classes), int(examples.arrays["label"].max()) + 1)


def _digest(examples):
    return examples.digest or store.digest({name: examples.arrays[name] for name in ("image", "label")})


def _blocks(images, shape):
    """Yields the images in blocks, float32 in [-1, 1]."""
    images = np.asarray(images)
    if images.shape[1:] != shape or not len(images):
        raise UsageError(f"images have shape {images.shape}; this judge expects (n, {', '.join(map(str, shape))})")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UsageError(f"images are {images.dtype}; expected uint8, or floats in [-1, 1]")
    for first in range(0, len(images), _BLOCK):
        yield from_uint8(images[first : first + _BLOCK])


def _flat(images, shape):
    return np.concatenate([block.reshape(len(block), -1) for block in _blocks(images, shape)])

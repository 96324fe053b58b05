"""Real against fake under one judge, and the ladder of known damage that such figures are read against."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError
from keras_gen.images import from_uint8
from keras_gen.metrics.checks import class_labels, whole
from keras_gen.metrics.distance import frechet_distance, kid, neighborhoods
from keras_gen.metrics.figure import Figure
from keras_gen.metrics.samples import class_histogram, label_agreement

LEAST_BLUR = 0.5  # pixels: a Gaussian of less is almost nothing beside its middle


def compare(
    judge: Any,
    real: np.ndarray,
    fake: np.ndarray,
    split: str = "test",
    asked: ArrayLike | None = None,
    k: int = 5,
    seed: int = 0,
) -> dict[str, Figure]:
    """Measures fakes against real images on a judge's features.

    Args:
        judge: a `Judge`, a `NeighborJudge`, or `Inception` (which sees no classes).
        real: (n, H, W, C) real images that no model was trained on, uint8, or float32 in [-1, 1].
        fake: (m, H, W, C) samples.
        split: where `real` is from.
        asked: (m,) classes that a conditional model was given.
        k: neighbors, for precision, recall, density and coverage.
        seed: of KID's subsets.

    Returns:
        Name to figure: `fd` (the Frechet distance; never call it FID), `kid`, `kid_std`, `precision`, `recall`,
        `density`, `coverage`; of judges that see classes `class_entropy` in nats and `rarest_class`, a share; with
        `asked` `label_agreement`.

    Raises:
        UsageError: images that the judge cannot see, or too few of them.
    """
    return _figures(judge, _see(judge, real)[0], fake, split, asked, k, seed)


def _see(judge, images):
    """Returns features, and labels or None."""
    return judge(images) if _sees_classes(judge) else (judge.features(images), None)


def _sees_classes(judge):
    return callable(judge) and getattr(judge, "classes", 1) > 0


def _figures(judge, real, fake, split, asked, k, seed):
    features, labels = _see(judge, fake)
    if asked is not None and labels is None:
        raise UsageError(f"{judge.name} sees no classes; leave `asked` out, or use metrics.Judge")
    kernel = kid(real, features, seed=seed)
    values = {"fd": frechet_distance(real, features), "kid": kernel.mean, "kid_std": kernel.std}
    values |= neighborhoods(real, features, k)._asdict()
    if labels is not None:
        histogram = class_histogram(labels, judge.classes)
        values |= {"class_entropy": histogram.entropy, "rarest_class": histogram.rarest}
    if asked is not None:
        values["label_agreement"] = label_agreement(asked, labels)
    name = f"{judge.kind} of {judge.name}" if hasattr(judge, "kind") else judge.name
    name = f"{name}, {features.shape[1]} features"
    return {key: Figure(value, len(real), len(features), split, name, judge.digest) for key, value in values.items()}


class Rung(NamedTuple):
    """One row of the ladder."""

    name: str
    figures: Mapping[str, Figure]


def ladder(
    judge: Any,
    real_test: np.ndarray,
    labels: ArrayLike | None = None,
    split: str = "test",
    blur: float = 0.016,
    repeated: int = 100,
    seed: int = 0,
) -> list[Rung]:
    """Measures real images with damage of known kinds, so that a model's figures can be read against them.

    The first half of the images is the reference, the second half is what is damaged: all rows, and a model measured
    against the same first half, have equal numbers of samples.

    Args:
        judge: a `Judge`, a `NeighborJudge`, or `Inception`.
        real_test: (n, H, W, C) real images that no model was trained on, in random order.
        labels: (n,) their classes; without them, what the judge sees, if it sees classes.
        split: where they are from.
        blur: standard deviation of the blur, as a share of the images' shorter side; at least half a pixel, below which
            it changes nothing.
        repeated: different images in the row that repeats them.
        seed: of the noise, of the choice of images, and of KID's subsets.

    Returns:
        Rows in the order: real, blurred, one class absent, few images repeated, class means, noise. Those of classes
        are left out where none are known.

    Raises:
        UsageError: too few images, or all of one class.

    Example:
        ```python
        for name, figures in ladder(judge, test_images, test_labels):
            print(f"{name:20} {figures['fd'].value:8.2f}")
        ```
    """
    from scipy.ndimage import gaussian_filter

    images = np.asarray(real_test)
    half = len(images) // 2
    repeated = whole("repeated", repeated)
    if half < max(repeated, 2):
        raise UsageError(f"there are {len(images)} images; expected at least {2 * max(repeated, 2)}")
    reference, other = _see(judge, images[:half])[0], images[half : 2 * half]
    if labels is not None:
        labels = class_labels("labels", labels, len(images))[half : 2 * half]
    elif _sees_classes(judge):
        labels = judge.labels(other)
    other = from_uint8(other)
    rng = np.random.default_rng(seed)
    sigma = max(blur * min(other.shape[1:3]), LEAST_BLUR)
    damaged = {"real": other, "blurred": gaussian_filter(other, (0, sigma, sigma, 0))}
    absent, means = ({}, {}) if labels is None else _without_classes(other, labels)
    damaged |= absent
    damaged[f"{repeated} repeated"] = other[rng.choice(half, repeated, replace=False)][np.arange(half) % repeated]
    damaged |= means
    damaged["noise"] = rng.uniform(-1, 1, other.shape).astype(np.float32)
    return [Rung(name, _figures(judge, reference, fake, split, None, 5, seed)) for name, fake in damaged.items()]


def _without_classes(images, labels):
    """Returns, by their names, images without those of the last class, and each image's class mean."""
    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise UsageError(f"all images are of class {classes[0]}; expected at least 2 classes")
    rest = images[labels != classes[-1]]
    means = np.stack([images[labels == label].mean(axis=0) for label in classes])
    absent = rest[np.arange(len(images)) % len(rest)]
    return {f"{len(classes) - 1} of {len(classes)} classes": absent}, {"class means": means[index]}

"""What samples themselves tell: their classes, modes, bits, pixels and paths."""

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError
from keras_gen.information import entropy
from keras_gen.metrics.checks import array, class_labels, floats, rows, whole
from keras_gen.metrics.codes import linear_probe

_BLOCK = 2**21  # pixels that are compared at a time: a dozen such arrays are held in float64
EQUAL = 100.0  # decibels of images without a difference, in a mean


class ClassHistogram(NamedTuple):
    """How often each class occurs."""

    counts: np.ndarray  # (classes,)
    entropy: float  # of the shares, in nats; ln(classes) when all are equally frequent
    rarest: float  # share of the rarest class


def class_histogram(labels: ArrayLike, classes: int) -> ClassHistogram:
    """Counts the classes that a judge sees in samples: a class that is never seen is a dropped mode.

    Args:
        labels: (n,) whole numbers from 0.
        classes: how many there are.

    Raises:
        UsageError: a label is out of range.
    """
    classes = whole("classes", classes)
    labels = class_labels("labels", labels)
    if labels.max() >= classes:
        raise UsageError(f"label {labels.max()} is out of range; expected 0 to {classes - 1}")
    counts = np.bincount(labels, minlength=classes)
    return ClassHistogram(counts, entropy(counts / len(labels)), float(counts.min() / len(labels)))


def label_agreement(asked: ArrayLike, judged: ArrayLike) -> float:
    """Returns the share of samples in which a judge sees the class that was asked for.

    Args:
        asked: (n,) labels that a conditional model was given.
        judged: (n,) labels that a judge gave to its samples.

    Raises:
        UsageError: the lengths differ.
    """
    asked = class_labels("asked", asked)
    return float(np.mean(asked == class_labels("judged", judged, len(asked))))


def classifier_accuracy_score(
    fake: ArrayLike,
    fake_labels: ArrayLike,
    real: ArrayLike,
    real_labels: ArrayLike,
    classifier: Any = None,
) -> float:
    """Trains a classifier on fakes and returns its accuracy on real examples.

    Low scores tell of missing variety within the classes, which label agreement does not see. All that the classifier
    knows of the classes must come from the fakes: give images. Features of a judge lay the real classes apart already,
    so that on them one prototype of each class scores as if it were many.

    Args:
        fake: images (m, ...).
        fake_labels: (m,) the classes that were asked for.
        real: images (n, ...) that neither the model nor the classifier was trained on.
        real_labels: (n,) their true classes.
        classifier: anything with `fit(x, y)` and `predict(x)`; by default logistic regression on standardized pixels,
            as for `linear_probe`. A classifier of your own gets the arrays as they are.

    Returns:
        A share in [0, 1]; compare it with that of the same classifier trained on as many real examples.

    Raises:
        UsageError: lengths or features differ.

    Deviations:
        The paper trains a ResNet-50 on the pixels, as many as there are training images; here it is linear.

    Reference:
        Ravuri and Vinyals 2019, arXiv:1905.10887.
    """
    flat_fake, flat_real = rows("fake", fake), rows("real", real)
    if flat_fake.shape[1] != flat_real.shape[1]:
        raise UsageError(f"fake has {flat_fake.shape[1]} features and real {flat_real.shape[1]}; expected the same")
    fake_labels = class_labels("fake_labels", fake_labels, len(flat_fake))
    real_labels = class_labels("real_labels", real_labels, len(flat_real))
    if classifier is not None:
        predicted = classifier.fit(np.asarray(fake), fake_labels).predict(np.asarray(real))
        return float(np.mean(np.asarray(predicted) == real_labels))
    if len(set(fake_labels.tolist())) == 1:  # nothing to learn: the one class is the answer
        return float(np.mean(real_labels == fake_labels[0]))
    return linear_probe(flat_fake, fake_labels, flat_real, real_labels)


def within_class_variance(images: ArrayLike, labels: ArrayLike) -> float:
    """Returns how much images of one class vary: the mean over classes and pixels of the variance within a class.

    A conditional model that draws one prototype of each class agrees with every label, and has next to none.

    Args:
        images: images or features (n, ...).
        labels: (n,) their classes; those of fewer than two examples do not count.

    Returns:
        In the square of the images' unit; compare it with that of real images.

    Raises:
        UsageError: the lengths differ, or no class has two examples.
    """
    flat = rows("images", images).astype(np.float64)
    labels = class_labels("labels", labels, len(flat))
    classes = [label for label, count in enumerate(np.bincount(labels)) if count > 1]
    if not classes:
        raise UsageError(f"no class has two examples among {len(labels)}; give more images")
    return float(np.mean([flat[labels == label].var(axis=0, ddof=1).mean() for label in classes]))


class ModeCoverage(NamedTuple):
    """What `mode_coverage` found."""

    modes: int  # with at least `least` good samples
    good: float  # share of samples near some center
    counts: np.ndarray  # (k,) good samples of each mode


def mode_coverage(
    samples: ArrayLike, centers: ArrayLike, scale: float, sigmas: float = 3.0, least: int = 20
) -> ModeCoverage:
    """Counts the modes of a known mixture of round Gaussians that samples reach.

    Args:
        samples: (n, d).
        centers: (k, d).
        scale: standard deviation of each mode.
        sigmas: a sample within so many standard deviations of a center is good. In the plane, 98.89 % of true data are.
        least: good samples that make a mode count.

    Raises:
        UsageError: shapes or numbers do not fit.

    Deviations:
        Papers differ in `least`: 1 in VEEGAN's, 20 here, of 10,000 samples.

    Reference:
        Srivastava et al. 2017 (VEEGAN), arXiv:1705.07761; Lin et al. 2018 (PacGAN), arXiv:1712.04086.
    """
    from sklearn.metrics import pairwise_distances_argmin_min

    samples, centers = rows("samples", samples), rows("centers", centers)
    if samples.shape[1] != centers.shape[1]:
        raise UsageError(
            f"samples have {samples.shape[1]} coordinates and centers {centers.shape[1]}; expected as many"
        )
    if not all(isinstance(number, numbers.Real) and number > 0 for number in (scale, sigmas)):
        raise UsageError(f"scale is {str(scale)[:30]} and sigmas {str(sigmas)[:30]}; expected numbers above 0")
    index, distance = pairwise_distances_argmin_min(samples.astype(np.float64), centers.astype(np.float64))
    good = distance <= sigmas * scale
    counts = np.bincount(index[good], minlength=len(centers))
    return ModeCoverage(int(np.sum(counts >= whole("least", least))), float(good.mean()), counts)


def bits_per_dimension(nats: ArrayLike, dims: int, width: float = 1.0) -> float | np.ndarray:
    """Turns a negative log-likelihood of whole examples into bits for each pixel and channel.

    Args:
        nats: negative log-likelihood, summed over an example; of any shape.
        dims: height * width * channels.
        width: of a level, in the units of a density: 2 / 255 for a density on [-1, 1] of 8-bit images, 1 / 255 for one
            on [0, 1]. 1 where the likelihood is that of the levels themselves.

    Returns:
        (nats / dims - ln width) / ln 2.

    Raises:
        UsageError: `dims` or `width` is not positive.
    """
    if not (isinstance(width, numbers.Real) and 0 < width < math.inf):
        raise UsageError(f"width is {width!r}; expected a number above 0, such as 2 / 255")
    bits = (floats("nats", nats) / whole("dims", dims) - math.log(width)) / math.log(2)
    return float(bits) if bits.ndim == 0 else bits


def psnr(images: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Returns the peak signal-to-noise ratio of pairs of images.

    Args:
        images: (n, H, W, C), uint8, or floats in [-1, 1]: the peak is 255, or 2.
        others: as `images`, of the same type.

    Returns:
        (n,) decibels; infinite for equal images.

    Raises:
        UsageError: shapes or types differ.
    """
    import tensorflow as tf

    images, others, peak = _image_pair(images, others)
    return tf.image.psnr(images, others, peak).numpy()


def mean_psnr(images: ArrayLike, others: ArrayLike) -> float:
    """Returns the mean of `psnr` over pairs of images, of which equal ones count as 100 decibels, and not as infinite.

    Args:
        images: as for `psnr`.
        others: as for `psnr`.
    """
    return float(np.minimum(psnr(images, others), EQUAL).mean(dtype=np.float64))


def ssim(images: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Returns the structural similarity of pairs of images.

    It compares means by their ratio, so that black has to be 0: floats in [-1, 1] are mapped to [0, 1] first, and an
    image has the same similarity as uint8 and as floats.

    Args:
        images: (n, H, W, C), uint8, or floats in [-1, 1], of at least 3x3 pixels.
        others: as `images`, of the same type.

    Returns:
        (n,) from -1 to 1, which is equality.

    Raises:
        UsageError: shapes or types differ, or the images are too small.

    Deviations:
        The window, a Gaussian of 1.5 pixels, has 11x11 of them; on smaller images the largest odd size that fits. Of
        color images it is the mean over the channels.

    Reference:
        Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity".
    """
    images, others, peak = _image_pair(images, others)
    lowest = 0.0 if peak == 255 else -1.0
    side = min(images.shape[1:3])
    if side < 3:
        raise UsageError(f"images have {images.shape[1]}x{images.shape[2]} pixels; expected at least 3x3")
    step = max(1, _BLOCK // images[0].size)
    parts = [slice(first, first + step) for first in range(0, len(images), step)]
    return np.concatenate(
        [
            _similarity(
                *((x[part].astype(np.float64) - lowest) / peak for x in (images, others)), min(5, (side - 1) // 2)
            )
            for part in parts
        ]
    ).astype(np.float32)


def _similarity(x, y, reach):
    """Returns the similarity (n,) of images in [0, 1], in float64: variances are differences of squares."""
    from scipy.ndimage import correlate1d

    window = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(values):  # where the window lies inside
        inside = correlate1d(correlate1d(values, window, axis=1), window, axis=2)
        return inside[:, reach : values.shape[1] - reach, reach : values.shape[2] - reach]

    ours, theirs = mean(x), mean(y)
    both, squares = ours * theirs, ours**2 + theirs**2
    light = (2 * both + 0.01**2) / (squares + 0.01**2)
    structure = (2 * (mean(x * y) - both) + 0.03**2) / (mean(x * x + y * y) - squares + 0.03**2)
    return (light * structure).mean(axis=(1, 2, 3))


def _image_pair(images, others):
    images, others = array("images", images), array("others", others)
    if images.ndim != 4 or images.shape != others.shape or not images.size:
        raise UsageError(f"images have shapes {images.shape} and {others.shape}; expected (n, H, W, C) twice")
    if images.dtype == others.dtype == np.uint8:
        return images.astype(np.float32), others.astype(np.float32), 255.0
    if images.dtype.kind != "f" or others.dtype.kind != "f":
        raise UsageError(f"images are {images.dtype} and {others.dtype}; expected uint8 twice, or floats in [-1, 1]")
    worst = max(np.abs(images).max(), np.abs(others).max())
    if not worst <= 1.001:  # resampled images leave the range by a rounding
        raise UsageError(f"a pixel is {worst:g}; expected floats in [-1, 1]")
    return images.astype(np.float32), others.astype(np.float32), 2.0


class DisplacementErrors(NamedTuple):
    """Means over the paths, in the unit of the coordinates."""

    ade: float  # average displacement error: over all steps
    fde: float  # final displacement error: at the last step


def displacement_errors(predicted: ArrayLike, truth: ArrayLike) -> DisplacementErrors:
    """Returns how far predicted paths are from the true ones, for the best of K predictions.

    Args:
        predicted: (n, steps, 2), or (K, n, steps, 2): K predictions of each path.
        truth: (n, steps, 2), in meters or any other unit.

    Raises:
        UsageError: the shapes do not fit.

    Deviations:
        The best of K is chosen for each path and for each error by itself; Social GAN's code chooses one K for all the
        people of a scene, which gives larger errors.

    Reference:
        Pellegrini et al. 2009, "You'll never walk alone"; Gupta et al. 2018, arXiv:1803.10892.
    """
    predicted, truth = floats("predicted", predicted), floats("truth", truth)
    predicted = predicted[None] if predicted.ndim == 3 else predicted
    if truth.ndim != 3 or not truth.size or not predicted.size or predicted.shape[1:] != truth.shape:
        raise UsageError(
            f"predicted has shape {predicted.shape} and truth {truth.shape}; expected (K, n, steps, 2), (n, steps, 2)"
        )
    distance = np.linalg.norm(predicted - truth, axis=-1)  # (K, n, steps)
    if not np.isfinite(distance).all():
        raise UsageError("a path holds NaN or infinity; expected finite coordinates")
    return DisplacementErrors(float(distance.mean(axis=-1).min(axis=0).mean()), float(distance[..., -1].min(0).mean()))

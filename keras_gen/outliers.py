"""Tells unlikely images from likely ones: scores, thresholds, and how well they separate.

A likelihood is not a measure of belonging: it also rewards simple images. A VAE that learned all digits but the ones
rejects noise, and takes ones for better digits than its own (`examples/outliers.py`). `typicality` mends a part of it:
it rejects what is too likely, too.

Reference:
    Nalisnick et al., "Do Deep Generative Models Know What They Don't Know?", 2019, arXiv:1810.09136.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_gen import latent
from keras_gen.errors import UsageError, near_misses

KINDS = ("auto", "log_prob", "reconstruction")


def score_samples(
    model: Any, images: ArrayLike, kind: str = "auto", batch_size: int = 64, **options: Any
) -> np.ndarray:
    """Scores images: the higher, the more the model takes them for its own data.

    Args:
        model: a `keras_gen` model, a run, or a `.keras`, `.onnx` or `.tflite` file.
        images: float32 (n, H, W, C) in [-1, 1].
        kind: `"log_prob"` (log-likelihood in nats, or the lower bound of it that the model has), `"reconstruction"`
            (minus the mean squared error per pixel of decoding the code), or `"auto"`: `log_prob` where there is one,
            otherwise reconstruction. Exported files hold networks and no density, so that theirs is reconstruction.
        batch_size: images computed at once.
        **options: of the model's `log_prob`, such as `samples` and `seed`.

    Returns:
        float32 (n,).

    Raises:
        UsageError: the model has neither, as a GAN without an encoder.
    """
    if kind not in KINDS:
        raise UsageError(f"kind {kind!r} is not known; {near_misses(kind, KINDS)}")
    images = _images(images)
    source = latent.opened(model)
    has_density = getattr(source, "density", "implicit") != "implicit" and hasattr(source, "log_prob")
    if kind == "log_prob" and not has_density:
        raise UsageError(f"{latent.called(model)} has no log_prob: its density is implicit; give kind='reconstruction'")
    if has_density and kind != "reconstruction":
        return np.asarray(source.log_prob(images, batch_size=batch_size, **options), np.float32)
    if options:
        raise UsageError(f"a reconstruction takes no {', '.join(options)}; those are for kind='log_prob'")
    try:
        made = latent.reconstruct(source, images, batch_size=batch_size)
    except UsageError as error:
        if "encode" not in str(error):
            raise
        raise UsageError(f"{latent.called(model)} has neither a density nor an encoder; give another model") from None
    return -np.square(made - images).mean(axis=tuple(range(1, images.ndim)))


def threshold(scores: ArrayLike, quantile: float = 0.05) -> float:
    """Returns the score below which an image is rejected.

    Args:
        scores: of images that belong, not used in training.
        quantile: share of such images that are rejected all the same, in [0, 1].
    """
    scores = _scores("scores", scores)
    if not 0 <= quantile <= 1:
        raise UsageError(f"quantile is {quantile}; expected a share in [0, 1], such as 0.05")
    return float(np.quantile(scores, quantile))


def auroc(normal: ArrayLike, outliers: ArrayLike) -> float:
    """Returns how well scores separate: the probability that an outlier scores below an image that belongs.

    Args:
        normal: scores of images that belong.
        outliers: scores of images that do not.

    Returns:
        The area under the curve of detections against false alarms: 1 separates, 0.5 is chance, and below that
        outliers look *more* like the data than the data.
    """
    from sklearn.metrics import roc_auc_score

    normal, outliers = _scores("normal", normal), _scores("outliers", outliers)
    is_outlier = np.r_[np.zeros(len(normal)), np.ones(len(outliers))]
    return float(roc_auc_score(is_outlier, -np.r_[normal, outliers]))


def typicality(scores: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """Turns likelihoods into scores that are high only where a likelihood is as the data's: neither low nor high.

    Args:
        scores: log-likelihoods of images.
        reference: log-likelihoods of images that belong, not used in training.

    Returns:
        (n,) minus the distance from the reference's median.

    Reference:
        Nalisnick et al., "Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality", 2019,
        arXiv:1906.02994; here for single images, with the median in place of the mean.
    """
    return -np.abs(_scores("scores", scores) - np.median(_scores("reference", reference)))


def _images(images):
    images = np.asarray(images, np.float32)
    if images.ndim < 2 or not len(images):
        raise UsageError(f"images have shape {images.shape}; expected (n, H, W, C)")
    if not np.isfinite(images).all():
        raise UsageError("images hold NaN or infinity; expected finite values in [-1, 1]")
    return images


def _scores(name, scores):
    scores = np.asarray(scores)
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise UsageError(f"{name} have shape {scores.shape}; expected (n,) numbers, at least one and no NaN")
    return scores

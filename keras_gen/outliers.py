"""Tells unlikely images from likely ones: scores, thresholds, and how well they separate.

A likelihood is not a measure of belonging: it also rewards simple images. A VAE that learned all digits but the ones
rejects noise, and takes ones for better digits than its own (`examples/outliers.py`). `typicality` mends a part of it:
it rejects what is too likely, too.

Reference:
    Nalisnick et al., "Do Deep Generative Models Know What They Don't Know?", 2019, arXiv:1810.09136.
"""

import numbers
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_gen import latent
from keras_gen.errors import UsageError, near_misses, positive
from keras_gen.signatures.exported import Exported
from keras_gen.signatures.signature import Signature

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
        raise UsageError(f"kind {str(kind)[:30]!r} is not known; {near_misses(str(kind), KINDS)}")
    images, batch_size = _finite(images), positive("batch_size", batch_size)
    source = latent.opened(model)
    has_density = getattr(source, "density", "implicit") != "implicit" and hasattr(source, "log_prob")
    if kind == "log_prob" and not has_density:
        raise UsageError(f"{latent.called(model)} has no log_prob: its density is implicit; give kind='reconstruction'")
    if has_density and kind != "reconstruction":
        return np.asarray(source.log_prob(images, batch_size=batch_size, **options), np.float32)
    if options:
        raise UsageError(f"a reconstruction takes no {', '.join(options)}; those are for kind='log_prob'")
    images = _images(images)
    try:
        made = _reconstruct(source, images, batch_size)
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

    Raises:
        UsageError: no scores, NaN among them, or a quantile out of range.
    """
    scores = _scores("scores", scores)
    if not (isinstance(quantile, numbers.Real) and 0 <= quantile <= 1):
        raise UsageError(f"quantile is {str(quantile)[:30]}; expected a share in [0, 1], such as 0.05")
    # Between an infinite score and another one there is no middle.
    return float(np.quantile(scores, quantile, method="linear" if np.isfinite(scores).all() else "lower"))


def auroc(normal: ArrayLike, outliers: ArrayLike) -> float:
    """Returns how well scores separate: the probability that an outlier scores below an image that belongs.

    Args:
        normal: scores of images that belong.
        outliers: scores of images that do not.

    Returns:
        The area under the curve of detections against false alarms: 1 separates, 0.5 is chance, and below that
        outliers look *more* like the data than the data. Equal scores count half; a log-likelihood may be -inf.

    Raises:
        UsageError: no scores, or NaN among them.
    """
    from scipy.stats import rankdata

    normal, outliers = _scores("normal", normal), _scores("outliers", outliers)
    ranks = rankdata(np.r_[normal, outliers])[: len(normal)]  # from 1, equal scores share theirs
    return float((ranks.mean() - (len(normal) + 1) / 2) / len(outliers))


def typicality(scores: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """Turns likelihoods into scores that are high only where a likelihood is as the data's: neither low nor high.

    Args:
        scores: log-likelihoods of images.
        reference: log-likelihoods of images that belong, not used in training.

    Returns:
        (n,) minus the distance from the reference's median.

    Raises:
        UsageError: no scores, or NaN among them.

    Reference:
        Nalisnick et al., "Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality", 2019,
        arXiv:1906.02994; here for single images, with the median in place of the mean.
    """
    return -np.abs(_scores("scores", scores) - np.median(_scores("reference", reference)))


class Detector:
    """Tells outliers by the error of their reconstruction, in Keras and in exported files alike. Made by `detector`.

    Attributes:
        model: the `keras_gen` model, which computes in float32.
        threshold: images that score below are outliers.
    """

    def __init__(self, model: Any, threshold: float, examples: np.ndarray):
        self.model, self.threshold = model.float32(), float(np.float32(threshold))
        self._examples, self._run = examples, None

    def __call__(self, images: ArrayLike, batch_size: int = 64) -> np.ndarray:
        """Returns which images are outliers, bool (n,)."""
        return self._detect(images, batch_size)["outlier"].astype(bool)

    def scores(self, images: ArrayLike, batch_size: int = 64) -> np.ndarray:
        """Returns the scores of images, float32 (n,): the negative mean squared error per pixel."""
        return self._detect(images, batch_size)["score"]

    def signatures(self) -> dict[str, Signature]:
        """Returns `detect`: image to `score` and `outlier` (1 or 0); its meta holds the `threshold`."""
        import tensorflow as tf

        parts = self.model.signatures()
        encode, decode = parts["encode"], parts["decode"]
        (name,) = decode.inputs

        def detect(image):
            code = next(iter(encode.fn(image=image).values()))
            made = next(iter(decode.fn(**{name: code}).values()))
            score = -tf.reduce_mean(tf.square(made - image), axis=tuple(range(1, len(image.shape))))
            return {"score": score, "outlier": tf.cast(score < self.threshold, tf.int32)}

        def pictures(n):
            return {"image": np.resize(self._examples, (n, *self._examples.shape[1:]))}

        described = {"image.range": "[-1, 1]", "image.layout": "NHWC", "outlier.classes": "belongs, outlier"}
        return {"detect": Signature(detect, encode.inputs, pictures, {"threshold": repr(self.threshold), **described})}

    def float32(self) -> "Detector":
        """Returns this detector: its model computes in float32 already."""
        return self

    def _detect(self, images, batch_size):
        import tensorflow as tf

        images, signature = _images(images), self.signatures()["detect"]
        batch_size = positive("batch_size", batch_size)
        want = tuple(signature.inputs["image"].shape[1:])
        if images.shape[1:] != want:
            raise UsageError(f"images have shape {images.shape}; expected {('n', *want)}")
        self._run = self._run or tf.function(signature.fn, input_signature=[signature.inputs["image"]])
        parts = [self._run(images[at : at + batch_size]) for at in range(0, len(images), batch_size)]
        return {key: np.concatenate([part[key].numpy() for part in parts]) for key in ("score", "outlier")}


def detector(model: Any, images: ArrayLike, quantile: float = 0.05, batch_size: int = 64) -> Detector:
    """Returns a detector of outliers, whose threshold is set by images that belong.

    Args:
        model: a `keras_gen` model with `encode` and `decode`, a run or a `.keras` file.
        images: (n, H, W, C) in [-1, 1] that belong, not used in training.
        quantile: share of such images that are rejected all the same, in [0, 1].
        batch_size: images computed at once.

    Raises:
        UsageError: the model has no such pair, or needs a label; images of another shape or range, or NaN.

    Example:
        ```python
        detect = keras_gen.outliers.detector("autoencoder", images, quantile=0.05)
        detect(others)  # bool (n,)
        export.onnx.export(detect, "detector")  # detector/detect.onnx; its metadata hold the threshold
        ```
    """
    source, images = latent.opened(model), _images(images)
    if isinstance(source, Exported) or not callable(getattr(source, "float32", None)):
        raise UsageError(f"{latent.called(model)} is no Keras model; give the run or its .keras file")
    found = source.signatures()
    if not {"encode", "decode"} <= set(found):
        raise UsageError(f"{latent.called(model)} has no 'encode' and 'decode', only {', '.join(found)}")
    more = [*(set(found["encode"].inputs) - {"image"}), *list(found["decode"].inputs)[1:]]
    if more:
        raise UsageError(f"{latent.called(model)} needs {more[0]!r} to reconstruct; a detector sees images alone")
    scores = Detector(source, 0.0, images).scores(images, batch_size)
    limit = threshold(scores, quantile)
    # In the middle between two scores no image lies so near that rounding in another runtime decides.
    below = scores[scores < limit].max(initial=-np.inf)
    above = scores[scores >= limit].min(initial=np.inf)
    limit = (below + above) / 2 if np.isfinite(below) else limit - 1e-3 * abs(limit)
    order = np.argsort(scores)
    ends = images[order[[-1, 0, -2 % len(order), 1 % len(order)]]]
    noise = np.random.default_rng(0).uniform(-1, 1, ends.shape).astype(np.float32)
    return Detector(source, limit, np.stack([ends, noise], axis=1).reshape(-1, *images.shape[1:]))


def _reconstruct(source, images, batch_size):
    """Returns images made of their codes: vectors, or the tokens of a Keras model."""
    found = source.signatures() if callable(getattr(source, "signatures", None)) else {}
    if "decode" in found and next(iter(found["decode"].inputs.values())).dtype.is_integer:
        return source.reconstruct(images, batch_size)
    return latent.reconstruct(source, images, batch_size=batch_size)


def _images(images):
    images = _finite(images)
    low, high = float(images.min()), float(images.max())
    if low < -1.001 or high > 1.001:  # resampled images leave the range by a rounding
        scale = "x.astype('float32') / 127.5 - 1" if low >= 0 else "x / abs(x).max()"
        raise UsageError(f"images are from {low:g} to {high:g}; expected float32 in [-1, 1]: x = {scale}")
    return images


def _finite(images):
    try:
        images = np.asarray(images, np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"images are {str(images)[:30]}; expected an array (n, H, W, C) of numbers") from None
    if images.ndim < 2 or not len(images):
        raise UsageError(f"images have shape {images.shape}; expected (n, H, W, C)")
    if not np.isfinite(images).all():
        raise UsageError("images hold NaN or infinity; expected finite values in [-1, 1]")
    return images


def _scores(name, scores):
    try:
        scores = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{name} are {str(scores)[:30]}; expected (n,) numbers") from None
    if scores.ndim != 1 or not scores.size or np.isnan(scores).any():
        raise UsageError(f"{name} have shape {scores.shape}; expected (n,) numbers, at least one and no NaN")
    return scores

"""What the metrics take: arrays that are checked before anything is computed."""

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError

LARGEST = 1e50  # of features: the third power of their products is still a number


def array(name: str, value: ArrayLike) -> np.ndarray:
    """Returns an array of any shape and type.

    Raises:
        UsageError: rows of several lengths.
    """
    try:
        return np.asarray(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is {str(value)[:30]!r}; expected an array: rows of one length") from None


def floats(name: str, value: ArrayLike) -> np.ndarray:
    """Returns a float64 array of any shape.

    Raises:
        UsageError: no numbers, or rows of several lengths.
    """
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is {str(value)[:30]!r}; expected an array of numbers") from None


def rows(name: str, value: ArrayLike, least: int = 1) -> np.ndarray:
    """Returns features as a float array (n, d); images (n, H, W, C) are flattened.

    Raises:
        UsageError: too few rows, no numbers, NaN or infinity.
    """
    found = array(name, value)
    if found.dtype.kind not in "bfiu":
        raise UsageError(f"{name} is of type {found.dtype}; expected numbers")
    if found.ndim < 2 or not found[0:1].size:
        raise UsageError(f"{name} has shape {found.shape}; expected (n, d): one row of features for each sample")
    if len(found) < least:
        raise UsageError(f"{name} has {len(found)} rows; expected at least {least}")
    found = found.reshape(len(found), -1)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise UsageError(f"{name} holds NaN or infinity; expected finite features")
    largest = max(float(found.max()), -float(found.min())) if found.dtype.kind == "f" else 0.0
    if largest > LARGEST:
        raise UsageError(f"{name} reaches {largest:g}; expected at most {LARGEST:g}: divide all features by one number")
    return found


def pair(real: ArrayLike, fake: ArrayLike, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns two sets of features of one length of row.

    Raises:
        UsageError: as for `rows`, or their lengths differ.
    """
    real, fake = rows("real", real, least), rows("fake", fake, least)
    if real.shape[1] != fake.shape[1]:
        raise UsageError(f"real has {real.shape[1]} features and fake {fake.shape[1]}; expected the same features")
    return real, fake


def class_labels(name: str, value: ArrayLike, count: int | None = None) -> np.ndarray:
    """Returns labels (n,) of whole numbers from 0.

    Raises:
        UsageError: another shape or type, a negative label, or not `count` of them.
    """
    labels = array(name, value)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu" or labels.min() < 0:
        kind = f"{labels.dtype} {labels.shape}"
        raise UsageError(f"{name} is {kind}; expected (n,) whole numbers from 0: the number of each class")
    if count is not None and len(labels) != count:
        raise UsageError(f"{name} has {len(labels)} entries; expected {count}, one for each sample")
    return labels.astype(np.int64)


def whole(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """Returns a whole number in a range.

    Raises:
        UsageError: anything else.
    """
    ok = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not ok or value < least or (most is not None and value > most):
        span = f"at least {least}" if most is None else f"{least} to {most}"
        raise UsageError(f"{name} is {str(value)[:30]}; expected a whole number of {span}")
    return int(value)

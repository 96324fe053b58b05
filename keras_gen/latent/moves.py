"""Moves of latents, plain numpy: interpolation, grids, arithmetic, attributes."""

from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError, near_misses
from keras_gen.signatures.law import NORMAL, UNIFORM, Law

REACH = {str(NORMAL): 3.0, str(UNIFORM): 1.0}  # how far from 0 a traversal goes: almost all of each law


# --- between two latents ---------------------------------------------------------------------------------------------


def lerp(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> np.ndarray:
    """Interpolates on the straight line.

    Args:
        start: latents (..., d).
        end: latents (..., d).
        fraction: of the way, 0 at `start` and 1 at `end`; one number, or an array that broadcasts against (...).

    Returns:
        float32 latents (..., d); float32 ends come out exactly.
    """
    start, end, fraction = _ends(start, end, fraction)
    return ((1 - fraction) * start + fraction * end).astype(np.float32)


def slerp(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> np.ndarray:
    """Interpolates on the great circle: the direction turns at constant speed, the norm changes linearly.

    Latents of a normal law lie near a sphere; the straight line between two of them passes far inside it, where the
    network was never trained. Opposite latents have no shortest arc, so a fixed one is taken.

    Args:
        start: latents (..., d).
        end: latents (..., d).
        fraction: as for `lerp`.

    Returns:
        float32 latents (..., d); float32 ends come out exactly.

    Reference:
        Shoemake, "Animating rotation with quaternion curves", 1985; for latents: White, "Sampling Generative
        Networks", 2016, arXiv:1609.04468.
    """
    start, end, fraction = _ends(start, end, fraction)
    one, other = _unit(start), _unit(end)
    # Zero has no direction: it takes the other's.
    one, other = (np.where(_norm(a) > 0, a, b) for a, b in ((one, other), (other, one)))
    cosine = (one * other).sum(-1, keepdims=True)
    across = other - cosine * one  # what `other` has that `one` has not
    angle = np.arctan2(_norm(across), cosine)  # exact for small angles, unlike the arc cosine
    across = np.where(_norm(across) > 1e-9, _unit(across), _perpendicular(one))
    direction = np.cos(fraction * angle) * one + np.sin(fraction * angle) * across
    norm = (1 - fraction) * _norm(start) + fraction * _norm(end)
    return (norm * direction).astype(np.float32)


INTERPOLATIONS: Mapping[str, Callable[..., np.ndarray]] = {"lerp": lerp, "slerp": slerp}


def interpolate(start: ArrayLike, end: ArrayLike, steps: int = 10, how: str = "slerp") -> np.ndarray:
    """Returns the way from one latent to another, both included.

    Args:
        start: latents (..., d).
        end: latents (..., d).
        steps: latents on each way, at least 2.
        how: `"slerp"` (for normal latents) or `"lerp"` (for uniform ones).

    Returns:
        float32 (..., steps, d).
    """
    if how not in INTERPOLATIONS:
        raise UsageError(f"interpolation {how!r} is not known; {near_misses(how, INTERPOLATIONS)}")
    start, end = np.asarray(start), np.asarray(end)
    fractions = np.linspace(0, 1, at_least("steps", steps, 2))
    return INTERPOLATIONS[how](start[..., None, :], end[..., None, :], fractions)


# --- grids -----------------------------------------------------------------------------------------------------------


def span(law: str | Law, steps: int, reach: float | None = None) -> np.ndarray:
    """Returns evenly spaced values for a traversal.

    Args:
        law: `"normal"` (-3 to 3) or `"uniform"` (-1 to 1).
        steps: how many.
        reach: another largest value.
    """
    reach = REACH[_law(law)] if reach is None else reach
    return np.linspace(-reach, reach, at_least("steps", steps)).astype(np.float32)


def traverse(latents: ArrayLike, coordinate: int, values: ArrayLike) -> np.ndarray:
    """Gives one coordinate one value after the other; everything else stays.

    Args:
        latents: (..., d).
        coordinate: which.
        values: (k,).

    Returns:
        float32 (..., k, d).

    Reference:
        Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework", ICLR 2017.
    """
    latents, values = as_latents(latents), np.asarray(values, np.float32)
    _check_coordinates([coordinate], latents.shape[-1])
    moved = np.repeat(latents[..., None, :], len(values), axis=-2)
    moved[..., coordinate] = values
    return moved


def quantiles(law: str | Law, steps: int) -> np.ndarray:
    """Returns the quantiles of a distribution at `(i + 1/2) / steps`: values that are equally probable.

    Args:
        law: `"normal"` or `"uniform"` on [-1, 1).
        steps: how many.
    """
    probabilities = (np.arange(at_least("steps", steps)) + 0.5) / steps
    if _law(law) == str(UNIFORM):
        return (2 * probabilities - 1).astype(np.float32)
    return np.array([NormalDist().inv_cdf(p) for p in probabilities], np.float32)


def manifold(steps: int, law: str | Law, origin: ArrayLike, axes: Sequence[int] = (0, 1)) -> np.ndarray:
    """Returns a square of latents, spaced so that each has the same probability.

    Args:
        steps: latents on a side.
        law: `"normal"` or `"uniform"`.
        origin: (d,) what the other coordinates are.
        axes: the coordinate that rises to the right, and the one that rises upward.

    Returns:
        float32 (steps, steps, d), the top row first.

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, figure 4.
    """
    origin = as_latents(origin)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise UsageError(f"a manifold has two different axes, not {list(axes)}")
    _check_coordinates(axes, origin.shape[-1])
    values = quantiles(law, steps)
    square = np.tile(origin, (steps, steps, 1))
    square[..., axes[0]], square[..., axes[1]] = values, values[::-1, None]
    return square


def style_grid(rows: ArrayLike, columns: ArrayLike, coordinates: Sequence[int]) -> np.ndarray:
    """Crosses latents: each cell has some coordinates from its column, and the others from its row.

    Args:
        rows: (r, d) latents, or (r, layers, d) styles of one latent for each layer.
        columns: (c, ...) alike.
        coordinates: along axis 1, what comes from the column: coordinates of a latent, or layers of a style.

    Returns:
        float32 (r, c, ...).

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture", 2019, arXiv:1812.04948, figure 3.
    """
    rows, columns = as_latents(rows), as_latents(columns)
    if rows.ndim < 2 or rows.shape[1:] != columns.shape[1:]:
        raise UsageError(f"rows are {rows.shape} and columns {columns.shape}; expected (r, ...) and (c, ...) alike")
    _check_coordinates(coordinates, rows.shape[1])
    crossed = np.repeat(rows[:, None], len(columns), axis=1)
    crossed[:, :, list(coordinates)] = columns[None][:, :, list(coordinates)]
    return crossed


# --- arithmetic and attributes ---------------------------------------------------------------------------------------


def arithmetic(plus: Sequence[ArrayLike], minus: Sequence[ArrayLike] = ()) -> np.ndarray:
    """Adds and subtracts means of samples: king - man + woman.

    Args:
        plus: groups of latents, each (k, d); the mean of each is added.
        minus: groups of latents; the mean of each is subtracted.

    Returns:
        float32 (d,).

    Reference:
        Radford, Metz and Chintala, "DCGAN", 2015, arXiv:1511.06434, figure 7: three samples for each concept, as single
        ones are not stable.
    """
    if not plus:
        raise UsageError("plus holds no group; expected at least one")
    groups = [(1, group) for group in plus] + [(-1, group) for group in minus]
    return np.sum([sign * np.atleast_2d(as_latents(group)).mean(0) for sign, group in groups], 0).astype(np.float32)


def attribute_direction(latents: ArrayLike, labels: ArrayLike, method: str = "means") -> np.ndarray:
    """Finds the direction of an attribute, from latents with and without it.

    Args:
        latents: (n, d).
        labels: (n,) true where the attribute is there.
        method: `"means"` (difference of the two class means) or `"logistic"` (normal of the plane that a logistic
            regression puts between the classes, which leaves correlated coordinates alone).

    Returns:
        float32 (d,). Its length is the distance of the class means along it: moving by 1 goes from one to the other.

    Reference:
        Larsen et al., "Autoencoding beyond pixels", 2016, arXiv:1512.09300 (means); Shen et al., "InterFaceGAN", 2020,
        arXiv:1907.10786 (the plane's normal; theirs is of a support vector machine).
    """
    latents, labels = np.asarray(latents, np.float64), np.asarray(labels)
    if latents.ndim != 2 or labels.shape != latents.shape[:1]:
        raise UsageError(f"latents are {latents.shape} and labels {labels.shape}; expected (n, d) and (n,)")
    labels = labels.astype(bool)
    if labels.all() or not labels.any():
        raise UsageError(f"all {len(labels)} labels are {labels[:1]}; expected samples with and without the attribute")
    difference = latents[labels].mean(0) - latents[~labels].mean(0)
    if method == "means":
        return difference.astype(np.float32)
    if method != "logistic":
        raise UsageError(f"method {method!r} is not known; {near_misses(method, ('means', 'logistic'))}")
    from sklearn.linear_model import LogisticRegression

    normal = _unit(LogisticRegression(max_iter=1000).fit(latents, labels).coef_[0])
    return ((difference @ normal) * normal).astype(np.float32)


def move(latents: ArrayLike, direction: ArrayLike, amounts: ArrayLike) -> np.ndarray:
    """Moves latents along a direction.

    Args:
        latents: (..., d).
        direction: (d,).
        amounts: (k,) multiples of the direction.

    Returns:
        float32 (..., k, d).
    """
    amounts = np.asarray(amounts, np.float32)
    return as_latents(latents)[..., None, :] + amounts[:, None] * as_latents(direction)


# --- small mathematics -----------------------------------------------------------------------------------------------


def as_latents(value: ArrayLike) -> np.ndarray:
    """Returns a float32 copy."""
    return np.array(value, np.float32)


def _ends(start, end, fraction):
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if start.shape[-1:] != end.shape[-1:] or not start.ndim:
        raise UsageError(f"latents have shapes {start.shape} and {end.shape}; expected (..., d) for both")
    return start, end, np.asarray(fraction, np.float64)[..., None]


def _norm(vectors):
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


def _unit(vectors):
    norm = _norm(vectors)
    return vectors / np.where(norm > 0, norm, 1.0)


def _perpendicular(unit):
    """Returns unit vectors at right angles: the axis that is farthest from each, made perpendicular."""
    axis = np.eye(unit.shape[-1])[np.abs(unit).argmin(-1)]
    return _unit(axis - (axis * unit).sum(-1, keepdims=True) * unit)


def _law(law):
    """Returns the text of a law that has quantiles."""
    if str(law) not in REACH:
        raise UsageError(f"law {str(law)!r} has no quantiles here; known: {', '.join(REACH)}")
    return str(law)


def at_least(name: str, value: int, least: int = 1) -> int:
    """Returns a whole number that is not below another.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise UsageError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


def _check_coordinates(coordinates, dim):
    for coordinate in coordinates:
        if not 0 <= coordinate < dim:
            raise UsageError(f"coordinate {coordinate} does not exist; expected 0 to {dim - 1}")

"""Perceptual path length: how much images change for a small step of their styles."""

from collections.abc import Callable

import numpy as np

from keras_gen.errors import UsageError

EPSILON = 1e-4  # of the way from one style to another
TRIMMED = 1.0  # per cent of the distances that are dropped at either end


def path_length(
    synthesize: Callable[[np.ndarray], np.ndarray],
    style: np.ndarray,
    other: np.ndarray,
    features: Callable[[np.ndarray], np.ndarray] | None = None,
    epsilon: float = EPSILON,
) -> float:
    """Returns the perceptual path length of a synthesis, at the ends of ways from one style to another.

    It is the mean of |f(G(w + epsilon (w' - w))) - f(G(w))|^2 / epsilon^2 over pairs of styles, without the outer per
    cents. The paper's f is a network of its own (LPIPS), so that figures compare where f and the data are the same.

    Args:
        synthesize: styles (n, layers, d) to images (n, H, W, C); the noise of a row is the same in every call.
        style: (n, layers, d), w.
        other: (n, layers, d), w'.
        features: images to (n, f), of a judge; without it the pixels are f.
        epsilon: of the way from w to w', above 0.

    Raises:
        UsageError: styles of two shapes, none at all, or `epsilon` that is not above 0.

    Example:
        ```python
        columns = np.random.default_rng(0).normal(size=(64, 5))
        w, to = np.random.default_rng(1).normal(size=(2, 500, 1, 5))
        keras_gen.metrics.path_length(lambda w: (w[:, 0] @ columns.T).reshape(-1, 8, 8, 1), w, to)
        ```

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
        arXiv:1812.04948, section 4.1: in W, at the ends, as the authors' later programs have it.
    """
    style, other = np.asarray(style), np.asarray(other)
    if style.shape != other.shape or style.ndim < 2 or not len(style):
        raise UsageError(f"styles are {style.shape} and {other.shape}; expected pairs of one shape (n, layers, d)")
    if not epsilon > 0:
        raise UsageError(f"epsilon is {epsilon}; expected a small number above 0, such as 1e-4")
    moved = style + epsilon * (other - style)
    before, after = (np.asarray(synthesize(w)) for w in (style, moved))
    if features is not None:
        before, after = features(before), features(after)
    apart = (np.asarray(after, np.float64) - before).reshape(len(style), -1)
    distances = np.square(apart).sum(axis=1) / epsilon**2  # (n,)
    low = np.percentile(distances, TRIMMED, method="lower")
    high = np.percentile(distances, 100.0 - TRIMMED, method="higher")
    kept = distances[(distances >= low) & (distances <= high)]
    return float(kept.mean())

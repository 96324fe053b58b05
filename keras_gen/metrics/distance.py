"""How far the distribution of fakes is from that of real examples: Frechet distance, KID, neighborhoods, copies."""

import math
import numbers
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError
from keras_gen.metrics.checks import floats, pair, rows, whole

_BLOCK = 2**23  # float64 numbers (64 MiB) that are held besides the features
_MOMENTS = ("mean", "covariance")
_ROUNDING = 1e-6  # of a covariance's norm: that of float32 features, or of numbers that were written as text


class Moments:
    """Count, mean and covariance of features that arrive in blocks; (d, d) numbers are held, whatever their count.

    Args:
        features: the first block, (n, d); or None, to begin with nothing.

    Example:
        ```python
        moments = Moments()
        for images in batches:
            moments.update(judge.features(images))
        frechet_distance(moments, other)
        ```

    Reference:
        Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    """

    def __init__(self, features: ArrayLike | None = None):
        self.count = 0
        self._mean = self._scatter = None
        if features is not None:
            self.update(features)

    def update(self, features: ArrayLike) -> "Moments":
        """Adds a block.

        Args:
            features: (n, d) of any float type; the sums are in float64.

        Returns:
            Itself.

        Raises:
            UsageError: the block holds no features, NaN, or another d.
        """
        features = rows("features", features)
        size = features.shape[1]
        if self._mean is None:
            self._mean, self._scatter = np.zeros(size), np.zeros((size, size))
        if size != len(self._mean):
            raise UsageError(f"the block has {size} features; expected {len(self._mean)} as before")
        step = max(1, _BLOCK // size)
        for first in range(0, len(features), step):
            block = features[first : first + step].astype(np.float64)
            shift = block.mean(axis=0) - self._mean
            total = self.count + len(block)
            block -= self._mean + shift
            # In place: at d = 2048 each temporary is 32 MiB.
            self._scatter += block.T @ block
            self._scatter += np.outer(shift, shift * (self.count * len(block) / total))
            self._mean = self._mean + shift * (len(block) / total)
            self.count = total
        return self

    @property
    def mean(self) -> np.ndarray:
        """The mean, (d,)."""
        self._at_least(1)
        return self._mean

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance, (d, d)."""
        self._at_least(2)
        return self._scatter / (self.count - 1)

    def _at_least(self, count):
        if self.count < count:
            raise UsageError(f"the moments are of {self.count} rows; expected at least {count}")


def frechet_distance(
    real: ArrayLike | Moments | tuple[ArrayLike, ArrayLike], fake: ArrayLike | Moments | tuple[ArrayLike, ArrayLike]
) -> float:
    """Returns the squared Frechet distance of the two normal distributions with these means and covariances.

    |m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2)), in squared units of the features. Two draws of n rows from one
    normal law do not give 0 but about d(d + 1) / 2n + 2d / n times its variance: compare at equal n only.

    Args:
        real: features (n, d); or `Moments`; or a tuple of a mean (d,) and a covariance (d, d).
        fake: the same of the fakes.

    Returns:
        A float of at least 0. On the features of InceptionV3 it is called FID; on any others it is not.

    Raises:
        UsageError: fewer than 2 rows, NaN, another number of features, or a covariance that is none: not symmetric, or
            with a negative variance in some direction, by more than a millionth of it.

    Deviations:
        The root is taken of the symmetric C1^(1/2) C2 C1^(1/2), by eigenvalues, and not of the product C1 C2: no
        complex numbers arise and singular covariances need no offset.

    Reference:
        Heusel et al. 2017, arXiv:1706.08500; Dowson and Landau 1982.
    """
    (mean, covariance), (other_mean, other_covariance) = _moments("real", real), _moments("fake", fake)
    if mean.shape != other_mean.shape:
        raise UsageError(f"real has {len(mean)} features and fake {len(other_mean)}; expected the same features")
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is said
        distance = _distance(mean - other_mean, covariance, other_covariance)
    if not np.isfinite(distance):
        raise UsageError(
            f"the distance is {distance:g}: the features are too large for float64; divide both by one scale"
        )
    return max(0.0, float(distance))


def _distance(gap, covariance, other):
    """Returns the distance of two normal distributions, whose means are `gap` apart; not finite beyond float64."""
    largest = max(np.abs(covariance).max(), np.abs(other).max())
    # A power of 2 changes no digit; beyond these the product of both covariances is no number.
    scale = 1.0 if largest == 0 or 1e-100 < largest < 1e100 else 2.0 ** np.floor(np.log2(largest))
    one, two = covariance / scale, other / scale
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ two @ root).clip(min=0)).sum()
    return np.sum(gap**2) + scale * (np.trace(one) + np.trace(two) - 2 * overlap)


def _moments(name, value):
    if isinstance(value, tuple) and len(value) == 2:
        mean, covariance = (floats(f"{name}'s {what}", part) for what, part in zip(_MOMENTS, value, strict=True))
        if mean.ndim != 1 or not mean.size or covariance.shape != mean.shape * 2:
            raise UsageError(f"{name} is of shapes {mean.shape} and {covariance.shape}; expected (d,) and (d, d)")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise UsageError(f"{name} holds NaN or infinity; expected a finite mean and covariance")
        return mean, _checked(f"{name}'s covariance", covariance)
    moments = value if isinstance(value, Moments) else Moments(rows(name, value, 2))
    return moments.mean, moments.covariance


def _checked(name, covariance):
    """Returns a covariance, symmetric to the last digit."""
    scale = np.abs(covariance).max() * len(covariance)  # at least the largest eigenvalue
    gap = np.abs(covariance - covariance.T)
    if gap.max() > _ROUNDING * scale:
        row, column = map(int, np.unravel_index(gap.argmax(), gap.shape))
        pair = f"{covariance[row, column]:.4g} at {row, column} and {covariance[column, row]:.4g} at {column, row}"
        raise UsageError(f"{name} is not symmetric: {pair}; expected np.cov(features, rowvar=False)")
    covariance = covariance / 2 + covariance.T / 2
    try:  # of far less work than the eigenvalues
        np.linalg.cholesky(covariance + (_ROUNDING * scale or 1.0) * np.eye(len(covariance)))
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(covariance)[0]
        raise UsageError(f"{name} has the eigenvalue {least:.4g}; expected variances of at least 0") from None
    return covariance


class KID(NamedTuple):
    """The squared kernel distance: its mean over the subsets, and their standard deviation."""

    mean: float
    std: float


def kid(real: ArrayLike, fake: ArrayLike, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> KID:
    """Returns the kernel inception distance: unbiased, so 0 on average for equal distributions, and often negative.

    The kernel is k(x, y) = (x.y / d + 1)^3.

    Args:
        real: features (n, d).
        fake: features (m, d).
        subsets: pairs of random subsets over which the estimate is averaged.
        subset_size: rows in each; at most as many as there are.
        seed: of the subsets.

    Returns:
        Mean and standard deviation over the subsets. The latter is no standard error: subsets overlap.

    Raises:
        UsageError: fewer than 2 rows, NaN, or another number of features.

    Reference:
        Binkowski et al. 2018, arXiv:1801.01401.
    """
    real, fake = pair(real, fake, 2)
    size = min(whole("subset_size", subset_size, 2), len(real), len(fake))
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(whole("subsets", subsets)):
        x, y = (
            array[rng.choice(len(array), size, replace=False, shuffle=False)].astype(np.float64)
            for array in (real, fake)
        )
        within = sum(total - diagonal for total, diagonal in (_kernel_sums(x, x), _kernel_sums(y, y)))
        values.append(within / (size * (size - 1)) - 2 * _kernel_sums(x, y)[0] / size**2)
    return KID(float(np.mean(values)), float(np.std(values)))


def _kernel_sums(x, y):
    """Returns the sum of the kernel over all pairs, and over the pairs of one row with itself."""
    import tensorflow as tf  # its threads share busy cores better than numpy's, for hundreds of small products

    gram = tf.matmul(x, y, transpose_b=True) / x.shape[1] + 1.0
    own = tf.linalg.diag_part(gram)
    return float(tf.reduce_sum(gram * gram * gram)), float(tf.reduce_sum(own * own * own))


class PrecisionRecall(NamedTuple):
    """Shares: of fakes that lie among the real, and of the real that lie among fakes."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density: mean number of real balls around a fake, over k. Coverage: share of real balls that hold a fake."""

    density: float
    coverage: float


class Neighborhoods(NamedTuple):
    """All four numbers, from one pass over the distances."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: ArrayLike, fake: ArrayLike, k: int = 5) -> PrecisionRecall:
    """Returns how many fakes are plausible, and how much of the real the fakes reach.

    A set's manifold is the union of balls around its points, each reaching to the point's k-th nearest neighbor.

    Args:
        real: features (n, d), n > k.
        fake: features (m, d), m > k.
        k: neighbors.

    Returns:
        Two shares in [0, 1]. Both depend on n and m: compare at equal numbers only.

    Raises:
        UsageError: too few rows, NaN, or another number of features.

    Deviations:
        k is 5, as in Naeem et al.; the paper's is 3.

    Reference:
        Kynkaanniemi et al. 2019, arXiv:1904.06991.
    """
    return PrecisionRecall(*neighborhoods(real, fake, k)[:2])


def density_coverage(real: ArrayLike, fake: ArrayLike, k: int = 5) -> DensityCoverage:
    """Returns the counterparts of precision and recall that a few outliers do not move.

    Every real point has a ball of its own radius. That of a far one is wide and holds about k fakes all the same, of
    those at the edge that it sees: it counts as one of n. Precision and recall ask whether any ball holds a point, and
    such a ball may be the only one.

    Args:
        real: features (n, d), n > k.
        fake: features (m, d), m > k.
        k: neighbors.

    Returns:
        Density, at least 0 and about 1 for equal laws, and coverage in [0, 1].

    Raises:
        UsageError: too few rows, NaN, or another number of features.

    Reference:
        Naeem et al. 2020, arXiv:2002.09797.
    """
    return DensityCoverage(*neighborhoods(real, fake, k)[2:])


def neighborhoods(real: ArrayLike, fake: ArrayLike, k: int = 5) -> Neighborhoods:
    """Returns precision, recall, density and coverage at the cost of one of them.

    Distances are computed in blocks: besides the features, memory hardly grows with n and m.

    Args:
        real: features (n, d), n > k.
        fake: features (m, d), m > k.
        k: neighbors.

    Raises:
        UsageError: too few rows, NaN, or another number of features.

    Deviations:
        A point on a ball's surface counts as inside, as in the papers (the authors' code leaves it out).
    """
    k = whole("k", k)
    real, fake = pair(real, fake, k + 1)
    center = _middle(real)
    radius, fake_radius = (_radii(x, k, center) for x in (real, fake))
    inside, reached = np.zeros(len(fake), int), np.zeros(len(real), bool)
    nearest = np.full(len(real), np.inf)
    for row, column, distance in _distances(fake, real, center):
        inside[row] += np.count_nonzero(distance <= radius[column], axis=1)
        reached[column] |= (distance <= fake_radius[row, None]).any(axis=0)
        nearest[column] = np.minimum(nearest[column], distance.min(axis=0))
    return Neighborhoods(
        float(np.mean(inside > 0)), float(reached.mean()), float(inside.mean() / k), float(np.mean(nearest <= radius))
    )


def _middle(x):
    """Returns the median of each feature: distances are of rows around it, which a far one must not move."""
    step = max(1, _BLOCK // len(x))
    parts = [np.median(x[:, first : first + step], axis=0) for first in range(0, x.shape[1], step)]
    return np.concatenate(parts).astype(np.float64)


def _blocks(x, center):
    """Yields slices of rows, and these rows in float64 around the center."""
    step = max(1, min(math.isqrt(_BLOCK), _BLOCK // x.shape[1]))
    for first in range(0, len(x), step):
        part = slice(first, first + step)
        yield part, x[part] - center


def _distances(x, y, center):
    """Yields slices of x and of y, and the distances between these rows."""
    from sklearn.metrics.pairwise import euclidean_distances

    for part, block in _blocks(x, center):
        for other, its in _blocks(y, center):
            yield part, other, euclidean_distances(block, its)


def _radii(x, k, center):
    """Returns the distance (n,) from each point to its k-th nearest neighbor, and what rounding may add to it.

    A squared distance is rounded by some 1e-16 of the points' squared norms, that of a copy as well, which must not
    fall out of a ball of radius 0. Of each point its own norm counts, and squared: with the largest norm of all one far
    row would widen every ball, and added to the radius its own would hold whatever there is.
    """
    best = np.full((len(x), k), np.inf)
    for part, other, distance in _distances(x, x, center):
        if part == other:
            np.fill_diagonal(distance, np.inf)  # a point is no neighbor of its own
        best[part] = np.partition(np.hstack([best[part], distance]), k - 1, axis=1)[:, :k]
    norm = np.concatenate([np.linalg.norm(block, axis=1) for _, block in _blocks(x, center)])
    return np.hypot(best.max(axis=1), 1e-7 * norm)


class Copies(NamedTuple):
    """What `nearest_neighbor_copies` found."""

    share: float  # of fakes that are nearer to a training example than `threshold`
    threshold: float  # in units of the features
    distance: np.ndarray  # (m,) from each fake to its nearest training example
    index: np.ndarray  # (m,) which one that is


def nearest_neighbor_copies(fake: ArrayLike, train: ArrayLike, held_out: ArrayLike, quantile: float = 0.01) -> Copies:
    """Finds fakes that lie nearer to the training examples than new real examples do.

    Args:
        fake: features or images (m, ...).
        train: the examples that the model was trained on, (n, ...).
        held_out: real examples that it never saw, (h, ...): their nearest distances set the scale.
        quantile: of those distances, which is the threshold.

    Returns:
        The share of copies, about `quantile` for a model that has learned the law itself, with distances and indices
        to look at.

    Raises:
        UsageError: an empty set, NaN, another number of features, or a quantile outside (0, 1).

    Reference:
        The measure is Meehan, Chaudhuri and Dasgupta's 2020, arXiv:2004.05675, reduced to one quantile.
    """
    from sklearn.neighbors import NearestNeighbors

    if not (isinstance(quantile, numbers.Real) and 0 < quantile < 1):
        raise UsageError(f"quantile is {str(quantile)[:30]}; expected a number between 0 and 1")
    train, fake = pair(train, fake)
    _, held_out = pair(train, held_out)
    searched = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(train.astype(np.float32))
    distance, index = (found[:, 0] for found in searched.kneighbors(fake.astype(np.float32)))
    threshold = float(np.quantile(searched.kneighbors(held_out.astype(np.float32))[0], quantile))
    return Copies(float(np.mean(distance <= threshold)), threshold, distance, index)

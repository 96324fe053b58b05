"""Information theory on arrays, and the game of two players at its optimum: in nats, or in bits with `base=2`.

Probabilities that sum to 1 but for rounding (1e-5) are divided by their sum first, so that what cannot be negative is
not. Densities on a grid underflow in their tails: points that hold less than 1e-16 of `p` in all, which no sum of 1
shows, do not make a divergence infinite where `q` is 0.
"""

import heapq
import itertools
import math
import numbers
from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import entr, rel_entr, xlogy

from keras_gen.errors import UsageError

_TOLERANCE = 1e-5  # by which a law's sum may differ from 1: float32 softmax outputs do
_NOTHING = 1e-16  # of a law's sum of 1: rounding hides it


def entropy(p: ArrayLike, base: float = math.e, dx: ArrayLike = 1.0) -> float | np.ndarray:
    """Returns H(p) = -sum p log p, the least mean length of a code for p.

    Args:
        p: (..., K) probabilities that sum to 1 over the last axis; with `dx`, a density at K points.
        base: of the logarithm: `math.e` for nats, 2 for bits.
        dx: width of each cell, a number or (K,), when `p` is a density: the entropy is then the differential one.

    Returns:
        A float, or (...) of them.

    Raises:
        UsageError: `p` is no law, or `base` no base.

    Example:
        ```python
        entropy([0.5, 0.25, 0.25], base=2)  # 1.5
        ```

    Reference:
        Shannon 1948, "A mathematical theory of communication".
    """
    p, dx = _law("p", p, dx)
    return _sum(entr(p) * dx, base)


def cross_entropy(p: ArrayLike, q: ArrayLike, base: float = math.e, dx: ArrayLike = 1.0) -> float | np.ndarray:
    """Returns CE(p, q) = -sum p log q = H(p) + KL(p || q): the mean length of q's code when p speaks.

    Args:
        p: (..., K) the law of the symbols.
        q: (..., K) the law that the code was made for; the result is infinite where it excludes what `p` allows.
        base: as for `entropy`.
        dx: as for `entropy`.

    Raises:
        UsageError: `p` or `q` is no law, or they differ in length.
    """
    p, q, dx = _laws(p, q, dx)
    return _sum(-xlogy(_seen(p, q, dx), q) * dx, base)


def kl(p: ArrayLike, q: ArrayLike, base: float = math.e, dx: ArrayLike = 1.0) -> float | np.ndarray:
    """Returns KL(p || q) = sum p log(p / q): at least 0, and not symmetric.

    Args:
        p: (..., K) the law under which the mean is taken.
        q: (..., K) the other; the result is infinite where it excludes what `p` allows.
        base: as for `entropy`.
        dx: as for `entropy`.

    Raises:
        UsageError: `p` or `q` is no law, or they differ in length.
    """
    p, q, dx = _laws(p, q, dx)
    return _sum(rel_entr(_seen(p, q, dx), q) * dx, base, least=0.0)


def js(p: ArrayLike, q: ArrayLike, base: float = math.e, dx: ArrayLike = 1.0) -> float | np.ndarray:
    """Returns the Jensen-Shannon divergence: the mean KL of both distributions to their mixture, between 0 and ln 2.

    Args:
        p: (..., K) one law.
        q: (..., K) the other.
        base: as for `entropy`.
        dx: as for `entropy`.

    Raises:
        UsageError: `p` or `q` is no law, or they differ in length.
    """
    p, q, dx = _laws(p, q, dx)
    both = p + q  # twice the mixture, which would be 0 where p is the least number above 0 and q is 0
    return _sum((rel_entr(2 * p, both) + rel_entr(2 * q, both)) / 4 * dx, base, least=0.0, most=math.log(2))


def mutual_information(joint: ArrayLike, base: float = math.e) -> float:
    """Returns I(A; B) = KL(p(a, b) || p(a) p(b)): what one of two variables tells about the other.

    Args:
        joint: (A, B) table of p(a, b); it sums to 1.
        base: as for `entropy`.

    Raises:
        UsageError: `joint` is no table of probabilities.
    """
    table = _numbers("joint", joint)
    if table.ndim != 2:
        raise UsageError(f"joint has shape {table.shape}; expected a table (A, B) of probabilities")
    table = _law("joint", table.ravel(), 1.0)[0].reshape(table.shape)
    a, b = table.sum(axis=1, keepdims=True), table.sum(axis=0)
    # The mean of KL(p(b | a) || p(b)), and not KL(p(a, b) || p(a) p(b)): a product of two small numbers is 0.
    given = np.divide(table, a, out=np.zeros_like(table), where=a > 0)
    return _sum((a * rel_entr(given, b)).ravel(), base, least=0.0)


def gaussian_entropy(covariance: ArrayLike, base: float = math.e) -> float:
    """Returns the differential entropy of a normal distribution: (d / 2) ln(2 pi e) + ln(det covariance) / 2.

    Args:
        covariance: (d, d); or (d,) variances of independent coordinates; or one variance.
        base: as for `entropy`.

    Raises:
        UsageError: `covariance` is not symmetric and positive definite.
    """
    factor = _cholesky("covariance", covariance)
    return _sum(0.5 * math.log(2 * math.pi * math.e) + np.log(np.diag(factor)), base)


def gaussian_kl(
    mean: ArrayLike,
    covariance: ArrayLike,
    other_mean: ArrayLike = 0.0,
    other_covariance: ArrayLike = 1.0,
    base: float = math.e,
) -> float:
    """Returns KL(N(mean, covariance) || N(other_mean, other_covariance)); the other is N(0, I) by default.

    Args:
        mean: (d,), or a number.
        covariance: (d, d), or (d,) variances, or one variance for all coordinates.
        other_mean: as `mean`.
        other_covariance: as `covariance`.
        base: as for `entropy`.

    Raises:
        UsageError: a covariance is not symmetric and positive definite, or the sizes differ.

    Example:
        ```python
        gaussian_kl([1.0, -2.0], [1.0, 0.25])  # 2.818147
        ```
    """
    means = [np.atleast_1d(_numbers(name, value)) for name, value in (("mean", mean), ("other_mean", other_mean))]
    covariances = {"covariance": covariance, "other_covariance": other_covariance}
    covariances = {name: _numbers(name, value) for name, value in covariances.items()}
    shapes = [value.shape for value in (*means, *covariances.values())]
    sizes = {shape[0] for shape in shapes if shape not in ((), (1,))} or {1}  # one number holds for all coordinates
    if len(sizes) != 1 or max(value.ndim for value in means) > 1:
        raise UsageError(f"means and covariances have shapes {shapes}; expected one number d of coordinates")
    size = sizes.pop()
    ours, theirs = (_cholesky(name, value, size) for name, value in covariances.items())
    # With covariances L L' and M M': trace((M M')^-1 L L') = |M^-1 L|^2.
    spread = np.sum(np.linalg.solve(theirs, ours) ** 2)
    shift = np.sum(np.linalg.solve(theirs, np.broadcast_to(means[0] - means[1], (size,))) ** 2)
    volume = 2 * np.sum(np.log(np.diag(theirs)) - np.log(np.diag(ours)))
    return _sum(np.array([0.5 * (spread + shift - size + volume)]), base, least=0.0)


def huffman_code(p: Mapping[Hashable, float]) -> dict[Hashable, str]:
    """Returns the binary prefix code of the least mean length: H(p) <= mean length < H(p) + 1 bits.

    Args:
        p: symbol to probability; they sum to 1. A symbol of probability 0 never occurs and gets no code word, and a
            symbol that is always there gets the empty one.

    Returns:
        Symbol to code word, a string of 0 and 1.

    Raises:
        UsageError: `p` is no law.

    Example:
        ```python
        huffman_code({"a": 0.5, "b": 0.25, "c": 0.25})  # {"a": "0", "b": "10", "c": "11"}
        ```

    Reference:
        Huffman 1952, "A method for the construction of minimum-redundancy codes".
    """
    if not isinstance(p, Mapping):
        raise UsageError(f"p is a {type(p).__name__}; expected a mapping of symbols to probabilities")
    _law("p", list(p.values()), 1.0)
    counter = itertools.count()  # settles ties, so that symbols are never compared
    heap = [(float(value), next(counter), [symbol]) for symbol, value in p.items() if value > 0]
    code = {symbol: "" for symbol, value in p.items() if value > 0}
    heapq.heapify(heap)
    while len(heap) > 1:
        low, _, right = heapq.heappop(heap)
        high, _, left = heapq.heappop(heap)
        for bit, symbols in (("0", left), ("1", right)):
            for symbol in symbols:
                code[symbol] = bit + code[symbol]
        heapq.heappush(heap, (low + high, next(counter), left + right))
    return code


def mean_length(code: Mapping[Hashable, str], p: Mapping[Hashable, float]) -> float:
    """Returns the mean length of a code's words, in binary digits, when symbols are distributed as p.

    Args:
        code: symbol to code word.
        p: symbol to probability; they sum to 1.

    Raises:
        UsageError: `p` is no law, or a symbol that occurs has no code word.
    """
    shares = dict(zip(p, _law("p", list(p.values()), 1.0)[0].tolist(), strict=True))
    missing = [symbol for symbol, value in p.items() if value > 0 and symbol not in code]
    if missing:
        raise UsageError(f"{str(missing[0])[:40]!r} has no code word; expected one for every symbol that occurs")
    return float(math.fsum(value * len(code[symbol]) for symbol, value in shares.items() if value > 0))


def optimal_discriminator(p: ArrayLike, g: ArrayLike) -> np.ndarray:
    """Returns D*(x) = p / (p + g), the probability that x is real once the generator is fixed.

    Args:
        p: densities (or probabilities) of the data at some points, of any shape and at least 0.
        g: those of the generator, at the same points.

    Returns:
        An array of their common shape; 1/2 where both are 0, since such points are never seen.

    Raises:
        UsageError: a density is negative or not finite, or the shapes do not fit.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, proposition 1.
    """
    p, g = _fitting(_densities("p", p), _densities("g", g))
    both = p + g
    return np.divide(p, both, out=np.full(both.shape, 0.5), where=both > 0)


def game_value(p: ArrayLike, g: ArrayLike, base: float = math.e, dx: ArrayLike = 1.0) -> float | np.ndarray:
    """Returns C(G) = E_p log D* + E_g log(1 - D*), the minimax value at the optimal discriminator.

    It equals -log 4 + 2 JS(p, g): its least value, -log 4, is reached only where the two laws are equal.

    Args:
        p: (..., K) the law of the data.
        g: (..., K) the law of the generator.
        base: as for `entropy`.
        dx: as for `entropy`.

    Raises:
        UsageError: `p` or `g` is no law, or they differ in length.

    Reference:
        Goodfellow et al. 2014, arXiv:1406.2661, theorem 1.
    """
    p, g, dx = _laws(p, g, dx, names=("p", "g"))
    both = p + g
    return _sum((rel_entr(p, both) + rel_entr(g, both)) * dx, base, least=-math.log(4), most=0.0)


def bayes(likelihood: ArrayLike, prior: ArrayLike) -> np.ndarray:
    """Returns the posterior p(a | b) = p(b | a) p(a) / p(b) of two discrete variables.

    It links the three tables that generative models learn, in both directions: a classifier p(y | x) and the density
    p(x) give the conditional density, `bayes(classifier, density)[y, x] = p(x | y)`; that, with the prior p(y), gives
    the classifier back.

    Args:
        likelihood: (A, B) table of p(b | a): each row sums to 1.
        prior: (A,) p(a).

    Returns:
        (B, A) table of p(a | b): each row sums to 1.

    Raises:
        UsageError: a row is no law, the sizes differ, or some b has probability 0.
    """
    likelihood, _ = _law("likelihood", likelihood, 1.0)
    prior, _ = _law("prior", prior, 1.0)
    if likelihood.ndim != 2 or prior.shape != likelihood.shape[:1]:
        raise UsageError(f"likelihood has shape {likelihood.shape} and prior {prior.shape}; expected (A, B) and (A,)")
    joint = likelihood * prior[:, None]
    evidence = joint.sum(axis=0)
    if not evidence.all():
        raise UsageError(f"b = {int(np.argmin(evidence))} has probability 0, so nothing follows from it; leave it out")
    return (joint / evidence).T


def _numbers(name: str, value: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is {str(value)[:40]!r}; expected numbers") from None
    if not array.size:
        raise UsageError(f"{name} is empty; expected at least one number")
    if not np.isfinite(array).all():
        raise UsageError(f"{name} holds NaN or infinity; expected finite numbers")
    return array


def _densities(name, value):
    array = _numbers(name, value)
    if array.min() < 0:
        raise UsageError(f"{name} holds {array.min():g}; expected probabilities or densities of at least 0")
    return array


def _law(name, value, dx):
    p = np.atleast_1d(_densities(name, value))
    width = _densities("dx", dx)
    if width.ndim and width.shape != p.shape[-1:]:
        raise UsageError(f"dx has shape {width.shape}; expected a number or ({p.shape[-1]},), a width for each point")
    total = np.sum(p * width, axis=-1)
    worst = float(np.ravel(total)[np.argmax(np.abs(total - 1))])
    if abs(worst - 1) > _TOLERANCE:
        raise UsageError(f"{name} sums to {worst:.6g}; expected 1: divide by the sum")
    return p / total[..., None], width


def _seen(p, q, dx):
    """Returns p without the points where q is 0, if it has next to nothing there: densities underflow."""
    excluded = q == 0
    share = np.sum(np.where(excluded, p * dx, 0.0), axis=-1, keepdims=True)
    return np.where(excluded & (share < _NOTHING), 0.0, p)


def _fitting(p, q):
    try:
        return np.broadcast_arrays(p, q)
    except ValueError:
        raise UsageError(f"the laws have shapes {p.shape} and {q.shape}; expected the same values for both") from None


def _laws(p, q, dx, names=("p", "q")):
    (p, width), (q, _) = _law(names[0], p, dx), _law(names[1], q, dx)
    if p.shape[-1] != q.shape[-1]:  # a law of one value would fit any other by broadcasting
        raise UsageError(f"the laws have {p.shape[-1]} and {q.shape[-1]} values; expected the same values for both")
    return *_fitting(p, q), width


def _unit(base):
    number = base.item() if isinstance(base, np.ndarray) and base.ndim == 0 else base
    if not isinstance(number, numbers.Real) or not 1 < number < math.inf:
        raise UsageError(f"base is {str(base)[:30]}; expected a number above 1: math.e for nats, 2 for bits")
    return math.log(number)


def _sum(nats, base, least=-math.inf, most=math.inf):
    """Returns sums over the last axis, without the rounding that leads out of what they can be in nats."""
    unit = _unit(base)
    total = np.clip(np.sum(nats, axis=-1), least, most) / unit
    return float(total) if total.ndim == 0 else total


def _cholesky(name, covariance, size=None):
    array = _numbers(name, covariance)
    if array.ndim < 2:
        array = np.diag(np.broadcast_to(array, (size or array.size,)))
    square = array.ndim == 2 and array.shape[0] == array.shape[1]
    if not square or not np.allclose(array, array.T, atol=1e-8 * np.abs(array).max()):
        raise UsageError(f"{name} of shape {array.shape} is not symmetric; expected (d, d), (d,) or a number")
    try:
        return np.linalg.cholesky(array)
    except np.linalg.LinAlgError:
        raise UsageError(f"{name} is not positive definite; expected variances above 0") from None

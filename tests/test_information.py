"""Information theory: the laws, in numbers."""

import heapq
import math

import numpy as np
import pytest
import tensorflow as tf
from planted import Bug

from keras_gen import information as info
from keras_gen.errors import UsageError

P, Q = np.array([0.5, 0.25, 0.125, 0.125]), np.array([0.25, 0.25, 0.25, 0.25])
NAT = math.log(2)  # nats in a bit


def laws(count, size=7, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(size, 0.5), count)


def normal(x, mean=0.0):
    return np.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)


@pytest.mark.parametrize("base, unit", [(math.e, 1.0), (2, NAT)])
def test_known_values_in_nats_and_bits(base, unit):
    near = {"abs": 1e-6}
    assert info.entropy(P, base) == pytest.approx(1.75 * NAT / unit, **near)
    assert info.cross_entropy(P, Q, base) == pytest.approx(2 * NAT / unit, **near)
    assert info.cross_entropy(Q, P, base) == pytest.approx(2.25 * NAT / unit, **near)
    assert info.kl(P, Q, base) == pytest.approx(0.25 * NAT / unit, **near)
    # The mixture of [1, 0] and [1/2, 1/2] is [3/4, 1/4].
    expected = 0.5 * (math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2))
    assert info.js([1, 0], [0.5, 0.5], base) == pytest.approx(expected / unit, **near)
    # A noisy channel that flips one bit in four: I = ln 2 - H(1/4).
    joint = np.array([[3, 1], [1, 3]]) / 8
    expected = NAT + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    assert info.mutual_information(joint, base) == pytest.approx(expected / unit, **near)
    assert info.gaussian_entropy([1.0, 0.25], base) == pytest.approx((math.log(2 * math.pi * math.e) - NAT) / unit)


def test_cross_entropy_is_entropy_and_kl_which_is_never_negative_and_not_symmetric():
    p, q = laws(200), laws(200, seed=1)
    np.testing.assert_allclose(info.cross_entropy(p, q) - info.entropy(p), info.kl(p, q), atol=1e-9)
    assert info.kl(p, q).min() >= 0 and info.kl(P, P) == 0
    assert np.abs(info.kl(p, q) - info.kl(q, p)).min() > 1e-3
    assert info.kl([0.5, 0.5], [1, 0]) == math.inf and info.kl([1, 0], [0.5, 0.5]) == pytest.approx(NAT)


def test_jensen_shannon_lies_between_0_and_ln_2_and_is_symmetric():
    p, q = laws(200), laws(200, seed=1)
    values = info.js(p, q)
    assert values.min() > 0 and values.max() < NAT
    np.testing.assert_allclose(values, info.js(q, p), atol=1e-12)
    assert info.js(P, P) == 0 and info.js([1, 0], [0, 1]) == pytest.approx(NAT) and info.js([1, 0], [0, 1], 2) == 1


@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("shift", [1, 3, 8, 20])
def test_divergences_of_densities_that_underflow_in_their_tails(shift, kind):
    """Of N(0, 1) and N(shift, 1) on a grid, on which each is 0 where the other is not."""
    x = np.linspace(-45, 45, 9001)
    p, q, dx = normal(x).astype(kind), normal(x, shift).astype(kind), x[1] - x[0]
    assert np.any((p == 0) & (q > 0)) and np.any((p > 0) & (q == 0)) and np.any((p > 0) & ((p + q) / 2 == 0))
    log_ratio = shift * x - shift**2 / 2  # ln q - ln p
    direct = math.log(2) - np.sum(p.astype(float) * np.logaddexp(0, log_ratio)) * dx
    assert info.js(p, q, dx=dx) == pytest.approx(direct, abs=1e-6)
    assert info.js(p, q, dx=dx) == info.js(q, p, dx=dx) <= math.log(2)
    assert info.game_value(p, q, dx=dx) == pytest.approx(2 * direct - math.log(4), abs=1e-6)
    if kind == np.float64:  # what float32 leaves out of a density 20 standard deviations away is not nothing
        assert info.kl(p, q, dx=dx) == pytest.approx(shift**2 / 2, rel=1e-9)
        assert info.cross_entropy(p, q, dx=dx) == pytest.approx(info.gaussian_entropy(1.0) + shift**2 / 2, rel=1e-9)
    far = normal(x, 36)  # here the density that underflows is one that `p` shows
    assert info.kl(p, far, dx=dx) == info.cross_entropy(p, far, dx=dx) == math.inf


def test_what_cannot_be_negative_is_not_though_sums_are_rounded():
    p = laws(50, 20)
    for share in (1 - 9e-6, 1, 1 + 9e-6):
        assert np.all(info.kl(share * p, p) >= 0) and np.all(info.kl(p, share * p) >= 0)
        assert np.all(info.js(share * p, p) >= 0) and np.abs(info.kl(share * p, p)).max() < 1e-12
        assert np.all(info.js(share * np.eye(4), np.roll(np.eye(4), 1, axis=0)) <= NAT)
        assert np.all(info.game_value(share * p, p) >= -math.log(4))
        assert info.mutual_information(share * np.outer(P, Q)) == pytest.approx(0, abs=1e-15)
        assert info.mutual_information(share * np.outer(P, Q)) >= 0 and info.entropy([share, 0]) == 0
        assert info.mutual_information(np.diag(share * P)) == pytest.approx(info.entropy(P))
        law = dict(enumerate(share * P))
        assert info.mean_length(info.huffman_code(law), law) == pytest.approx(info.entropy(P, 2), abs=1e-12)
    rng = np.random.default_rng(3)
    for size in range(1, 30):
        root = rng.normal(size=(size, size))
        covariance = root @ root.T + 0.01 * np.eye(size)
        assert 0 <= info.gaussian_kl(np.ones(size), covariance, np.ones(size), covariance) < 1e-9


def test_mutual_information_of_rare_values_is_finite():
    joint = np.array([[1 - 1e-200, 0.0], [0.0, 1e-200]])  # whose product of marginals is 0
    assert info.mutual_information(joint) == pytest.approx(0, abs=1e-15)
    assert info.mutual_information(np.array([[0.5, 0, 0], [0, 0, 0], [0, 0, 0.5]])) == pytest.approx(NAT)


@pytest.mark.parametrize("two", [np.float16(2), np.float32(2), np.float64(2), np.int8(2), np.array(2.0), 2])
def test_bases_are_numbers_of_any_kind(two):
    assert info.entropy(P, two) == pytest.approx(1.75)
    assert info.kl(P, Q, base=two) == pytest.approx(0.25) and info.gaussian_kl(0, 1, base=two) == 0


def test_mutual_information_is_zero_for_independent_variables_and_the_entropy_for_equal_ones():
    assert info.mutual_information(np.outer(P, Q)) == pytest.approx(0, abs=1e-12)
    assert info.mutual_information(np.diag(P)) == pytest.approx(info.entropy(P))
    joint = laws(1, 12)[0].reshape(3, 4)
    expected = info.entropy(joint.sum(0)) + info.entropy(joint.sum(1)) - info.entropy(joint.ravel())
    assert info.mutual_information(joint) == pytest.approx(expected, abs=1e-9)


def test_gaussian_kl_in_closed_form_agrees_with_monte_carlo():
    assert info.gaussian_kl([1, -2], [1, 0.25]) == pytest.approx(2.818147, abs=1e-6)
    x = np.random.default_rng(0).normal([1, -2], [1, 0.5], (100_000, 2))
    log_p = -0.5 * np.sum((x - [1, -2]) ** 2 / [1, 0.25] + np.log([1, 0.25]), axis=1)
    assert np.mean(log_p + 0.5 * np.sum(x**2, axis=1)) == pytest.approx(2.818147, rel=0.01)


def test_gaussian_forms_agree_with_their_general_formulas():
    rng = np.random.default_rng(2)
    a, b = (m @ m.T + np.eye(3) for m in rng.normal(size=(2, 3, 3)))
    m, n = rng.normal(size=(2, 3))
    inverse = np.linalg.inv(b)
    direct = np.trace(inverse @ a) + (n - m) @ inverse @ (n - m) - 3 + math.log(np.linalg.det(b) / np.linalg.det(a))
    assert info.gaussian_kl(m, a, n, b) == pytest.approx(direct / 2, abs=1e-9)
    assert info.gaussian_kl(m, a, m, a) == pytest.approx(0, abs=1e-12)
    assert info.gaussian_entropy(a) == pytest.approx(0.5 * math.log(np.linalg.det(2 * math.pi * math.e * a)))
    x = np.linspace(-12, 12, 4001)
    assert info.entropy(normal(x), dx=x[1] - x[0]) == pytest.approx(info.gaussian_entropy(1.0), abs=1e-6)
    assert info.kl(normal(x, 1), normal(x), dx=x[1] - x[0]) == pytest.approx(info.gaussian_kl(1, 1), abs=1e-6)


def test_huffman_is_a_prefix_code_whose_mean_length_is_the_least():
    for number, p in enumerate(laws(100, 9)):
        law = dict(enumerate(p))
        code = info.huffman_code(law)
        words = sorted(code.values())
        assert not any(after.startswith(before) for before, after in zip(words, words[1:], strict=False))
        length, least = info.mean_length(code, law), info.entropy(p, 2)
        assert least <= length < least + 1, number
        # The least mean length is the sum of the merged weights.
        heap, total = list(p), 0.0
        heapq.heapify(heap)
        while len(heap) > 1:
            merged = heapq.heappop(heap) + heapq.heappop(heap)
            total += merged
            heapq.heappush(heap, merged)
        assert length == pytest.approx(total)


def test_a_wrong_code_costs_the_entropy_and_the_divergence():
    p, q = dict(zip("abcd", P[::-1], strict=True)), dict(zip("abcd", P, strict=True))  # dyadic: words of -log2 q bits
    code = info.huffman_code(q)
    assert info.mean_length(code, q) == pytest.approx(info.entropy(P, 2))
    assert info.mean_length(code, p) == pytest.approx(info.entropy(P, 2) + info.kl(P[::-1], P, 2))


def test_symbols_that_are_sure_or_impossible():
    assert info.huffman_code({"a": 1.0, "b": 0.0}) == {"a": ""}
    assert info.mean_length({"a": ""}, {"a": 1.0, "b": 0.0}) == 0
    with pytest.raises(UsageError, match="'b' has no code word"):
        info.mean_length({"a": ""}, {"a": 0.5, "b": 0.5})


def test_bayes_links_classifier_density_and_conditional_on_an_enumerable_toy():
    # All 512 binary 3x3 images; two classes draw their pixels independently, with their own probabilities.
    images = (np.arange(512)[:, None] >> np.arange(9)) & 1
    rates, prior = np.random.default_rng(0).uniform(0.1, 0.9, (2, 9)), np.array([0.3, 0.7])
    conditional = np.stack([np.prod(np.where(images, rate, 1 - rate), axis=1) for rate in rates])  # p(x | y)
    density = prior @ conditional
    log_odds = images @ np.log(rates / (1 - rates)).T + np.log(1 - rates).sum(1) + np.log(prior)
    classifier = np.exp(log_odds - np.logaddexp(*log_odds.T)[:, None])  # (512, 2), without the density
    np.testing.assert_allclose(classifier * density[:, None] / prior, conditional.T, rtol=1e-5)
    np.testing.assert_allclose(info.bayes(classifier, density), conditional, rtol=1e-5)
    np.testing.assert_allclose(info.bayes(conditional, prior), classifier, rtol=1e-5)


@pytest.mark.parametrize("shift, loss", [(1, 1.1635), (2, 0.7126), (3, 0.3327), (0, 1.3863)])
def test_value_of_the_game_by_quadrature(shift, loss):
    x = np.linspace(-12, 15, 6001)
    p, g, dx = normal(x), normal(x, shift), x[1] - x[0]
    value = info.game_value(p, g, dx=dx)
    assert -value == pytest.approx(loss, abs=1e-4)
    assert value == pytest.approx(-math.log(4) + 2 * info.js(p, g, dx=dx), abs=1e-6)
    logit = shift**2 / 2 - shift * x
    direct = -np.sum(p * np.logaddexp(0, -logit) + g * np.logaddexp(0, logit)) * dx
    assert value == pytest.approx(direct, abs=1e-3)
    d = info.optimal_discriminator(p, g)
    np.testing.assert_allclose(d, 1 / (1 + np.exp(-logit)), atol=1e-9)
    if not shift:
        assert np.all(d == 0.5)


@pytest.mark.parametrize("shift, loss", [(1, 1.1635), (2, 0.7126), (3, 0.3327)])
def test_a_trained_logistic_discriminator_converges_to_the_optimal_one(shift, loss):
    # Real N(0, 1), fake N(m, 1), by quantiles: the mean over them is the integral, without the noise of a draw.
    from scipy.optimize import minimize
    from scipy.special import ndtri

    from keras_gen.losses import ADVERSARIAL

    real = tf.constant(ndtri((np.arange(4000) + 0.5) / 4000), tf.float32)

    def value_and_gradient(weights):
        weights = tf.constant(weights, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            real_logits, fake_logits = weights[0] + weights[1] * real, weights[0] + weights[1] * (real + shift)
            value = ADVERSARIAL["minimax"].discriminator(real_logits, fake_logits)
        return float(value), tape.gradient(value, weights).numpy().astype(np.float64)

    found = minimize(value_and_gradient, np.zeros(2), jac=True, options={"gtol": 1e-6})
    assert found.fun == pytest.approx(loss, abs=1e-3)
    np.testing.assert_allclose(found.x, [shift**2 / 2, -shift], atol=0.02)


def test_the_optimal_discriminator_where_nobody_is():
    np.testing.assert_array_equal(info.optimal_discriminator([0, 1, 0], [0, 0, 2]), [0.5, 1, 0])
    assert info.game_value([1, 0], [0, 1]) == 0  # a perfect discriminator


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: info.entropy([0.5, 0.6]), "sums to 1.1; expected 1"),
        (lambda: info.entropy([1.5, -0.5]), "holds -0.5"),
        (lambda: info.entropy([0.5, math.nan]), "NaN"),
        (lambda: info.entropy([]), "is empty"),
        (lambda: info.entropy("ab"), "expected numbers"),
        (lambda: info.entropy(P, base=1), "base is 1"),
        (lambda: info.entropy(P, base=np.float32(1)), "base is 1.0"),
        (lambda: info.entropy(P, base="2"), "base is 2"),
        (lambda: info.entropy(P, base=np.array([2, 3])), "base is"),
        (lambda: info.kl(P, [1.0]), "4 and 1 values"),
        (lambda: info.kl(np.full((2, 2), 0.5), np.full((3, 2), 0.5)), "shapes"),
        (lambda: info.entropy(P, dx=[1, 2]), "dx has shape"),
        (lambda: info.mutual_information(P), "table"),
        (lambda: info.gaussian_entropy([1, 0]), "not positive definite"),
        (lambda: info.gaussian_entropy([[1, 2], [0, 1]]), "not symmetric"),
        (lambda: info.gaussian_kl([1, 2], np.eye(3)), "one number d"),
        (lambda: info.gaussian_kl([1, 2], [[1.0]]), "one number d"),
        (lambda: info.gaussian_kl([[1, 2], [3]], 1), "mean is .* expected numbers"),
        (lambda: info.gaussian_kl(1, [[1, 2], [3]]), "covariance is .* expected numbers"),
        (lambda: info.gaussian_kl(1, 1, 1, [1, "a"]), "other_covariance is .* expected numbers"),
        (lambda: info.gaussian_kl([1, 2], np.ones((2, 2, 2))), "not symmetric"),
        (lambda: info.gaussian_kl([0, 0], 1e-9 * np.array([[2.0, 1], [0, 2]])), "not symmetric"),
        (lambda: info.huffman_code([0.5, 0.5]), "mapping"),
        (lambda: info.bayes([[0.5, 0.5]], P), "expected .A, B. and .A,."),
        (lambda: info.bayes([[1, 0], [1, 0]], [0.5, 0.5]), "b = 1 has probability 0"),
        (lambda: info.optimal_discriminator([1, 2], [1, 2, 3]), "shapes"),
    ],
)
def test_what_is_no_law_is_refused_in_one_line(call, message):
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= 200


BUGS = (
    Bug(
        "JS: the mixture underflows",
        "information.py",
        "(rel_entr(2 * p, both) + rel_entr(2 * q, both)) / 4 * dx",
        "(rel_entr(p, both / 2) + rel_entr(q, both / 2)) / 2 * dx",
        ("test_divergences_of_densities_that_underflow_in_their_tails",),
    ),
)

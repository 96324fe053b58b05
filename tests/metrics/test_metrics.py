"""The metrics against closed forms, against straightforward references, and against each other."""

import math
import tracemalloc

import numpy as np
import pytest
import scipy.linalg
from planted import Bug
from tiny import real_digits

from keras_gen import metrics
from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(150, 6)) @ RNG.normal(size=(6, 6)) + 1
FAKE = RNG.normal(size=(120, 6)) * 1.3 + 0.5


# Straightforward references, from the definitions.


def reference_fd(real, fake):
    mean, other = real.mean(0), fake.mean(0)
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    return np.sum((mean - other) ** 2) + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b)).real


def reference_kid(real, fake):
    def kernel(x, y):
        return (np.dot(x, y) / len(x) + 1) ** 3

    def within(x):
        n = len(x)
        return sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))

    return within(real) + within(fake) - 2 * np.mean([[kernel(x, y) for y in fake] for x in real])


def reference_neighborhoods(real, fake, k):
    def distances(x, y):
        return np.array([[math.dist(a, b) for b in y] for a in x])

    radius, fake_radius = (np.sort(distances(x, x), axis=1)[:, k] for x in (real, fake))  # column 0 is the point itself
    cross = distances(real, fake)
    return (
        np.mean([(cross[:, j] <= radius).any() for j in range(len(fake))]),
        np.mean([(cross[i] <= fake_radius).any() for i in range(len(real))]),
        np.sum(cross <= radius[:, None]) / (k * len(fake)),
        np.mean([cross[i].min() <= radius[i] for i in range(len(real))]),
    )


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_agreement_with_straightforward_references(kind):
    real, fake = REAL.astype(kind), FAKE.astype(kind)
    wide_real, wide_fake = real.astype(np.float64), fake.astype(np.float64)
    assert metrics.frechet_distance(real, fake) == pytest.approx(reference_fd(wide_real, wide_fake), abs=1e-6)
    ours = metrics.kid(real[:60], fake[:60], subsets=1)
    assert ours == pytest.approx((reference_kid(wide_real[:60], wide_fake[:60]), 0), abs=1e-6)
    for k in (1, 5):
        expected = reference_neighborhoods(wide_real, wide_fake, k)
        assert metrics.neighborhoods(real, fake, k) == pytest.approx(expected, abs=1e-6)
        assert metrics.precision_recall(real, fake, k) == pytest.approx(expected[:2], abs=1e-6)
        assert metrics.density_coverage(real, fake, k) == pytest.approx(expected[2:], abs=1e-6)
        assert 0.05 < min(expected[:3]) and max(expected) < 0.99, "an expected value that tells nothing"


# Frechet distance


def test_frechet_distance_of_normal_laws_in_closed_form():
    d, mean, scale = 7, RNG.normal(size=7), 2.5
    law, other = (np.zeros(d), np.eye(d)), (mean, scale**2 * np.eye(d))
    assert metrics.frechet_distance(law, other) == pytest.approx(np.sum(mean**2) + d * (1 - scale) ** 2, abs=1e-9)
    assert metrics.frechet_distance(law, law) == pytest.approx(0, abs=1e-9)
    singular = (np.zeros(d), np.diag([1.0, 4, 0, 0, 0, 0, 0]))
    assert metrics.frechet_distance(law, singular) == pytest.approx(0 + 1 + 5, abs=1e-9)
    assert metrics.frechet_distance(singular, law) == pytest.approx(0 + 1 + 5, abs=1e-9)


def test_frechet_distance_of_a_covariance_that_is_rounded_is_that_of_the_features():
    """Of a singular one, too, in float32 and in six written digits."""
    mix = np.random.default_rng(5).normal(size=(6, 9))
    thin, fake = REAL @ mix, FAKE @ mix
    mean, covariance = thin.mean(0), np.cov(thin, rowvar=False)
    wanted = metrics.frechet_distance(thin, fake)
    written = np.array([[float(f"{value:.6g}") for value in row] for row in covariance])
    for rounded in (covariance.astype(np.float32), written):
        assert np.linalg.eigvalsh(rounded.astype(np.float64))[0] < 0, "by rounding"
        found = metrics.frechet_distance((mean, rounded), fake)
        assert found == pytest.approx(wanted, rel=1e-4)
    zero = (np.zeros(3), np.zeros((3, 3)))
    assert metrics.frechet_distance(zero, zero) == 0 and metrics.frechet_distance(zero, (np.zeros(3), np.eye(3))) == 3


def test_frechet_distance_of_ones_and_nines():
    def features(value):
        out = np.full((100, 2), float(value))
        out[::2, 1] = 2
        return out

    assert metrics.frechet_distance(features(1), features(9)) == pytest.approx(89.091, abs=1e-3)


def test_frechet_distance_of_two_draws_of_one_law_is_its_known_bias():
    d, n = 64, 5000
    rng = np.random.default_rng(0)
    draws = [metrics.frechet_distance(*rng.normal(0, 3, (2, n, d))) / 9 for _ in range(5)]
    assert np.mean(draws) == pytest.approx(0.442, rel=0.02)


def test_moments_in_blocks_equal_those_of_the_whole():
    whole = metrics.Moments(REAL)
    parts = metrics.Moments()
    for first in range(0, len(REAL), 37):
        assert parts.update(REAL[first : first + 37]) is parts
    for moments in (whole, parts):
        assert moments.count == len(REAL)
        np.testing.assert_allclose(moments.mean, REAL.mean(0), atol=1e-12)
        np.testing.assert_allclose(moments.covariance, np.cov(REAL, rowvar=False), atol=1e-12)
    assert metrics.frechet_distance(parts, FAKE) == pytest.approx(metrics.frechet_distance(REAL, FAKE), abs=1e-9)
    # Far from the origin, where the sum of squares loses everything.
    far = metrics.Moments(1e6 + REAL[:70]).update(1e6 + REAL[70:])
    np.testing.assert_allclose(far.covariance, np.cov(REAL, rowvar=False), rtol=1e-6)


def test_moments_and_kid_hold_no_second_copy_of_the_features(monkeypatch):
    monkeypatch.setattr(metrics.distance, "_BLOCK", 2**17)  # 1 MiB
    features = np.random.default_rng(0).standard_normal((20_000, 128), np.float32)
    metrics.kid(features[:10], features[:10], subsets=1)  # what is imported at the first call is not counted
    tracemalloc.start()
    moments = metrics.Moments(features)
    kid = metrics.kid(features, features, subsets=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20, "all in float64 are 20 MB"
    np.testing.assert_allclose(moments.covariance, np.cov(features, rowvar=False), atol=1e-6)
    assert abs(kid.mean) < 0.01


def test_neighborhoods_hold_no_matrix_of_all_distances_and_no_second_copy(monkeypatch):
    monkeypatch.setattr(metrics.distance, "_BLOCK", 2**17)  # 1 MiB
    features = np.random.default_rng(0).standard_normal((3000, 200), np.float32)
    metrics.neighborhoods(features[:10], features[:10])  # what is imported at the first call is not counted
    tracemalloc.start()
    in_blocks = metrics.neighborhoods(features[:2000], features[1000:])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 2**20, "all distances are 32 MB"
    monkeypatch.undo()
    assert in_blocks == metrics.neighborhoods(features[:2000], features[1000:])


@pytest.mark.slow
def test_fifty_thousand_rows_of_2048_features_fit_in_a_gibibyte():
    rng = np.random.default_rng(0)
    tracemalloc.start()
    features = np.empty((50_000, 2048), np.float32)
    for first in range(0, len(features), 5000):
        features[first : first + 5000] = rng.standard_normal((5000, 2048), np.float32)
    moments = metrics.Moments(features)
    distance = metrics.frechet_distance(moments, (np.zeros(2048), np.eye(2048)))
    assert metrics.kid(features, features[::-1], subsets=5).mean == pytest.approx(0, abs=1e-2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**30
    assert distance == pytest.approx(2048 * 2049 / 4 / 50_000 + 2048 / 50_000, rel=0.05)  # one draw against the law


# KID


def test_kid_is_unbiased_and_may_be_negative():
    rng = np.random.default_rng(1)
    values = np.array([metrics.kid(*rng.normal(size=(2, 60, 4)), subsets=1).mean for _ in range(400)])
    assert abs(values.mean()) < 3 * values.std() / math.sqrt(len(values))
    assert 0.3 < np.mean(values < 0) < 0.8
    assert metrics.kid(REAL, REAL + 1).mean > 5 * values.std()


def test_kid_depends_on_its_seed_alone_and_averages_subsets():
    one, again, other = (metrics.kid(REAL, FAKE, 20, 50, seed) for seed in (0, 0, 1))
    assert one == again != other and one.std > 0
    assert metrics.kid(REAL[:120], FAKE, 3, 5000).std == pytest.approx(0, abs=1e-9), "each subset is the whole"


# Precision, recall, density, coverage


@pytest.mark.slow
def test_neighborhoods_of_one_law_in_a_thousand_dimensions():
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 10_000, 1000), np.float32)
    found = metrics.neighborhoods(real, fake, k=5)
    assert found == pytest.approx((0.477, 0.471, 1.056, 0.974), abs=0.02)


def test_neighborhoods_tell_dropped_modes_from_bad_samples():
    rng = np.random.default_rng(0)
    modes = np.array([[-9.0, 0], [9, 0]])
    real = modes[np.arange(400) % 2] + rng.normal(size=(400, 2))
    dropped = modes[0] + rng.normal(size=(400, 2))
    spread = rng.uniform(-30, 30, (400, 2))
    found = metrics.neighborhoods(real, dropped)
    assert found.precision > 0.95 and found.recall < 0.6 and found.coverage < 0.55
    found = metrics.neighborhoods(real, spread)
    assert found.precision < 0.2 and found.recall > 0.9 and found.density < 0.2


def test_a_copy_of_the_real_set_has_every_share_1():
    # Far from the origin and repeated, so that some balls have radius 0 and distances are rounded.
    real = np.repeat(REAL, 7, axis=0).astype(np.float32) + 100
    found = metrics.neighborhoods(real, real.copy())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


@pytest.mark.parametrize("far", [30.0, 1e4, 1e8, 1e12])
def test_one_far_row_is_one_of_n(far):
    """All four figures, by straightforward references; and one real row that is far hardly moves the density."""
    plain = metrics.neighborhoods(REAL, FAKE)
    row = far * np.eye(6)[:1]
    for real, fake in ((np.r_[REAL, row], FAKE), (REAL, np.r_[FAKE, row]), (np.r_[row, REAL], np.r_[FAKE, row])):
        found = metrics.neighborhoods(real, fake)
        assert found == pytest.approx(reference_neighborhoods(real, fake, 5), abs=1e-9)
        assert found.density == pytest.approx(plain.density, rel=0.05)
        assert found.coverage == pytest.approx(plain.coverage, rel=0.05)
    copied = np.r_[np.repeat(REAL, 7, axis=0), row].astype(np.float32)
    found = metrics.neighborhoods(copied, copied.copy())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1) and found.density < 2


# Copies


def test_copies_are_found_and_new_draws_of_the_law_are_not():
    rng = np.random.default_rng(0)
    train, held_out, new = rng.normal(size=(3, 1000, 5))
    held_out = held_out[:400]
    copied = np.concatenate([train[100:150] + 1e-4, new[:50]])
    found = metrics.nearest_neighbor_copies(copied, train, held_out)
    assert found.share == pytest.approx(0.5, abs=0.04)
    np.testing.assert_array_equal(found.index[:50], np.arange(100, 150))
    assert found.distance[:50].max() < found.threshold
    assert metrics.nearest_neighbor_copies(new, train, held_out).share < 0.025
    assert metrics.nearest_neighbor_copies(new, train, held_out, 0.5).share == pytest.approx(0.5, abs=0.06)


# Labels


def test_class_histogram_entropy_and_the_rarest_class():
    found = metrics.class_histogram([0, 0, 1, 2], 4)
    np.testing.assert_array_equal(found.counts, [2, 1, 1, 0])
    assert found.entropy == pytest.approx(1.5 * math.log(2)) and found.rarest == 0
    assert metrics.class_histogram(np.arange(50) % 10, 10)[1:] == pytest.approx((math.log(10), 0.1))


def test_label_agreement():
    assert metrics.label_agreement([0, 1, 2, 3], np.array([0, 1, 3, 3])) == 0.75


def test_variance_within_classes_knows_prototypes_and_ignores_what_lies_between():
    images, labels = real_digits(1500)
    real = metrics.within_class_variance(images, labels)
    prototypes = np.stack([images[labels == label].mean(axis=0) for label in range(10)])[labels]
    assert metrics.within_class_variance(prototypes, labels) == pytest.approx(0, abs=1e-12)
    halfway = (images + prototypes) / 2
    assert metrics.within_class_variance(halfway, labels) == pytest.approx(real / 4)
    assert real < images.astype(np.float64).var(axis=0).mean()  # which holds the classes' differences too
    hand = metrics.within_class_variance([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0], [9.0, 1.0]], [0, 0, 1, 3])
    assert hand == pytest.approx(1.0)  # (2 + 0) / 2 of class 0; the others have one example each


def test_classifier_accuracy_score_is_low_for_fakes_of_other_classes_or_without_variety():
    images, labels = real_digits(1500)
    train, test = slice(0, 750), slice(750, None)
    real = metrics.classifier_accuracy_score(images[train], labels[train], images[test], labels[test])
    wrong = metrics.classifier_accuracy_score(images[train], (labels[train] + 1) % 10, images[test], labels[test])
    one = metrics.classifier_accuracy_score(images[:40], np.zeros(40, int), images[test], labels[test])
    assert real > 0.85 and wrong < 0.1
    few = labels[train] < 2  # what is trained on them knows two digits only
    two = metrics.classifier_accuracy_score(images[train][few], labels[train][few], images[test], labels[test])
    assert 0.15 < two <= np.mean(labels[test] < 2)
    assert one == np.mean(labels[test] == 0)

    class Nearest:
        def fit(self, x, y):
            assert x.shape == (750, 8, 8, 1), "images stay images"
            self.y = y
            return self

        def predict(self, x):
            return np.full(len(x), self.y[0])

    own = metrics.classifier_accuracy_score(images[train], labels[train], images[test], labels[test], Nearest())
    assert own == np.mean(labels[test] == labels[0])


# Mixtures, bits, pixels, paths


def test_mode_coverage_of_the_ring_of_eight():
    angle = np.arange(8) * math.pi / 4
    centers = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rng = np.random.default_rng(0)
    true = centers[np.arange(40_000) % 8] + 0.02 * rng.normal(size=(40_000, 2))
    found = metrics.mode_coverage(true, centers, 0.02)
    assert found.modes == 8 and found.good == pytest.approx(0.9889, abs=0.002)
    assert found.counts.sum() == round(found.good * 40_000)
    few = np.concatenate([true[::8][:500], true[1::8][:20], true[2::8][:19], np.zeros((61, 2))])
    few[500:539] = np.concatenate([np.tile(centers[1], (20, 1)), np.tile(centers[2], (19, 1))])
    found = metrics.mode_coverage(few, centers, 0.02)
    assert found.modes == 2, "twenty good samples make a mode, nineteen do not"
    assert tuple(found.counts[1:]) == (20, 19, 0, 0, 0, 0, 0)
    assert metrics.mode_coverage([[0.0, 3.1], [0, 2.9]], [[0.0, 0]], 1).good == 0.5


def test_bits_per_dimension():
    assert metrics.bits_per_dimension(784 * math.log(2), 784) == pytest.approx(1)
    np.testing.assert_allclose(metrics.bits_per_dimension([0.0, 12 * math.log(256)], 12), [0, 8])
    # A uniform density on [-1, 1], and one on [0, 1], of 255 steps from level to level.
    assert metrics.bits_per_dimension(12 * math.log(2), 12, 2 / 255) == pytest.approx(math.log2(255))
    assert metrics.bits_per_dimension(0.0, 12, np.float32(1 / 255)) == pytest.approx(math.log2(255))


@pytest.mark.parametrize("kind", ["float", "uint8"])
def test_psnr_by_hand(kind):
    image = np.zeros((2, 4, 4, 3), np.float32 if kind == "float" else np.uint8)
    other = image + image.dtype.type(0.5 if kind == "float" else 51)
    ratio = 4 if kind == "float" else 5  # peak over error
    np.testing.assert_allclose(metrics.psnr(image, other), [20 * math.log10(ratio)] * 2, rtol=1e-5)
    assert np.isinf(metrics.psnr(image, image)).all()


def ssim_by_hand(x, y):
    """Returns the similarity of one channel (H, W) in [0, 1], window by window, as Wang et al. write it."""
    side = min(11, min(x.shape) - (min(x.shape) % 2 == 0))
    at = np.arange(side) - side // 2
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(x.shape[0] - side + 1):
        for left in range(x.shape[1] - side + 1):
            a, b = (z[top : top + side, left : left + side] for z in (x, y))
            mean, other = (window * a).sum(), (window * b).sum()
            variance, its = (window * (a - mean) ** 2).sum(), (window * (b - other) ** 2).sum()
            both = (window * (a - mean) * (b - other)).sum()
            light = (2 * mean * other + 1e-4) / (mean**2 + other**2 + 1e-4)
            values.append(light * (2 * both + 9e-4) / (variance + its + 9e-4))
    return np.mean(values)


@pytest.mark.parametrize("shape", [(3, 3, 1), (4, 9, 1), (13, 12, 3)])
def test_ssim_by_hand_in_floats_and_gray_levels(shape):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, *shape), np.uint8)
    y = np.clip(x + rng.normal(0, 40, x.shape), 0, 255).astype(np.uint8)
    by_hand = [
        np.mean([ssim_by_hand(a[..., c], b[..., c]) for c in range(shape[-1])])
        for a, b in zip(x / 255, y / 255, strict=True)
    ]
    assert 0.3 < min(by_hand) and max(by_hand) < 0.95
    np.testing.assert_allclose(metrics.ssim(x, y), by_hand, atol=1e-6)
    for kind in (np.float32, np.float64):
        floats = [(z / 127.5 - 1).astype(kind) for z in (x, y)]
        np.testing.assert_allclose(metrics.ssim(*floats), by_hand, atol=1e-6)


@pytest.mark.parametrize("level, other", [(130, 125), (0, 255), (10, 40), (127, 128), (255, 243)])
def test_ssim_of_flat_images_is_that_of_their_means(level, other):
    a, b = level / 255, other / 255
    wanted = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)  # 0.99923 of 130 and 125
    images = [np.full((1, 32, 32, 1), value, np.uint8) for value in (level, other)]
    assert metrics.ssim(*images) == pytest.approx(wanted, abs=1e-6)
    assert metrics.ssim(*(image / np.float32(127.5) - 1 for image in images)) == pytest.approx(wanted, abs=1e-6)


def test_ssim_does_not_depend_on_what_is_compared_beside(monkeypatch):
    images = real_digits(9)[0]
    np.testing.assert_allclose(metrics.ssim(images, images), 1, atol=1e-6)
    found = metrics.ssim(images, images[::-1])
    assert np.delete(found, 4).max() < 0.8 and found.dtype == np.float32
    monkeypatch.setattr(metrics.samples, "_BLOCK", 200)  # three images at a time
    np.testing.assert_array_equal(metrics.ssim(images, images[::-1]), found)


def test_displacement_errors_by_hand_and_for_the_best_of_several():
    truth = np.zeros((2, 3, 2))
    straight = truth + np.array([3.0, 4.0])  # 5 m off at every step
    late = np.zeros((2, 3, 2))
    late[:, -1] = [6.0, 8.0]  # 10 m off, at the end only
    assert metrics.displacement_errors(straight, truth) == pytest.approx((5, 5))
    assert metrics.displacement_errors(late, truth) == pytest.approx((10 / 3, 10))
    assert metrics.displacement_errors(np.stack([straight, late]), truth) == pytest.approx((10 / 3, 5))
    mixed = np.stack([np.stack([straight[0], truth[1]]), np.stack([truth[0], straight[1]])])
    assert metrics.displacement_errors(mixed, truth) == (0, 0), "the best is chosen for each path"


# What is refused

GOOD = np.zeros((10, 2))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.frechet_distance(GOOD, GOOD[:, :1]), "2 features and fake 1"),
        (lambda: metrics.frechet_distance(GOOD, GOOD[:1]), "1 rows; expected at least 2"),
        (lambda: metrics.frechet_distance(GOOD, GOOD * np.nan), "NaN"),
        (lambda: metrics.frechet_distance((np.zeros(2), np.eye(3)), GOOD), "expected .d,. and .d, d."),
        (lambda: metrics.frechet_distance(np.zeros(3), GOOD), "expected .n, d."),
        (lambda: metrics.frechet_distance(GOOD, (np.zeros(2), [[1, 0.5], [0, 1]])), "fake's covariance is not symmet"),
        (lambda: metrics.frechet_distance((np.zeros(2), -np.eye(2)), GOOD), "real's covariance has the eigenvalue -1"),
        (lambda: metrics.frechet_distance((np.zeros(2), [[1, 2], [2, 1]]), GOOD), "has the eigenvalue -1"),
        (lambda: metrics.frechet_distance((np.zeros(2), np.diag([1, -1e-3])), GOOD), "has the eigenvalue -0.001"),
        (lambda: metrics.frechet_distance((np.zeros(0), np.zeros((0, 0))), GOOD), "expected .d,. and .d, d."),
        (lambda: metrics.frechet_distance(("mean", np.eye(2)), GOOD), "real's mean is 'mean'"),
        (lambda: metrics.frechet_distance([[1, 2], [3]], GOOD), "rows of one length"),
        (lambda: metrics.neighborhoods([[1, 2], [3]], GOOD), "rows of one length"),
        (lambda: metrics.label_agreement([[0], [0, 1]], [0]), "rows of one length"),
        (lambda: metrics.nearest_neighbors(None, [0], GOOD, [0]), "expected numbers"),
        (lambda: metrics.nearest_neighbor_copies(GOOD, GOOD, GOOD, "all"), "quantile is all"),
        (lambda: metrics.mode_coverage(GOOD, GOOD, "one"), "above 0"),
        (lambda: metrics.bits_per_dimension("some", 1), "array of numbers"),
        (lambda: metrics.psnr([[1], [2, 3]], GOOD), "rows of one length"),
        (lambda: metrics.displacement_errors("straight", GOOD), "array of numbers"),
        (lambda: metrics.frechet_distance(np.array([["a"]]), GOOD), "expected numbers"),
        (lambda: metrics.Moments().mean, "of 0 rows"),
        (lambda: metrics.Moments(GOOD).update(GOOD[:, :1]), "1 features; expected 2"),
        (lambda: metrics.kid(GOOD, GOOD, subsets=0), "subsets is 0"),
        (lambda: metrics.neighborhoods(GOOD, GOOD, k=10), "10 rows; expected at least 11"),
        (lambda: metrics.nearest_neighbor_copies(GOOD, GOOD, GOOD, 1.0), "quantile is 1.0"),
        (lambda: metrics.class_histogram([0, 3], 3), "label 3 is out of range"),
        (lambda: metrics.class_histogram([0.5], 3), "whole numbers"),
        (lambda: metrics.label_agreement([0, 1], [0]), "1 entries; expected 2"),
        (lambda: metrics.classifier_accuracy_score(GOOD, [0] * 10, GOOD[:, :1], [0] * 10), "expected the same"),
        (lambda: metrics.within_class_variance(GOOD, np.arange(10)), "no class has two examples"),
        (lambda: metrics.mode_coverage(GOOD, GOOD[:, :1], 1.0), "as many"),
        (lambda: metrics.mode_coverage(GOOD, GOOD, 0.0), "above 0"),
        (lambda: metrics.bits_per_dimension(1.0, 0), "dims is 0"),
        (lambda: metrics.bits_per_dimension(1.0, 1, 0), "width is 0"),
        (lambda: metrics.psnr(np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4, 3))), "shapes"),
        (lambda: metrics.psnr(np.full((1, 4, 4, 1), 255.0), np.zeros((1, 4, 4, 1))), "a pixel is 255"),
        (lambda: metrics.ssim(np.zeros((1, 2, 8, 1)), np.zeros((1, 2, 8, 1))), "2x8 pixels"),
        (lambda: metrics.displacement_errors(np.zeros((2, 3, 2)), np.zeros((2, 4, 2))), "predicted has shape"),
        (lambda: metrics.Judge.for_data(Examples({"image": np.zeros((9, 8, 8, 1))})), "with labels"),
        (lambda: metrics.Judge.for_data("digits", recipe={"epoch": 3}), "did you mean 'epochs'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call, message):
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value) and len(str(caught.value)) <= 200


def test_what_float64_cannot_hold_is_no_distance_of_0():
    one = np.zeros(2)
    for scale in (1e200, 1e-200):
        found = metrics.frechet_distance((one, scale * np.eye(2)), (one, 4 * scale * np.eye(2)))
        assert found == pytest.approx(2 * scale, rel=1e-9)
    for mean, size in ((one + 1e200, 1), (one, 1e308)):
        with pytest.raises(UsageError, match="too large for float64"), np.errstate(all="ignore"):
            metrics.frechet_distance((mean, size * np.eye(2)), (one, np.eye(2)))
    large = 1e150 * np.random.default_rng(0).normal(size=(20, 2))
    for of in (metrics.frechet_distance, metrics.kid, metrics.precision_recall, metrics.density_coverage):
        with pytest.raises(UsageError, match=r"^real reaches [^\n]*; expected at most 1e\+50"):
            of(large, np.zeros((20, 2)))


BUGS = (
    Bug(
        "SSIM: gray is 0",
        "metrics/samples.py",
        "lowest = 0.0 if peak == 255 else -1.0",
        "lowest = 0.0",
        ("test_ssim_of_flat_images_is_that_of_their_means",),
    ),
    Bug(
        "neighborhoods: rounding of the largest norm in every ball",
        "metrics/distance.py",
        "1e-7 * norm)",
        "1e-7 * norm.max())",
        ("test_one_far_row_is_one_of_n",),
    ),
)

"""Probes and principal components say what they should of data whose answer is known."""

import numpy as np
import pytest
from tiny import shared

from keras_gen import metrics
from keras_gen.errors import UsageError

RNG = np.random.default_rng(0)


def rings(n, seed):
    """Two classes that no line separates and neighbors do: a disk in a ring."""
    rng = np.random.default_rng(seed)
    angle, label = rng.uniform(0, 2 * np.pi, n), np.arange(n) % 2
    radius = np.where(label == 0, rng.uniform(0, 0.5, n), rng.uniform(1.0, 1.5, n))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), label


def test_a_probe_draws_lines_and_neighbors_do_not():
    train, test = rings(400, 0), rings(400, 1)
    assert metrics.nearest_neighbors(*train, *test) == 1.0
    assert metrics.linear_probe(*train, *test) < 0.7
    squares = [(np.square(codes), labels) for codes, labels in (train, test)]  # there a line separates them
    assert metrics.linear_probe(*squares[0], *squares[1]) > 0.97


def test_neighbors_vote():
    """Of the five nearest to 0.3, two are of class 1 and three of class 0; alone the nearest one is of class 1."""
    codes, labels = np.array([[0.0], [0.2], [0.4], [0.6], [1.0], [9.0]]), np.array([0, 1, 1, 0, 0, 1])
    test = (np.array([[0.28]]), np.array([0]))
    assert metrics.nearest_neighbors(codes, labels, *test) == 1.0
    assert metrics.nearest_neighbors(codes, labels, *test, k=1) == 0.0


def test_a_probe_does_not_depend_on_the_scale_of_a_coordinate():
    (codes, labels), test = rings(200, 2), rings(200, 3)
    codes, test_codes = np.square(codes), np.square(test[0])
    scale = np.array([1e3, 1e-3])
    one = metrics.linear_probe(codes, labels, test_codes, test[1])
    other = metrics.linear_probe(codes * scale, labels, test_codes * scale, test[1])
    assert one == pytest.approx(other, abs=0.011)


def test_pca_error_is_the_sum_of_the_discarded_eigenvalues():
    x = RNG.standard_normal((500, 5)) * [3.0, 2.0, 1.0, 0.5, 0.1] + 4
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    for k in range(6):
        assert metrics.pca_error(x, x, k) == pytest.approx(values[k:].sum() / 5, rel=1e-4, abs=1e-6)
    shift = x + [1, 0, 0, 0, 0]  # the mean is that of the train set
    assert metrics.pca_error(x, shift, 0) == pytest.approx(values.sum() / 5 + 1 / 5, rel=1e-4)


def test_what_cannot_be_measured_is_said():
    x, y = RNG.standard_normal((20, 3)), np.arange(20) % 2
    for call, words in (
        (lambda: metrics.linear_probe(x, y, x[:, :2], y), "features"),
        (lambda: metrics.linear_probe(x, y * 0, x, y), "at least 2 classes"),
        (lambda: metrics.linear_probe(x, y[:5], x, y), "20"),
        (lambda: metrics.nearest_neighbors(x, y, x, y, k=21), "k is 21"),
        (lambda: metrics.pca_error(x, x, 4), "components is 4"),
    ):
        with pytest.raises(UsageError, match=words):
            call()


@pytest.mark.slow
def test_pca_of_mnist_has_its_known_errors():
    """Mean squared error per pixel of the test images, pixels in [0, 1]."""
    with np.load(shared("mnist.npz")) as held:
        train, test = (held[name].reshape(-1, 784) / np.float32(255) for name in ("x_train", "x_test"))
    known = {0: 0.0674, 2: 0.0555, 8: 0.0372, 16: 0.0266, 32: 0.0166, 64: 0.0089}
    for k, error in known.items():
        assert metrics.pca_error(train, test, k) == pytest.approx(error, rel=0.02), k
        assert metrics.pca_error(test, test, k) == pytest.approx(error, abs=1e-4), k  # their own components

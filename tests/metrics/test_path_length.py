"""Perceptual path length beside its closed form, of a linear synthesis."""

import numpy as np
import pytest
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.metrics import path_length

COLUMNS = np.random.default_rng(0).normal(size=(64, 5))
W, TO = np.random.default_rng(1).normal(size=(2, 400, 3, 5))


def synthesize(style):
    return (style.mean(axis=1) @ COLUMNS.T).reshape(-1, 8, 8, 1)


def test_of_a_linear_synthesis_it_is_the_distance_of_the_ends_without_the_outer_per_cents():
    every = np.square((TO - W).mean(axis=1) @ COLUMNS.T).sum(axis=1)
    kept = np.sort(every)[3:-3]  # of 400, those between the percentiles 1 and 99: ranks 3.99 and 395.01
    assert path_length(synthesize, W, TO) == pytest.approx(kept.mean(), rel=1e-6)
    assert path_length(synthesize, W, TO, epsilon=0.5) == pytest.approx(kept.mean(), rel=1e-6)


def test_features_are_where_distances_are_taken():
    def half(images):
        return 0.5 * images.reshape(len(images), -1)

    assert path_length(synthesize, W, TO, half) == pytest.approx(path_length(synthesize, W, TO) / 4, rel=1e-6)


def test_pairs_of_two_shapes_are_refused():
    for style, other, epsilon, says in ((W, TO[:1], 1e-4, "pairs of one shape"), (W, TO, 0.0, "epsilon is 0")):
        with pytest.raises(UsageError, match=says):
            path_length(synthesize, style, other, epsilon=epsilon)


BUGS = [
    Bug(
        "PPL: divided by epsilon, not by its square",
        "metrics/path_length.py",
        "sum(axis=1) / epsilon**2",
        "sum(axis=1) / epsilon",
        ("test_of_a_linear_synthesis_it_is_the_distance_of_the_ends_without_the_outer_per_cents",),
    ),
    Bug(
        "PPL: nothing is dropped",
        "metrics/path_length.py",
        "TRIMMED = 1.0",
        "TRIMMED = 0.0",
        ("test_of_a_linear_synthesis_it_is_the_distance_of_the_ends_without_the_outer_per_cents",),
    ),
]

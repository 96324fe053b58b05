"""A figure says what it was measured on, and figures on different features are not compared."""

import pytest

from keras_gen import metrics
from keras_gen.errors import UsageError


def figure(value=1.0, digest="a" * 16):
    return metrics.Figure(value, 100, 90, "test", "cnn of digits, 64 features", digest)


def test_a_figure_says_what_it_was_measured_on():
    one, two = figure(1.0), figure(2.0)
    assert str(one) == "1 (100 real of test, 90 fake, cnn of digits, 64 features aaaaaaaa)" and float(one) == 1
    assert one < two and two > one and one <= two and two >= one and two - one == 1 and two / one == 2
    assert metrics.side_by_side([one, two]) == (one, two)


def test_figures_on_different_features_are_never_put_side_by_side():
    one, other = figure(), figure(digest="b" * 16)
    for compared in (
        lambda: one < other,
        lambda: one > other,
        lambda: one <= other,
        lambda: one >= other,
        lambda: one - other,
        lambda: one / other,
        lambda: min(one, other),
        lambda: metrics.side_by_side([one, one, other]),
    ):
        with pytest.raises(UsageError, match="cannot be compared"):
            compared()
    with pytest.raises(UsageError, match="is no Figure"):
        metrics.side_by_side([one, 2.0])

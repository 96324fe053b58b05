"""Outlier scores: figures by hand, the same decision in all runtimes, and where likelihoods fail."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tiny import make, real_digits

import export.onnx
import export.tflite
from keras_gen import exported, outliers
from keras_gen.errors import UsageError


def test_auroc_by_hand():
    """Of the six pairs, an outlier is below in three and equal in one."""
    assert outliers.auroc([2.0, 3.0, 5.0], [1.0, 3.0]) == pytest.approx((3 + 1 + 0.5) / 6)
    assert outliers.auroc([1.0, 2.0], [-1.0, 0.0]) == 1
    assert outliers.auroc([1.0, 2.0], [3.0, 4.0]) == 0
    assert outliers.auroc([1.0, 2.0], [1.0, 2.0]) == 0.5
    # Two unit normal laws, two apart: Phi(2 / sqrt 2).
    rng = np.random.default_rng(0)
    assert outliers.auroc(rng.normal(2, 1, 4000), rng.normal(0, 1, 4000)) == pytest.approx(0.9214, abs=0.01)


def test_threshold_rejects_its_share():
    scores = np.random.default_rng(0).normal(size=10_000)
    limit = outliers.threshold(scores, 0.1)
    assert np.mean(scores < limit) == pytest.approx(0.1, abs=1e-3)
    assert outliers.threshold([3.0, 1.0, 2.0], 0.5) == 2
    assert outliers.threshold([3.0, 1.0, 2.0], 0) == 1


def test_typicality_by_hand():
    np.testing.assert_allclose(outliers.typicality([1.0, 4.0, 9.0], [2.0, 5.0, 4.0]), [-3, 0, -5])


def test_scores_are_the_density_where_there_is_one_and_reconstruction_where_not(tmp_path):
    model, images = make("vae"), real_digits(9)[0]
    bound = outliers.score_samples(model, images, samples=3, seed=1)
    np.testing.assert_allclose(bound, model.log_prob(images, samples=3, seed=1), rtol=1e-6)
    wanted = -np.square(model(images) - images).mean((1, 2, 3))
    errors = outliers.score_samples(model, images, "reconstruction", batch_size=4)
    np.testing.assert_allclose(errors, wanted, rtol=1e-5)
    limit = outliers.threshold(errors, 0.3)
    export.onnx.export(model, tmp_path)
    export.tflite.export(model, tmp_path)
    for name in ("encode.onnx", "decode.onnx", "model.tflite"):
        scores = outliers.score_samples(tmp_path / name, images)
        np.testing.assert_allclose(scores, wanted, atol=1e-4)
        np.testing.assert_array_equal(scores < limit + 1e-4, errors < limit + 1e-4)  # one score lies at the limit
    for source in (exported.open_file(tmp_path / "model.tflite"), str(tmp_path / "decode.onnx")):
        with pytest.raises(UsageError, match="no log_prob"):
            outliers.score_samples(source, images, "log_prob")


def test_usage_errors():
    images = real_digits(2)[0]
    cases = [
        (lambda: outliers.score_samples(make("gan"), images), "neither a density nor an encoder"),
        (lambda: outliers.score_samples(make("gan"), images, "log_prob"), "implicit"),
        (lambda: outliers.score_samples(make("vae"), images, "logprob"), "did you mean 'log_prob'"),
        (lambda: outliers.score_samples(make("vae"), images, "reconstruction", samples=3), "takes no samples"),
        (lambda: outliers.score_samples(make("vae"), images * np.nan), "NaN"),
        (lambda: outliers.score_samples(make("vae"), images[:, :4], "reconstruction"), "expected ('n', 8, 8, 1)"),
        (lambda: outliers.threshold([1.0], 5), "quantile is 5"),
        (lambda: outliers.auroc([1.0], []), "outliers have shape (0,)"),
        (lambda: outliers.auroc([np.nan], [1.0]), "NaN"),
    ]
    for call, words in cases:
        with pytest.raises(UsageError) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def rows():
    """The table of the example, on real digits."""
    path = Path(__file__).parents[1] / "examples" / "outliers.py"
    spec = importlib.util.spec_from_file_location("outliers_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {(row.trained_on, row.outliers): row for row in module.table(steps=400)}


def test_likelihood_detects_what_is_no_digit(rows):
    for key, row in rows.items():
        if key[1] in ("noise", "inverted"):
            assert row.log_prob > 0.99 and row.rejected > 0.99, row


def test_likelihood_fails_in_one_direction_and_works_in_the_other(rows):
    """The same two sets of real images, once as data and once as outliers."""
    works, fails = rows["1", "all but 1"], rows["all but 1", "1"]
    assert works.log_prob > 0.95 and works.rejected > 0.9
    assert fails.log_prob < 0.45, "simple images look more like the data than the data"
    assert fails.rejected < 0.2
    assert fails.typicality > max(0.55, fails.log_prob + 0.1), "too likely is not typical"

"""Outlier scores: figures by hand, the same decision in all runtimes, and where likelihoods fail."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny import make, real_digits

import export.onnx
import export.tflite
import keras_gen
from keras_gen import outliers
from keras_gen.errors import UsageError
from keras_gen.signatures import exported


def test_auroc_by_hand():
    """Of the six pairs, an outlier is below in three and equal in one."""
    assert outliers.auroc([2.0, 3.0, 5.0], [1.0, 3.0]) == pytest.approx((3 + 1 + 0.5) / 6)
    assert outliers.auroc([1.0, 2.0], [-1.0, 0.0]) == 1
    assert outliers.auroc([1.0, 2.0], [3.0, 4.0]) == 0
    assert outliers.auroc([1.0, 2.0], [1.0, 2.0]) == 0.5
    assert outliers.auroc([-np.inf, 0.0], [-np.inf]) == 0.75, "a likelihood may be 0"
    assert outliers.auroc([np.inf], [-np.inf]) == 1 and outliers.auroc(np.int8([1, 2]), [True]) == 0.75
    # Two unit normal laws, two apart: Phi(2 / sqrt 2).
    rng = np.random.default_rng(0)
    assert outliers.auroc(rng.normal(2, 1, 4000), rng.normal(0, 1, 4000)) == pytest.approx(0.9214, abs=0.01)


def test_threshold_rejects_its_share():
    scores = np.random.default_rng(0).normal(size=10_000)
    limit = outliers.threshold(scores, 0.1)
    assert np.mean(scores < limit) == pytest.approx(0.1, abs=1e-3)
    assert outliers.threshold([3.0, 1.0, 2.0], 0.5) == 2
    assert outliers.threshold([3.0, 1.0, 2.0], 0) == 1
    assert outliers.threshold([1.0, -np.inf, -np.inf, 2.0], np.float32(0.5)) == -np.inf


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
        (lambda: outliers.auroc(["low"], [1.0]), "normal are ['low']"),
        (lambda: outliers.auroc([1.0], [[1], [1, 2]]), "outliers are [[1], [1, 2]]"),
        (lambda: outliers.auroc([1.0], [1j]), "outliers are [1j]"),
        (lambda: outliers.typicality([None, "a"], [1.0]), "scores are [None, 'a']"),
        (lambda: outliers.threshold([1.0], "most"), "quantile is most"),
        (lambda: outliers.score_samples(make("vae"), images, kind=3), "kind '3'"),
        (lambda: outliers.score_samples(make("vae"), images, batch_size=0), "batch_size is 0"),
        (lambda: outliers.score_samples(make("vae"), images, samples=0), "samples is 0"),
        (lambda: outliers.score_samples(make("autoencoder"), 127.5 * images + 127.5), "images are from 0 to 255"),
    ]
    for call, words in cases:
        with pytest.raises(UsageError) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value)


# --- the detector ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """A VAE of digits, and digits that it has not seen."""
    keras.utils.set_random_seed(0)
    images = real_digits(1000)[0]
    model = keras_gen.VAE(image_shape=(8, 8, 1), latent_dim=8, hidden=(64,), binarize="none", seed=0)
    model.compile()
    model.fit(images[:600], batch_size=50, epochs=20, verbose=0)
    return model, images[600:]


def test_detector_rejects_its_share_by_the_error_of_reconstruction(trained):
    model, images = trained
    detect = outliers.detector(model, images, quantile=0.1)
    scores = detect.scores(images)
    np.testing.assert_allclose(scores, -np.square(model.reconstruct(images) - images).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(scores, outliers.score_samples(model, images, "reconstruction"), rtol=1e-5)
    assert detect(images).dtype == bool and detect(images).sum() == 40  # of 400
    assert outliers.threshold(scores, 0.1) == pytest.approx(detect.threshold, abs=1e-2)
    order = np.sort(scores)
    assert detect.threshold == pytest.approx((order[39] + order[40]) / 2, abs=1e-7)
    noise = np.random.default_rng(0).uniform(-1, 1, (50, 8, 8, 1)).astype(np.float32)
    assert detect(noise).mean() > 0.9 and detect(-images).mean() > 0.95
    assert not outliers.detector(model, images, quantile=0)(images).any()
    assert (~outliers.detector(model, images, quantile=1)(images)).sum() == 1  # the best is not below itself


def test_the_decision_is_the_same_in_keras_onnx_and_tflite(trained, tmp_path):
    """On digits, on noise, and on mixtures of both that score within 1e-4 of the threshold on either side."""
    model, images = trained
    detect = outliers.detector(model, images[:200], quantile=0.05)
    export.onnx.export(detect, tmp_path)
    export.tflite.export(detect, tmp_path)
    inside, noise = images[:40][~detect(images[:40])], np.random.default_rng(0).uniform(-1, 1, (40, 8, 8, 1))
    low, high = np.zeros(len(inside)), np.ones(len(inside))

    def mixed(share):
        share = share[:, None, None, None]
        return ((1 - share) * inside + share * noise[: len(inside)]).astype(np.float32)

    for _ in range(14):  # bisection: `low` belongs, `high` does not
        middle = (low + high) / 2
        outside = detect(mixed(middle))
        low, high = np.where(outside, low, middle), np.where(outside, middle, high)
    shown = np.concatenate([images, mixed(low), mixed(high), noise.astype(np.float32)])
    scores, decided = detect.scores(shown), detect(shown)
    near = np.abs(scores - detect.threshold) < 1e-4
    assert near[decided].sum() > 20 < near[~decided].sum()
    clear = np.abs(scores - detect.threshold) > 1e-6  # nearer, and rounding decides
    assert clear.sum() > len(clear) - 10
    for name in ("detect.onnx", "model.tflite"):
        file = exported.open_file(tmp_path / name)
        found = file.run("detect", image=shown)
        assert found["outlier"].dtype == np.int32
        np.testing.assert_allclose(found["score"], scores, atol=1e-6)
        np.testing.assert_array_equal(found["outlier"][clear].astype(bool), decided[clear])
        assert float(file.meta("detect")["threshold"]) == detect.threshold


def test_a_detector_of_tokens_and_one_of_half_precision(tmp_path):
    images = real_digits(64)[0].repeat(2, axis=2)
    for model in (make("vq_vae"), make("vq_vae", dtype="mixed_bfloat16")):
        scores = outliers.score_samples(model.float32(), images)
        detect = outliers.detector(model, images, quantile=0.25)
        np.testing.assert_allclose(detect.scores(images), scores, rtol=1e-5)
        assert detect(images).sum() == 16
        export.onnx.export(detect, tmp_path)
        found = exported.open_file(tmp_path / "detect.onnx").run("detect", image=images)
        np.testing.assert_array_equal(found["outlier"].astype(bool), detect(images))


def test_a_detector_of_a_run(trained, tmp_path):
    model, images = trained
    model.save(tmp_path / "model.keras")
    detect = outliers.detector(tmp_path, images)
    np.testing.assert_array_equal(detect(images), outliers.detector(model, images)(images))
    export.onnx.export(model, tmp_path)

    class Conditional(keras_gen.VAE):
        def signatures(self):
            found = super().signatures()
            inputs = {**found["decode"].inputs, "label": None}
            return {**found, "decode": found["decode"]._replace(inputs=inputs)}

    for words, call in (
        ("needs 'label' to reconstruct", lambda: outliers.detector(Conditional(image_shape=(8, 8, 1)), images)),
        ("has no 'encode' and 'decode', only generate", lambda: outliers.detector(make("gan"), images)),
        ("is no Keras model", lambda: outliers.detector(tmp_path / "encode.onnx", images)),
        ("quantile is 2", lambda: outliers.detector(model, images, quantile=2)),
        ("quantile is most", lambda: outliers.detector(model, images, quantile="most")),
        ("quantile is None", lambda: outliers.detector(model, images, quantile=None)),
        ("images are folder", lambda: outliers.detector(model, "folder")),
        ("images are [[1], [1, 2]]", lambda: outliers.detector(model, [[1], [1, 2]])),
        ("from 0 to 255", lambda: outliers.detector(model, (127.5 * images + 127.5).astype(np.uint8))),
        ("batch_size is 0", lambda: outliers.detector(model, images, batch_size=0)),
        ("batch_size is 0", lambda: detect(images, batch_size=0)),
        ("images are [['a']]", lambda: detect([["a"]])),
        ("expected ('n', 8, 8, 1)", lambda: detect(images[:, :4])),
        ("NaN", lambda: detect(images * np.nan)),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value)


# --- the example -----------------------------------------------------------------------------------------------------


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

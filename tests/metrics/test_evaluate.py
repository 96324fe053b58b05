"""`evaluate`: the same run gives the same figures, and what is measured suits the model."""

import json

import keras
import numpy as np
import pytest
from planted import Bug
from tiny import batch_for, make

import keras_gen
from keras_gen import data, metrics
from keras_gen.cli.evaluate import table
from keras_gen.cli.figures import number
from keras_gen.cli.main import main
from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError
from keras_gen.metrics.evaluation import evaluate


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_GEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def digits():
    return data.examples("digits", "train"), data.examples("digits", "test")


class Replaying(keras_gen.GAN):
    """A generator that hands out given images: the best that a model can do, or the worst."""

    given = None

    def sample(self, n, seed=0, **_):
        return self.given[:n]


def replaying(images):
    model = Replaying(image_shape=(8, 8, 1), latent_dim=2, hidden=(2,))
    model.given = images.astype(np.float32) / 127.5 - 1
    return model


def test_real_images_pass_training_images_are_copies_and_noise_fails(digits):
    train, test = digits
    order = np.random.default_rng(0).permutation(len(test))
    held_out = test.arrays["image"][order][148:296]
    real, copied = evaluate(replaying(held_out), *digits), evaluate(replaying(train.arrays["image"]), *digits)
    noise = evaluate(replaying(np.random.default_rng(0).integers(0, 255, held_out.shape)), *digits)
    assert real.metrics["fd"] == pytest.approx(real.ladder["real"]["fd"], rel=1e-3)
    assert real.metrics["fd"] < 0.2 * noise.metrics["fd"]
    assert noise.metrics["coverage"] < 0.5 * real.metrics["coverage"]
    assert copied.metrics["copies"] == 1 and real.metrics["copies"] < 0.1
    assert real.protocol["n_real"] == real.protocol["n_fake"] == 148
    assert [judge["kind"] for judge in real.protocol["judges"]] == ["cnn", "neighbors"]


def test_a_likelihood_and_reconstructions_are_measured_where_there_are_any(digits):
    evaluated = evaluate(make("vae", latent_dim=2, binarize="none"), *digits)
    found = evaluated.metrics
    assert found["nll"] > 0 and found["bits_per_dimension"] == pytest.approx(found["nll"] / 64 / np.log(2))
    assert {"test_loss", "reconstruction_psnr", "reconstruction_ssim"} <= set(found)
    assert evaluated.protocol["levels"] == 2
    assert not {"nll", "reconstruction_psnr"} & set(evaluate(make("gan"), *digits).metrics)


def test_bits_of_a_gaussian_decoder_are_of_gray_levels_and_without_levels_there_are_none(digits):
    model = make("vae", likelihood="gaussian")
    found = evaluate(model, *digits)
    wanted = (found.metrics["nll"] / 64 + np.log(127.5)) / np.log(2)
    assert found.metrics["bits_per_dimension"] == pytest.approx(wanted) and found.protocol["levels"] == 256
    model.pixel_levels = lambda: None
    found = evaluate(model, *digits)
    assert "nll" in found.metrics and "bits_per_dimension" not in found.metrics and "levels" not in found.protocol


@pytest.mark.slow
def test_bits_of_a_model_of_levels_are_of_its_levels(digits):
    found = evaluate(make("pixel_cnn", image_shape=(8, 8, 1), levels=16, likelihood="mixture"), *digits)
    assert found.metrics["bits_per_dimension"] == pytest.approx(found.metrics["nll"] / 64 / np.log(2))
    assert found.protocol["levels"] == 16


def test_a_conditional_model_is_given_labels_and_asked_for_classes(digits):
    train, test = digits
    keras.utils.set_random_seed(0)
    model = keras_gen.ConditionalVAE(num_classes=10, image_shape=(8, 8, 1), latent_dim=3, hidden=(64,), seed=0)
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(train.dataset(50, seed=0), epochs=15, verbose=0)
    found = evaluate(model, train, test).metrics
    assert found["label_agreement"] > 0.9 and found["neighbors_label_agreement"] > 0.7
    assert found["nll"] < found["test_loss"] + 0.5
    assert {"bits_per_dimension", "reconstruction_psnr", "classifier_accuracy_score"} <= set(found)
    assert 0.2 < found["class_variance"] < 1.2
    assert set(found) <= set(metrics.BETTER)
    # The same images under the labels of others are less likely.
    images, labels = (test.arrays[name][:100] for name in ("image", "label"))
    images = images / np.float32(127.5) - 1
    right, wrong = (model.log_prob(images, samples=20, label=given) for given in (labels, (labels + 1) % 10))
    assert right.mean() > wrong.mean() + 5


class Asked(keras_gen.CGAN):
    """A conditional generator that hands out given images of the classes that it is asked for."""

    given = None

    def sample(self, n, seed=0, **_):
        return np.stack([self.given[k % 10][k // 10 % len(self.given[k % 10])] for k in range(n)])


def test_one_prototype_of_each_class_is_seen_by_a_classifier_that_learns_from_samples_alone(digits):
    train, test = digits
    images, labels = train.arrays["image"] / np.float32(127.5) - 1, train.arrays["label"]
    scores, of_real = {}, {}
    for name, kept in (("all", None), ("one", 1)):
        model = Asked(image_shape=(8, 8, 1), latent_dim=2, width=2)
        model.given = [images[labels == label][:kept] for label in range(10)]
        found = evaluate(model, train, test)
        assert found.metrics["label_agreement"] > 0.85, "which both have"
        scores[name] = found.metrics["classifier_accuracy_score"]
        of_real[name] = found.protocol["classifier_accuracy_of_real"]
    assert scores["one"] < 0.6 < 0.75 < scores["all"] and of_real["one"] == of_real["all"] > 0.75


def without_labels(*parts):
    return [Examples({"image": part.arrays["image"]}, (), "photographs") for part in parts]


@pytest.mark.slow
def test_without_labels_all_is_measured_that_needs_none(digits):
    train, test = without_labels(*digits)
    order = np.random.default_rng(0).permutation(len(test))
    real = evaluate(replaying(test.arrays["image"][order][148:296]), train, test)
    copied = evaluate(replaying(train.arrays["image"]), train, test)
    assert copied.metrics["copies"] == 1 and real.metrics["copies"] < 0.1
    assert real.metrics["neighbors_fd"] == pytest.approx(real.ladder["real"]["fd"], rel=1e-3)
    assert [name for name in real.metrics if not name.startswith("neighbors_")] == ["copies"]
    assert not {"neighbors_class_entropy", "neighbors_rarest_class"} & set(real.metrics)
    assert list(real.ladder) == ["real", "blurred", "100 repeated", "noise"]
    (judge,) = real.protocol["judges"]
    assert judge["kind"] == "neighbors" and judge["accuracy"] is None
    json.dumps(real._asdict(), allow_nan=False)
    lines = table(real)
    assert any("by the judge neighbors" in line and "needs no labels" in line for line in lines)
    labelled = evaluate(replaying(test.arrays["image"][order][148:296]), *digits)
    same = {name: labelled.metrics[name] for name in real.metrics if name != "copies"}
    assert same == {name: value for name, value in real.metrics.items() if name != "copies"}, (
        "the features are the same"
    )
    found = evaluate(make("vae", latent_dim=2), train, test).metrics
    assert {"nll", "bits_per_dimension", "test_loss", "reconstruction_psnr", "neighbors_coverage"} <= set(found)


def test_the_command_measures_a_run_on_pictures_without_labels(tmp_path, capsys, digits):
    pictures = {f"x_{name}": part.arrays["image"][..., 0] for name, part in zip(("train", "test"), digits, strict=True)}
    np.savez(tmp_path / "photographs.npz", **pictures)
    train = ["train", "gan", "--data", str(tmp_path / "photographs.npz"), "--steps", "2", "--set", "hidden=(4,)"]
    assert main([*train, "--output", str(tmp_path / "run")]) == 0 == main(["evaluate", str(tmp_path / "run")])
    written = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert {"neighbors_fd", "copies"} <= set(written["metrics"]) and "fd" not in written["metrics"]
    assert "by the judge neighbors" in capsys.readouterr().out


def test_one_class_is_as_none_and_a_model_keeps_the_label_that_it_needs(digits):
    train, test = digits
    same = [Examples({**part.arrays, "label": 0 * part.arrays["label"]}, ("all",)) for part in digits]
    found = evaluate(make("autoencoder"), *same)
    assert "mse_01" in found.metrics and "linear_probe" not in found.metrics
    assert list(found.ladder) == ["real", "blurred", "100 repeated", "noise"]
    model = make("conditional_vae", image_shape=(8, 8, 1), num_classes=10, class_names=None)
    assert "nll" in evaluate(model, *same).metrics
    with pytest.raises(UsageError, match="photographs has no labels, which the model is conditioned on"):
        evaluate(model, *without_labels(train, test))


@pytest.mark.parametrize("name", ["infogan", "acgan", "stacked_autoencoder"])
def test_a_model_s_own_figures_that_need_labels_are_left_out(name, digits):
    model = make(name)
    batch = batch_for(model, 220)["image"]
    parts = [Examples({"image": part}) for part in (batch, batch[:90])]
    assert not {"cluster_accuracy", "clean_accuracy", "linear_probe", "gain_10"} & set(model.measures(*parts))


def test_of_few_test_images_no_judge_says_anything(digits):
    train, test = digits
    few = Examples({name: value[:50] for name, value in test.arrays.items()}, test.classes, "few")
    with pytest.raises(UsageError, match="50 test images; expected at least 200"):
        evaluate(make("gan"), train, few)
    found = evaluate(make("vae"), train, few)
    assert {"nll", "reconstruction_ssim"} <= set(found.metrics) and not {"fd", "copies"} & set(found.metrics)
    assert found.protocol["judges"] == [] and found.ladder == {}
    lines = table(found)
    assert lines[0].startswith("50 test rows of few") and "50 test images are too few for a judge" in lines[1]


def test_the_command_writes_the_same_report_twice(tmp_path, capsys):
    run = tmp_path / "run"
    train = ["train", "dcgan", "--set", "width=4", "--steps", "3", "--output", str(run)]
    assert main(train) == 0
    assert main(["evaluate", str(run)]) == 0
    first = (run / "evaluation.json").read_bytes()
    lines, written = capsys.readouterr().out.splitlines(), json.loads(first)["metrics"]
    for name, value in written.items():
        assert [line.split()[-1] for line in lines if line.startswith(f"  {name} ")] == [number(value, 2)]
    assert f"{written['fd']:.9g}" != number(written["fd"], 2), "the file keeps all digits"
    assert any("148 samples are few" in line for line in lines)
    assert main(["evaluate", str(run)]) == 0
    assert (run / "evaluation.json").read_bytes() == first
    assert set(json.loads(first)) == {"metrics", "protocol", "ladder"}
    (run / "card.json").unlink()
    assert main(["evaluate", str(run)]) == 2
    assert "--data" in capsys.readouterr().err


def test_benchmark_prints_medians_of_seeds_and_ends_with_one_json_line(tmp_path, capsys):
    arguments = ["benchmark", "vae", "--steps", "3", "--seeds", "2", "--set", "hidden=(4,)", "--output", str(tmp_path)]
    arguments += ["--batch-size", "30", "--image-size", "8x6", "--recipe", str(tmp_path / "mine.toml")]
    (tmp_path / "mine.toml").write_text("[thresholds.digits]\ntest_loss = '<= 1000'\n")
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["model"], result["data"], result["steps"], result["seeds"]) == ("vae", "digits", 3, 2)
    assert result["passed"] and result["thresholds"] == {"test_loss": ["<=", 1000.0]}
    runs = [json.loads((tmp_path / f"seed-{seed}" / "evaluation.json").read_text()) for seed in (0, 1)]
    assert json.loads((tmp_path / "seed-0" / "card.json").read_text())["identity"]["batch_size"] == 30
    assert keras_gen.load(tmp_path / "seed-1").image_shape == (8, 6, 1)
    fds = sorted(run["metrics"]["fd"] for run in runs)
    assert result["metrics"]["fd"] == {"median": pytest.approx(sum(fds) / 2), "min": fds[0], "max": fds[1]}
    (tmp_path / "mine.toml").write_text("[thresholds.digits]\ntest_loss = '<= 1'\n")
    assert main(arguments) == 1  # finished runs are only evaluated
    assert not json.loads(capsys.readouterr().out.splitlines()[-1])["passed"]


BUGS = (
    Bug(
        "evaluate: the classifier learns from features that know the classes",
        "metrics/evaluation.py",
        "score(fake, asked, real, real_labels)",
        "score(features(fake), asked, features(real), real_labels)",
        ("test_one_prototype_of_each_class_is_seen_by_a_classifier_that_learns_from_samples_alone",),
    ),
)

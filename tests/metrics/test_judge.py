"""Judges recognize digits, are kept by what they were trained on, and measure models; and the extractor."""

import numpy as np
import pytest
from tiny import real_digits, shared

from keras_gen import data, metrics
from keras_gen.data.examples import Examples
from keras_gen.data.splits import held_out
from keras_gen.errors import UsageError

# Judges

QUICK = {"filters": 16, "least_steps": 200, "epochs": 1}


def halves():
    images, labels = real_digits(1797)
    classes = tuple("0123456789")
    return (
        Examples({"image": images[part], "label": labels[part]}, classes, "digits")
        for part in (slice(1500), slice(1500, None))
    )


@pytest.fixture(scope="module")
def judges():
    train, test = halves()
    return metrics.Judge.train(train, test, recipe=QUICK), metrics.NeighborJudge.train(train, test)


def test_both_judges_recognize_digits_and_speak_one_language(judges):
    images, labels = real_digits(1797)
    images, labels = images[1500:], labels[1500:]
    for judge, least, size in zip(judges, (0.85, 0.85), (64, None), strict=True):
        seen = judge(images)
        assert judge.accuracy > least
        assert judge.accuracy == np.mean(judge.labels(images) == labels)
        assert seen.features.dtype == np.float32 and seen.labels.dtype == np.int32
        assert seen.features.shape == (297, size or seen.features.shape[1]) and judge.classes == 10
        np.testing.assert_array_equal(seen.features, judge.features(images))
        gray = np.rint((images + 1) * 127.5).astype(np.uint8)
        assert np.mean(judge.labels(gray) == seen.labels) > 0.99
        assert len(judge.digest) == 16
    assert judges[0].digest != judges[1].digest
    train, test = halves()
    for judge, most in ((judges[1], 64), (metrics.NeighborJudge.train(train, test, recipe={"components": 10}), 10)):
        whitened = judge.features(train.arrays["image"])
        assert 10 <= whitened.shape[1] <= most
        np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(whitened.shape[1]), atol=1e-3)


def test_a_judge_depends_on_its_data_recipe_and_seed_alone(judges):
    import keras

    keras.utils.set_random_seed(99)
    few = [Examples({k: v[:256] for k, v in part.arrays.items()}, part.classes) for part in halves()]
    quick = {**QUICK, "least_steps": 10}
    one = metrics.Judge.train(*few, recipe=quick)
    keras.utils.set_random_seed(1)
    again = metrics.Judge.train(*few, recipe=quick)
    assert one.digest == again.digest and one.accuracy == again.accuracy
    assert metrics.Judge.train(*few, seed=1, recipe=quick).digest != one.digest
    neighbor = metrics.NeighborJudge.train(*few)
    assert neighbor.digest == metrics.NeighborJudge.train(*few).digest != judges[1].digest


def test_a_judge_shuffles_examples_that_are_sorted_by_class():
    train, test = halves()
    order = np.argsort(train.arrays["label"], kind="stable")
    by_class = Examples({name: value[order] for name, value in train.arrays.items()}, train.classes)
    judge = metrics.Judge.train(
        by_class, test, recipe={"filters": 16, "least_steps": 60, "epochs": 1, "batch_size": 32}
    )
    assert judge.accuracy > 0.6


def test_a_judge_is_kept_by_data_recipe_and_seed(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))
    train, test = halves()
    quick = {"filters": 4, "least_steps": 5, "epochs": 0}
    made = metrics.Judge.for_data(train, test, recipe=quick)
    (kept,) = tmp_path.rglob("*.npz")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept], "nothing else is left"
    monkeypatch.setattr(metrics.Judge, "train", lambda *_: pytest.fail("it was trained again"))
    found = metrics.Judge.for_data(train, test, recipe=quick)
    assert (found.digest, found.accuracy, found.name) == (made.digest, made.accuracy, "digits")
    images = real_digits(20)[0]
    np.testing.assert_array_equal(found.features(images), made.features(images))
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))
    metrics.Judge.for_data(train, test, seed=1, recipe=quick)
    metrics.Judge.for_data(train, test, recipe={**quick, "dropout": 0.1})
    metrics.Judge.for_data(test, test, recipe=quick)
    assert len(list(tmp_path.rglob("*.npz"))) == 4
    kept.write_bytes(kept.read_bytes()[:-100])  # a damaged one is made anew
    assert metrics.Judge.for_data(train, test, recipe=quick).digest == made.digest


def test_a_judge_by_name_holds_out_what_the_set_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))
    neighbor = metrics.NeighborJudge.for_data("digits")
    assert neighbor.name == "digits" and neighbor.accuracy > 0.85
    assert (
        neighbor.digest == metrics.NeighborJudge.train(data.examples("digits"), data.examples("digits", "test")).digest
    )
    images, labels = real_digits(700)
    held_out = metrics.NeighborJudge.for_data(Examples({"image": images, "label": labels}))
    assert len(held_out.neighbors._fit_X) == 600 and held_out.accuracy < 1
    np.savez(
        tmp_path / "train_only.npz", x_train=np.rint((images + 1) * 127.5).astype(np.uint8)[..., 0], y_train=labels
    )
    assert len(metrics.NeighborJudge.for_data(tmp_path / "train_only.npz").neighbors._fit_X) == 630


def test_a_judge_holds_out_of_each_class_its_share_whatever_the_order():
    images, labels = real_digits(700)
    order = np.argsort(labels, kind="stable")
    for rows in (order, np.arange(700), np.argsort(np.arange(700) % 7, kind="stable")):
        judge = metrics.NeighborJudge.for_data(Examples({"image": images[rows], "label": labels[rows]}))
        kept = np.bincount(judge.neighbors._y, minlength=10)
        held = np.bincount(labels, minlength=10) - kept
        assert np.all(np.abs(held - np.bincount(labels, minlength=10) / 7) < 1) and held.sum() == 100


@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 101])
def test_what_is_held_out(count):
    for labels in (None, np.arange(count) % 3, np.arange(count), np.array([f"c{k % 4}" for k in range(count)])):
        held = held_out(count, labels)
        assert held.shape == (count,) and held.dtype == bool
        assert held.sum() == (0 if count < 2 else max(1, round(count / 10)))
        assert np.array_equal(held, held_out(count, labels))
    held = held_out(100, np.arange(100) % 10)
    assert np.array_equal(np.bincount(np.flatnonzero(held) % 10), np.ones(10)), "each tenth would be of one class"
    assert not np.array_equal(held, held_out(100, np.arange(100) % 10, seed=1))
    assert len(np.unique(np.diff(np.flatnonzero(held_out(1000))))) > 10, "no step of a sequence is preferred"
    single = np.r_[np.zeros(50, int), 1, np.full(50, 2)]
    assert not any(held_out(101, single, seed=seed)[50] for seed in range(20)), "the only one of a class is kept"


def test_a_neighbor_judge_of_examples_without_labels_sees_features_alone(judges):
    train, test = halves()
    plain = metrics.NeighborJudge.train(*(Examples({"image": part.arrays["image"]}) for part in (train, test)))
    images = test.arrays["image"]
    np.testing.assert_array_equal(plain.features(images), judges[1].features(images))
    assert plain.digest == judges[1].digest and plain.classes == 0 and plain.accuracy is None
    with pytest.raises(UsageError, match="sees no classes"):
        plain.labels(images)
    found = metrics.compare(plain, images[:100], images[100:200])
    assert "class_entropy" not in found and found["fd"].value > 0
    with pytest.raises(UsageError, match="sees no classes"):
        metrics.compare(plain, images[:100], images[100:200], asked=np.zeros(100, int))
    assert [rung.name for rung in metrics.ladder(plain, images, repeated=30)][2] == "30 repeated"
    with_labels = metrics.ladder(plain, images, test.arrays["label"], repeated=30)
    assert [rung.name for rung in with_labels] == [
        "real", "blurred", "9 of 10 classes", "30 repeated", "class means", "noise"
    ]  # fmt: skip


def test_a_cache_that_cannot_be_written_costs_a_warning_only(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "file"))
    train, test = halves()
    with pytest.warns(UserWarning, match="the judge is not kept: cannot write"):
        metrics.Judge.for_data(train, test, recipe={"filters": 4, "least_steps": 2, "epochs": 0})


@pytest.mark.parametrize("which", [0, 1])
def test_compare_measures_one_model_in_figures(judges, which):
    judge = judges[which]
    images, labels = real_digits(1797)
    real, fake = images[:300], images[300:600]
    found = metrics.compare(judge, real, fake, split="train", asked=labels[300:600])
    features = judge.features(real), judge.features(fake)
    assert found["fd"].value == metrics.frechet_distance(*features)
    assert found["kid"].value == metrics.kid(*features).mean
    assert found["coverage"].value == metrics.neighborhoods(*features).coverage
    assert found["label_agreement"].value == np.mean(judge.labels(fake) == labels[300:600])
    assert found["rarest_class"].value == np.bincount(judge.labels(fake), minlength=10).min() / 300
    assert {(f.n_real, f.n_fake, f.split, f.digest) for f in found.values()} == {(300, 300, "train", judge.digest)}
    assert found == metrics.compare(judge, real, fake, split="train", asked=labels[300:600]), "twice the same"


def test_the_ladder_s_rows_are_what_they_say(judges):
    images, labels = real_digits(1000)
    rows = metrics.ladder(judges[0], images, labels, repeated=30)
    names = ["real", "blurred", "9 of 10 classes", "30 repeated", "class means", "noise"]
    assert [row.name for row in rows] == names
    metrics.side_by_side(figure for row in rows for figure in row.figures.values())
    figures = {row.name: {key: float(value) for key, value in row.figures.items()} for row in rows}
    assert all(row.figures["fd"].n_real == row.figures["fd"].n_fake == 500 for row in rows)
    distances = [figures[name]["fd"] for name in names]
    assert (
        distances[0] < 1.5 * distances[1] and distances[0] < distances[2] < distances[3] < distances[4] < distances[5]
    )
    assert figures["9 of 10 classes"]["rarest_class"] < 0.02 < figures["real"]["rarest_class"]
    assert figures["30 repeated"]["coverage"] < 0.5 * figures["real"]["coverage"]
    assert figures["class means"]["recall"] < 0.1 and figures["noise"]["precision"] < 0.1


@pytest.mark.slow
def test_the_judges_on_mnist(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))
    path = shared("mnist.npz")
    test = data.examples(path, "test").arrays
    for judge, least in ((metrics.Judge.for_data(path), 0.99), (metrics.NeighborJudge.for_data(path), 0.95)):
        assert judge.accuracy >= least
        rows = metrics.ladder(judge, test["image"], test["label"])
        distances = {row.name: row.figures["fd"].value for row in rows}
        assert distances["real"] == min(distances.values())
        del distances[
            "blurred"
        ]  # half a pixel is more to one judge, and less to the other, than a class that is absent
        assert list(distances.values()) == sorted(distances.values()), "the ladder comes out in order"


# The extractor for users with a network


def test_inception_without_a_network_says_so_in_one_line(tmp_path, monkeypatch):
    import keras

    monkeypatch.setattr(keras.src.utils.file_utils.config, "keras_home", lambda: str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(UsageError, match="weights cannot be had: .*connect to the network") as caught:
        metrics.Inception()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_inception_maps_images_of_any_size_to_2048_features():
    images = real_digits(3)[0]
    inception = metrics.Inception(weights=None)
    features = inception.features(images)
    assert features.shape == (3, 2048) and features.dtype == np.float32
    gray = np.rint((images + 1) * 127.5).astype(np.uint8)
    np.testing.assert_allclose(inception.features(gray.repeat(3, axis=-1)), features, atol=1e-2)
    found = metrics.compare(inception, np.repeat(images, 3, 0), np.repeat(images, 3, 0))
    assert "rarest_class" not in found and found["fd"].features == "inception, 2048 features"


def test_judges_refuse_what_they_cannot_see(judges):
    for judge in judges:
        with pytest.raises(UsageError, match="this judge expects .n, 8, 8, 1."):
            judge.features(np.zeros((2, 9, 8, 1), np.float32))
        with pytest.raises(UsageError, match="are int64"):
            judge.features(np.zeros((2, 8, 8, 1), np.int64))
    with pytest.raises(UsageError, match="expected at least 200"):
        metrics.ladder(judges[0], real_digits(60)[0])

"""Sets of tensorflow-datasets: found on disk, of any size, broken, unknown, without a network."""

import numpy as np
import pytest
from sources import draw, refused, rng_images
from tiny import SHARED

from keras_gen.data import download, examples, pairs
from keras_gen.errors import DamagedError, UsageError

# --- tensorflow-datasets ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A folder that holds real digits as `mnist`, and images of several sizes as `zoo`, as the library stores them."""
    import tensorflow_datasets as library

    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    if SHARED.is_dir():
        with np.load(SHARED / "mnist.npz") as file:
            image, label = file["x_train"][:300, ..., None], file["y_train"][:300]
    else:
        image, label = rng_images((300, 28, 28, 1)), np.arange(300) % 10

    def rows(part):
        for index, row in enumerate(range(*part)):
            yield index, {"image": image[row], "label": int(label[row])}

    features = library.features.FeaturesDict(
        {"image": library.features.Image(shape=(28, 28, 1)), "label": library.features.ClassLabel(num_classes=10)}
    )
    keep = {"data_dir": folder, "disable_shuffling": True}
    library.dataset_builders.store_as_tfds_dataset(
        "mnist", "3.0.1", features, {"train": rows((0, 250)), "test": rows((250, 300))}, **keep
    )

    def animals():
        for index in range(5):
            mask = np.zeros((4, 4, 1), np.uint8)
            yield index, {"mask": mask, "image": np.full((20 + index, 30, 3), index, np.uint8), "kind": index % 2}

    features = library.features.FeaturesDict(
        {
            "mask": library.features.Image(shape=(4, 4, 1)),
            "image": library.features.Image(shape=(None, None, 3)),
            "kind": library.features.ClassLabel(names=["ant", "bee"]),
        }
    )
    library.dataset_builders.store_as_tfds_dataset("zoo", "1.0.0", features, {"train": animals()}, **keep)
    return folder, image, label


@pytest.mark.parametrize("name", ["mnist", "mnist:3.*.*", "mnist:3.0.1"])
def test_a_name_is_found_on_disk(prepared, monkeypatch, name):
    folder, image, label = prepared
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    train, test = examples(name), examples(name, "test")
    np.testing.assert_array_equal(train.arrays["image"], image[:250])
    np.testing.assert_array_equal(train.arrays["label"], label[:250])
    np.testing.assert_array_equal(test.arrays["image"], image[250:])
    assert train.classes == tuple("0123456789") and train.name == "mnist:3.0.1"
    assert examples(name, "validation").digest == test.digest


def test_two_unpaired_sets_are_the_splits_of_one(tmp_path, monkeypatch):
    """As the library stores `cycle_gan/horse2zebra`: trainA, trainB, testA and testB."""
    import tensorflow_datasets as library

    def rows(*values):
        return (
            (index, {"image": np.full((8, 8, 3), value, np.uint8), "label": 0}) for index, value in enumerate(values)
        )

    features = library.features.FeaturesDict(
        {"image": library.features.Image(shape=(8, 8, 3)), "label": library.features.ClassLabel(names=["A", "B"])}
    )
    parts = {"trainA": rows(1, 2, 3), "trainB": rows(11, 12), "testA": rows(4), "testB": rows(13)}
    keep = {"data_dir": tmp_path, "disable_shuffling": True}
    library.dataset_builders.store_as_tfds_dataset("apples", "1.0.0", features, parts, **keep)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name in ("apples", tmp_path / "apples" / "1.0.0"):
        train, test = (pairs(name, split, kind="unpaired") for split in ("train", "test"))
        assert [array[:, 0, 0, 0].tolist() for array in train.arrays.values()] == [[1, 2, 3], [11, 12]]
        assert [array[:, 0, 0, 0].tolist() for array in test.arrays.values()] == [[4], [13]]
    with pytest.raises(UsageError, match="apples is a prepared set, whose images no names join; expected train/"):
        pairs("apples")
    monkeypatch.undo()


def test_a_set_of_other_splits_is_no_two_sets(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared[0]))
    with pytest.raises(UsageError, match="mnist holds splits train, test; expected trainA and trainB"):
        pairs("mnist", kind="unpaired")


def test_splits_of_tensorflow_datasets(prepared, monkeypatch):
    folder, image, _ = prepared
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    np.testing.assert_array_equal(examples("mnist", "train[:10%]").arrays["image"], image[:25])
    assert len(examples("mnist", "train+test")) == 300
    assert len(examples(folder / "mnist" / "3.0.1", "test")) == 50
    refused(UsageError, "'foo'", "train, test", args=["mnist", "foo"])
    refused(UsageError, "train[", "train, test", args=["mnist", "train["])
    refused(UsageError, "'tset'", "train, test, all", args=["zoo", "tset"])


def test_images_of_any_size(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared[0]))
    with pytest.warns(UserWarning, match="64x64"):
        assert examples("zoo", "all").arrays["image"].shape == (5, 64, 64, 3)
    found = examples("zoo", "all", image_size=8, channels=1)
    assert found.arrays["image"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert found.classes == ("ant", "bee") and found.arrays["label"].tolist() == [0, 1, 0, 1, 0]


def test_a_broken_record(prepared, monkeypatch, tmp_path):
    import shutil

    shutil.copytree(prepared[0] / "mnist", tmp_path / "mnist")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (record,) = tmp_path.glob("mnist/*/mnist-train*")
    record.write_bytes(record.read_bytes()[:5000])
    refused(DamagedError, "mnist", args=["mnist"])
    record.unlink()
    refused(DamagedError, "mnist", args=["mnist"])
    next(tmp_path.glob("mnist/*/features.json")).write_text("{")
    refused(DamagedError, "mnist", args=["mnist"])


def test_unknown_names():
    refused(UsageError, "'mnsit'", "'mnist'", args=["mnsit"])
    refused(UsageError, "'digit'", "'digits'", args=["digit"])
    refused(UsageError, "'qqqqzzzz'", "digits", ".npz", args=["qqqqzzzz"])
    refused(UsageError, "aaaa", args=["a" * 500])


def test_a_folder_of_the_same_name(prepared, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared[0]))
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "mnist" / "a.png")
    draw(tmp_path / "holiday" / "a.png")
    with pytest.warns(UserWarning, match="./mnist"):
        assert len(examples("mnist")) == 250
    assert len(examples("./mnist")) == len(examples("holiday")) == 1


def test_a_download_without_a_network_ends(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    # Nothing answers here, whether or not this machine has a network.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr(download, "FIRST_BYTE", 2.0)
    refused(UsageError, "'cifar10'", "download failed", "TFDS_DATA_DIR", args=["cifar10"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [{"num_classes": 27}, {"names": list("?abcdefghijklmnopqrstuvwxyz")}])
def test_classes_are_the_labels_that_occur_in_any_split(tmp_path, monkeypatch, names):
    """As EMNIST letters, which declare a class 0 that has no image."""
    import tensorflow_datasets as library

    def rows(labels):
        return ((i, {"image": rng_images((4, 4, 1)), "label": label}) for i, label in enumerate(labels))

    features = library.features.FeaturesDict(
        {"image": library.features.Image(shape=(4, 4, 1)), "label": library.features.ClassLabel(**names)}
    )
    library.dataset_builders.store_as_tfds_dataset(
        "letters", "3.0.0", features, {"train": rows([1, 5, 5]), "test": rows([26, 1])}, data_dir=tmp_path
    )
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.warns(UserWarning, match="no image to train on of the class"):
        train = examples("letters")
    test = examples("letters", "test")
    assert train.classes == test.classes == (("1", "5", "26") if "num_classes" in names else ("a", "e", "z"))
    assert sorted(train.arrays["label"]) == [0, 1, 1] and sorted(test.arrays["label"]) == [0, 2]

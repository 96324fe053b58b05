"""Where a set has no test split, some examples are held out: at random, of each class, and always the same."""

import numpy as np
import pytest
from PIL import Image
from planted import Bug
from sources import refused, save

from keras_gen.data import examples, load, splits, windows
from keras_gen.data.splits import held_out
from keras_gen.errors import UsageError

COUNT, SORTED = 60, np.arange(60) // 12  # ordered by class, as data often are
IMAGES = np.stack([np.full((4, 4), 4 * index, np.uint8) for index in range(COUNT)])

BUGS = [
    Bug(
        "every-tenth",
        "data/splits.py",
        "    chosen = held_out(count, labels)\n",
        "    chosen = np.arange(count) % 10 == 0\n",
        ("test_a_tenth_is_held_out_at_random_and_of_each_class",),
    ),
    Bug(
        "classes-are-forgotten",
        "data/npz.py",
        "    rows = splits.rows(part.held, count, labels, shown(path, 60))\n",
        "    rows = splits.rows(part.held, count, None, shown(path, 60))\n",
        ("test_a_tenth_is_held_out_at_random_and_of_each_class",),
    ),
]


def folder(path, classes):
    for index, image in enumerate(IMAGES):
        file = path / "d" / (f"c{SORTED[index]}" if classes else "") / f"{index:03}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return path / "d"


def npy(path):
    np.save(path / "a.npy", IMAGES)
    return path / "a.npy"


def prepared(path, monkeypatch, splits=("train",)):
    import tensorflow_datasets as library

    label = library.features.ClassLabel(num_classes=5)
    features = library.features.FeaturesDict({"image": library.features.Image(shape=(4, 4, 1)), "label": label})

    def rows():
        for index in range(COUNT):
            yield index, {"image": IMAGES[index][..., None], "label": int(SORTED[index])}

    keep = {"data_dir": path, "disable_shuffling": True}
    library.dataset_builders.store_as_tfds_dataset("ordered", "1.0.0", features, {s: rows() for s in splits}, **keep)
    monkeypatch.setenv("TFDS_DATA_DIR", str(path))
    return "ordered"


SOURCES = {
    "a flat folder": lambda path, _: (folder(path, False), False),
    "class folders": lambda path, _: (folder(path, True), True),
    "x_train": lambda path, _: (save(path / "a.npz", x_train=IMAGES), False),
    "x_train and y_train": lambda path, _: (save(path / "a.npz", x_train=IMAGES, y_train=SORTED + 3), True),
    "names": lambda path, _: (save(path / "a.npz", images=IMAGES, labels=np.array(list("abcde"))[SORTED]), True),
    "without names": lambda path, _: (save(path / "a.npz", IMAGES, SORTED), True),
    ".npy": lambda path, _: (npy(path), False),
    "tensorflow-datasets": lambda path, monkeypatch: (prepared(path, monkeypatch), True),
    "another name": lambda path, monkeypatch: (prepared(path, monkeypatch, splits=("full",)), True),
}


@pytest.mark.filterwarnings("ignore:.*arrays without names")
@pytest.mark.parametrize("source", SOURCES)
def test_a_tenth_is_held_out_at_random_and_of_each_class(source, tmp_path, monkeypatch):
    data, labelled = SOURCES[source](tmp_path, monkeypatch)
    found = {split: examples(data, split) for split in ("train", "test", "all")}
    numbers = {split: one.arrays["image"][:, 0, 0, 0] // 4 for split, one in found.items()}
    assert numbers["all"].tolist() == list(range(COUNT))
    held = held_out(COUNT, SORTED if labelled else None)
    np.testing.assert_array_equal(numbers["test"], np.flatnonzero(held))
    np.testing.assert_array_equal(numbers["train"], np.flatnonzero(~held))
    assert found["train"].held == 6 and not found["test"].held and not found["all"].held
    assert len({one.digest for one in found.values()}) == 3
    assert examples(data, "validation").digest == found["test"].digest
    for split, one in found.items() if labelled else ():
        assert one.arrays["label"].tolist() == SORTED[numbers[split]].tolist() and len(set(one.arrays["label"])) == 5


def test_slices_of_a_set_without_a_test_split_hold_nothing_of_it(tmp_path, monkeypatch):
    name = prepared(tmp_path, monkeypatch)
    rows = np.flatnonzero(~held_out(COUNT, SORTED))
    for split, part in (
        ("train[:50%]", rows[rows < 30]),
        ("train[30:]+train[:6]", np.r_[rows[rows >= 30], rows[rows < 6]]),
    ):
        np.testing.assert_array_equal(examples(name, split).arrays["image"][:, 0, 0, 0] // 4, part)


def test_all_has_no_slices(tmp_path, monkeypatch):
    refused(UsageError, "'all[:10%]'", "slices of: train", args=[prepared(tmp_path, monkeypatch), "all[:10%]"])


def test_all_of_a_set_with_splits_is_each_of_them(tmp_path):
    path = save(tmp_path / "a.npz", x_train=IMAGES[:9], y_train=SORTED[:9], x_test=IMAGES[9:], y_test=SORTED[9:])
    every = examples(path, "all")
    np.testing.assert_array_equal(every.arrays["image"][..., 0], IMAGES)
    assert every.arrays["label"].tolist() == SORTED.tolist() and examples(path).held == 0
    assert len(examples("digits", "all")) == 1797
    first, second = (next(iter(load(path, "all", seed=seed, batch_size=60)))["image"] for seed in (0, 1))
    assert not np.array_equal(first, second), "all is to train on: not class after class"
    with pytest.warns(UserWarning, match="no labels for test"):
        assert "label" not in examples(save(path, x_train=IMAGES, y_train=SORTED, x_test=IMAGES), "all").arrays
    for name, image in (("one shape", IMAGES[:, :3]), ("one type", IMAGES / 255.0)):
        with pytest.raises(Exception, match=name):
            examples(save(path, x_train=IMAGES, x_test=image), "all")


@pytest.mark.parametrize("count", range(1, 10))
def test_sets_of_a_few_have_a_train_and_a_test_split(tmp_path, count):
    for labels in ({}, {"y_train": np.zeros(count, int)}, {"y_train": np.arange(count)}):
        path = save(tmp_path / "a.npz", x_train=IMAGES[60 - count :], **labels)
        if count == 1:
            with pytest.warns(UserWarning, match="the train and the test split are the same"):
                assert examples(path, "test").digest == examples(path).digest
        else:
            assert [len(examples(path, split)) for split in ("train", "test")] == [count - 1, 1]


def test_a_folder_of_train_pictures_alone_has_a_test_split(tmp_path):
    (tmp_path / "e").mkdir()
    folder(tmp_path, True).rename(tmp_path / "e" / "train")
    assert [len(examples(tmp_path / "e", split)) for split in ("train", "test", "all")] == [54, 6, 60]


def test_of_texts_the_end_is_held_out_and_all_is_the_text(tmp_path):
    text = "".join(f"{index} " for index in range(100))
    (tmp_path / "a.txt").write_text(text)
    parts = [windows(tmp_path / "a.txt", split, 9) for split in ("train", "test", "all")]
    train, test, every = (part.tokenizer.decode(part.arrays["token"]) for part in parts)
    assert train + test == every == text


def test_what_names_a_part():
    assert splits.part("all", ["train", "test"], "") == (("train", "test"), None)
    assert splits.part("val", ["train", "test"], "") == (("test",), None)
    assert splits.part("validation", ["train", "extra"], "") == (("train",), True)
    assert splits.part("extra", ["train", "extra"], "") == (("extra",), None)
    assert splits.part("test", ["test"], "") == (("test",), None)

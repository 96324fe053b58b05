"""Arrays in an .npz file: every range, form of labels and fault."""

import zipfile

import numpy as np
import pytest
from sources import needs_shared, refused, rng_images, save
from tiny import SHARED

from keras_gen.data import examples, npz
from keras_gen.errors import DamagedError, UsageError

# --- .npz -------------------------------------------------------------------------------------------------------------


@needs_shared
def test_mnist():
    train, test = examples(SHARED / "mnist.npz"), examples(str(SHARED / "mnist.npz"), "test")
    with np.load(SHARED / "mnist.npz") as file:
        np.testing.assert_array_equal(train.arrays["image"][..., 0], file["x_train"])
        np.testing.assert_array_equal(train.arrays["label"], file["y_train"])
        np.testing.assert_array_equal(test.arrays["image"][..., 0], file["x_test"])
    assert train.name == "mnist.npz" and train.classes == tuple("0123456789")


@needs_shared
def test_class_names_and_attributes():
    assert examples(SHARED / "cifar10_subset.npz", "test").classes[:2] == ("airplane", "automobile")
    faces = examples(SHARED / "lfw_faces.npz", image_size=16)
    assert faces.arrays["image"].shape == (4484, 16, 16, 1) and faces.classes[1] == "happiness"
    with np.load(SHARED / "lfw_faces.npz") as file:
        np.testing.assert_array_equal(faces.arrays["label"], file["attr_train"].argmax(1))


@needs_shared
@pytest.mark.parametrize("name, word", [("facades.npz", "palette"), ("apples_unpaired.npz", "train_A")])
def test_other_arrays_are_listed(name, word):
    refused(UsageError, word, "x_train", args=[SHARED / name])


RAMP = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)


@pytest.mark.parametrize(
    "array, expected",
    [
        (RAMP, np.uint8),
        (RAMP.astype(np.int64), np.uint8),
        (RAMP.astype(">u2"), np.uint8),
        (np.asfortranarray(np.repeat(RAMP, 3, axis=0)), np.uint8),
        (RAMP / 255, np.float32),
        (RAMP / 127.5 - 1, np.float32),
        ((RAMP / 255).astype(np.float32), np.float32),
        (RAMP.astype(np.float64), np.float32),
    ],
)
def test_every_range_means_the_same_image(tmp_path, array, expected):
    found = examples(save(tmp_path / "a.npz", x_train=array))
    assert found.arrays["image"].dtype == expected and "label" not in found.arrays and found.classes == ()
    batch = next(found.dataset(1).as_numpy_iterator())["image"]
    np.testing.assert_allclose(batch[0, ..., 0], RAMP[0] / 127.5 - 1, atol=1e-6)
    assert batch.min() >= -1 and batch.max() <= 1


def test_black_and_white(tmp_path):
    bits = RAMP > 99
    assert set(np.unique(examples(save(tmp_path / "b.npz", x_train=bits)).arrays["image"])) == {0, 255}
    with pytest.warns(UserWarning, match="0 and 1 only"):
        found = examples(save(tmp_path / "c.npz", x_train=bits.astype(np.uint8)))
    np.testing.assert_array_equal(found.arrays["image"][..., 0], bits * 255)


def test_floats_of_the_test_split_are_scaled_as_those_of_the_train_split(tmp_path):
    path = save(tmp_path / "a.npz", x_train=RAMP / 127.5 - 1, x_test=np.full((1, 16, 16), 0.5))
    assert (examples(path, "test").arrays["image"] == 0.5).all()


@pytest.mark.parametrize(
    "label",
    [
        np.array([2, 0, 1, 2]),
        np.array([[2], [0], [1], [2]], np.uint8),
        np.eye(3)[[2, 0, 1, 2]],
        np.array([2.0, 0.0, 1.0, 2.0]),
    ],
)
def test_forms_of_labels(tmp_path, label):
    found = examples(save(tmp_path / "a.npz", x_train=rng_images((4, 3, 3)), y_train=label))
    assert found.arrays["label"].tolist() == [2, 0, 1, 2] and found.arrays["label"].dtype == np.int32
    assert found.classes == ("0", "1", "2")


def test_classes_are_those_of_all_splits(tmp_path):
    image = rng_images((2, 3, 3))
    path = save(tmp_path / "a.npz", x_train=image, y_train=[0, 4], x_test=image, y_test=[1, 2])
    assert examples(path).classes == examples(path, "test").classes == tuple("01234")


NAN = np.zeros((3, 4, 4, 1))
NAN[1, 2, 3, 0] = np.nan
GOOD = rng_images((4, 3, 3))


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"x_train": np.zeros((0, 8, 8), np.uint8)}, ["x_train", "empty"]),
        ({"x_train": np.zeros((9, 64), np.uint8)}, ["x_train", "(9, 64)"]),
        ({"x_train": np.zeros((9, 3, 8, 8), np.uint8)}, ["(9, 3, 8, 8)", "transpose"]),
        ({"x_train": np.zeros((9, 8, 8, 2), np.uint8)}, ["1 or 3 channels"]),
        ({"x_train": np.zeros((9, 0, 8), np.uint8)}, ["(9, 0, 8)"]),
        ({"x_train": NAN}, ["x_train", "nan", "(1, 2, 3, 0)"]),
        ({"x_train": np.where(np.isnan(NAN), -np.inf, NAN)}, ["-inf", "(1, 2, 3, 0)"]),
        ({"x_train": RAMP.astype(float) - 20}, ["-20", "235"]),
        ({"x_train": RAMP.astype(float) * 2}, ["510"]),
        ({"x_train": RAMP.astype(int) * 2}, ["256", "(0, 8, 0)"]),
        ({"x_train": RAMP.astype(int) - 1}, ["-1", "(0, 0, 0)"]),
        ({"x_train": np.array([["cat"]])[..., None]}, ["x_train", "<U3"]),
        ({"x_train": GOOD.astype(complex)}, ["complex"]),
        ({"x_train": GOOD, "y_train": np.arange(3)}, ["y_train", "3 labels", "4 images"]),
        ({"x_train": GOOD, "y_train": np.int64(3)}, ["y_train", "0 labels"]),
        ({"x_train": GOOD, "y_train": [0, 1, -7, -8]}, ["y_train", "-7", "at 2"]),
        ({"x_train": GOOD, "y_train": [0, 1, 2, 2**40]}, ["y_train", 2**40]),
        ({"x_train": GOOD, "y_train": [0, 1.5, 2, 3]}, ["y_train", "1.5"]),
        ({"x_train": GOOD, "y_train": [0, np.nan, 2, 3]}, ["y_train", "nan", "(1,)"]),
        ({"x_train": GOOD, "y_train": np.ones((4, 3))}, ["y_train", "one-hot"]),
        ({"x_train": GOOD, "y_train": np.array(list("abcd"))}, ["y_train", "whole numbers"]),
        ({"x_train": GOOD, "y_train": np.arange(4), "class_names": np.array(["a", "b"])}, ["class_names"]),
        ({"x_train": np.array([[[{}]]], dtype=object)}, ["Python objects"]),
        ({"x_train": GOOD, "y_train": np.array([{}, {}, {}, {}], dtype=object)}, ["y_train", "Python objects"]),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2**24])
def test_bad_content(tmp_path, monkeypatch, arrays, words, chunk):
    monkeypatch.setattr(npz, "_CHUNK", chunk)
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    refused(DamagedError, *words, args=[save(folder / "a.npz", **arrays)])


def test_bad_files(tmp_path):
    path = save(tmp_path / "a.npz", x_train=rng_images((50, 8, 8)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(DamagedError, "a.npz", args=[path])
    path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 255]) + whole[1001:])
    refused(DamagedError, "x_train", "CRC", args=[path])
    for write in (np.savez, np.savez_compressed):
        write(path, x_train=rng_images((50, 8, 8)) // 64)
        with zipfile.ZipFile(path) as file:
            checksum = file.getinfo("x_train.npy").CRC.to_bytes(4, "little")
        path.write_bytes(path.read_bytes().replace(checksum, b"\x01\x02\x03\x04"))
        refused(DamagedError, "x_train", "CRC", args=[path])
    path.write_bytes(b"")
    refused(DamagedError, "a.npz", args=[path])
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x_train.npy", b"not an array")
    refused(DamagedError, "x_train", args=[path])
    with zipfile.ZipFile(path, "w") as file:  # says that it is 8 TB large
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (8000000, 1000, 1000), }"
        file.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + bytes([len(header), 0]) + header.encode())
    refused(DamagedError, "x_train", args=[path])
    (tmp_path / "a.txt").write_text("hello")
    refused(UsageError, ".txt", ".npz", args=[tmp_path / "a.txt"])


def test_missing_paths(tmp_path):
    save(tmp_path / "faces.npz", x_train=GOOD)
    refused(UsageError, "faces.npz", "did you mean", args=[tmp_path / "fcaes.npz"])
    refused(UsageError, "no folder", args=[tmp_path / "nowhere" / "faces.npz"])
    refused(UsageError, "nowhere", args=[str(tmp_path / "nowhere")])
    refused(UsageError, "name too long", args=[tmp_path / ("long" * 200)])
    refused(UsageError, "'test'", "train", args=[tmp_path / "faces.npz", "test"])

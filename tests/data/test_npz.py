"""Arrays in an .npz file: every range, form of labels and fault."""

import zipfile

import numpy as np
import pytest
from sources import needs_shared, refused, rng_images, save
from tiny import SHARED

from keras_gen.data import arrays as arrays_
from keras_gen.data import examples
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


NAN = np.zeros((3, 4, 4, 1))
NAN[1, 2, 3, 0] = np.nan
GOOD = rng_images((4, 3, 3))
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
    found = examples(save(tmp_path / "a.npz", x_train=rng_images((4, 3, 3)), y_train=label), "all")
    assert found.arrays["label"].tolist() == [2, 0, 1, 2] and found.arrays["label"].dtype == np.int32
    assert found.classes == ("0", "1", "2")


def test_classes_are_those_of_all_splits(tmp_path):
    image = rng_images((2, 3, 3))
    path = save(tmp_path / "a.npz", x_train=image, y_train=[0, 4], x_test=image, y_test=[1, 2])
    assert examples(path).classes == examples(path, "test").classes == tuple("0124")
    assert examples(path).arrays["label"].tolist() == [0, 3] and examples(path, "test").arrays["label"].tolist() == [
        1,
        2,
    ]


@pytest.mark.parametrize("names", [None, ["N/A", *"abcdefghijklmnopqrstuvwxyz"]])
@pytest.mark.parametrize("form", [np.int64, np.float32, "column", "one-hot"])
def test_classes_are_the_values_that_occur_named_by_them(tmp_path, form, names):
    """As EMNIST letters: labels 1 to 26, and no class 0 without an image."""
    value = np.arange(52) % 26 + 1
    label = np.eye(27)[value] if form == "one-hot" else value[:, None] if form == "column" else value.astype(form)
    more = {"class_names": np.array(names)} if names else {}
    found = examples(save(tmp_path / "a.npz", x_train=rng_images((52, 3, 3)), y_train=label, **more), "all")
    assert found.classes == (tuple(names[1:]) if names else tuple(map(str, range(1, 27))))
    assert found.arrays["label"].tolist() == (value - 1).tolist()


def test_labels_may_be_names(tmp_path):
    label = np.array(["dog", "cat", "dog"])
    path = save(tmp_path / "a.npz", x_train=rng_images((3, 3, 3)), y_train=label, y_test=label[:1], x_test=GOOD[:1])
    assert examples(path).classes == ("cat", "dog") and examples(path).arrays["label"].tolist() == [1, 0, 1]
    assert examples(path, "test").arrays["label"].tolist() == [1]
    path = save(tmp_path / "b.npz", x_train=rng_images((3, 3, 3)), y_train=np.array([b"10", b"9", b"2"]))
    assert examples(path).classes == ("2", "9", "10")
    refused(
        DamagedError,
        "different types",
        args=[save(path, x_train=GOOD[:3], y_train=label, x_test=GOOD, y_test=range(4))],
    )


@pytest.mark.parametrize(
    "image, label",
    [
        ("train_images", "train_labels"),
        ("X_train", "y_train"),
        ("trainX", "trainY"),
        ("images", "labels"),
        ("image", "label"),
        ("imgs", "targets"),
        ("x", "y"),
        ("X", "Y"),
        ("training_images", "training_labels"),
        ("data", "target"),
        ("arr_0", "arr_1"),
        ("pictures-train", "label-train"),
    ],
)
def test_arrays_by_their_usual_names(tmp_path, image, label):
    found = examples(save(tmp_path / "a.npz", **{image: GOOD, label: [3, 5, 5, 3]}), "all")
    np.testing.assert_array_equal(found.arrays["image"][..., 0], GOOD)
    assert found.classes == ("3", "5") and found.arrays["label"].tolist() == [0, 1, 1, 0]


def test_splits_by_their_usual_names(tmp_path):
    path = save(
        tmp_path / "a.npz", train_images=GOOD, val_images=GOOD[:1], test_images=GOOD[:2], test_labels=[[1], [2]]
    )
    assert [len(examples(path, split)) for split in ("train", "validation", "test")] == [4, 1, 2]
    path = save(tmp_path / "b.npz", x_train=GOOD, x_val=GOOD[:2], images=GOOD[:1], val_images=GOOD[:3])
    assert [len(examples(path, split)) for split in ("train", "val")] == [4, 2]
    with pytest.warns(
        UserWarning, match="'arr_0' as the images of 'train' and 'arr_1' as their labels, 'arr_2' as the"
    ):
        assert len(examples(save(path, GOOD, range(4), GOOD[:2], range(2)), "test")) == 2


def test_two_arrays_that_may_be_the_same_are_refused(tmp_path):
    refused(UsageError, "'train'", "x_train", args=[save(tmp_path / "a.npz", images=GOOD, train_images=GOOD)])
    refused(UsageError, "y_train", args=[save(tmp_path / "a.npz", x_train=GOOD, labels=range(4), targets=range(4))])


@pytest.mark.parametrize("name", ["a.npy", "without"])
def test_one_array_in_an_npy_file(tmp_path, name):
    with open(tmp_path / name, "wb") as file:
        np.save(file, GOOD)
    np.testing.assert_array_equal(examples(tmp_path / name, "all").arrays["image"][..., 0], GOOD)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    refused(DamagedError, "bytes long", args=[tmp_path / name])


@pytest.mark.parametrize(
    "array, given",
    [
        (np.arange(17.0), (0, 16)),
        (np.arange(17, dtype=np.uint8), (0, 16)),
        (np.arange(17, dtype=np.int64), (0, 16)),
        (np.linspace(0, 0.2, 17), (0, 0.2)),
        (np.linspace(-0.1, 0.1, 17), (-0.1, 0.1)),
        (np.linspace(-0.5, 0.5, 17), (-0.5, 0.5)),
        (np.linspace(-0.13, 0.87, 17), (-0.13, 0.87)),  # without their mean
        (np.linspace(-0.05, 0.99, 17), (-0.05, 0.99)),
        (np.linspace(0, 100, 17), (0, 100)),
    ],
)
def test_values_far_below_the_range_assumed_are_said_and_scaled_by_a_range(tmp_path, array, given):
    path = save(tmp_path / "a.npz", x_train=np.tile(array, (17, 1))[None], x_test=np.tile(array[:3], (3, 1))[None])
    for split in ("train", "test"):
        with pytest.warns(UserWarning, match=r"--range [-.0-9]+,[.0-9]+ \(in Python range=") as said:
            examples(path, split)
        assert len(said) == 1 and f"--range {given[0]:g},{given[1]:g} " in str(said[0].message)
        assert len(str(said[0].message)) <= 200
    batch = next(iter(examples(path, range=given).dataset(1)))["image"].numpy()[0, 0, :, 0]
    np.testing.assert_allclose(batch, np.linspace(-1, 1, 17), atol=0.005)
    refused(UsageError, "range that was given", args=[path], range=(given[0], 0.7 * given[1]))


@pytest.mark.parametrize("array", [RAMP, RAMP / 255, RAMP / 127.5 - 1, RAMP.astype(float), RAMP // 2])
def test_values_of_the_range_assumed_are_not_spoken_of(tmp_path, array, recwarn):
    examples(save(tmp_path / "a.npz", x_train=array + (array.max() == 127)))
    assert not list(recwarn)


@pytest.mark.parametrize("value", [0, 0.0, False, -1.0, -0.5])
def test_images_of_one_value_are_said(tmp_path, value):
    with pytest.warns(UserWarning, match=f"holds {value:g} only"):
        examples(save(tmp_path / "a.npz", x_train=np.full((2, 8, 8), value)))


def test_values_that_are_all_below_zero_are_said(tmp_path):
    with pytest.warns(UserWarning, match=r"runs from -1 to 0: .* --range -1,0 "):
        examples(save(tmp_path / "a.npz", x_train=np.linspace(-1, 0, 64).reshape(1, 8, 8)))


@pytest.mark.parametrize("top", [0.9, 1, 200.0, 255.0])
@pytest.mark.parametrize("below", [1e-3, 1e-4, 1e-7])
def test_floats_slightly_below_zero_are_black(tmp_path, top, below, recwarn):
    array = np.linspace(0, top, 64).reshape(1, 8, 8)
    one, two = (examples(save(tmp_path / f"{by}.npz", x_train=array - by * (array == 0))) for by in (0, below))
    np.testing.assert_array_equal(one.arrays["image"], two.arrays["image"])
    assert not list(recwarn)


def test_whole_numbers_of_minus_one_and_one_are_not_called_zero_and_one(tmp_path, recwarn):
    array = np.sign(RAMP.astype(int) - 100)
    path = save(tmp_path / "a.npz", x_train=array)
    refused(DamagedError, "holds -1 at", "--range -1,1 ", args=[path])
    assert not list(recwarn)
    assert np.unique(examples(path, range=(-1, 1)).arrays["image"]).tolist() == [0, 128, 255]
    with pytest.warns(UserWarning, match="0 and 1 only"):
        assert (examples(save(tmp_path / "a.npz", x_train=np.ones((1, 8, 8), int))).arrays["image"] == 255).all()


@pytest.mark.parametrize("top, said", [(900, 1023), (4095, 4095), (4096, 16383), (60000, 65535)])
def test_more_than_eight_bits_are_an_error_that_names_their_range(tmp_path, top, said):
    for type_ in (np.uint16, np.float32):
        array = np.linspace(0, top, 64).round().astype(type_).reshape(1, 8, 8)
        refused(DamagedError, f"--range 0,{said} ", args=[save(tmp_path / "a.npz", x_train=array)])
    found = examples(save(tmp_path / "a.npz", x_train=array), range=(0, said)).arrays["image"]
    assert found.dtype == np.float32 and found.min() == -1 and found.max() == np.float32(2 * top / said - 1)


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"x_train": np.zeros((0, 8, 8), np.uint8)}, ["x_train", "empty"]),
        ({"x_train": np.zeros((9, 64), np.uint8)}, ["x_train", "(9, 64)", "x.reshape(-1, 8, 8)"]),
        ({"x_train": np.zeros((9, 192), np.uint8)}, ["(9, 192)", "x.reshape(-1, 3, 8, 8).transpose(0, 2, 3, 1), or"]),
        ({"x_train": np.zeros((9, 63), np.uint8)}, ["(9, 63)", "channels])"]),
        ({"x_train": np.zeros((8, 8, 3, 9), np.uint8)}, ["(8, 8, 3, 9)", "images come first: x.transpose(3, 0, 1, 2)"]),
        ({"x_train": np.zeros((8, 8, 1, 9), np.uint8)}, ["images come first: x.transpose(3, 0, 1, 2)"]),
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
        ({"x_train": GOOD, "y_train": np.full((4, 2), "a")}, ["y_train", "whole numbers"]),
        ({"x_train": GOOD, "y_train": np.arange(4), "class_names": np.array(["a", "b"])}, ["class_names"]),
        (
            {"x_train": GOOD, "y_train": np.arange(4), "class_names": np.array(list("abca"))},
            ["0 and 3 all 'a'", "name"],
        ),
        ({"x_train": np.array([[[{}]]], dtype=object)}, ["Python objects"]),
        ({"x_train": GOOD, "y_train": np.array([{}, {}, {}, {}], dtype=object)}, ["y_train", "Python objects"]),
    ],
)
@pytest.mark.parametrize("chunk", [1, 2**24])
def test_bad_content(tmp_path, monkeypatch, arrays, words, chunk):
    monkeypatch.setattr(arrays_, "CHUNK", chunk)
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
    refused(UsageError, "'tset'", "train, test, all", args=[tmp_path / "faces.npz", "tset"])

"""Every source gives the same kind of examples, or one line that says what is wrong."""

import os
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_gen.data import Examples, examples, load, npz, resize, store, tfds
from keras_gen.errors import DamagedError, UsageError

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("KERAS_GEN_TEST_DATA", ROOT.parent / "shared" / "data"))

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder {SHARED}; set KERAS_GEN_TEST_DATA")


def refused(kind, *words, call=examples, args=(), **settings):
    """Calls, and checks that the error is of this kind, one line, and says these words."""
    with pytest.raises(kind) as caught:
        call(*args, **settings)
    text = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in text and len(text) <= 200, text
    for word in words:
        assert str(word) in text, text


def rng_images(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


# --- What all sources have in common ----------------------------------------------------------------------------------


def test_digits_are_scikit_learns():
    train, test = examples("digits"), examples("digits", "test")
    assert isinstance(train, Examples) and (len(train), len(test)) == (1500, 297)
    assert train.arrays["image"].shape == (1500, 8, 8, 1) and train.arrays["image"].dtype == np.uint8
    assert train.arrays["label"].dtype == np.int32 and train.classes == tuple("0123456789")
    from sklearn.datasets import load_digits

    stored = load_digits()
    back = np.concatenate([train.arrays["image"], test.arrays["image"]])[..., 0] / 255 * 16
    np.testing.assert_array_equal(np.round(back), stored.images)
    np.testing.assert_array_equal(np.concatenate([train.arrays["label"], test.arrays["label"]]), stored.target)
    assert (train.arrays["image"].min(), train.arrays["image"].max()) == (0, 255)
    assert examples("digits", "validation").digest == examples("digits", "val").digest == test.digest != train.digest


def test_a_batch_is_float_in_minus_one_to_one_of_static_shape():
    data = load("digits", batch_size=100)
    assert data.element_spec["image"].shape.as_list() == [100, 8, 8, 1]
    assert data.element_spec["label"].shape.as_list() == [100]
    assert load("digits", batch_size=64).element_spec["image"].shape.as_list() == [None, 8, 8, 1]
    assert int(data.cardinality()) == 15
    batches = list(data.as_numpy_iterator())
    image = np.concatenate([batch["image"] for batch in batches])
    assert image.dtype == np.float32 and (image.min(), image.max()) == (-1.0, 1.0)
    assert batches[0]["label"].dtype == np.int32
    assert data.examples.name == "digits"


def test_the_order_is_a_function_of_the_seed():
    def order(**settings):
        return [batch["label"].tolist() for batch in load("digits", batch_size=50, **settings).as_numpy_iterator()]

    stored = examples("digits").arrays["label"]
    assert order(seed=1) == order(seed=1) != order(seed=2)
    assert sorted(sum(order(seed=1), [])) == sorted(stored.tolist())
    assert sum(order(shuffle=False), []) == stored.tolist()
    assert sum(order(split="test"), []) == examples("digits", "test").arrays["label"].tolist()
    assert sum(order(split="test", shuffle=True), []) != examples("digits", "test").arrays["label"].tolist()
    stream = examples("digits").stream(50, seed=1).take(60).as_numpy_iterator()
    labels = [batch["label"].tolist() for batch in stream]
    assert labels[:30] == order(seed=1) != labels[30:]
    later = next(examples("digits").stream(50, seed=1, start=41).as_numpy_iterator())
    assert later["label"].tolist() == labels[41]


def test_images_and_labels_stay_together(tmp_path):
    label = np.arange(90)
    image = np.broadcast_to(label.astype(np.uint8)[:, None, None], (90, 4, 4))
    for batch in load(save(tmp_path / "a.npz", x_train=image, y_train=label), batch_size=16).as_numpy_iterator():
        seen = np.round((batch["image"][:, 0, 0, 0] + 1) * 127.5).astype(int)
        np.testing.assert_array_equal(seen, batch["label"])


def test_the_digest_is_that_of_the_content(tmp_path):
    image, label = rng_images((5, 4, 4, 3)), np.arange(5)
    one = examples(save(tmp_path / "one.npz", x_train=image, y_train=label)).digest
    assert one == examples(save(tmp_path / "two.npz", y_train=label, x_train=image)).digest and len(one) == 64
    assert one != examples(save(tmp_path / "three.npz", x_train=image, y_train=label[::-1])).digest
    assert one != examples(save(tmp_path / "four.npz", x_train=image)).digest
    image[4, 3, 3, 2] ^= 1
    assert one != examples(save(tmp_path / "five.npz", x_train=image, y_train=label)).digest
    # The same in every process, on every machine.
    assert examples("digits").digest == "60191e69734f42e246e0db17c6304155ca6c52fd69efb662bf26778f0df1501a"


def test_sizes_and_channels():
    assert examples("digits", image_size=32).arrays["image"].shape == (1500, 32, 32, 1)
    assert examples("digits", image_size=(4, 8), channels=3).arrays["image"].shape == (1500, 4, 8, 3)
    half, full = examples("digits", image_size=4).arrays["image"], examples("digits").arrays["image"]
    mean = full.reshape(1500, 4, 2, 4, 2).mean((2, 4))
    assert np.abs(half[..., 0] - mean).max() <= 1  # the area mean, rounded twice
    wide = np.zeros((1, 4, 12, 3), np.uint8)
    wide[:, :, 4:8] = 200
    assert (resize.fit(wide, (4, 4), None) == 200).all()  # the center, not the whole squeezed
    assert (resize.fit(wide.astype(np.float32) / 127.5 - 1, (2, 2), None) == np.float32(200 / 127.5 - 1)).all()


def test_grey_and_color():
    color = rng_images((7, 5, 6, 3))
    grey = resize.fit(color, None, 1)
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in color])
    np.testing.assert_array_equal(grey[..., 0], expected)
    in_floats = resize.fit(color.astype(np.float32) / 127.5 - 1, None, 1)
    np.testing.assert_allclose((in_floats[..., 0] + 1) * 127.5, expected, atol=0.51)
    assert (resize.fit(grey, None, 3) == grey).all()


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"image_size": 0}, "'0'"),
        ({"image_size": (3,)}, "(3,)"),
        ({"image_size": "big"}, "big"),
        ({"image_size": (8, 2.5)}, "2.5"),
        ({"channels": 2}, "'2'"),
        ({"split": "trian"}, "'trian'"),
        ({"split": 3}, "'3'"),
        ({"name_or_path": 3}, "'3'"),
        ({"name_or_path": ""}, "''"),
    ],
)
def test_wrong_requests(settings, word):
    refused(UsageError, word, **settings)


@pytest.mark.parametrize("size", [0, -1, 2.5, "64"])
def test_wrong_batch_sizes(size):
    refused(UsageError, repr(str(size)), call=load, batch_size=size)


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


# --- folders ----------------------------------------------------------------------------------------------------------


def draw(path, size=(10, 12), color=(200, 30, 60), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], color).convert(mode).save(path)
    return path


def test_a_flat_folder(tmp_path):
    for index in range(23):
        draw(tmp_path / f"{index:02}.png", color=(index, 0, 0))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    train, test = examples(tmp_path), examples(str(tmp_path), "test")
    assert test.arrays["image"][:, 0, 0, 0].tolist() == [0, 10, 20]
    assert train.arrays["image"][:, 0, 0, 0].tolist() == [i for i in range(23) if i % 10]
    assert train.arrays["image"].shape == (20, 10, 12, 3) and "label" not in train.arrays
    assert train.name == tmp_path.name


def test_every_format_and_mode(tmp_path):
    suffixes = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif"]
    for suffix in suffixes:
        draw(tmp_path / "train" / f"a.{suffix}")
    found = examples(tmp_path).arrays["image"].astype(int)
    assert found.shape == (7, 10, 12, 3) and np.abs(found - (200, 30, 60)).max() <= 6
    modes = ["1", "L", "LA", "P", "I;16"]
    for mode in modes:
        path = tmp_path / "grey" / "train" / f"{len(mode)}{mode[0]}.png"
        draw(path, color=(255, 255, 255), mode="L" if mode == "I;16" else mode)
        if mode == "I;16":
            Image.fromarray(np.full((10, 12), 2**16 - 1, np.uint16)).save(path)
    grey = examples(tmp_path / "grey").arrays["image"]
    assert grey.shape == (len(modes), 10, 12, 1) and (grey == 255).all()
    draw(tmp_path / "grey" / "train" / "color.png")
    assert examples(tmp_path / "grey").arrays["image"].shape == (len(modes) + 1, 10, 12, 3)
    assert examples(tmp_path / "grey", channels=1).arrays["image"].shape == (len(modes) + 1, 10, 12, 1)
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(draw(tmp_path / "clear" / "a.png"))
    assert (examples(tmp_path / "clear").arrays["image"] == 255).all()  # what is transparent is white


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:8] = 255  # turned to the right, the top is at the right
    Image.fromarray(picture).save(tmp_path / "a.jpg", exif=exif)
    upright = examples(tmp_path).arrays["image"]
    assert upright.shape == (1, 32, 16, 3) and (upright[0, :, 8:] > 200).all() and (upright[0, :, :8] < 50).all()


def test_class_folders(tmp_path):
    for index in range(4):
        draw(tmp_path / "dog" / f"{index}.png", color=(255, 0, 0))
        draw(tmp_path / "cat" / "inner" / f"{index}.png", color=(0, 0, 255))
    (tmp_path / "empty").mkdir()
    found = examples(tmp_path)
    assert found.classes == ("cat", "dog") and found.arrays["label"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert (found.arrays["image"][:, 0, 0, 0] // 255 == found.arrays["label"]).all()
    draw(tmp_path / "preview.png")
    refused(UsageError, "preview.png", "cat", args=[tmp_path])


def test_split_folders(tmp_path):
    for index in range(3):
        draw(tmp_path / "train" / "a" / f"{index}.png")
        draw(tmp_path / "train" / "b" / f"{index}.png")
    draw(tmp_path / "test" / "b" / "0.png")
    assert examples(tmp_path).arrays["label"].tolist() == [0, 0, 0, 1, 1, 1]
    test = examples(tmp_path, "test")
    assert test.arrays["label"].tolist() == [1] and test.classes == ("a", "b")
    assert examples(tmp_path, "validation").digest == test.digest
    refused(UsageError, "'foo'", "test, train", args=[tmp_path, "foo"])
    draw(tmp_path / "val" / "loose.png")
    refused(UsageError, "class folders", args=[tmp_path])


def test_mixed_sizes(tmp_path):
    draw(tmp_path / "a.png", (10, 12))
    draw(tmp_path / "b.png", (20, 12))
    draw(tmp_path / "c.png", (90, 80))
    with pytest.warns(UserWarning, match="64x64") as caught:
        assert examples(tmp_path).arrays["image"].shape == (2, 64, 64, 3)
    assert caught[0].filename == __file__ and "\n" not in str(caught[0].message)
    with pytest.warns(UserWarning, match="64x64") as caught:
        load(tmp_path, batch_size=1)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert examples(tmp_path, image_size=8).arrays["image"].shape == (2, 8, 8, 3)


def test_bad_folders(tmp_path):
    refused(DamagedError, "no images", args=[tmp_path])
    draw(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not an image at all")
    refused(DamagedError, "b.png", "not an image", args=[tmp_path])
    Image.fromarray(rng_images((40, 40, 3))).save(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:900])
    refused(DamagedError, "b.png", args=[tmp_path], image_size=8, channels=3)
    (tmp_path / "b.png").write_bytes(b"")
    refused(DamagedError, "b.png", args=[tmp_path])
    (tmp_path / "b.png").unlink()
    draw(tmp_path / "only" / "a.png")
    assert len(examples(tmp_path / "only")) == 1
    refused(DamagedError, "empty", args=[tmp_path / "only", "test"])


def test_links_in_circles_end(tmp_path):
    draw(tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    assert len(examples(tmp_path)) == 1


# --- sets that do not fit in memory -----------------------------------------------------------------------------------


def test_large_sets_are_mapped_from_the_cache(tmp_path, monkeypatch):
    image, label = rng_images((500, 8, 8, 3)), np.arange(500) % 7
    path = save(tmp_path / "a.npz", x_train=image, y_train=label)
    in_memory = examples(path)
    cache = tmp_path / "cache"
    monkeypatch.setenv("KERAS_GEN_CACHE", str(cache))
    monkeypatch.setattr(store, "MEMORY_LIMIT", 1000)
    mapped = examples(path)
    assert isinstance(mapped.arrays["image"], np.memmap) and mapped.digest == in_memory.digest
    np.testing.assert_array_equal(mapped.arrays["image"], image)
    np.testing.assert_array_equal(mapped.arrays["label"], label)
    for one, other in zip(mapped.dataset(64, seed=5), in_memory.dataset(64, seed=5), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert mapped.dataset(64).element_spec == in_memory.dataset(64).element_spec
    (written,) = cache.glob("*/image.npy")
    before = written.stat().st_mtime_ns
    assert examples(path).digest == mapped.digest and written.stat().st_mtime_ns == before
    assert examples(path, image_size=4).arrays["image"].shape == (500, 4, 4, 3)  # a copy of its own
    written.write_bytes(written.read_bytes()[:-1])
    np.testing.assert_array_equal(examples(path).arrays["image"], image)
    (written.parent / "rest.npz").write_bytes(b"torn")
    (written.parent / ".tmp-4194305-0-image.npy").write_bytes(b"of a process that was killed")
    with ThreadPoolExecutor(3) as pool:
        assert {found.digest for found in pool.map(examples, [path] * 3)} == {mapped.digest}
    image[0] += 1
    save(path, x_train=image, y_train=label)
    assert examples(path).digest != mapped.digest
    assert not list(cache.glob("**/.tmp*"))


def test_a_failed_copy_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "MEMORY_LIMIT", 100)
    for index in range(5):
        draw(tmp_path / "set" / f"{index}.png")
    last = tmp_path / "set" / "4.png"
    last.write_bytes(last.read_bytes()[:45])
    refused(DamagedError, "4.png", args=[tmp_path / "set"])
    assert not list(tmp_path.glob("cache/**/*.npy")) and not list(tmp_path.glob("cache/**/.tmp*"))
    draw(last)
    assert isinstance(examples(tmp_path / "set").arrays["image"], np.memmap)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: store.shutil._ntuple_diskusage(10, 5, 5))
    refused(UsageError, "KERAS_GEN_CACHE", args=[tmp_path / "set"], image_size=16)


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


def test_splits_of_tensorflow_datasets(prepared, monkeypatch):
    folder, image, _ = prepared
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder))
    np.testing.assert_array_equal(examples("mnist", "train[:10%]").arrays["image"], image[:25])
    assert len(examples("mnist", "train+test")) == 300
    assert len(examples(folder / "mnist" / "3.0.1", "test")) == 50
    refused(UsageError, "'foo'", "train, test", args=["mnist", "foo"])
    refused(UsageError, "train[", "train, test", args=["mnist", "train["])
    refused(UsageError, "'test'", "train", args=["zoo", "test"])


def test_images_of_any_size(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared[0]))
    with pytest.warns(UserWarning, match="64x64"):
        assert examples("zoo").arrays["image"].shape == (5, 64, 64, 3)
    found = examples("zoo", image_size=8, channels=1)
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
    monkeypatch.setattr(tfds, "FIRST_BYTE", 2.0)
    refused(UsageError, "'cifar10'", "download failed", "TFDS_DATA_DIR", args=["cifar10"])
    assert not list(tmp_path.iterdir())


def test_examples_differ_in_length():
    refused(UsageError, "length", call=Examples, args=[{"image": np.zeros((3, 2, 2, 1)), "label": np.zeros(2)}])


def test_loading_is_deterministic_in_graphs_too():
    total = load("digits", batch_size=64, seed=3).reduce(0.0, lambda sum_, batch: sum_ + tf.reduce_sum(batch["image"]))
    again = sum(batch["image"].sum(dtype=np.float64) for batch in load("digits", batch_size=64).as_numpy_iterator())
    assert float(total) == pytest.approx(float(again), rel=1e-4)

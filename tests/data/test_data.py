"""Every source gives the same kind of examples, or one line that says what is wrong."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sources import draw, refused, rng_images, save

from keras_gen.data import Examples, examples, load, resize, store
from keras_gen.errors import DamagedError, UsageError

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


def test_every_picture_is_served_in_the_range_of_images_and_bytes_of_anything_else_as_they_are():
    held = {name: np.full((2, 4, 4, 1), 255, np.uint8) for name in ("image", "target", "height")}
    batch = next(iter(Examples(held).dataset(2)))
    assert {name: (value.dtype.name, float(value[0, 0, 0, 0])) for name, value in batch.items()} == {
        "image": ("float32", 1.0),
        "target": ("float32", 1.0),
        "height": ("uint8", 255.0),
    }


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


# --- sets that do not fit in memory -----------------------------------------------------------------------------------


def test_large_sets_are_mapped_from_the_cache(tmp_path, monkeypatch):
    image, label = rng_images((500, 8, 8, 3)), np.arange(500) % 7
    path = save(tmp_path / "a.npz", x_train=image, y_train=label)
    in_memory = examples(path, "all")
    cache = tmp_path / "cache"
    monkeypatch.setenv("KERAS_GEN_CACHE", str(cache))
    monkeypatch.setattr(store, "MEMORY_LIMIT", 1000)
    mapped = examples(path, "all")
    assert isinstance(mapped.arrays["image"], np.memmap) and mapped.digest == in_memory.digest
    np.testing.assert_array_equal(mapped.arrays["image"], image)
    np.testing.assert_array_equal(mapped.arrays["label"], label)
    for one, other in zip(mapped.dataset(64, seed=5), in_memory.dataset(64, seed=5), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["label"], other["label"])
    assert mapped.dataset(64).element_spec == in_memory.dataset(64).element_spec
    (written,) = cache.glob("*/image.npy")
    before = written.stat().st_mtime_ns
    assert examples(path, "all").digest == mapped.digest and written.stat().st_mtime_ns == before
    assert examples(path, "all", image_size=4).arrays["image"].shape == (500, 4, 4, 3)  # a copy of its own
    assert [len(examples(path, split)) for split in ("train", "test")] == [450, 50]  # and each of these
    written.write_bytes(written.read_bytes()[:-1])
    np.testing.assert_array_equal(examples(path, "all").arrays["image"], image)
    (written.parent / "rest.npz").write_bytes(b"torn")
    (written.parent / ".tmp-4194305-0-image.npy").write_bytes(b"of a process that was killed")
    with ThreadPoolExecutor(3) as pool:
        assert {found.digest for found in pool.map(examples, [path] * 3, ["all"] * 3)} == {mapped.digest}
    image[0] += 1
    save(path, x_train=image, y_train=label)
    assert examples(path, "all").digest != mapped.digest
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


def test_examples_differ_in_length():
    refused(UsageError, "length", call=Examples, args=[{"image": np.zeros((3, 2, 2, 1)), "label": np.zeros(2)}])


def test_loading_is_deterministic_in_graphs_too():
    total = load("digits", batch_size=64, seed=3).reduce(0.0, lambda sum_, batch: sum_ + tf.reduce_sum(batch["image"]))
    again = sum(batch["image"].sum(dtype=np.float64) for batch in load("digits", batch_size=64).as_numpy_iterator())
    assert float(total) == pytest.approx(float(again), rel=1e-4)

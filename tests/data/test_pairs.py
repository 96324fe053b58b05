"""Images in two parts: every layout that people have, what is wrong with one in a line, and rows by (seed, step)."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tiny import shared

from keras_gen import data
from keras_gen.data.examples import Examples, Share, Unpaired
from keras_gen.errors import UsageError


def flat(path, value, size=(8, 8)):
    """Writes a picture of one gray level; its target will be of the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def levels(array):
    return array.reshape(len(array), -1)[:, 0].tolist()


@pytest.fixture
def joined(tmp_path):
    """trainA, trainB, testA, testB, in which endings differ and B was written in another order."""
    for part, first in (("train", 10), ("test", 100)):
        for index in (2, 0, 1):
            flat(tmp_path / f"{part}B" / f"{index}.bmp", first + 10 * index + 1)
        for index in range(3):
            flat(tmp_path / f"{part}A" / f"{index}.png", first + 10 * index)
    return tmp_path


def test_pairs_are_joined_by_their_names(joined):
    found = data.pairs(joined)
    assert levels(found.arrays["source"]) == [10, 20, 30] and levels(found.arrays["target"]) == [11, 21, 31]
    assert levels(data.pairs(joined, "test").arrays["target"]) == [101, 111, 121]
    assert len(data.pairs(joined, "all")) == 6
    assert found.shapes() == {"source": (None, 8, 8, 1), "target": (None, 8, 8, 1)} and type(found) is Examples


def test_the_other_direction_makes_sources_of_targets(joined):
    for data_of, kind in ((joined, "pairs"), (joined, "unpaired"), ("digits", "pairs"), ("digits", "unpaired")):
        one, other = (data.pairs(data_of, kind=kind, direction=way) for way in ("a_to_b", "b_to_a"))
        assert np.array_equal(one.arrays["source"], other.arrays["target"]) and one.digest != other.digest
        assert np.array_equal(one.arrays["target"], other.arrays["source"]) and type(one) is type(other)
    with pytest.raises(UsageError, match="direction='BtoA' is not known"):
        data.pairs(joined, direction="BtoA")


def test_a_picture_without_a_partner_is_named(joined):
    flat(joined / "trainA" / "extra.png", 0)
    with pytest.raises(UsageError, match="trainA/extra has no partner in trainB/"):
        data.pairs(joined)
    assert len(data.pairs(joined, kind="unpaired").arrays["source"]) == 4


def test_edges_of_digits_are_each_those_of_one_digit():
    from scipy.ndimage import sobel

    found = data.pairs("digits", image_size=16)
    for edges, digit in zip(*(found.arrays[name][:5, ..., 0] for name in ("source", "target")), strict=True):
        wide = digit.astype(float)
        expected = np.hypot(sobel(wide, 0), sobel(wide, 1)) / 4
        np.testing.assert_allclose(edges, np.minimum(expected, 255), atol=0.51)


@pytest.mark.parametrize("read", [data.pairs, data.label_maps])
def test_a_zip_is_to_be_unpacked(read, joined, tmp_path_factory):
    path = Path(shutil.make_archive(tmp_path_factory.mktemp("zips") / "both", "zip", joined))
    with pytest.raises(UsageError, match=r"both\.zip is a zip; .*: unpack it$"):
        read(path)


def test_pairs_side_by_side(tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for index in range(count):
            picture = np.full((8, 16), 10 * index, np.uint8)
            picture[:, 8:] += 1
            (tmp_path / part).mkdir(exist_ok=True)
            Image.fromarray(picture).save(tmp_path / part / f"{index}.png")
    found = data.pairs(tmp_path)
    assert levels(found.arrays["source"]) == [0, 10, 20] and levels(found.arrays["target"]) == [1, 11, 21]
    assert levels(data.pairs(tmp_path, "test").arrays["target"]) == [1, 11]
    assert data.pairs(tmp_path, image_size=4).arrays["source"].shape == (3, 4, 4, 1)
    with pytest.raises(UsageError, match="no folder of two sets; expected trainA/ and trainB/"):
        data.pairs(tmp_path, kind="unpaired")
    flat(tmp_path / "train" / "0.png", 0, (24, 8))
    with pytest.raises(UsageError, match="several sizes, two images side by side; give --image-size"):
        data.pairs(tmp_path)
    assert data.pairs(tmp_path, image_size=4).arrays["target"].shape == (3, 4, 4, 1)
    for index in range(3):
        flat(tmp_path / "train" / f"{index}.png", 0, (15, 8))
    with pytest.raises(UsageError, match="15 wide; expected an even width"):
        data.pairs(tmp_path)


def test_a_side_that_is_missing_is_one_line(tmp_path):
    flat(tmp_path / "trainA" / "0.png", 0)
    for kind in ("pairs", "unpaired"):
        with pytest.raises(UsageError, match="holds trainA and no trainB; expected .*trainA/ and trainB/"):
            data.pairs(tmp_path, kind=kind)
    flat(tmp_path / "trainB" / "0.png", 0, (8, 6))
    with pytest.raises(UsageError, match="two sizes, source 8x8 and target 6x8; give --image-size"):
        data.pairs(tmp_path)


def test_without_a_test_split_the_same_rows_of_both_are_held_out(tmp_path):
    for index in range(20):
        flat(tmp_path / "A" / f"{index:02}.png", 10 * index)
        flat(tmp_path / "B" / f"{index:02}.png", 10 * index + 1)
    train, test = data.pairs(tmp_path), data.pairs(tmp_path, "test")
    for part in (train, test):
        assert [level + 1 for level in levels(part.arrays["source"])] == levels(part.arrays["target"])
    assert (len(train), len(test)) == (18, 2)


@pytest.mark.parametrize(
    "names",
    [("train_A", "train_B", "test_A", "test_B"), ("source_train", "target_train", "source_test", "target_test")],
)
def test_arrays_by_their_usual_names(names, tmp_path):
    arrays = {name: np.full((3, 4, 4), 9 * index, np.uint8) for index, name in enumerate(names)}
    np.savez(tmp_path / "d.npz", **arrays, other=np.arange(3))
    found = data.pairs(tmp_path / "d.npz", "test", channels=3)
    assert {name: array.shape for name, array in found.arrays.items()} == dict.fromkeys(
        ("source", "target"), (3, 4, 4, 3)
    )
    assert levels(found.arrays["source"]) == [18] * 3 and levels(found.arrays["target"]) == [27] * 3


def test_arrays_of_other_names_and_a_split_in_words():
    path = shared("facades.npz")
    with np.load(path) as held:
        wanted = held["photo"][held["split"] == "test"]
    found = data.pairs(path, "test", arrays={"source": "label", "target": "photo"})
    assert np.array_equal(found.arrays["target"], wanted) and found.arrays["source"].shape == wanted.shape
    with pytest.raises(UsageError, match="expected train_A and train_B .*--arrays source=NAME,target=NAME"):
        data.pairs(path)
    with pytest.raises(UsageError, match="no array 'fotos'; did you mean 'photo'"):
        data.pairs(path, arrays={"source": "label", "target": "fotos"})


def test_an_epoch_passes_once_through_the_longer_side_and_again_and_again_through_the_shorter():
    found = Unpaired({"source": np.arange(7), "target": np.arange(3) + 100})
    rows = [batch for batch in found.dataset(2, seed=1)]
    assert sorted(np.concatenate([batch["source"] for batch in rows])) == list(range(7))
    counts = np.bincount(np.concatenate([batch["target"] for batch in rows]) - 100)
    assert sorted(counts) == [2, 2, 3]
    epochs = [
        [int(x) for x in np.concatenate([b["source"] for b in found.stream(7, seed=1, start=k).take(1)])]
        for k in (0, 1)
    ]
    assert epochs[0] != epochs[1]


def test_rows_of_any_data_are_a_function_of_seed_and_step_and_workers_share_them():
    image = np.arange(13 * 6 * 6).reshape(13, 6, 6, 1).astype(np.float32)
    for kind in (Examples, Unpaired):
        found = kind({"source": image, "target": image + 0.5}, crop=(4, 4))
        whole = [batch for batch in found.stream(5, seed=3).take(6)]
        later = [batch for batch in found.stream(5, seed=3, start=4).take(2)]
        for one, two in zip(whole[4:], later, strict=True):
            assert all(np.array_equal(one[name], two[name]) for name in one)
        pieces = [batch for batch in found.stream(5, seed=3, share=Share(2, 0, 2)).take(12)]
        for step, batch in enumerate(whole):
            for name in batch:
                both = np.concatenate([piece[name] for piece in pieces[2 * step : 2 * step + 2]])
                assert np.array_equal(both, batch[name]), name


def test_both_images_of_a_pair_are_cut_and_mirrored_alike_and_each_row_at_a_place_of_its_own():
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1) + np.zeros((40, 1, 1, 1), np.float32)
    batch = next(iter(Examples({"source": image, "target": image}, crop=(5, 6)).dataset(40, seed=0)))
    assert batch["source"].shape == (40, 5, 6, 1) and np.array_equal(batch["source"], batch["target"])
    corners = {(float(one[0, 0, 0]), float(one[0, -1, 0])) for one in batch["source"]}
    assert len(corners) > 12 and {a > b for a, b in corners} == {True, False}
    rows = {float(one[0, 0, 0]) // 8 for one in batch["source"]}
    assert rows == {0, 1, 2, 3}
    apart = next(iter(Unpaired({"source": image, "target": image}, crop=(5, 6)).dataset(40, seed=0)))
    assert not np.array_equal(apart["source"], apart["target"])
    still = next(iter(Examples({"source": image}, crop=(5, 6)).dataset(40)))
    assert np.array_equal(still["source"], image[:, 1:6, 1:7])


def test_training_images_are_an_eighth_larger_than_what_is_cut_out_of_them(joined):
    found = data.pairs(joined, image_size=32, jitter=True)
    assert found.arrays["source"].shape == (3, 36, 36, 1) and found.shapes()["source"] == (None, 32, 32, 1)
    assert tf.TensorShape(found.dataset(2, seed=0).element_spec["target"].shape).as_list()[1:] == [32, 32, 1]

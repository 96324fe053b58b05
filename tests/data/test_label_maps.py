"""Maps of classes beside images: every kind of map that people have, and what is wrong with one in a line."""

import numpy as np
import pytest
from PIL import Image
from tiny import refused, shared

from keras_gen import data
from keras_gen.data.legend import Legend, read
from keras_gen.errors import DamagedError

PALETTE = [255, 0, 0, 0, 0, 255, 9, 9, 9, 200, 100, 50]


def indexed(values, palette=PALETTE):
    picture = Image.fromarray(np.asarray(values, np.uint8)).convert("L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette(palette)
    return picture


def put(top, name, picture, level=0, ending="png"):
    """Writes a map and an image of one gray level under one name."""
    for inner in ("images", "labels"):
        (top / inner / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", picture.size, level).save(top / "images" / f"{name}.{ending}")
    picture.save(top / "labels" / f"{name}.png")


def gray(values):
    return Image.fromarray(np.asarray(values, np.uint8))


def blocks(*numbers):
    """Returns a 4x4 map of four blocks."""
    return np.repeat(np.repeat(np.reshape(numbers, (2, 2)), 2, 0), 2, 1)


def served(found):
    return next(iter(found.dataset(len(found))))["segmentation"].numpy()


def test_indices_of_an_indexed_map_are_classes_whatever_its_colors(tmp_path):
    put(tmp_path, "a", indexed(blocks(0, 1, 3, 3)))
    put(tmp_path, "b", indexed(blocks(2, 2, 0, 1), PALETTE[::-1]))
    found = data.label_maps(tmp_path, "all")
    assert np.array_equal(found.arrays["segmentation"], [blocks(0, 1, 3, 3), blocks(2, 2, 0, 1)])
    assert found.classes == ("0", "1", "2", "3")
    assert served(found).dtype == np.int32 and found.shapes() == {
        "segmentation": (None, 4, 4),
        "image": (None, 4, 4, 1),
    }


def test_gray_values_are_classes_255_is_unknown_and_masks_are_two_classes(tmp_path):
    put(tmp_path / "gray", "a", gray(blocks(0, 2, 255, 1)))
    found = data.label_maps(tmp_path / "gray", "all")
    assert found.classes == ("0", "1", "2", "unknown")
    assert np.array_equal(found.arrays["segmentation"][0], blocks(0, 2, 3, 1))
    put(tmp_path / "mask", "a", gray(blocks(0, 255, 255, 0)))
    found = data.label_maps(tmp_path / "mask", "all")
    assert found.classes == ("0", "255") and np.array_equal(found.arrays["segmentation"][0], blocks(0, 1, 1, 0))
    put(tmp_path / "bits", "a", gray(blocks(0, 255, 255, 0)).convert("1"))
    assert np.array_equal(data.label_maps(tmp_path / "bits", "all").arrays["segmentation"][0], blocks(0, 1, 1, 0))


def test_colors_are_classes_in_an_order_of_their_own_and_at_most_256(tmp_path):
    colors = np.uint8([[0, 0, 200], [250, 0, 0], [0, 0, 3]])
    put(tmp_path, "a", Image.fromarray(colors[blocks(0, 1, 2, 2)]))
    found = data.label_maps(tmp_path, "all")
    assert found.classes == ("#000003", "#0000c8", "#fa0000")
    assert np.array_equal(found.arrays["segmentation"][0], blocks(1, 2, 0, 0))
    refused(
        lambda: data.label_maps(tmp_path, "all", num_classes=5), "hold 3 colors, and num_classes is 5; leave it out"
    )
    put(tmp_path, "b", gray(blocks(0, 1, 2, 3)))
    refused(lambda: data.label_maps(tmp_path), "a.png holds colors, and .*b.png one value a pixel")
    put(tmp_path, "b", Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)))
    refused(lambda: data.label_maps(tmp_path, image_size=4), "b.png has more than 256 colors")
    Image.fromarray(colors[blocks(0, 1, 2, 2)]).save(tmp_path / "labels" / "b.jpg")
    (tmp_path / "labels" / "b.png").unlink()
    refused(lambda: data.label_maps(tmp_path), "b.jpg is a JPEG, .* do not survive; expected a PNG")


@pytest.fixture
def twenty(tmp_path):
    """Pictures whose gray level is ten times the class of their map, in files written in another order."""
    for index in np.random.default_rng(0).permutation(20):
        put(tmp_path, f"{index:02}", gray(np.full((4, 4), index)), 10 * int(index), ("bmp", "png")[index % 2])
    return tmp_path


def test_images_and_maps_are_joined_by_their_names(twenty):
    parts = [data.label_maps(twenty, split) for split in ("train", "test", "all")]
    assert [len(part) for part in parts] == [18, 2, 20]
    for part in parts:
        assert np.array_equal(10 * part.arrays["segmentation"], part.arrays["image"][..., 0])
        assert len(part.classes) == 20, "of all splits"


def test_a_picture_without_a_partner_and_two_of_one_name_are_named(twenty):
    gray(np.zeros((4, 4))).save(twenty / "labels" / "alone.png")
    refused(lambda: data.label_maps(twenty), "labels/alone.png has no partner in images/; expected pictures of equal")
    (twenty / "labels" / "alone.png").rename(twenty / "images" / "alone.png")
    refused(lambda: data.label_maps(twenty), "images/alone.png has no partner in labels/")
    (twenty / "images" / "alone.png").rename(twenty / "images" / "00.png")
    refused(lambda: data.label_maps(twenty), "holds two pictures '00'; remove one")


def test_splits_of_both_layouts(tmp_path):
    for part, first in (("train", 0), ("val", 3)):
        for index in range(2):
            put(tmp_path / "one" / part, str(index), gray(np.full((4, 4), first + index)))
            put(tmp_path / "two", f"{part}/{index}", gray(np.full((4, 4), first + index)))
    for layout in ("one", "two"):
        train, test = (data.label_maps(tmp_path / layout, split) for split in ("train", "test"))
        assert train.arrays["segmentation"][:, 0, 0].tolist() == [0, 1]
        assert test.arrays["segmentation"][:, 0, 0].tolist() == [3, 4]
        assert train.classes == test.classes == tuple("01234")


def test_another_layout_is_one_line(tmp_path):
    (tmp_path / "trainA").mkdir()
    refused(lambda: data.label_maps(tmp_path), "no folder of images and their maps; expected images/ and labels/, or")
    (tmp_path / "train" / "images").mkdir(parents=True)
    refused(lambda: data.label_maps(tmp_path), "train.* is no folder of images and their maps")
    refused(lambda: data.label_maps(tmp_path, arrays={"image": "x"}), "--arrays names those of an .npz file")


def test_a_value_that_is_no_class_names_its_file(twenty):
    refused(lambda: data.label_maps(twenty, num_classes=20, classes=tuple("abc")), "03.png holds the value 3; expected")
    refused(lambda: data.label_maps(twenty, num_classes=12), "12.png holds the value 12; .* 0 to 11, of num_classes 12")
    assert len(data.label_maps(twenty, num_classes=30).classes) == 30
    Image.fromarray(np.full((4, 4), 300, np.uint16)).save(twenty / "labels" / "07.png")
    refused(lambda: data.label_maps(twenty), "07.png holds the value 300; expected classes 0 to 255")
    gray(np.zeros((4, 6))).save(twenty / "labels" / "07.png")
    refused(lambda: data.label_maps(twenty, "all"), "07.png is 4x4, and its map .*07.png is 4x6; expected one size")
    (twenty / "labels" / "07.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    refused(lambda: data.label_maps(twenty), "cannot read .*07.png", DamagedError)


def test_maps_are_cut_and_resized_as_their_images_and_no_class_is_between_two_others(tmp_path):
    rng = np.random.default_rng(0)
    for name, sides in (("a", (40, 60)), ("b", (33, 21))):
        values = rng.integers(0, 2, (5, 7)).repeat(12, 0).repeat(12, 1)[: sides[0], : sides[1]] * 200
        put(tmp_path, name, gray(values))
        gray(values).save(tmp_path / "images" / f"{name}.png")
    found = data.label_maps(tmp_path, "all", image_size=16, num_classes=201)
    maps, image = (found.arrays[name].astype(int) for name in ("segmentation", "image"))
    assert set(np.unique(maps)) == {0, 200}
    assert np.abs(maps - image[..., 0]).mean() < 25, "no more than what resampling does at the edges"


def test_windows_are_the_same_of_an_image_and_of_its_map(tmp_path):
    values = np.arange(36 * 36).reshape(36, 36) % 251
    for name in "abcd":
        put(tmp_path, name, gray(values))
        gray(values).save(tmp_path / "images" / f"{name}.png")
    found = data.label_maps(tmp_path, "all", image_size=32, jitter=True)
    batch = next(iter(found.dataset(4, seed=1)))
    assert batch["segmentation"].shape == (4, 32, 32) and batch["image"].shape == (4, 32, 32, 1)
    levels = np.rint((batch["image"].numpy()[..., 0] + 1) * 127.5)
    assert np.array_equal(levels, batch["segmentation"]) and not np.array_equal(levels[0], levels[1])


def test_arrays_by_their_usual_names_and_of_others(tmp_path):
    maps = np.stack([blocks(0, 1, 2, index) for index in range(4)])
    image = (60 * maps[..., None]).astype(np.uint8)
    np.savez(
        tmp_path / "a.npz",
        segmentation_train=maps[:2],
        image_train=image[:2],
        segmentation_test=maps[2:],
        image_test=image[2:],
    )
    found = data.label_maps(tmp_path / "a.npz", "test")
    assert np.array_equal(found.arrays["segmentation"], maps[2:]) and found.classes == tuple("0123")
    path = shared("facades.npz")
    with np.load(path) as held:
        ids, photo, names = (
            held[name][held["split"] == "test"] if name != "class_names" else held[name]
            for name in ("label_id", "photo", "class_names")
        )
    found = data.label_maps(path, "test", arrays={"segmentation": "label_id", "image": "photo"})
    assert np.array_equal(found.arrays["segmentation"], ids) and np.array_equal(found.arrays["image"], photo)
    assert found.classes == tuple(names) and len(found) == 106
    colors = data.label_maps(path, "test", arrays={"segmentation": "label", "image": "photo"}, image_size=32)
    assert len(colors.classes) == 12 and colors.arrays["segmentation"].shape == (106, 32, 32)
    refused(lambda: data.label_maps(path), "expected segmentation and image, or --arrays segmentation=NAME,image=NAME")
    refused(lambda: data.label_maps(path, arrays={"segmentation": "ids", "image": "photo"}), "no array 'ids'")
    np.savez(tmp_path / "b.npz", segmentation=maps, image=image[:, :2])
    refused(lambda: data.label_maps(tmp_path / "b.npz"), "expected as many, of one size")


def test_a_map_is_read_by_the_rules_of_the_training_data(tmp_path):
    for names, picture, expected in (
        (("sky", "wall", "unknown"), gray(blocks(0, 1, 255, 0)), blocks(0, 1, 2, 0)),
        (("0", "255"), gray(blocks(0, 255, 0, 0)), blocks(0, 1, 0, 0)),
        (("#0000ff", "#ff0000"), indexed(blocks(1, 0, 0, 0)).convert("RGB"), blocks(0, 1, 1, 1)),
        (("#0000ff", "#ff0000"), indexed(blocks(1, 0, 0, 0)).convert("RGBA"), blocks(0, 1, 1, 1)),
    ):
        picture.save(tmp_path / "map.png")
        assert np.array_equal(read(tmp_path / "map.png", Legend.of(names)), expected)
    refused(lambda: read(tmp_path / "map.png", Legend.of("ab")), "holds colors; .* maps of one value a pixel")
    gray(blocks(0, 1, 255, 0)).save(tmp_path / "map.png")
    refused(lambda: read(tmp_path / "map.png", Legend.of("ab")), r"the value 255 \(unknown\); expected classes 0 to 1,")
    Image.new("RGBA", (4, 4), (0, 0, 255, 9)).save(tmp_path / "map.png")
    refused(lambda: read(tmp_path / "map.png", Legend.of(["#0000ff"])), "transparent in part")


def test_the_set_that_needs_no_file():
    found = data.label_maps("digits", "test")
    assert found.shapes() == {"segmentation": (None, 8, 8), "image": (None, 8, 8, 1)} and len(found.classes) == 11
    assert set(np.unique(found.arrays["segmentation"])) == set(range(11))
    large = data.label_maps("digits", "test", image_size=16)
    assert np.array_equal(large.arrays["segmentation"][:, ::2, ::2], found.arrays["segmentation"])

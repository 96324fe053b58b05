"""Folders of images: flat, by class, by split, of any format, and what is wrong with them."""

import warnings

import numpy as np
import pytest
from PIL import Image
from sources import draw, refused, rng_images

from keras_gen.data import examples, load
from keras_gen.errors import DamagedError, UsageError

# --- folders ----------------------------------------------------------------------------------------------------------


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

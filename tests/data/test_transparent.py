"""Transparency: kept as a fourth channel when it is asked for, said and laid on white when it is not."""

import zipfile

import numpy as np
import pytest
from PIL import Image
from planted import Bug
from sources import refused, rng_images, save

from keras_gen import images
from keras_gen.data import examples, resize
from keras_gen.errors import UsageError

BUGS = [
    Bug(
        "hidden-colors",
        "data/resize.py",
        "images = np.where(unseen & (np.arange(4) < 3), _white(images), images)",
        "images = np.where(unseen & (np.arange(4) < 0), _white(images), images)",
        ("test_colors_that_nobody_sees_are_white",),
    ),
    Bug(
        "hidden-colors-mix",
        "data/resize.py",
        "(image[..., :3] + 1) / 2 * opacity[..., None]",
        "(image[..., :3] + 1) / 2",
        ("test_resampling_mixes_what_is_seen",),
    ),
]


def sprite(size=8):
    """A red square; around it nothing, and below it half of something green."""
    pixels = np.zeros((size, size, 4), np.uint8)
    pixels[..., 2] = 77  # hidden
    pixels[2:5, 2:5] = 255, 0, 0, 255
    pixels[6, :] = 0, 200, 0, 128
    return pixels


SEEN = np.where(sprite()[..., 3:] == 0, (255, 255, 255, 0), sprite()).astype(np.uint8)


def folder(path, pixels, name="{}.png", count=3):
    path.mkdir(exist_ok=True)
    for index in range(count):
        Image.fromarray(pixels).save(path / name.format(index))
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "npz", "floats", "signed", "webp", "palette", "picture"])
def test_colors_that_nobody_sees_are_white(tmp_path, kind):
    data = folder(tmp_path / "d", sprite())
    expected = SEEN
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "d.zip", "w") as file:
            for one in data.iterdir():
                file.write(one, one.name)
        data = tmp_path / "d.zip"
    elif kind == "webp":
        for one in data.iterdir():
            Image.open(one).save(one.with_suffix(".webp"), lossless=True)
            one.unlink()
    elif kind == "palette":
        for one in data.iterdir():
            solid = sprite() * (sprite()[..., 3:] == 255)
            picture = Image.fromarray(solid[..., :3]).quantize(4)
            clear = picture.getpixel((0, 0))
            picture.save(one, transparency=clear)
        expected = np.where(SEEN[..., 3:] == 255, SEEN, (255, 255, 255, 0))
    elif kind in ("npz", "floats", "signed"):
        stack = np.stack([sprite()] * 3)
        scaled = {"npz": stack, "floats": stack / 255, "signed": stack / 127.5 - 1}[kind]
        data = save(tmp_path / "a.npz", x_train=scaled)
    elif kind == "picture":
        data = data / "0.png"
    found = examples(data, "all", channels=4).arrays["image"]
    found = found if found.dtype == np.uint8 else images.to_uint8(found)
    assert found.shape == (1 if kind == "picture" else 3, 8, 8, 4)
    np.testing.assert_array_equal(found[0], expected)
    white = np.rint(255 - (255.0 - expected[..., :3]) * expected[..., 3:] / 255)
    laid = examples(data, "all", channels=3).arrays["image"]
    laid = laid if laid.dtype == np.uint8 else images.to_uint8(laid)
    assert np.abs(laid[0] - white).max() <= 1, "what is seen on white does not depend on the way"


def test_without_being_asked_for_it_is_laid_on_white_and_said(tmp_path, recwarn):
    data = folder(tmp_path / "d", sprite())
    assert examples(data, "all").arrays["image"].shape == (3, 8, 8, 3)
    assert "3 of 3 images" in str(recwarn.pop().message) and not recwarn.list
    examples(data, "all", channels=3)
    assert not recwarn.list, "it was asked for"
    examples(folder(tmp_path / "e", SEEN[2:5, 2:5]), "all")
    assert not recwarn.list, "an opaque fourth channel is none"
    path = save(tmp_path / "a.npz", x_train=np.stack([sprite()] * 3))
    assert examples(path, "all").arrays["image"].shape == (3, 8, 8, 4)
    assert "--channels 3" in str(recwarn.pop().message)


def test_images_without_transparency_are_opaque_and_it_is_said(tmp_path):
    gray = rng_images((4, 8, 8))
    with pytest.warns(UserWarning, match="opaque throughout"):
        found = examples(save(tmp_path / "a.npz", x_train=gray), "all", channels=4).arrays["image"]
    np.testing.assert_array_equal(found, np.stack([gray, gray, gray, np.full_like(gray, 255)], axis=-1))
    with pytest.warns(UserWarning, match="no transparent image"):
        found = examples(folder(tmp_path / "d", gray[0]), "all", channels=4).arrays["image"]
    assert (found[..., 3] == 255).all() and (found[0, ..., 1] == gray[0]).all()
    refused(UsageError, "4 (RGBA)", args=[tmp_path / "d"], channels=5)


def test_gray_and_deep_pictures_with_transparency(tmp_path):
    (tmp_path / "d").mkdir()
    two = np.array([[[10, 255], [99, 0]]], np.uint8)
    Image.fromarray(two, "LA").save(tmp_path / "d" / "0.png")
    deep = np.array([[10 * 257, 5]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "d" / "1.png", transparency=5)
    found = examples(tmp_path / "d", "all", channels=4).arrays["image"]
    assert found.tolist() == [[[[10, 10, 10, 255], [255, 255, 255, 0]]]] * 2
    assert examples(tmp_path / "d", "all", channels=1).arrays["image"].tolist() == [[[[10], [255]]]] * 2


def test_a_range_is_of_colors_and_not_of_opacity(tmp_path):
    pixels = np.array([[[0, 8, 16, 255], [99, 99, 99, 0], [16, 16, 16, 128]]], np.uint8)
    found = examples(folder(tmp_path / "d", pixels), "all", channels=4, range=(0, 16)).arrays["image"]
    assert found[0].tolist() == [[[0, 128, 255, 255], [255, 255, 255, 0], [255, 255, 255, 128]]]


def test_resampling_mixes_what_is_seen():
    """Beside nothing, red stays red: colors that are hidden do not come through the edge."""
    for stack in (sprite()[None], (sprite()[None] / 127.5 - 1).astype(np.float32)):
        small = resize.fit(stack, (4, 4), 4)[0]
        small = small if small.dtype == np.uint8 else images.to_uint8(small)
        red = small[1:3, 1:3]
        assert (red[..., 0] >= 254).all() and (red[..., 1:3] <= 1).all() and red[1, 1, 3] == 64 and red[0, 0, 3] == 255
        assert (small[0] == (255, 255, 255, 0)).all()


def test_a_grid_of_sprites_is_transparent_where_they_are(tmp_path):
    stack = np.stack([sprite()] * 3) / 127.5 - 1
    sheet = images.grid(stack, 2, padding=2)
    np.testing.assert_array_equal(sheet[:8, :8], SEEN)
    assert (sheet[8:10, :8] == (0, 0, 0, 255)).all() and (sheet[10:, 10:] == (255, 255, 255, 0)).all()
    images.save_png(tmp_path / "a.png", images.labelled(images.enlarged(sheet, 64), ["one", "two"], ["x"]))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "RGBA" and picture.getpixel((0, 0))[3] == 255
        assert 0 in np.asarray(picture)[..., 3]
    images.save_gif(tmp_path / "a.gif", [sheet, sheet[::-1]])
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255), "what is hidden stays so"

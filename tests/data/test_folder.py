"""Folders of images: flat, by class, by split, of any format, and what is wrong with them."""

import re
import shutil
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from sources import draw, refused, rng_images

from keras_gen.data import examples, load, store
from keras_gen.data.splits import held_out
from keras_gen.errors import DamagedError, UsageError

# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_flat_folder(tmp_path):
    for index in range(23):
        draw(tmp_path / f"{index:02}.png", color=(index, 0, 0))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    train, test = examples(tmp_path), examples(str(tmp_path), "test")
    np.testing.assert_array_equal(test.arrays["image"][:, 0, 0, 0], np.flatnonzero(held_out(23)))
    np.testing.assert_array_equal(train.arrays["image"][:, 0, 0, 0], np.flatnonzero(~held_out(23)))
    assert train.arrays["image"].shape == (21, 10, 12, 3) and "label" not in train.arrays
    assert train.name == tmp_path.name


def test_every_format_and_mode(tmp_path):
    suffixes = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif"]
    for suffix in suffixes:
        draw(tmp_path / "color" / f"a.{suffix}")
    found = examples(tmp_path / "color", "all").arrays["image"].astype(int)
    assert found.shape == (7, 10, 12, 3) and np.abs(found - (200, 30, 60)).max() <= 6
    modes = ["1", "L", "LA", "P", "I;16"]
    for mode in modes:
        path = tmp_path / "grey" / f"{len(mode)}{mode[0]}.png"
        draw(path, color=(255, 255, 255), mode="L" if mode == "I;16" else mode)
        if mode == "I;16":
            Image.fromarray(np.full((10, 12), 2**16 - 1, np.uint16)).save(path)
    grey = examples(tmp_path / "grey", "all").arrays["image"]
    assert grey.shape == (len(modes), 10, 12, 1) and (grey == 255).all()
    draw(tmp_path / "grey" / "color.png")
    assert examples(tmp_path / "grey", "all").arrays["image"].shape == (len(modes) + 1, 10, 12, 3)
    assert examples(tmp_path / "grey", "all", channels=1).arrays["image"].shape == (len(modes) + 1, 10, 12, 1)
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save(draw(tmp_path / "clear" / "a.png"))
    assert (examples(tmp_path / "clear", "all").arrays["image"] == 255).all()  # what is transparent is white


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
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("no image")
    with pytest.warns(UserWarning) as said:
        found = examples(tmp_path, "all")
    said = [str(one.message) for one in said]
    assert "1 .txt" in said[0] and "no image in 'empty', 'words'" in said[1] and len(said) == 2
    assert found.classes == ("cat", "dog") and found.arrays["label"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
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
    (tmp_path / "split" / "train").mkdir(parents=True)
    refused(DamagedError, "no images", args=[tmp_path / "split"])


def test_links_that_lead_nowhere_are_said(tmp_path):
    draw(tmp_path / "cat" / "a.png")
    draw(tmp_path / "dog" / "a.png")
    for link in ("cat/b.png", "dog/c.png", "bird"):
        (tmp_path / link).symlink_to(tmp_path / "gone")
    (tmp_path / "dog" / "d.png").symlink_to(tmp_path / "dog" / "d.png")
    (tmp_path / "dog" / "e.png").symlink_to(tmp_path / "cat" / "a.png")  # this is one
    with pytest.warns(UserWarning, match="left out 4 links that lead to no file: bird, cat/b.png, dog/c.png, ...$"):
        found = examples(tmp_path, "all")
    assert found.classes == ("cat", "dog") and len(found) == 3


def test_links_in_circles_end(tmp_path):
    draw(tmp_path / "cat" / "a.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path / "cat")
    assert len(examples(tmp_path)) == 1


# --- what files are, by their content ---------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg", "avif"])
def test_every_format_is_turned_before_its_size_is_known(tmp_path, suffix, orientation):
    """What ImageOps.exif_transpose gives, whole: not its middle in the size that the file has lying down."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.linspace(0, 255, 6 * 12).astype(np.uint8).reshape(6, 12)).resize((48, 24))
    picture.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    # Not by its path: Pillow maps plain TIFF into memory then, and turns it twice.
    with open(tmp_path / f"a.{suffix}", "rb") as file, Image.open(file) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("L"))
    found = examples(tmp_path, channels=1).arrays["image"][0, ..., 0]
    assert found.shape == expected.shape == ((48, 24) if orientation > 4 else (24, 48))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4), "white").save(tmp_path / "a.png", exif=exif)
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(b"eXIf") - 4
    chunk = data[start : start + 12 + int.from_bytes(data[start : start + 4], "big")]
    (tmp_path / "a.png").write_bytes(data.replace(chunk, b"").replace(data[-12:], chunk + data[-12:]))
    assert examples(tmp_path).shapes()["image"] == (None, 8, 4, 3)


def test_pictures_are_known_by_their_content_and_the_rest_is_counted(tmp_path):
    kept = ["jfif", "jpe", "ppm", "pgm", "avif", "bmp", "dib", "webp", "gif", "tiff", "png", "PNG"]
    for index, suffix in enumerate(kept):
        saved = {"jfif": "jpeg", "jpe": "jpeg", "pgm": "ppm", "dib": "bmp", "PNG": "png"}.get(suffix, suffix)
        draw(tmp_path / f"a{index}.{saved}").rename(tmp_path / f"a{index}.{suffix}")
    draw(tmp_path / "b.png").rename(tmp_path / "without")
    draw(tmp_path / "c.png").rename(tmp_path / "c.dat")
    for suffix in ("ico", "tga", "jp2", "pcx", "eps", "pdf"):  # which Pillow would open, or nearly
        draw(tmp_path / f"d.{suffix}")
    draw(tmp_path / "raw.tif").rename(tmp_path / "raw.NEF")  # of a camera: what stands in it is a thumbnail
    for name in ("labels.csv", "BMW.txt", "P5 of the list.txt"):
        (tmp_path / name).write_text("BM is a car, P5 2 not")
    with pytest.warns(
        UserWarning, match="left out 10 files .2 .txt, .* and 5 more kinds., which are no png, jpeg,"
    ) as said:
        found = examples(tmp_path, "all")
    assert len(said) == 1 and len(str(said[0].message)) <= 200
    assert len(found) == len(kept) + 2 and np.abs(found.arrays["image"].astype(int) - (200, 30, 60)).max() <= 8


def test_what_systems_and_drives_leave_beside_pictures_is_neither_picture_nor_class(tmp_path, recwarn):
    for name in ("ant", "bee"):
        for index in range(2):
            draw(tmp_path / name / f"{index}.png")
    beside = ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".Trash-1000"]
    beside += ["__MACOSX", "@Recycle", ".@__thumb", "LOST.DIR", "FOUND.000", "RECYCLER", ".thumbnails", "#snapshot"]
    for name in beside:
        draw(tmp_path / name / "0.png" / "thumb.jpg")
        draw(tmp_path / "ant" / name / "thumb.jpg")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "Icon\r", "._0.png", "0.png:Zone.Identifier", "~$a.docx"):
        (tmp_path / name).write_bytes(b"1")
        (tmp_path / "bee" / name).write_bytes(b"2")
    found = examples(tmp_path, "all")
    assert found.classes == ("ant", "bee") and found.arrays["label"].tolist() == [0, 0, 1, 1]
    assert not list(recwarn)


def test_names_of_folders_that_are_numbers_sort_as_numbers(tmp_path, recwarn):
    for index in range(11):
        draw(tmp_path / "numbers" / str(index) / "a.png", color=(240, 10 * index, 0))
        draw(tmp_path / "texts" / f"{index}x" / "a.png")
    found = examples(tmp_path / "numbers", "all")
    assert found.classes == tuple(map(str, range(11)))
    assert (found.arrays["image"][:, 0, 0, 1] == 10 * found.arrays["label"]).all()
    assert examples(tmp_path / "texts").classes[:3] == ("0x", "10x", "1x")


def test_a_class_without_an_image_to_train_on_is_said(tmp_path):
    for split, names in (("train", ["a", "c"]), ("test", ["a", "b", "c"])):
        for name in names:
            draw(tmp_path / split / name / "a.png")
    with pytest.warns(UserWarning, match="no image to train on of the class 'b'"):
        found = examples(tmp_path)
    assert found.classes == ("a", "b", "c") and found.arrays["label"].tolist() == [0, 2]


# --- ranges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 10, 12])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_few_bits_in_many_are_said_and_scaled_by_a_range(tmp_path, suffix, bits):
    top = 2**bits - 1
    ramp = np.round(np.linspace(0, top, 64)).astype(np.uint16 if bits > 8 else np.uint8).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / f"a.{suffix}")
    with pytest.warns(UserWarning, match=f"--range 0,{top} .in Python range=.0, {top}") as said:
        assert examples(tmp_path / f"a.{suffix}").arrays["image"].max() < 20
    assert all(len(str(one.message)) <= 200 for one in said)
    found = examples(tmp_path / f"a.{suffix}", range=(0, top)).arrays["image"]
    np.testing.assert_array_equal(found[0, ..., 0], np.floor(ramp * 255.0 / top + 0.5))
    refused(UsageError, f"it holds {top}", "0 to 9, the range given", args=[tmp_path / f"a.{suffix}"], range=(0, 9))
    batch = next(iter(load(tmp_path / f"a.{suffix}", range=(0, top))))["image"].numpy()
    assert batch.min() == -1 and batch.max() == 1


def png_of_16_bits(array, kind):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, kind, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff_of_16_bits(array, packed=False, planar=1, order="<"):
    data = (array.transpose(2, 0, 1) if planar == 2 else array).astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packed else data
    height, width, bits, at = *array.shape[:2], 8 + 2 + 12 * 10 + 4, 8 + 2 + 12 * 10 + 4 + 6
    tags = [(256, width), (257, height), (258, bits), (259, 8 if packed else 1), (262, 2), (273, at)]
    tags += [(277, 3), (278, height), (279, len(data)), (284, planar)]
    found = b"".join(
        struct.pack(f"{order}HHII", tag, 4 if tag != 258 else 3, 3 if tag == 258 else 1, v) for tag, v in tags
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    start = mark + struct.pack(f"{order}IH", 8, len(tags)) + found + bytes(4)
    return start + struct.pack(f"{order}3H", 16, 16, 16) + data


DEEP = {
    "rgb.png": lambda a: png_of_16_bits(a, 2),
    "rgba.png": lambda a: png_of_16_bits(np.concatenate([a, np.full_like(a[..., :1], 65535)], -1), 6),
    "la.png": lambda a: png_of_16_bits(np.concatenate([a[..., :1], np.full_like(a[..., :1], 65535)], -1), 4),
    "little.tif": tiff_of_16_bits,
    "big.tif": lambda a: tiff_of_16_bits(a, order=">"),
    "packed.tif": lambda a: tiff_of_16_bits(a, packed=True),
    "binary.ppm": lambda a: b"P6 # white is last\n8 8 %d\n" % max(a.max(), 256) + a.astype(">u2").tobytes(),
    "plain.ppm": lambda a: b"P3\n8 8\n%d\n" % a.max() + b" ".join(b"%d" % one for one in a.ravel()),
    "gray.pgm": lambda a: b"P5\n8 8\n%d\n" % max(a.max(), 256) + a[..., :1].astype(">u2").tobytes(),
}


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("name", DEEP)
def test_all_bits_of_a_color_are_read_in_the_units_of_the_file(tmp_path, name, bits):
    top = 2**bits - 1
    array = np.round(np.linspace(0, top, 192)).astype(np.uint16).reshape(8, 8, 3)
    array = np.repeat(array[..., 2:], 3, -1) if name[:2] in ("la", "gr") else array
    (tmp_path / name).write_bytes(DEEP[name](array))
    found = examples(tmp_path / name, range=(0, top)).arrays["image"][0]
    expected = np.floor(array * 255.0 / top + 0.5)
    np.testing.assert_array_equal(found, expected[..., : found.shape[-1]])
    if name.endswith("m"):  # these say what is white
        np.testing.assert_array_equal(examples(tmp_path / name).arrays["image"][0], expected[..., : found.shape[-1]])
    elif bits < 16:
        with pytest.warns(UserWarning, match=f"--range 0,{top} "):
            assert examples(tmp_path / name).arrays["image"].max() < 20
    refused(UsageError, f"holds {array.max()}", "0 to 300, the range given", args=[tmp_path / name], range=(0, 300))


def test_transparency_of_16_bits_and_what_is_not_read_of_them(tmp_path):
    array = np.full((8, 8, 4), 65535, np.uint16)
    array[:4] = (514, 257, 0, 0)
    array[4] = (65535, 0, 0, 32768)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(array, 6))
    with pytest.warns(UserWarning, match="laid on white"):
        white = examples(tmp_path / "a.png").arrays["image"][0]
    assert (white[:4] == 255).all() and white[4, 0].tolist() == [255, 127, 127]
    clear = examples(tmp_path / "a.png", channels=4).arrays["image"][0]
    assert clear[0, 0].tolist() == [255, 255, 255, 0] and clear[4, 0].tolist() == [255, 0, 0, 128]
    (tmp_path / "b.tif").write_bytes(tiff_of_16_bits(array[..., :3], planar=2))
    refused(UsageError, "b.tif", "more than 8 bits", "save it in 8", args=[tmp_path / "b.tif"])


def test_a_range_that_does_not_fit_is_no_damage(tmp_path):
    Image.fromarray(np.linspace(0, 7, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "a.tif")
    draw(tmp_path / "b.png", (8, 8))
    for skip in (False, True):
        refused(UsageError, "a.tif", "holds floats", "--range", args=[tmp_path, "all"], skip_damaged=skip)
        refused(
            UsageError, "a.tif", "holds 7; expected 0 to 5", args=[tmp_path, "all"], skip_damaged=skip, range=(0, 5)
        )
    assert len(examples(tmp_path, "all", range=(0, 255))) == 2


def test_the_copy_of_a_large_set_knows_its_range(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MEMORY_LIMIT", 0)
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "cache"))
    draw(tmp_path / "x" / "a.png", color=(100, 100, 100))
    found = [examples(tmp_path / "x" / "a.png", range=r) for r in ((0, 200), (0, 100), (0, 200))]
    assert [int(one.arrays["image"].max()) for one in found] == [128, 255, 128]
    assert found[0].digest == found[2].digest != found[1].digest


@pytest.mark.parametrize("value", [3, (1, 1), (2, 1), (0, np.inf), "ab", (0, 1, 2)])
def test_a_range_is_two_numbers(tmp_path, value):
    refused(UsageError, "range is", "(0, 16)", args=[draw(tmp_path / "a.png")], range=value)


def test_a_range_of_what_has_none_is_refused():
    refused(UsageError, "range", "digits", args=["digits"], range=(0, 16))


# --- damage -----------------------------------------------------------------------------------------------------------


def test_all_damaged_files_are_named_and_may_be_skipped(tmp_path):
    for name in ("ant", "bee"):
        for index in range(5):
            Image.fromarray(rng_images((20, 20, 3), index)).save(draw(tmp_path / name / f"{index}.png"))
    (tmp_path / "ant" / "1.png").write_bytes(b"not an image")
    whole = (tmp_path / "ant" / "3.png").read_bytes()
    (tmp_path / "ant" / "3.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bee" / "0.png").write_bytes(b"")
    named = ["ant/1.png", "ant/3.png", "bee/0.png", "3 damaged files", "--skip-damaged"]
    refused(DamagedError, *named, args=[tmp_path, "all"])
    refused(DamagedError, *named, args=[tmp_path, "all"], image_size=8, channels=1)
    with pytest.warns(UserWarning, match="left out 3 damaged files: ant/1.png .*ant/3.png, bee/0.png"):
        found = examples(tmp_path, "all", skip_damaged=True)
    assert found.arrays["label"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(found.arrays["image"][1], rng_images((20, 20, 3), 2))
    for index in range(5):
        (tmp_path / "ant" / f"{index}.png").write_bytes(b"no")
    with pytest.warns(UserWarning, match="no image in 'ant'"):
        assert examples(tmp_path, skip_damaged=True).classes == ("bee",)
    (tmp_path / "bee" / "1.png").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    refused(DamagedError, "HEIC", "convert", args=[tmp_path / "bee" / "1.png"])


@pytest.mark.parametrize("count", range(1, 10))
def test_a_picture_and_folders_of_a_few(tmp_path, count, recwarn):
    for index in range(count):
        draw(tmp_path / f"{index}.png", color=(250, index, 0))
    test, train = examples(tmp_path, "test"), examples(tmp_path)
    assert len(test) == 1 and len(train) == max(1, count - 1) and len(examples(tmp_path, "all")) == count
    said = {str(one.message).partition("holds ")[2] for one in recwarn}
    assert said == ({"one image: the train and the test split are the same"} if count == 1 else set())
    assert all(len(examples(tmp_path / "0.png", split)) == 1 for split in ("train", "test", "validation", "all"))


# --- folders in folders -----------------------------------------------------------------------------------------------


def laid(path, layout, zipped):
    """Puts four pictures into each of these folders, and returns the folder or a zip of it."""
    for place, folder in enumerate(layout.split()):
        for index in range(4):
            draw(path / "d" / folder / f"{index}.png", (8, 8), (10 * place + index + 180,) * 3)
    return shutil.make_archive(str(path / "d"), "zip", path / "d") if zipped else path / "d"


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("layout", "classes", "said"),
    [
        ("data/a data/b", "ab", ["in the folder 'data'"]),
        ("x/data/a x/data/b", "ab", ["in the folder 'x/data'"]),
        ("images", "", ["in the folder 'images'"]),
        ("data/train/a data/train/b data/test/a", "ab", ["in the folder 'data'"]),
        ("train/data/a train/data/b test/data/b", "ab", ["each split .* in the folder 'data'"]),
        ("train/images test/images", "", ["each split .* in the folder 'images'"]),
        ("train/a test/b", "ab", []),
        ("train/a train/b test/a docs/x", "ab", ["has test and train: left out 4 images in 'docs' beside"]),
        ("train test docs other", "", ["has test and train: left out 8 images in 'docs', 'other' beside"]),
        ("train/a train/b docs", "ab", ["has train: left out 4 images in 'docs' beside"]),
        ("bus car train", ["bus", "car", "train"], ["has 'train' beside 'bus', 'car': read as classes"]),
        ("cat/black cat/white dog", ["cat", "dog"], []),
    ],
)
def test_folders_in_folders_are_stepped_into_and_splits_are_found(tmp_path, recwarn, layout, classes, said, zipped):
    path = laid(tmp_path, layout, zipped)
    train, test = examples(path), examples(path, "test")
    assert train.classes == tuple(classes) and ("label" in train.arrays) == bool(classes)
    if "test" in layout:
        assert not {"docs", "other"} & set(train.classes)
        places = [set((one.arrays["image"][:, 0, 0, 0] - 180) // 10) for one in (train, test)]
        assert [{"test" in layout.split()[place] for place in part} for part in places] == [{False}, {True}]
    messages = list(dict.fromkeys(str(one.message) for one in recwarn if "no image to train" not in str(one.message)))
    assert len(messages) == len(said) and all(map(re.search, said, messages)), messages


def test_splits_in_one_of_several_folders_are_asked_for(tmp_path):
    path = laid(tmp_path, "data/train/a data/test/a docs", False)
    refused(UsageError, "splits in 'data', and 'docs' beside it; give that folder", args=[path])
    inside = laid(tmp_path / "x", "cat/train cat/test dog/train dog/test", False)
    refused(UsageError, "splits in 'cat', and 'dog' beside it; move classes into splits: train/cat", args=[inside])
    draw(laid(tmp_path, "a", False) / "lone.png")
    shutil.rmtree(path / "data")
    shutil.rmtree(path / "docs")
    (path / "a" / "b").mkdir()
    refused(UsageError, "lone.png beside the class folder a", args=[path])

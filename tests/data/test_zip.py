"""A zip of pictures is read as the folder that it was made of, and nothing of it is written to the disk."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from planted import Bug
from sources import draw, refused, rng_images

from keras_gen.data import examples, tree
from keras_gen.errors import DamagedError, UsageError

BUGS = [
    Bug(
        "outside",
        "data/tree.py",
        'if text.startswith("/") or ".." in name.parts',
        'if text.startswith("/")',
        ("test_names_that_point_outside_are_refused",),
    ),
    Bug(
        "bomb",
        "data/tree.py",
        "_PACKED * info.compress_size)",
        "10**9)",
        ("test_a_zip_bomb_is_refused_with_its_bytes",),
    ),
]


def png(value=0, size=(8, 8)):
    out = io.BytesIO()
    Image.new("L", size, value).save(out, "PNG")
    return out.getvalue()


def packed(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


CLASSES = {f"{kind}/{index}.png": png(10 * index) for kind in ("cat", "dog") for index in range(10)}
SPLIT = {f"{part}/{name}": data for part in ("train", "test") for name, data in CLASSES.items()}
FLAT = {f"{index}.png": png(10 * index) for index in range(20)}
BESIDE = {"__MACOSX/a/._0.png": b"resource", ".DS_Store": b"x", "a/.DS_Store": b"x", "a/Thumbs.db": b"x"}


@pytest.mark.parametrize("top", ["", "a/", "a/b/"])
@pytest.mark.parametrize("files", [CLASSES, SPLIT, FLAT], ids=["classes", "splits", "flat"])
def test_a_zip_is_read_as_the_folder(tmp_path, files, top):
    for name, data in files.items():
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_bytes(data)
    path = packed(tmp_path / "d.zip", {**{top + name: data for name, data in files.items()}, **(BESIDE if top else {})})
    for split in ("train", "test", "all"):
        one, two = examples(tmp_path / "d", split), examples(path, split)
        assert one.digest == two.digest and one.classes == two.classes and two.name == "d.zip"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["d", "d.zip"]


def test_names_as_other_systems_write_them(tmp_path):
    files = {"größe\\1.png": png(1), "größe\\2.png": png(2), "klein\\1.png": png(3)}
    assert examples(packed(tmp_path / "windows.zip", files)).classes == ("größe", "klein")
    path = packed(tmp_path / "mac.zip", {"größe/1.png": png(1), "klein/1.png": png(3)})
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # UTF-8, and not said to be
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            data[place + at + 1] &= ~0x08
    path.write_bytes(data)
    assert examples(path, "all").classes == ("größe", "klein")


def test_what_is_no_picture_is_said(tmp_path):
    path = packed(tmp_path / "a.zip", {**{f"a/{k}": v for k, v in CLASSES.items()}, "README.md": b"x", "a/bird/": b""})
    with pytest.warns(UserWarning) as said:
        assert examples(path).classes == ("cat", "dog")
    assert "left out 1 file (1 .md)" in str(said[0].message) and "no image in 'bird'" in str(said[1].message)
    refused(DamagedError, "no images", args=[packed(tmp_path / "b.zip", {"a.txt": b"x"})])
    refused(UsageError, "loose image", args=[packed(tmp_path / "c.zip", {**CLASSES, "x.png": png()})])


def test_damaged_members_are_named(tmp_path):
    noise = io.BytesIO()
    Image.fromarray(rng_images((40, 40))).save(noise, "PNG")
    files = {**CLASSES, "cat/3.png": b"no image", "dog/4.png": noise.getvalue()}
    path = packed(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    at = data.find(noise.getvalue()) + 800
    data[at : at + 4] = b"torn"  # the checksum of the member does not hold
    path.write_bytes(data)
    refused(DamagedError, "2 damaged files", "cat/3.png", "dog/4.png", "--skip-damaged", args=[path, "all"])
    with pytest.warns(UserWarning, match="left out 2 damaged files"):
        assert len(examples(path, "all", skip_damaged=True)) == 18
    path.write_bytes(data[:-40])
    refused(DamagedError, "a.zip", "expected a zip", args=[path])


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "C:\\x.png", "..\\x.png"])
def test_names_that_point_outside_are_refused(tmp_path, name):
    refused(DamagedError, "outside", args=[packed(tmp_path / "a.zip", {**FLAT, name: png()})])


def test_a_zip_bomb_is_refused_with_its_bytes(tmp_path, monkeypatch):
    path = packed(tmp_path / "a.zip", {**FLAT, "bomb.png": bytes(3 * 10**7)})
    refused(DamagedError, "bomb.png", "30,000,000", args=[path])
    refused(DamagedError, "bomb.png", "30,000,000", args=[path], image_size=8, channels=1)
    monkeypatch.setattr(tree, "LARGEST", 10**7)
    refused(DamagedError, "a.zip", "30,00", "bomb.png", args=[path])
    monkeypatch.setattr(tree, "_TOGETHER", 1000)
    monkeypatch.setattr(tree, "_PACKED", 0)
    refused(DamagedError, "bytes in 20 files", args=[packed(path, FLAT)])


def test_an_encrypted_zip_is_one_line(tmp_path):
    path = packed(tmp_path / "a.zip", FLAT)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            data[place + at] |= 1
    path.write_bytes(data)
    refused(UsageError, "encrypted", "unpack", args=[path])


def test_a_zip_and_an_npz_are_told_apart(tmp_path):
    array = io.BytesIO()
    np.save(array, rng_images((5, 3, 3)))
    assert examples(packed(tmp_path / "a.zip", {"x_train.npy": array.getvalue()}), "all").arrays["image"].shape[1] == 3
    assert len(examples(packed(tmp_path / "pictures.npz", FLAT), "all")) == 20
    both = {**FLAT, "x_train.npy": array.getvalue()}
    assert len(examples(packed(tmp_path / "b.npz", both), "all")) == 5
    with pytest.warns(UserWarning, match="1 .npy"):
        assert len(examples(packed(tmp_path / "b.zip", both), "all")) == 20
    refused(UsageError, "x_train", args=[packed(tmp_path / "a.docx", {"word/media/1.png": png()})])
    draw(tmp_path / "d" / "a.png")
    refused(DamagedError, "no images", args=[packed(tmp_path / "c.zip", {"d.zip": b"PK"})])

"""Maps of classes beside images, `segmentation` and `image`: what each stored value or color means is read exactly."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_gen.data import digits, folder, formats, npz, pictures, resize, splits, store, tree
from keras_gen.data.arrays import Array, readable
from keras_gen.data.examples import Examples
from keras_gen.data.legend import MOST, Legend, decoded, values_of
from keras_gen.data.messages import brief, canonical, plain
from keras_gen.data.pairs import JITTER, check_named, rows_by_word
from keras_gen.errors import UsageError
from keras_gen.files import sets
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

NAMES = ("segmentation", "image")
FOLDERS = {"segmentation": "labels", "image": "images"}
LAYOUT = "images/ and labels/, or train/ and test/ with both: pictures of equal names"
_PART = "(train|test|val|valid|validation)"
_NAMED = re.compile(rf"(?:{_PART}[_ -]?)?(segmentation|image)s?(?:[_ -]?{_PART})?", re.IGNORECASE)


def examples(
    name_or_path: str | Path,
    split: str = "train",
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    range: tuple[float, float] | None = None,
    skip_damaged: bool = False,
    arrays: Mapping[str, str] | None = None,
    jitter: bool = False,
    classes: Sequence[str] = (),
    num_classes: int | None = None,
) -> Examples:
    """Reads one split of images with maps of classes.

    A folder holds `images` and `labels`, perhaps each in `train`, `val` and `test`; pictures of equal names, without
    their endings, belong together. Of an indexed map the indices are classes, of a gray one the values, and of one in
    RGB each of at most 256 colors is one. The value 255 stands for unknown, one more class where it occurs; maps of 0
    and 255 alone are masks of two classes. Maps are resized to the nearest pixel. An `.npz` file holds `segmentation`
    and `image`, perhaps with `_train` and `_test`; other arrays are named by `arrays`, an array `split` tells the split
    of each row, and `class_names` those of the classes. What has no test split holds a tenth out.

    Args:
        name_or_path: of a folder, or an `.npz` file; or `"digits"`: scikit-learn's, whose strokes are of their class.
        split: `"train"`, `"validation"`, `"test"` or `"all"`.
        image_size: as for `keras_gen.data.load`.
        channels: as for `keras_gen.data.load`, of the images.
        range: as for `keras_gen.data.load`, of images in an `.npz` file.
        skip_damaged: as for `keras_gen.data.load`, of the images.
        arrays: name of the array in an `.npz` file for `segmentation` and for `image`.
        jitter: serve windows of images that are an eighth larger, at random places and mirrored at random, and the same
            windows of their maps.
        classes: names of a model's classes, by which maps are read; by default by what occurs in any split.
        num_classes: how many there are to be.

    Returns:
        `Examples` of `segmentation`, uint8 (n, H, W), served as int32, and `image`, uint8 (n, H, W, C). Their `classes`
        are a legend: names, or what stands for the class in a map, as a model keeps them.

    Raises:
        UsageError: another layout, where the message shows the one expected; a picture without a partner; a value or
            color that is no class, or more than 256 of them; maps that have lost their values in a JPEG.
        DamagedError: data that cannot be read.
    """
    size, channels = resize.request(image_size, channels)
    asked = {"names": tuple(classes or ()), "count": num_classes}
    if str(name_or_path) == digits.NAME:
        if jitter or arrays or range or skip_damaged:
            raise UsageError(f"{digits.NAME} are 8x8 pixels without files: leave out --jitter, --arrays and --range")
        return _digits(split, size, channels)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise sets.missing(path)
    tree.refuse_zip(path)
    crop = size if jitter else None
    if jitter:
        size = None if size is None else tuple(round(side * JITTER) for side in size)
    how = resize.Reading(range, skip_damaged)
    one = _arrays if path.is_file() else _folders
    found, legend = one(path, split, size, channels, how, dict(arrays or {}), asked)
    if jitter and crop is None:
        crop = tuple(round(side / JITTER) for side in found["image"].shape[1:3])
    digest = store.digest({**found, "crop": np.array(crop or ())})
    return Examples(found, legend.names, path.resolve().name, digest, crop)


def _digits(split, size, channels):
    """Returns scikit-learn's digits, whose strokes are of the digit's class, and what is around them of class 0."""
    found = store.gather(digits.source(split, None, None))
    image, label = found.arrays["image"], found.arrays["label"]
    maps = np.where(image[..., 0] >= 96, label[:, None, None] + 1, 0).astype(np.uint8)
    arrays = {"segmentation": maps, "image": resize.fit(image, size, channels)}
    if size:
        arrays["segmentation"] = np.stack([resize.nearest(one, size) for one in maps])
    names = ("background", *found.classes)
    return Examples(arrays, names, f"{digits.NAME} and their strokes", store.digest(arrays))


# --- folders --------------------------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """Images and maps of a split, or of all where the folders in it divide them."""

    path: Path
    images: tree.Tree
    maps: tree.Tree
    partner: dict[str, tree.Name]  # of the stem of an image: its map


def _folders(path, split, size, channels, how, arrays, asked):
    if arrays:
        raise UsageError(f"--arrays names those of an .npz file, and {shown(path)} is a folder; leave it out")
    parts = {name: _part(top) for name, top in _parts(path).items()}
    if "" in parts:  # the reader of images finds splits and what is held out
        chosen, held = {"": split}, None
    else:
        part = splits.part(split, parts, path.name)
        chosen, held = dict.fromkeys(part.stored, "all"), part.held
    read = {}
    for name, inner in chosen.items():
        read[name] = folder.source(parts[name].path / FOLDERS["image"], inner, size, channels, how)
    shapes = {source.shape for source in read.values()}
    if len(shapes) > 1:
        told = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes)[:2])
        raise UsageError(f"{shown(path)} holds splits of images {told}; give --image-size and --channels")
    wanted = {}  # (split, map) to the image's name
    for name, source in read.items():
        for image, *_ in source.key["files"]:
            wanted[name, parts[name].partner[_stem(image)]] = image
    held_maps, legend = _maps(parts, wanted, next(iter(shapes))[:2], asked)
    images = np.concatenate([store.gather(source).arrays["image"] for source in read.values()])
    found = {"segmentation": np.stack([held_maps[key] for key in wanted]), "image": images}
    rows = splits.rows(held, len(images), None, shown(path))
    return {name: array if rows is None else array[rows] for name, array in found.items()}, legend


def _parts(path):
    """Returns the folders that hold images and maps: split to folder, or all in one, under no name."""
    inside = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if set(FOLDERS.values()) <= inside:
        return {"": path}
    found = {name: path / name for name in sorted(inside) if canonical(name) in tree.SPLITS}
    broken = [name for name, top in found.items() if not all((top / one).is_dir() for one in FOLDERS.values())]
    if not found or broken:
        there = path / broken[0] if broken else path
        raise UsageError(f"{shown(there, 60)} is no folder of images and their maps; expected {LAYOUT}")
    return found


def _part(path):
    """Joins the pictures of both folders by their names."""
    trees = {name: tree.opened(path / inner) for name, inner in FOLDERS.items()}
    stems: dict[str, dict[str, tree.Name]] = {}
    for name, files in trees.items():
        stems[name] = {}
        for file in files.files():
            if not (formats.format_of(files.head(file, formats.HEAD), file.suffix) or formats.claims(file)):
                continue
            if _stem(file) in stems[name]:
                twice = plain(_stem(file), 40)
                raise UsageError(f"{shown(files.path, 60)} holds two pictures {twice!r}; remove one")
            stems[name][_stem(file)] = file
    for one, other in (NAMES, NAMES[::-1]):
        alone = sorted(set(stems[one]) - set(stems[other]))
        if alone:
            name = plain(stems[one][alone[0]], 40)
            raise UsageError(
                f"{shown(path, 40)}: {FOLDERS[one]}/{name} has no partner in {FOLDERS[other]}/; "
                "expected pictures of equal names, without their endings, in both"
            )
    return _Part(path, trees["image"], trees["segmentation"], stems["segmentation"])


def _stem(name):
    return tree.Name(name).with_suffix("").as_posix()


def _maps(parts, wanted, size, asked):
    """Reads the maps of all splits, for the legend, and returns those that are wanted, in their size, with it."""
    held, first, kinds = {}, {}, {}
    every = [(split, name) for split, part in parts.items() for name in sorted(part.partner.values())]
    with Progress("reading maps", len(every)) as progress:
        for split, name in every:
            files = parts[split].maps
            where = files.called(name, 60)
            codes, colored = decoded(files, name)
            for code in np.unique(codes).tolist():
                first.setdefault(code, where)
            kinds.setdefault(colored, where)
            _few(first, colored, where)
            if image := wanted.get((split, name)):
                _check_size(parts[split].images, tree.Name(image), codes.shape, where)
                held[split, name] = resize.nearest(codes, size)
            progress.add(1)
    if len(kinds) > 1:
        raise UsageError(f"{kinds[True]} holds colors, and {kinds[False]} one value a pixel; expected one kind of map")
    legend = _legend(first, next(iter(kinds)), asked)
    return {key: legend.classes(codes, "a map") for key, codes in held.items()}, legend


def _few(first, colored, where):
    if len(first) > MOST:
        what = f"more than {MOST} colors with those before it" if colored else f"more than {MOST} values"
        raise UsageError(f"{where} has {what}: a photo, or a map that was saved as JPEG; expected one color a class")


def _legend(first, colored, asked, names=()):
    """Returns the legend of all maps: the one that is asked for, or that of what occurs.

    Args:
        first: code to where it occurs first.
        colored: whether codes are colors.
        asked: names of the classes that a model has, and their number.
        names: of the classes, where the data tell them.
    """
    if asked["names"]:
        legend = Legend.of(asked["names"])
        if legend.colored != colored:
            raise UsageError(f"{next(iter(first.values()))} is another kind of map than the model was trained on")
    else:
        legend = Legend.found(list(first), colored, names, asked["count"])
        if colored and asked["count"] not in (None, len(legend.names)):
            told = f"maps hold {len(legend.names)} colors, and num_classes is {asked['count']}"
            raise UsageError(f"{told}; leave it out: there are as many classes as colors")
    for code, where in first.items():
        legend.classes(np.array([code]), where)
    return legend


def _check_size(files, name, sides, where):
    with files.open(name) as file:
        have, _ = pictures.header(file)
    if tuple(have) != tuple(sides):
        one, two = ("x".join(map(str, pair)) for pair in (have, sides))
        raise UsageError(f"{files.called(name, 60)} is {one}, and its map {where} is {two}; expected one size")


# --- arrays ---------------------------------------------------------------------------------------------------------


def _arrays(path, split, size, channels, how, arrays, asked):
    names = npz.names(path)
    check_named(path, arrays, NAMES, names)
    parts = {"train": arrays} if arrays else _named(names)
    if not parts or any(set(part) != set(NAMES) for part in parts.values()):
        raise UsageError(
            f"{shown(path, 40)} holds {plain(', '.join(names), 60)}; expected segmentation and image, "
            "or --arrays segmentation=NAME,image=NAME"
        )
    rows = rows_by_word(path, names, split) if "split" in names and len(parts) == 1 else None
    part = splits.part(split, parts, path.name) if rows is None else splits.Part(("train",))
    read, first, kinds = {}, {}, set()
    for name, part_names in parts.items():  # the maps of all, for the legend
        where = f"{part_names['segmentation']!r} in {shown(path, 50)}"
        read[name], colored = _codes(path, part_names["segmentation"], where)
        first |= {code: where for code in np.unique(read[name]).tolist() if code not in first}
        kinds.add(colored)
        _few(first, colored, where)
    if len(kinds) > 1:
        raise UsageError(f"{shown(path)} holds maps of colors and of values; expected one kind of map")
    legend = _legend(first, kinds.pop(), asked, _class_names(path, names))
    found: dict[str, list[Any]] = {name: [] for name in NAMES}
    for name in part.stored:
        maps, sides = read[name], Array(path, parts[name]["image"]).shape[:3]
        if maps.shape != sides:
            raise UsageError(
                f"{shown(path, 50)} holds maps {brief(maps.shape, 30)} and images {brief(sides, 30)}; "
                "expected as many, of one size"
            )
        image = npz.images(path, parts[name]["image"], size, channels, how.range)
        chosen = slice(None) if rows is None else rows
        maps = [resize.nearest(one, image.shape[1:3]) for one in maps[chosen]]
        found["segmentation"].append(legend.classes(np.stack(maps), "a map"))
        found["image"].append(image[chosen])
    whole = {name: np.concatenate(values) for name, values in found.items()}
    kept = splits.rows(part.held, len(whole["image"]), None, shown(path))
    return {name: array if kept is None else array[kept] for name, array in whole.items()}, legend


def _named(names):
    """Returns the arrays by their usual names: split to what they are to name."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted(names):
        if match := _NAMED.fullmatch(name):
            part = canonical((match[1] or match[3] or "train").lower())
            found.setdefault(part, {})[match[2].lower()] = name
    return found


def _codes(path, name, where):
    """Returns the codes of maps in an array, (n, height, width), and whether they are colors."""
    with readable(path, name):
        maps = Array(path, name).whole()
    if (
        maps.dtype.kind not in "buif"
        or maps.ndim not in (3, 4)
        or not maps.size
        or maps.shape[3:] not in ((), (1,), (3,))
    ):
        told = f"{where} is {maps.dtype} {brief(maps.shape, 30)}"
        raise UsageError(f"{told}; expected whole numbers (n, height, width), or colors (n, height, width, 3)")
    if maps.shape[3:] == (3,):
        red, green, blue = np.moveaxis(values_of(maps, where).astype(np.int32), 3, 0)
        return red << 16 | green << 8 | blue, True
    return values_of(maps.reshape(maps.shape[:3]), where), False


def _class_names(path, names):
    """Returns the names of the classes, where an array tells them."""
    if "class_names" not in names:
        return ()
    with readable(path, "class_names"):
        found = Array(path, "class_names").whole()
    return tuple(map(str, found)) if found.ndim == 1 and found.dtype.kind == "U" else ()

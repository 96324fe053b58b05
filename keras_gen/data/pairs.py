"""Images in two parts, `source` and `target`: pairs, or two sets that no row joins."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from keras_gen.data import digits, folder, npz, resize, splits, store, tfds, tree
from keras_gen.data.arrays import Array, readable
from keras_gen.data.examples import Examples, Unpaired
from keras_gen.data.messages import canonical, plain
from keras_gen.errors import UsageError, choice, near_misses
from keras_gen.files import sets
from keras_gen.files.writing import shown

SIDES = ("source", "target")
JITTER = 286 / 256  # by which training images are larger than what is cut out of them
LAYOUTS = {
    "pairs": "train/ and test/ of pictures with both images side by side, or trainA/ and trainB/ with equal names",
    "unpaired": "trainA/ and trainB/ (and testA/ and testB/), folders of pictures",
}
_PART = "(train|test|val|valid|validation)"
_SIDE = re.compile(rf"(?:{_PART}[_ -]?)?(a|b|source|target)(?:[_ -]?{_PART})?", re.IGNORECASE)


def examples(
    name_or_path: str | Path,
    split: str = "train",
    *,
    kind: str = "pairs",
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    range: tuple[float, float] | None = None,
    skip_damaged: bool = False,
    arrays: Mapping[str, str] | None = None,
    jitter: bool = False,
    direction: str = "a_to_b",
) -> Examples:
    """Reads one split of images in two parts.

    A folder holds `trainA`, `trainB`, `testA` and `testB`, or `A` and `B`, folders of pictures; in pairs, those with
    equal names without their endings belong together. Or, of pairs, pictures with both images side by side, in `train`,
    `val` and `test` or loose. An `.npz` file holds `train_A`, `train_B`, ..., or `source_train`, `target_train`, ...;
    other arrays are named by `arrays`, and an array `split` tells the split of each row. What has no test split holds a
    tenth out.

    Args:
        name_or_path: of a folder, or an `.npz` file; or `"digits"`: scikit-learn's after their edges, or unpaired
            beside others, inverted; or, unpaired, a set of tensorflow-datasets, such as `"cycle_gan/horse2zebra"`.
        split: `"train"`, `"validation"`, `"test"` or `"all"`.
        kind: `"pairs"` or `"unpaired"`.
        image_size: as for `keras_gen.data.load`.
        channels: as for `keras_gen.data.load`.
        range: as for `keras_gen.data.load`, of an `.npz` file.
        skip_damaged: as for `keras_gen.data.load`.
        arrays: name of the array in an `.npz` file for `source` and for `target`.
        jitter: serve windows of images that are an eighth larger, at random places and mirrored at random: both images
            of a pair alike.
        direction: `"a_to_b"`, or `"b_to_a"`: what is stored as the source is the target, and the other way round.

    Returns:
        `Examples` or, unpaired, `Unpaired`, of uint8 (n, H, W, C), `source` and `target`.

    Raises:
        UsageError: another layout, where the message shows the one expected; an image without a partner; an odd width.
        DamagedError: data that cannot be read.
    """
    size, channels = resize.request(image_size, channels)
    back = choice("direction", direction, ("a_to_b", "b_to_a")) == "b_to_a"
    if str(name_or_path) == digits.NAME:
        if jitter or arrays or range or skip_damaged:
            raise UsageError(f"{digits.NAME} are 8x8 pixels without files: leave out --jitter, --arrays and --range")
        return _digits(split, kind, size, channels, back)
    path = Path(name_or_path).expanduser()
    named = isinstance(name_or_path, str) and not path.exists() and tfds.knows(name_or_path)
    if not named and not path.exists():
        raise sets.missing(path)
    tree.refuse_zip(path)
    crop = size if jitter else None
    if jitter:
        size = None if size is None else tuple(round(side * JITTER) for side in size)
    how = resize.Reading(range, skip_damaged)
    prepared = named or (path / "dataset_info.json").is_file()
    one = _prepared if prepared else _arrays if path.is_file() else _folders
    found = one(name_or_path if named else path, split, kind, size, channels, how, dict(arrays or {}))
    _check_alike(found, path)
    found = _turned(found) if back else found
    if jitter and crop is None:  # of images as they are, a window as much smaller
        crop = tuple(round(side / JITTER) for side in found["target"].shape[1:3])
    make = Examples if kind == "pairs" else Unpaired
    name = name_or_path if named else path.resolve().name
    return make(found, (), name, store.digest({**found, "crop": np.array(crop or ())}), crop)


def _turned(found):
    return {"source": found["target"], "target": found["source"]}


def _check_alike(found, path):
    shapes = {name: array.shape[1:] for name, array in found.items()}
    if shapes["source"][:2] != shapes["target"][:2]:
        told = " and ".join(f"{name} {shape[0]}x{shape[1]}" for name, shape in shapes.items())
        raise UsageError(f"{shown(path)} holds images of two sizes, {told}; give --image-size")


def _digits(split, kind, size, channels, back):
    """Returns scikit-learn's digits after their edges; unpaired, digits and others, inverted."""
    found = store.gather(digits.source(split, size, channels))
    image = found.arrays["image"]
    if kind == "pairs":
        arrays = {"source": _edges(image), "target": image}
        arrays = _turned(arrays) if back else arrays
        return Examples(arrays, (), f"edges of {digits.NAME}", store.digest(arrays))
    arrays = {"source": image[::2], "target": 255 - image[1::2]}
    arrays = _turned(arrays) if back else arrays
    return Unpaired(arrays, (), f"{digits.NAME} and inverted ones", store.digest(arrays))


def _edges(images):
    """Returns a quarter of the magnitude of Sobel's gradient of uint8 images (n, H, W, C), each by itself."""
    from scipy.ndimage import correlate1d

    wide = images.astype(np.float64)
    slopes = [correlate1d(correlate1d(wide, [-1, 0, 1], a), [1, 2, 1], b) for a, b in ((1, 2), (2, 1))]
    return np.clip(np.rint(np.hypot(*slopes) / 4), 0, 255).astype(np.uint8)


# --- folders --------------------------------------------------------------------------------------------------------


def _folders(path, split, kind, size, channels, how, arrays):
    if arrays:
        raise UsageError(f"--arrays names those of an .npz file, and {shown(path)} is a folder; leave it out")
    sides = _sides(entry.name for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else {}
    if not sides:
        if kind == "pairs":
            return _beside(path, split, size, channels, how)
        raise _layout(path, kind)
    for part, both in sides.items():
        missing = [side for side in SIDES if side not in both]
        if missing:
            other = "B" if missing == ["target"] else "A"
            raise UsageError(
                f"{shown(path)} holds {next(iter(both.values()))} and no {part}{other}; expected {LAYOUTS[kind]}"
            )
    part = splits.part(split, sides, path.name)
    found = {side: [] for side in SIDES}
    for name in part.stored:
        read = {side: folder.source(path / sides[name][side], "all", size, channels, how) for side in SIDES}
        held = {side: store.gather(one).arrays["image"] for side, one in read.items()}
        if kind == "pairs":
            held = _joined(held, {side: _stems(one) for side, one in read.items()}, path, sides[name])
        for side in SIDES:
            found[side].append(held[side])
    return _part({side: np.concatenate(values) for side, values in found.items()}, part.held, kind, path)


def _prepared(name, split, kind, size, channels, how, arrays):
    """Reads a set of tensorflow-datasets whose splits are the sides, such as `cycle_gan/horse2zebra`."""
    told = plain(str(name), 60)
    if kind == "pairs":
        raise UsageError(f"{told} is a prepared set, whose images no names join; expected {LAYOUTS[kind]}")
    if arrays or how.range or how.skip_damaged:
        raise UsageError(f"{told} is a prepared set: leave out --arrays, --range and --skip-damaged")
    held = tfds.stored(name)
    sides = _sides(held)
    if not sides or any(set(both) != set(SIDES) for both in sides.values()):
        raise UsageError(f"{told} holds splits {plain(', '.join(held), 60)}; expected trainA and trainB")
    part = splits.part(split, sides, told)
    read = tfds.source_in if isinstance(name, Path) else tfds.source
    found = {
        side: [store.gather(read(name, sides[one][side], size, channels)).arrays["image"] for one in part.stored]
        for side in SIDES
    }
    return _part({side: np.concatenate(values) for side, values in found.items()}, part.held, kind, told)


def _sides(names):
    """Returns the arrays or folders of two sides: split to side to name."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted(names):
        if match := _SIDE.fullmatch(name):
            part = canonical((match[1] or match[3] or "train").lower())
            side = "source" if match[2].lower() in ("a", "source") else "target"
            found.setdefault(part, {})[side] = name
    return found


def _stems(source):
    """Returns the names of a folder's pictures without their endings, in the order that they are read in."""
    return [Path(name).with_suffix("").as_posix() for name, *_ in source.key["files"]]


def _joined(held, stems, path, names):
    """Brings the pictures of both sides into one order by their names."""
    alone = {side: sorted(set(stems[side]) - set(stems[other])) for side, other in zip(SIDES, SIDES[::-1], strict=True)}
    for side, other in zip(SIDES, SIDES[::-1], strict=True):
        if alone[side]:
            one = plain(alone[side][0], 40)
            raise UsageError(
                f"{shown(path, 40)}: {names[side]}/{one} has no partner in {names[other]}/; "
                "expected pictures of equal names, without their endings, in both"
            )
        if len(set(stems[side])) < len(stems[side]):
            twice = next(stem for stem in stems[side] if stems[side].count(stem) > 1)
            raise UsageError(f"{shown(path, 40)}: {names[side]} holds two pictures {plain(twice, 40)!r}; remove one")
    order = {stem: index for index, stem in enumerate(stems["target"])}
    return {"source": held["source"], "target": held["target"][[order[stem] for stem in stems["source"]]]}


def _beside(path, split, size, channels, how):
    """Reads pictures that hold both images, source on the left."""
    wide = None if size is None else (size[0], 2 * size[1])
    read = folder.source(path, split, wide, channels, how)
    if read.mixed:  # the reader makes squares of them, of which we would take halves
        raise UsageError(f"{shown(path)} holds pictures of several sizes, two images side by side; give --image-size")
    width = read.shape[1]
    if read.classes:
        raise _layout(path, "pairs")
    if width % 2:
        raise UsageError(f"{shown(path)} holds pictures {width} wide; expected an even width, two images side by side")
    image = store.gather(read).arrays["image"]
    return {"source": image[:, :, : width // 2], "target": image[:, :, width // 2 :]}


def _layout(path, kind):
    return UsageError(
        f"{shown(path, 60)} is no folder of {'pairs' if kind == 'pairs' else 'two sets'}; expected {LAYOUTS[kind]}"
    )


def _part(found, held, kind, path):
    """Takes what is held out, or the rest: of pairs the same rows of both sides."""
    if held is None:
        return found
    chosen = {side: splits.rows(held, len(array), None, shown(path)) for side, array in found.items()}
    return {side: array if chosen[side] is None else array[chosen[side]] for side, array in found.items()}


# --- arrays ---------------------------------------------------------------------------------------------------------


def _arrays(path, split, kind, size, channels, how, arrays):
    names = npz.names(path)
    check_named(path, arrays, SIDES, names)
    sides = {"train": arrays} if arrays else _sides(names)
    if not sides or any(set(both) != set(SIDES) for both in sides.values()):
        raise UsageError(
            f"{shown(path, 40)} holds {plain(', '.join(names), 60)}; expected train_A and train_B (test_A, test_B), "
            "or --arrays source=NAME,target=NAME"
        )
    rows = rows_by_word(path, names, split) if arrays and "split" in names else None
    part = splits.part(split, sides, path.name) if rows is None else splits.Part(("train",))
    found = {side: [] for side in SIDES}
    for name in part.stored:
        held = {side: npz.images(path, sides[name][side], size, channels, how.range) for side in SIDES}
        lengths = {side: len(array) for side, array in held.items()}
        if kind == "pairs" and len(set(lengths.values())) > 1:
            raise UsageError(f"{shown(path, 50)} holds {lengths}; expected as many sources as targets: pairs")
        for side in SIDES:
            found[side].append(held[side] if rows is None else held[side][rows])
    return _part({side: np.concatenate(values) for side, values in found.items()}, part.held, kind, path)


def check_named(path: Path, arrays: Mapping[str, str], known: Iterable[str], names: Iterable[str]) -> None:
    """Checks what `--arrays` names.

    Args:
        path: of the file.
        arrays: what an array is to be, to its name in the file.
        known: what it can be.
        names: of the arrays in the file.

    Raises:
        UsageError: it is none of those.
    """
    for kind, name in arrays.items():
        if kind not in known:
            raise UsageError(f"--arrays names {kind!r}; {near_misses(kind, known)}")
        if name not in names:
            raise UsageError(f"{shown(path, 50)} holds no array {name!r}; {near_misses(name, names)}")


def rows_by_word(path: Path, names: Iterable[str], split: str) -> np.ndarray:
    """Returns the rows of a split, bool (n,), by an array `split` that names the split of each.

    Args:
        path: of the file.
        names: of its arrays.
        split: that is wanted, or `"all"`.

    Raises:
        UsageError: no row is of that split.
    """
    with readable(path, "split"):
        words = Array(path, "split").whole()
    known = {canonical(str(word)) for word in np.unique(words)}
    wanted = canonical(split)
    if wanted == "all":
        return np.ones(len(words), bool)
    if wanted not in known:
        raise UsageError(f"split {split!r} is not in {shown(path, 50)}; {near_misses(split, sorted(known))}")
    return np.array([canonical(str(word)) == wanted for word in words])

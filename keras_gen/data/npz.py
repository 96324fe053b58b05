"""Arrays in an `.npz` or `.npy` file: images by any of their usual names, and labels. Pickles are never read."""

import math
import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gen.data import labels as labels_
from keras_gen.data import ranges, resize, splits
from keras_gen.data.arrays import Array, is_plain, readable
from keras_gen.data.messages import canonical, notice, plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown

_IMAGES = "x|images?|imgs?|pictures?|pixels|data|samples?"
_TARGETS = "y|labels?|targets?|lbls?"
_PART = "(train|test|val|valid|validation)(?:ing|set|split)?"
# Of a name without what parts its words: x_train, train_images, X_train, trainX, images, ...
_NAMED = re.compile(rf"(?:{_PART})?(?:({_IMAGES})|({_TARGETS}))|(?:({_IMAGES})|({_TARGETS})){_PART}")


class _Layout(NamedTuple):
    """Which array of a file is what."""

    images: dict[str, str]  # split to name
    labels: dict[str, list[str]]  # split to names, the first that holds labels is read
    names: tuple[str, ...]  # of all arrays


def source(
    path: Path,
    split: str,
    size: tuple[int, int] | None,
    channels: int | None,
    range_: tuple[float, float] | None = None,
) -> resize.Source:
    """Opens an `.npz` or `.npy` file.

    Images are (N, height, width) or (N, height, width, 1, 3 or 4): whole numbers from 0 to 255 (or 0 and 1), or floats
    in [0, 1], [-1, 1] or [0, 255]; or any numbers of a range that is given. Labels are whole numbers (N,) or (N, 1),
    one-hot (N, classes), or names (N,).

    Raises:
        UsageError: no such split, or no images.
        DamagedError: the file or its values cannot be used.
    """
    layout = _layout(path)
    part = splits.part(split, layout.images, path.name)
    arrays = [Array(path, layout.images[name]) for name in part.stored]
    counts, shape = _image_shapes(arrays)
    first = next((name for other, name in layout.images.items() if canonical(other) == "train"), arrays[0].name)
    train = Array(path, first)
    found = []
    for array in arrays:
        alike = train if train.nbytes and train.dtype.kind == array.dtype.kind else array
        found.append(_scale(array, alike) if range_ is None else _of_range(array, range_))
    if len({dtype for _, dtype in found}) > 1:
        kinds = " and ".join(f"{array.name!r} of {plain(array.dtype, 10)}" for array in arrays[:2])
        raise DamagedError(f"{shown(path, 50)} holds {kinds}; all together need one type: convert them")
    labels, classes, key_of_classes = _labels(path, layout, part.stored, counts)
    count = sum(counts)
    resize.tell_channels(f"{arrays[0].name!r} in {shown(path, 50)}", shape[2], channels)
    rows = splits.rows(part.held, count, labels, shown(path, 60))

    def chunks():
        done = 0
        for array, (scale, _) in zip(arrays, found, strict=True):
            start = done
            for chunk in array.chunks():
                here = slice(done, done + len(chunk))
                image = scale(chunk.reshape(-1, *shape), done - start)
                kept = slice(None) if rows is None else rows[here]
                out = {"image": resize.fit(image[kept], size, channels)}
                if labels is not None:
                    out["label"] = labels[here][kept]
                done = here.stop
                yield out

    stat = os.stat(path)
    key = {"source": str(path.resolve()), "bytes": stat.st_size, "time": stat.st_mtime_ns}
    key |= {"split": part.stored[0] if len(part.stored) == 1 else part.stored}  # as in copies of before
    key |= {"size": size, "channels": channels, **key_of_classes} | ({} if part.held is None else {"held": part.held})
    key |= {"range": range_} if range_ else {}
    final = resize.final_shape(shape, size, channels)
    chosen = count if rows is None else int(rows.sum())
    left = 0 if part.held else count - chosen
    return resize.Source(path.name, classes, chosen, final, found[0][1], chunks, key, left)


def names(path: Path) -> tuple[str, ...]:
    """Returns the names of the arrays in an `.npz` file, in their order."""
    with readable(path):
        if not zipfile.is_zipfile(path):
            raise UsageError(f"{shown(path)} is a {path.suffix or 'nameless'} file; expected an .npz or a folder")
        with zipfile.ZipFile(path) as file:
            return tuple(name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy"))


def images(
    path: Path,
    name: str,
    size: tuple[int, int] | None,
    channels: int | None,
    range_: tuple[float, float] | None = None,
) -> np.ndarray:
    """Reads all images of one array, as `source` does of those that it finds by their names.

    Raises:
        DamagedError: it holds no images, or its values cannot be used.
    """
    array = Array(path, name)
    _, shape = _image_shape(array)
    scale, dtype = _scale(array, array) if range_ is None else _of_range(array, range_)
    done, found = 0, np.empty((array.shape[0], *resize.final_shape(shape, size, channels)), dtype)
    for chunk in array.chunks():
        here = slice(done, done + len(chunk))
        found[here] = resize.fit(scale(chunk.reshape(-1, *shape), done), size, channels)
        done = here.stop
    return found


def _labels(path, layout, stored, counts):
    """Returns what `labels.read` does, of several splits one after the other."""
    read = [labels_.read(path, *layout, name, count) for name, count in zip(stored, counts, strict=True)]
    without = [name for name, (label, *_) in zip(stored, read, strict=True) if label is None]
    if without:
        if len(without) < len(stored):
            notice(f"{shown(path, 50)} has no labels for {plain(', '.join(without), 40)}: all are read without labels")
        return None, (), {}
    return np.concatenate([label for label, *_ in read]), *read[0][1:]


def _image_shapes(arrays):
    """Returns the number of images in each array, and the shape that all of them have."""
    counts, shapes = zip(*map(_image_shape, arrays), strict=True)
    if len(set(shapes)) > 1:
        (one, first), (two, second) = list({shape: array for shape, array in zip(shapes, arrays, strict=True)}.items())[
            :2
        ]
        raise DamagedError(
            f"{first.name!r} in {shown(first.path, 50)} holds images {one}, and {second.name!r} {two}; "
            "all together need one shape"
        )
    return counts, shapes[0]


def _layout(path):
    """Finds images and labels by the names of the arrays.

    Raises:
        UsageError: there are no images, or two arrays that may be the same ones.
    """
    with readable(path):
        if is_plain(path):
            return _Layout({"train": path.stem}, {}, (path.stem,))
        if path.suffix.lower() != ".npz" and not zipfile.is_zipfile(path):
            ending = path.suffix or "nameless"
            raise UsageError(
                f"{shown(path)} is a {ending} file; expected an .npz, an .npy, or a folder or zip of images"
            )
        with zipfile.ZipFile(path) as file:
            names = tuple(name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy"))
    images, labels = {}, {}
    usual = [name for name in names if re.fullmatch(r"x_\w+", name)]
    for name in names:
        if name in usual:
            continue
        if found := _NAMED.fullmatch(re.sub(r"[^a-z0-9]", "", name.lower())):
            part = canonical(found[1] or found[6] or "train")
            (images if found[2] or found[4] else labels).setdefault(part, []).append(name)
    taken = {canonical(name.removeprefix("x_")) for name in usual}  # x_train goes before images
    images = {part: found for part, found in images.items() if part not in taken}
    images |= {name.removeprefix("x_"): [name] for name in usual}
    for part, found in images.items():
        if len(found) > 1:
            raise UsageError(
                f"{shown(path, 50)} holds {plain(' and '.join(found), 60)}, which may both be the images of {part!r}; "
                f"rename one: x_{part}"
            )
    images = {part: found[0] for part, found in images.items()}
    images = images or _by_position(path, names, labels)
    if not images:
        raise UsageError(
            f"{shown(path, 50)} holds {plain(', '.join(names), 60) or 'nothing'}; "
            "expected x_train (and y_train, x_test, y_test): rename its arrays"
        )
    for part in images:
        first = [name for name in (f"y_{part}", f"attr_{part}") if name in names]
        others = [name for name in labels.get(canonical(part), []) if name not in first]
        if f"y_{part}" not in first and len(others) > 1:
            raise UsageError(
                f"{shown(path, 50)} holds {plain(' and '.join(others), 60)}, which may both be the labels of {part!r}; "
                f"rename one: y_{part}"
            )
        labels[part] = [*first, *others]
    return _Layout(images, labels, names)


def _by_position(path, names, labels):
    """Finds the arrays of `np.savez(path, x, y)`, which have no names: images, then others with labels for them."""
    arrays = [Array(path, name) for name in names if re.fullmatch(r"arr_\d+", name)]
    pictures = [array for array in arrays if len(array.shape) in (3, 4)]
    if not pictures or len(pictures) > 2:
        return {}
    images = dict(zip(("train", "test"), pictures, strict=False))
    rest = [array for array in arrays if len(array.shape) in (1, 2)]
    for part, array in images.items():
        found = next((one for one in rest if one.shape[:1] == array.shape[:1]), None)
        if found:
            rest.remove(found)
            labels[part] = [found.name]
    told = [
        f"{array.name!r} as the images of {part!r}"
        + (f" and {labels[part][0]!r} as their labels" if part in labels else "")
        for part, array in images.items()
    ]
    notice(f"{shown(path, 60)} has arrays without names: read {', '.join(told)}")
    return {part: array.name for part, array in images.items()}


def _image_shape(array):
    name, shape = array.name, array.shape
    what = f"{name!r} in {shown(array.path, 50)} has shape {plain(shape, 40)}"
    if len(shape) not in (3, 4):
        raise DamagedError(f"{what}; expected (N, height, width[, channels]){_unfolded(shape)}")
    if not shape[0]:
        raise DamagedError(f"{what}: it is empty; expected at least one image")
    if len(shape) == 4 and shape[3] not in (1, 3, 4):
        first = shape[1] in (1, 3) or shape[1] == 4 < min(shape[2:])
        last = shape[2] in (1, 3, 4) and shape[3] > 4
        way_out = "channels come last: x.transpose(0, 2, 3, 1)" if first else "drop the others"
        way_out = "images come first: x.transpose(3, 0, 1, 2)" if last and not first else way_out
        raise DamagedError(f"{what}; expected 1 or 3 channels, or 4 with opacity; {way_out}")
    if not shape[1] or not shape[2]:
        raise DamagedError(f"{what}; expected images of at least one pixel")
    return shape[0], (*shape[1:3], shape[3] if len(shape) == 4 else 1)


def _unfolded(shape):
    """Returns the call that makes images of rows of pixels, where their number tells it."""
    pixels = shape[1] if len(shape) == 2 else 0
    gray, color = math.isqrt(pixels), math.isqrt(pixels // 3)
    if pixels and gray * gray == pixels:
        return f": x.reshape(-1, {gray}, {gray})"
    if pixels and 3 * color * color == pixels:  # as CIFAR's files hold them; others begin with the rows
        return f": x.reshape(-1, 3, {color}, {color}).transpose(0, 2, 3, 1), or (-1, {color}, {color}, 3)"
    return ""


def _scale(array, train):
    """Returns the function that brings chunks of this array to uint8, or to float32 in [-1, 1], and the type it gives.

    The range of floats is that of the train split, so that both splits are scaled alike.
    """
    if array.dtype.kind in "bui":
        return _whole_numbers(array, train)
    if array.dtype.kind != "f":
        raise DamagedError(
            f"{array.name!r} in {shown(array.path)} is of type {plain(array.dtype, 20)}; expected uint8 or float32"
        )
    low, high = _span(train)
    if array.name != train.name:
        own_low, own_high = _span(array)
        low, high = min(low, own_low), max(high, own_high)
    where = f"{array.name!r} in {shown(array.path, 60)} runs from {low:.4g} to {high:.4g}"
    positive = ranges.none_below(low, high)
    if low < -1 - ranges.SLACK or high > (255 + ranges.SLACK if positive else 1 + ranges.SLACK):
        whole = all(bool((chunk == np.floor(chunk)).all()) for chunk in train.chunks())
        way_out = ranges.advice(*ranges.likely(high, low, whole))
        raise DamagedError(f"{where}; expected [-1, 1], [0, 1] or [0, 255], or give {way_out}")
    black, white = (-1, 1) if not positive else (0, 1) if high <= 1 + ranges.SLACK else (0, 255)
    factor, offset = {1: (1.0, 0.0), 0: (2 / white, -1.0)}[-black]
    ranges.tell(f"{array.name!r} in {shown(array.path, 30)}", high, black, white, lowest=low)

    def scale(chunk, done):
        return np.clip(chunk.astype(np.float32) * np.float32(factor) + np.float32(offset), -1.0, 1.0)

    return scale, np.float32


def _span(array):
    """Returns the lowest and the highest value; all must be finite."""
    low, high, done = math.inf, -math.inf, 0
    for chunk in array.chunks():
        bad = ~np.isfinite(chunk)
        if bad.any():
            index = np.argwhere(bad)[0]
            value = chunk[tuple(index)]
            index[0] += done
            raise DamagedError(
                f"{array.name!r} in {shown(array.path)} holds {value} at {tuple(map(int, index))}; "
                "expected finite values: clean the data"
            )
        low, high, done = min(low, float(chunk.min())), max(high, float(chunk.max())), done + len(chunk)
    return low, high


def _whole_numbers(array, train):
    factor = 1
    if array.dtype.kind == "b" or next(train.chunks()).max() <= 1:  # mostly settled by the first chunk
        low, high = _ends(train)
        factor = 255 if array.dtype.kind == "b" or (low >= 0 and high == 1) else 1
        if factor == 255 and array.dtype.kind != "b":
            notice(f"{array.name!r} in {shown(array.path)} holds 0 and 1 only: read as black and white")
    if array.dtype.kind == "b" and not any(chunk.any() for chunk in train.chunks()):
        ranges.tell(f"{array.name!r} in {shown(array.path, 30)}", 0, 0, 1)
    both = [train] if array.name == train.name else [train, array]
    if factor == 1 and not any(chunk.max(initial=0) >= 128 for one in both for chunk in one.chunks()):
        ends = [_ends(one) for one in both]
        if min(low for low, _ in ends) >= 0:  # what is below is an error
            highest = max(high for _, high in ends)
            ranges.tell(f"{array.name!r} in {shown(array.path, 30)}", highest, 0, 255)

    def scale(chunk, done):
        bad = (chunk > 255 // factor) | (chunk < 0) if chunk.dtype != np.uint8 or factor > 1 else None
        if bad is not None and bad.any():
            index = np.argwhere(bad)[0]
            value = chunk[tuple(index)]
            index[0] += done
            low, high = _ends(array)
            raise DamagedError(
                f"{array.name!r} in {shown(array.path, 50)} holds {value} at {_place(index, array)}; "
                f"expected whole numbers from 0 to {255 // factor}, or give {ranges.advice(*ranges.likely(high, low))}"
            )
        return chunk.astype(np.uint8) * np.uint8(factor) if factor > 1 else chunk.astype(np.uint8, copy=False)

    return scale, np.uint8


def _ends(array):
    ends = [(float(chunk.min()), float(chunk.max())) for chunk in array.chunks()]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _of_range(array, range_):
    """Returns the function that brings values of a range to [-1, 1], or, of at most 256 levels, to uint8."""
    low, high = range_
    if array.dtype.kind not in "buif":
        raise DamagedError(
            f"{array.name!r} in {shown(array.path)} is of type {plain(array.dtype, 20)}; expected numbers"
        )
    levels = array.dtype.kind in "bui" and high - low <= 255 and low == int(low)
    slack = 0 if array.dtype.kind in "bui" else ranges.SLACK * (high - low)

    def scale(chunk, done):
        good = (chunk >= low - slack) & (chunk <= high + slack)  # NaN is not
        if not good.all():
            index = np.argwhere(~good)[0]
            value = chunk[tuple(index)]
            index[0] += done
            what = f"{array.name!r} in {shown(array.path)} holds {value} at {_place(index, array)}; expected"
            if not np.isfinite(value):
                raise DamagedError(f"{what} finite values: clean the data")
            raise UsageError(f"{what} {low:.6g} to {high:.6g}, the range that was given: give a wider one")
        shares = (chunk.astype(np.float64) - low) / (high - low)
        if levels:
            return np.floor(255 * shares + 0.5).astype(np.uint8)
        return np.clip(2 * shares - 1, -1.0, 1.0).astype(np.float32)

    return scale, np.uint8 if levels else np.float32


def _place(index, array):
    """Returns an index into chunks of images as an index into the array, which may have no axis of channels."""
    return tuple(map(int, index[: len(array.shape)]))

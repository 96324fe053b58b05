"""An `.npz` file with `x_train`, and perhaps `y_train`, `x_test`, `y_test`, `class_names`. Pickles are never read."""

import contextlib
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_gen.data import resize
from keras_gen.data.messages import choose_split, notice, plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown

_CHUNK = 2**24  # bytes that are read at a time
_MOST_CLASSES = 2**20
_SLACK = 1e-3  # by which a float may leave its range: resampled images do
# Labels, and the names of the classes: the second pair is how attributes are often stored.
_LABELS = (("y", "class_names"), ("attr", "attr_names"))
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError, KeyError)


class _Array:
    """One array of the file: its shape and type are known before its values are read."""

    def __init__(self, path: Path, name: str):
        self.path, self.name = path, name
        with self._open() as stream:
            self.start = stream.tell()
        size = self._size - self.start
        if self.dtype.hasobject:
            raise DamagedError(
                f"{name!r} in {shown(path)} holds Python objects, which are never read; save it as a plain array"
            )
        if self.nbytes != size:
            raise DamagedError(f"{name!r} in {shown(path)} is {size} bytes long, not {self.nbytes}; write it again")

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @contextlib.contextmanager
    def _open(self):
        """Opens the member and reads its header."""
        with _readable(self.path, self.name), zipfile.ZipFile(self.path) as file:
            info = file.getinfo(f"{self.name}.npy")
            self._size = info.file_size
            with file.open(info) as stream:
                version = np.lib.format.read_magic(stream)
                headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                if version not in headers:
                    raise ValueError(f"array format {version}")
                self.shape, self.fortran, self.dtype = headers[version](stream)
                yield stream

    def whole(self) -> np.ndarray:
        """Reads all of it."""
        with self._open() as stream:
            flat = np.frombuffer(self._exactly(stream, self.nbytes), self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def chunks(self) -> Iterator[np.ndarray]:
        """Reads some rows at a time."""
        if not self.shape or not self.shape[0]:
            return
        rows = max(1, _CHUNK * self.shape[0] // max(1, self.nbytes))
        if self.fortran:  # its rows are scattered over the file
            array = self.whole()
            for first in range(0, len(array), rows):
                yield np.ascontiguousarray(array[first : first + rows])
            return
        with self._open() as stream:
            for first in range(0, self.shape[0], rows):
                shape = (min(rows, self.shape[0] - first), *self.shape[1:])
                data = self._exactly(stream, math.prod(shape) * self.dtype.itemsize)
                yield np.frombuffer(data, self.dtype).reshape(shape)

    def _exactly(self, stream, size):
        data = stream.read(size)
        if len(data) != size:
            raise EOFError(f"{len(data)} of {size} bytes")
        if stream.tell() == self._size:
            stream.read(1)  # the checksum is compared at the end of the member
        return data


@contextlib.contextmanager
def _readable(path, name=None):
    """Turns whatever a broken file raises into one line."""
    try:
        yield
    except (DamagedError, UsageError):
        raise
    except _BROKEN as error:
        what = f"{name!r} in {shown(path)}" if name else shown(path)
        reason = plain(getattr(error, "strerror", None) or error, 50)
        raise DamagedError(f"cannot read {what}: {reason}; expected an .npz file: write it again") from error


def source(path: Path, split: str, size: tuple[int, int] | None, channels: int | None) -> resize.Source:
    """Opens an `.npz` file.

    Images are (N, height, width) or (N, height, width, 1 or 3): whole numbers from 0 to 255 (or 0 and 1), or floats in
    [0, 1], [-1, 1] or [0, 255]. Labels are whole numbers (N,) or (N, 1), or one-hot (N, classes).

    Raises:
        UsageError: no such split, or no `x_train`.
        DamagedError: the file or its values cannot be used.
    """
    if path.suffix.lower() != ".npz":
        raise UsageError(f"{shown(path)} is a {path.suffix or 'nameless'} file; expected an .npz or a folder of images")
    with _readable(path), zipfile.ZipFile(path) as file:
        names = [name.removesuffix(".npy") for name in file.namelist() if name.endswith(".npy")]
    splits = [name.removeprefix("x_") for name in names if re.fullmatch(r"x_\w+", name)]
    if not splits:
        raise UsageError(
            f"{shown(path, 50)} holds {plain(', '.join(names), 60) or 'nothing'}; "
            "expected x_train (and y_train, x_test, y_test): rename its arrays"
        )
    split = choose_split(split, splits, path.name)
    array = _Array(path, f"x_{split}")
    count, shape = _image_shape(array)
    train = _Array(path, "x_train") if "x_train" in names else array
    scale, dtype = _scale(array, train if train.nbytes and train.dtype.kind == array.dtype.kind else array)
    labels, classes = _labels(path, names, split, splits, count)

    def chunks():
        done = 0
        for chunk in array.chunks():
            image = resize.fit(scale(chunk.reshape(-1, *shape), done), size, channels)
            out = {"image": image}
            if labels is not None:
                out["label"] = labels[done : done + len(image)]
            done += len(image)
            yield out

    stat = os.stat(path)
    key = {"source": str(path.resolve()), "bytes": stat.st_size, "time": stat.st_mtime_ns, "split": split}
    key |= {"size": size, "channels": channels}
    final = resize.final_shape(shape, size, channels)
    return resize.Source(path.name, classes, count, final, dtype, chunks, key)


def _image_shape(array):
    name, shape = array.name, array.shape
    what = f"{name!r} in {shown(array.path, 50)} has shape {plain(shape, 40)}"
    if len(shape) not in (3, 4):
        raise DamagedError(f"{what}; expected (N, height, width) or (N, height, width, channels)")
    if not shape[0]:
        raise DamagedError(f"{what}: it is empty; expected at least one image")
    if len(shape) == 4 and shape[3] not in (1, 3):
        first = "; channels come last: x.transpose(0, 2, 3, 1)" if shape[1] in (1, 3) else "; drop the others"
        raise DamagedError(f"{what}; expected 1 or 3 channels{first}")
    if not shape[1] or not shape[2]:
        raise DamagedError(f"{what}; expected images of at least one pixel")
    return shape[0], (*shape[1:3], shape[3] if len(shape) == 4 else 1)


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
    if low < -1 - _SLACK or high > (255 + _SLACK if low >= 0 else 1 + _SLACK):
        raise DamagedError(f"{where}; expected [-1, 1], [0, 1] or [0, 255]: scale it")
    factor, offset = (1.0, 0.0) if low < 0 else (2.0, -1.0) if high <= 1 + _SLACK else (2 / 255, -1.0)

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
        factor = 255 if array.dtype.kind == "b" or max(map(np.max, train.chunks())) == 1 else 1
        if factor == 255 and array.dtype.kind != "b":
            notice(f"{array.name!r} in {shown(array.path)} holds 0 and 1 only: read as black and white")

    def scale(chunk, done):
        bad = (chunk > 255 // factor) | (chunk < 0) if chunk.dtype != np.uint8 or factor > 1 else None
        if bad is not None and bad.any():
            index = np.argwhere(bad)[0]
            value = chunk[tuple(index)]
            index[0] += done
            raise DamagedError(
                f"{array.name!r} in {shown(array.path)} holds {value} at {_place(index, array)}; "
                f"expected whole numbers from 0 to {255 // factor}: scale it"
            )
        return chunk.astype(np.uint8) * np.uint8(factor) if factor > 1 else chunk.astype(np.uint8, copy=False)

    return scale, np.uint8


def _place(index, array):
    """Returns an index into chunks of images as an index into the array, which may have no axis of channels."""
    return tuple(map(int, index[: len(array.shape)]))


def _labels(path, names, split, splits, count):
    """Returns the labels (or None) and the names of the classes, which are those of all splits together."""
    for prefix, names_of_classes in _LABELS:
        if f"{prefix}_{split}" not in names:
            continue
        found = _Array(path, f"{prefix}_{split}")
        where = f"{found.name!r} in {shown(path, 60)}"
        if prefix != "y" and (len(found.shape) != 2 or found.shape[0] != count):
            continue
        if not found.shape or found.shape[0] != count:
            length = found.shape[0] if found.shape else 0
            raise DamagedError(f"{where} holds {length} labels for {count} images of 'x_{split}'; expected as many")
        label, classes = _numbers(found, where, required=prefix == "y")
        if label is None:
            continue
        for other in splits:
            if other != split and f"{prefix}_{other}" in names:
                array = _Array(path, f"{prefix}_{other}")
                where_other = f"{array.name!r} in {shown(path, 60)}"
                classes = max(classes, _numbers(array, where_other, required=prefix == "y")[1])
        given = [str(name) for name in _Array(path, names_of_classes).whole()] if names_of_classes in names else None
        if given is not None and len(given) < classes:
            raise DamagedError(
                f"{where} reaches {classes - 1} and {names_of_classes!r} names {len(given)}; "
                "expected a name for each class"
            )
        return label, tuple(given or map(str, range(classes)))
    return None, ()


def _numbers(array, where, required):
    """Returns int32 labels and the number of classes; (None, 0) if the array holds none and need not."""
    value = array.whole() if array.dtype.kind in "buif" and len(array.shape) in (1, 2) else None
    expected = "expected whole numbers (N,) or (N, 1), or one-hot (N, classes)"
    if value is None:
        if not required:
            return None, 0
        raise DamagedError(f"{where} has shape {plain(array.shape, 30)} and type {plain(array.dtype, 15)}; {expected}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        index = np.argwhere(~np.isfinite(value))[0]
        raise DamagedError(f"{where} holds {value[tuple(index)]} at {tuple(map(int, index))}; {expected}")
    classes = None
    if value.ndim == 2 and value.shape[1] != 1:
        if not (np.isin(value, (0, 1)).all() and (value.sum(axis=1) == 1).all()):
            if not required:
                return None, 0
            raise DamagedError(f"{where} has shape {plain(array.shape, 30)} and is not one-hot; {expected}")
        classes = value.shape[1]
        value = value.argmax(axis=1)
    value = value.reshape(-1)
    broken = (value < 0) | (value >= _MOST_CLASSES) | (value != np.floor(value))
    if broken.any():
        index = int(np.argmax(broken))
        raise DamagedError(f"{where} holds {value[index]} at {index}; expected classes from 0 to {_MOST_CLASSES - 1}")
    label = value.astype(np.int32)
    return label, classes or int(label.max(initial=-1)) + 1

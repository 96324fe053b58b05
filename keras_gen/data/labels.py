"""Labels in a file of arrays: whole numbers, one-hot, or names; classes are the values that occur in any split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen.data import classes as classes_
from keras_gen.data.arrays import Array
from keras_gen.data.messages import plain
from keras_gen.errors import DamagedError
from keras_gen.files.writing import shown

_MOST_CLASSES = 2**20
_NAMES_OF_CLASSES = ("class_names", "label_names", "target_names", "classes", "names")


def read(
    path: Path,
    images: Mapping[str, str],
    labels: Mapping[str, Sequence[str]],
    names: Sequence[str],
    split: str,
    count: int,
) -> tuple[np.ndarray | None, tuple[str, ...], dict[str, Any]]:
    """Reads the labels of a split.

    Args:
        path: of the file.
        images: split to name of its images.
        labels: split to names of what may be its labels; the first that holds some is read.
        names: of all arrays.
        split: to be read.
        count: of its images.

    Returns:
        The labels, int32 (or None); the names of the classes, which are those that occur in any split; and what the key
        of a copy must know of them.

    Raises:
        DamagedError: the values are no classes.
    """
    for name in labels[split] if split in labels else ():
        found, required = Array(path, name), not name.startswith("attr_")
        where = f"{found.name!r} in {shown(path, 60)}"
        if not required and (len(found.shape) != 2 or found.shape[0] != count):
            continue
        if not found.shape or found.shape[0] != count:
            length = found.shape[0] if found.shape else 0
            raise DamagedError(
                f"{where} holds {length} labels for {count} images of {images[split]!r}; expected as many"
            )
        label = _values(found, where, required)
        if label is None:
            continue
        every = [label]
        for other in images:
            alike = [one for one in labels.get(other, ()) if one.startswith("attr_") != required]
            if other != split and alike:
                array = Array(path, alike[0])
                every.append(_values(array, f"{array.name!r} in {shown(path, 60)}", required))
        if len({value.dtype.kind for value in every if value is not None}) > 1:
            raise DamagedError(f"{where} and the labels of other splits are of different types; expected one")
        occurring = np.unique(np.concatenate([value for value in every if value is not None]))
        if occurring.dtype.kind == "U":
            classes = classes_.ordered(occurring.tolist())
            number = {name: index for index, name in enumerate(classes)}
            label = np.array([number[name] for name in label.tolist()], np.int32)
            return label, classes, {"classes": classes}
        classes = _names(path, names, occurring, where, required)
        plain_ = bool((occurring == np.arange(len(occurring))).all())
        return classes_.settled(label, occurring), classes, {} if plain_ else {"classes": occurring.tolist()}
    return None, (), {}


def _names(path, names, occurring, where, required):
    """Returns the names of the classes that occur: those in the file, or their numbers."""
    highest = int(occurring[-1]) if len(occurring) else -1
    for name in _NAMES_OF_CLASSES if required else ("attr_names",):
        if name not in names:
            continue
        array = Array(path, name)
        if name not in ("class_names", "attr_names") and (array.dtype.kind not in "US" or len(array.shape) != 1):
            continue
        given = _text(array.whole())
        if len(given) <= highest:
            raise DamagedError(
                f"{where} reaches {highest} and {name!r} names {len(given)}; expected a name for each class"
            )
        found = tuple(given[value] for value in occurring)
        twice = [one for one in found if found.count(one) > 1] if len(set(found)) < len(found) else []
        if twice:
            both = [int(value) for value, one in zip(occurring, found, strict=True) if one == twice[0]]
            told = " and ".join(map(str, both[:4]))
            raise DamagedError(
                f"{name!r} in {shown(path, 50)} calls the labels {told} all {plain(twice[0], 20)!r}; "
                "expected another name for each: rename them, or give them one label"
            )
        return found
    return tuple(map(str, occurring))


def _text(values):
    """Returns an array of names as texts."""
    values = values.reshape(-1).tolist()
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]


def _values(array, where, required):
    """Returns labels, whole numbers or names, (N,); None if the array holds none and need not."""
    if array.dtype.kind in "US" and len(array.shape) == 1 + (array.shape[1:] == (1,)):
        return np.array(_text(array.whole()))
    value = array.whole() if array.dtype.kind in "buif" and len(array.shape) in (1, 2) else None
    expected = "expected whole numbers (N,) or (N, 1), one-hot (N, classes), or names"
    if value is None:
        if not required:
            return None
        raise DamagedError(f"{where} has shape {plain(array.shape, 30)} and type {plain(array.dtype, 15)}; {expected}")
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        index = np.argwhere(~np.isfinite(value))[0]
        raise DamagedError(f"{where} holds {value[tuple(index)]} at {tuple(map(int, index))}; {expected}")
    if value.ndim == 2 and value.shape[1] != 1:
        if not (np.isin(value, (0, 1)).all() and (value.sum(axis=1) == 1).all()):
            if not required:
                return None
            raise DamagedError(f"{where} has shape {plain(array.shape, 30)} and is not one-hot; {expected}")
        value = value.argmax(axis=1)
    value = value.reshape(-1)
    broken = (value < 0) | (value >= _MOST_CLASSES) | (value != np.floor(value))
    if broken.any():
        index = int(np.argmax(broken))
        raise DamagedError(f"{where} holds {value[index]} at {index}; expected classes from 0 to {_MOST_CLASSES - 1}")
    return value.astype(np.int64)

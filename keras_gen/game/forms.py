"""Data of any form become named arrays here, and here their names, forms and values are checked: nowhere else."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.game.batch import check_labels, check_shapes, shown, weightless
from keras_gen.signatures.classes import numbered
from keras_gen.signatures.kinds import kind_of
from keras_gen.signatures.values import LIMIT, check_values

CLASSES = "expected whole numbers (batch,) or (batch, 1), or one-hot (batch, classes)"


class Wanted:
    """What a model takes in a batch: plain values, which a process that loads data can hold without the model.

    Args:
        model: a `GenerativeModel`.
        splits: steps of one player in a round, each of which needs a row on every replica.
    """

    def __init__(self, model: Any, splits: int = 1):
        self.kind = type(model).__name__
        self.names = tuple(model.data_names)
        self.must = dict(model.expects())
        self.may = {"label": (None,), **model.accepts()}
        self.apart = model.reads == "unpaired"  # rows of different names do not belong together
        self.num_classes, self.vocabulary = (getattr(model, name, None) for name in ("num_classes", "vocabulary"))
        self.classes = {"label", *(name for name, law in model.conditions().items() if law.classes)}
        self.class_names = {name: law.names for name, law in model.conditions().items() if law.names}
        self.splits, self.replicas = splits, model.distribute_strategy.num_replicas_in_sync

    @property
    def shapes(self) -> dict[str, Sequence[int | None]]:
        """The shapes of all that a batch may hold."""
        return self.must | {name: shape for name, shape in self.may.items() if name not in self.must}

    @property
    def fewest(self) -> int:
        """The rows that every batch needs; a single replica lets steps share those of a short one."""
        return self.splits * self.replicas if self.replicas > 1 else 0

    # --- names and forms ---------------------------------------------------------------------------------------------

    def take(self, data: Any, keep: bool = False) -> dict[str, np.ndarray]:
        """Names data, and brings them to the form that the networks see.

        Args:
            data: `x`, `(x,)`, `(x, y)`, a dict, or a list of examples: anything that numpy can read.
            keep: a target stays one where it is the image itself, so that all batches of a stream hold the same names.

        Returns:
            Named arrays: images with an axis of channels, classes as (n,) whole numbers.

        Raises:
            UsageError: a name that is missing or that nothing reads, or a form that cannot be meant.
        """
        named, y = self.named(data)
        held = {**named, **({} if y is None else {"y": y})}
        check_shapes({name: None for name in held if held[name] is not None}, self.must if y is None else self._of_x())
        batch: dict[str, np.ndarray] = {}
        for name, value in named.items():
            if value is None:
                continue
            if name not in self.shapes:
                known = ", ".join(map(repr, self.shapes))
                raise UsageError(f"{self.kind} reads no {name!r}; it knows {known}: leave {name!r} out of the data")
            self._put(batch, name, value)
        if y is not None:
            self._put_y(batch, y, keep)
        check_shapes({name: value.shape for name, value in batch.items()}, self.must)
        check_shapes({name: value.shape for name, value in batch.items()}, {n: self.shapes[n] for n in batch})
        if not self.apart and len({len(value) for value in batch.values()}) > 1:
            sizes = {name: len(value) for name, value in batch.items()}
            raise UsageError(f"arrays differ in length: {sizes}; expected one length")
        return batch

    def named(self, data: Any) -> tuple[dict[str, Any], Any]:
        """Returns what has a name in data, and `y`, whose name depends on its form."""
        if isinstance(data, Mapping):
            return dict(data), None
        parts = list(data) if isinstance(data, (tuple, list)) else [data]
        if self.are_rows(data):
            parts = [data]
        weightless(parts)
        x, y = [*parts, None, None][:2]
        x = x if self.are_rows(x) else _one("x", x)
        y = _one("y", y, getattr(x, "shape", None))
        named = dict(x) if isinstance(x, Mapping) else {self.names[0]: x}
        if isinstance(y, Mapping):
            return {**named, **y}, None
        return named, y

    def are_rows(self, data: Any) -> bool:
        """Returns whether a list holds one example after the other, and not `x` and `y`."""
        if not isinstance(data, (tuple, list)) or not data:
            return False
        if all(isinstance(part, (str, numbers.Number)) for part in data):
            return True
        if not all(is_array(part) for part in data):
            return False
        want = tuple(self.shapes.get(self.names[0], ()))[1:]
        ranks = {np.ndim(part) if hasattr(part, "shape") else _depth(part) for part in data}
        if len(ranks) > 1 or 0 in ranks:
            return False
        rank, shape = ranks.pop(), _shape_of(data[0])
        if shape in (want, _without_channel(want)):
            return True
        return len(data) > 2 and rank <= len(want) and shape[1:] != _without_channel(want)  # of another size

    def _of_x(self):
        """Returns what must have come as `x`, where a `y` without a name may hold the rest."""
        return {name: shape for name, shape in self.must.items() if name not in self.names[1:]}

    def _put(self, batch, name, value):
        array, want = as_array(name, value), self.shapes[name]
        if name in self.classes:
            names = self.class_names.get(name) if name in self.must else None
            array = np.asarray(numbered(array, names, name)) if names else array
            array = classes(name, array, name in self.must)
        else:
            array = numeric(name, array)
        if array is not None:  # names of classes that nothing reads
            batch[name] = with_channel(array, want)

    def _put_y(self, batch, y, keep):
        """Puts a `y` where its form says that it belongs."""
        second = self.names[1] if len(self.names) > 1 else None
        if second != "label" and second in self.shapes:
            return self._put(batch, second, y)
        first = batch.get(self.names[0])
        array, want = as_array("y", y), tuple(self.shapes.get(self.names[0], ()))
        pairs = "target" in self.may
        alike = with_channel(array, want)
        one_hot = "label" in self.must and array.ndim == 2 and array.shape[1] == self.num_classes
        if alike.ndim > 1 and alike.shape[1:] == want[1:] and not one_hot:
            if not (keep and pairs) and np.array_equal(alike, first, equal_nan=alike.dtype.kind == "f"):
                return None  # `fit(x, x)`
            if pairs:
                return self._put(batch, "target", array)
        elif pairs and (array.ndim > 2 or math.prod(array.shape[1:]) == math.prod(want[1:])):
            return self._put(batch, "target", array)  # of another shape: `check_shapes` says what to do
        elif array.ndim in (1, 2):
            if "label" in batch:
                raise UsageError("'label' was given twice, by name and as y; give it once")
            if self.names[0] == "token" and array.ndim == 2 and not one_hot and array.shape == np.shape(first):
                raise UsageError(
                    f"y has shape {shown(array.shape)}, that of the tokens: {self.kind} learns to tell each token "
                    f"of a row by those before it; give rows of {want[1]} tokens, without y"
                )
            return self._put(batch, "label", array)
        takers = "; autoencoder and denoising_autoencoder take pairs of images" if array.ndim > 2 else ""
        raise UsageError(
            f"y has shape {shown(array.shape)}, and is not x; {self.kind} takes one class a row as y, or none: "
            f"leave it out{takers}"
        )

    def blank(self, spec: Any) -> Any:
        """Returns arrays without rows that stand for the tensors of a data set, whose sizes may be unknown."""
        named, y = self.named(spec)
        empty = {name: _blank(name, part, self.shapes.get(name)) for name, part in named.items() if part is not None}
        if y is None:
            return empty
        if y.shape.rank is None and "label" not in self.must and not ("target" in self.may and y.dtype.is_floating):
            return empty  # one class a row, or x again: nothing reads it
        want: Sequence[int | None] = (None,)
        if y.shape.rank is None or y.shape.rank > 2:
            target = self.shapes.get("target") if y.shape.rank or y.dtype.is_floating else None
            want = target or (self.shapes.get(self.names[0], want) if y.shape.rank else want)
        return empty, _blank("y", y, want)

    # --- values ------------------------------------------------------------------------------------------------------

    def check(self, batch: Mapping[str, np.ndarray], number: int | None = None) -> None:
        """Checks the values of what was taken: of arrays whole, of a stream batch by batch.

        Args:
            batch: named arrays.
            number: of the batch in a stream, from 0.

        Raises:
            UsageError: images of another range, classes or tokens that do not exist, or too few rows.
            DamagedError: NaN or infinity.
        """
        of = "" if number is None else f" of batch {number}"
        check_values(batch, of, warn=not number)
        check_labels(batch, self, of)
        if number is None:
            return
        rows = len(next(iter(batch.values())))
        if not rows:
            raise UsageError(
                f"batch {number} is empty: 0 rows; expected at least 1: leave empty batches out of the data"
            )
        if number == 0 or self.fewest:
            self.check_rows(rows)

    def direct(self, spec: Any, made: Mapping[str, np.ndarray]) -> bool:
        """Returns whether every tensor of a data set has its final form already, `made` being what is taken of it."""
        named, y = self.named(spec)
        parts = {**named, **({} if y is None else {name: y for name in made if name not in named})}
        return len(parts) == len(named) + (y is not None) and all(
            part.shape[1:].is_fully_defined()
            and tuple(part.shape[1:]) == made[name].shape[1:]
            and part.dtype.as_numpy_dtype == made[name].dtype
            for name, part in ((name, parts.get(name)) for name in made)
        )

    def surely_right(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns, without a word of Python in training, whether `check` would find nothing wrong in a batch."""
        rows = tf.shape(next(iter(batch.values())))[0]
        right = rows >= max(1, self.fewest)
        for name, value in batch.items():
            right &= tf.shape(value)[0] == rows
            kind = kind_of(name)
            if kind.picture:
                right &= value.dtype.is_floating and tf.reduce_all(tf.abs(value) <= LIMIT)  # false for NaN
            elif value.dtype.is_floating:
                right &= tf.reduce_all(tf.math.is_finite(value))
            count = getattr(self, kind.counted, None) if kind.counted else None
            if count is not None:
                right &= value.dtype.is_integer and tf.reduce_all((value >= 0) & (value < tf.cast(count, value.dtype)))
        return right

    def check_rows(self, rows: int) -> None:
        """Refuses a batch that does not give a row to every replica and to every step of a player."""
        if rows < self.splits * self.replicas:
            raise UsageError(
                f"a batch of {rows} cannot be split into {self.splits} steps of one player on {self.replicas} "
                f"replicas; use at least {self.splits * self.replicas}"
            )


def is_array(value: Any) -> bool:
    """Returns whether something is read whole, as an array: of numpy, TensorFlow, pandas or another, or a list."""
    return isinstance(value, (list, tuple)) or any(
        hasattr(value, name) for name in ("__array__", "__array_interface__", "toarray", "to_tensor")
    )


def as_array(name: str, value: Any) -> np.ndarray:
    """Returns an array of numbers or of words.

    Raises:
        UsageError: rows of several lengths, or a sparse array; the message gives the call that helps.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    for call in ("to_tensor", "toarray"):  # of a ragged tensor, of a sparse matrix
        if hasattr(value, call):
            raise UsageError(f"{name!r} is a {type(value).__name__}; expected a dense array: give its .{call}()")
    if isinstance(value, (tf.SparseTensor, tf.IndexedSlices)):
        raise UsageError(f"{name!r} is a {type(value).__name__}; expected a dense array: tf.sparse.to_dense")
    try:
        array = np.asarray(value)
        return np.asarray(array.tolist()) if array.dtype == object else array  # such as a pandas Series of images
    except (ValueError, TypeError):
        shapes = sorted({_shape_of(one) for one in value})[:2] if hasattr(value, "__iter__") else [type(value).__name__]
        raise UsageError(
            f"{name!r} holds rows of shapes {' and '.join(map(str, shapes))}; expected one shape: resize them"
        ) from None


def numeric(name: str, array: np.ndarray) -> np.ndarray:
    """Returns an array if it is of numbers.

    Raises:
        UsageError: it is of words, or of objects.
    """
    if array.dtype.kind not in "buif" and array.dtype.name != "bfloat16":
        raise UsageError(f"{name!r} holds {array.dtype}; expected numbers (keras_gen.data.load reads files)")
    return array


def classes(name: str, array: np.ndarray, required: bool = True) -> np.ndarray | None:
    """Returns one class a row, whole numbers (n,), of a column, of floats without a fraction, or of one-hot rows.

    Args:
        name: what messages call it.
        array: of numbers; or words, which are no classes yet.
        required: whether a network reads it.

    Returns:
        The classes; `None` for words that nothing reads.

    Raises:
        UsageError: anything else.
    """
    if array.dtype.kind not in "buif":
        if not required and array.ndim == 1:
            return None
        raise UsageError(f"{name!r} holds {array.dtype}; {CLASSES}: np.unique({name}, return_inverse=True)[1]")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        if not ((array == 0) | (array == 1)).all() or not (array.sum(axis=1) == 1).all():
            raise UsageError(f"{name!r} has shape {shown(array.shape)} and is not one class a row; {CLASSES}")
        return array.argmax(axis=1).astype(np.int32)
    if array.ndim != 1:
        raise UsageError(f"{name!r} has shape {shown(array.shape)}; {CLASSES}")
    if array.dtype.kind == "f" and np.isfinite(array).all():
        broken = array != np.floor(array)
        if broken.any():
            raise UsageError(f"{name!r} holds {array[broken][0]:g} in row {int(np.argmax(broken))}; {CLASSES}")
        return array.astype(np.int32)
    return array.astype(np.int32) if array.dtype.kind == "b" else array


def with_channel(array: np.ndarray, want: Sequence[int | None]) -> np.ndarray:
    """Returns images (n, H, W) with the one channel that a model expects; everything else as it is."""
    if array.ndim > 1 and len(want) > 2 and array.shape[1:] == _without_channel(want[1:]):
        return array[..., None]
    return array


def _without_channel(shape):
    """Returns the shape of an example without its only channel, or something that no example has."""
    shape = tuple(shape)
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else None


def _one(name, value, beside=None):
    """Returns what alone is in a tuple; rows stay as they are, and so does everything else."""
    if not isinstance(value, (tuple, list)) or not value:
        return value
    inside = all(isinstance(part, Mapping) or getattr(part, "shape", ()) != () for part in value)
    if not inside or (isinstance(beside, tuple) and beside[:1] == (len(value),)):
        return value
    if len(value) > 1:
        raise UsageError(
            f"{name} holds {len(value)} arrays; expected one, or a dict of named arrays in place of (x, y)"
        )
    return value[0]


def _shape_of(value):
    try:
        return tuple(np.shape(value))
    except ValueError:  # a list of lists of several lengths
        return (len(value), "?")


def _depth(value):
    """Returns the rank of nested lists by their first elements."""
    if hasattr(value, "shape"):
        return len(value.shape)
    return 1 + _depth(value[0]) if isinstance(value, (list, tuple)) and value else 0


def _blank(name, spec, want):
    """Returns an array without rows of a tensor's type; sizes that are not known are those expected."""
    if not isinstance(spec, tf.TypeSpec):
        raise UsageError(
            f"{name!r} is a {type(spec).__name__} of tensors; expected one, with a name for each in a dict"
        )
    if not isinstance(spec, tf.TensorSpec):
        raise UsageError(f"{name!r} is {type(spec).__name__}; expected a dense one: .to_tensor(), tf.sparse.to_dense")
    want = tuple(want or (None,))
    if spec.shape.rank is None:
        shape = want[1:]
    elif spec.shape.rank == 0 or (len(want) > 1 and _shape_of(spec) in (want[1:], _without_channel(want[1:]))):
        raise UsageError(f"{name!r} comes one by one; expected batches: dataset.batch(64)")
    else:
        rest = [*want[1:], *[2] * spec.shape.rank]
        shape = tuple(rest[at] if size is None else size for at, size in enumerate(spec.shape.as_list()[1:]))
    dtype = "S1" if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
    return np.zeros((0, *(size or 0 for size in shape)), dtype)

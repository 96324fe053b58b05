"""Batches as a pure function of (seed, step): shuffled anew each epoch, and resumed at any step without replaying."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_gen.data.classes import places
from keras_gen.errors import UsageError
from keras_gen.signatures.kinds import kind_of

LARGEST_TENSOR = 2**30  # bytes; larger arrays (memory maps) are read through numpy, batch by batch


def served_scaled(name: str, dtype: Any) -> bool:
    """Returns whether an array of this name and type is held as bytes and served as float32 in [-1, 1]."""
    return kind_of(name).picture and dtype == np.uint8


class Share(NamedTuple):
    """The part of every global batch that one worker's replicas train on: a piece for each, in their order.

    Every replica gets a row for each critic step, and the rows that a step sees do not depend on how many replicas
    there are. TensorFlow's own division gives neither: of 5 rows on 4 replicas it leaves one with none.

    Args:
        replicas: in all workers together.
        first: number of this worker's first replica.
        count: of this worker's replicas.
        steps: updates that split a batch into rows `i::steps`.
    """

    replicas: int
    first: int
    count: int
    steps: int = 1

    def bounds(self, replica: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the first row of a replica's piece, and the row after its last."""
        blocks = -(-rows // self.steps)
        first, end = (self.steps * (blocks * number // self.replicas) for number in (replica, replica + 1))
        return first, tf.minimum(end, rows)

    def even(self, rows: int) -> int | None:
        """Returns the rows of every piece of a full batch, if they are equally many."""
        return rows // self.replicas if rows % (self.replicas * self.steps) == 0 else None

    def of(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Cuts a data set of global batches into this worker's pieces."""

        def pieces(*batch):
            rows = tf.cast(tf.shape(tf.nest.flatten(batch)[0])[0], tf.int64)

            def piece(number):
                first, end = self.bounds(number, rows)
                cut = tf.nest.map_structure(lambda value: value[first:end], batch)
                return cut[0] if len(cut) == 1 else cut

            return tf.data.Dataset.range(self.first, self.first + self.count).map(piece)

        return dataset.flat_map(pieces)


class Examples:
    """Named arrays of one length, served in batches.

    Images may be held as uint8; they are served as float32 in [-1, 1], and classes of any whole numbers as int32.

    Args:
        arrays: name (`image`, `label`, ...) to array; all of the same length. Memory maps are welcome.
        classes: names of the classes, in the order of their labels; empty without labels.
        name: what messages and a run's card call this set.
        digest: hexadecimal digest of the content, or empty.
        crop: (height, width) that all arrays with sides are cut to: at random places, and mirrored at random, alike in
            all arrays of a row; in the middle where nothing is shuffled.
    """

    tokenizer: Any = None  # that made the tokens, where there are some
    held = 0  # examples that are held out of these as the test split, since the set has none

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        classes: tuple[str, ...] = (),
        name: str = "",
        digest: str = "",
        crop: tuple[int, int] | None = None,
    ):
        self.arrays = dict(arrays)
        self.crop = crop
        self.classes = tuple(classes)
        self.name = name
        self.digest = digest
        sizes = {key: len(value) for key, value in self.arrays.items()}
        if not sizes:
            raise UsageError("there are no arrays; expected at least one")
        self.count = self._count(sizes)

    def __len__(self) -> int:
        return self.count

    def labelled_as(self, names: Sequence[str], of: str = "the model") -> "Examples":
        """Returns these examples with the labels of a model that knows other classes, or the same in another order.

        Args:
            names: of the model's classes, in the order of their numbers; where either side has none, nothing changes.
            of: what messages call the model.

        Raises:
            UsageError: a class that the model does not know.
        """
        names = tuple(names)
        if not names or not self.classes or self.classes == names or "label" not in self.arrays:
            return self
        number = np.array(places(self.classes, names, self.name or "the data", of), np.int32)
        made = copy.copy(self)
        made.arrays = {**self.arrays, "label": number[self.arrays["label"]]}
        made.classes = names
        made.digest = self.digest and hashlib.sha256(f"{self.digest} {number.tolist()} {names}".encode()).hexdigest()
        return made

    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the shapes of what is served, batch first."""
        found = {name: (None, *value.shape[1:]) for name, value in self.arrays.items()}
        return {name: (None, *self.crop, *shape[3:]) if self._cut(name) else shape for name, shape in found.items()}

    def follows(self) -> dict[str, Any]:
        """Returns the arguments of a model that follow from these examples, as far as they tell."""
        shapes, found = self.shapes(), {}
        if image := shapes.get("image", shapes.get("target")):
            found["image_shape"] = list(image[1:])
        if "source" in shapes:
            found["source_channels"] = shapes["source"][-1]
        if self.classes:
            found |= {"num_classes": len(self.classes), "class_names": list(self.classes)}
        if self.tokenizer:  # which is in the file
            found |= {"vocabulary": self.tokenizer.size, "tokenizer": self.tokenizer.state}
        return found

    def _count(self, sizes):
        """Returns the number of examples, by the lengths of the arrays."""
        if len(set(sizes.values())) != 1:
            raise UsageError(f"arrays differ in length: {sizes}; expected one length")
        return next(iter(sizes.values()))

    def _cut(self, name):
        """Returns whether an array has sides, and is to be cropped."""
        return self.crop is not None and self.arrays[name].ndim > 2

    def _places(self, index, key):
        """Returns where in each array the examples of an index are: in an order by the key, if there is one."""
        return dict.fromkeys(self.arrays, shuffled(index, key, self.count))

    def _cropped(self, values, key, begin, rows):
        """Crops a part of a batch.

        Args:
            values: named tensors, one row for each example.
            key: of the random places of this step, int64 (2,); `None` for the middle.
            begin: first row of this part in the whole batch.
            rows: of the whole batch.
        """
        draws = self._draws(key, rows)
        for name, value in values.items():
            if self._cut(name):
                here = None if draws is None else draws[name][begin : begin + tf.shape(value)[0]]
                values[name] = _window(value, self.crop, here)
        return values

    def _draws(self, key, rows):
        """Returns three numbers in [0, 1) for each row of each array: the same for all that belong together."""
        return None if key is None else dict.fromkeys(self.arrays, tf.random.stateless_uniform((rows, 3), key))

    def steps(self, batch_size: int, drop_remainder: bool = False) -> int:
        """Returns the number of batches in one epoch."""
        if batch_size < 1:
            raise UsageError(f"batch size is {batch_size}; expected at least 1")
        return self.count // batch_size if drop_remainder else -(-self.count // batch_size)

    def stream(
        self,
        batch_size: int,
        seed: int | None = None,
        start: int = 0,
        drop_remainder: bool = False,
        share: Share | None = None,
    ) -> tf.data.Dataset:
        """Serves epoch after epoch without end.

        Args:
            batch_size: examples in a batch; the last batch of an epoch holds what remains.
            seed: of the order, which differs in each epoch; `None` keeps the stored order.
            start: the step (batches since the first epoch began) to begin with.
            drop_remainder: leave out the last, smaller batch of each epoch.
            share: serve this part of every batch only, a piece for each replica.

        Returns:
            A `tf.data.Dataset` of dicts of tensors, batch first.
        """
        steps = self.steps(batch_size, drop_remainder)
        if not steps:
            raise UsageError(f"batch size {batch_size} is larger than the {self.count} examples; give at most that")
        pieces = share.count if share else 1
        dataset = tf.data.Dataset.range(start * pieces, np.iinfo(np.int64).max)
        if share:
            dataset = dataset.repeat()  # known to be endless: the workers need not ask each other for its end
        dataset = dataset.map(self._batch(batch_size, seed, steps, share), num_parallel_calls=tf.data.AUTOTUNE)
        options = tf.data.Options()  # there are no files to share out, which TensorFlow would try first
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)

    def dataset(self, batch_size: int, seed: int | None = None, drop_remainder: bool = False) -> tf.data.Dataset:
        """Serves one epoch, the first of `stream`; the result remembers its examples, for an exact `fit`."""
        dataset = self.stream(batch_size, seed, drop_remainder=drop_remainder)
        dataset = dataset.take(self.steps(batch_size, drop_remainder))
        dataset.examples = self
        dataset.serving = {"batch_size": batch_size, "seed": seed, "drop_remainder": drop_remainder}
        return dataset

    def _batch(self, batch_size, seed, steps, share):
        count = self.count
        held = {
            name: tf.constant(array) if array.nbytes <= LARGEST_TENSOR and not isinstance(array, np.memmap) else array
            for name, array in self.arrays.items()
        }

        def rows(array, index):
            if isinstance(array, np.ndarray):
                out = tf.numpy_function(lambda i: array[i], [index], tf.as_dtype(array.dtype), stateful=False)
                out.set_shape((*index.shape, *array.shape[1:]))
                return out
            return tf.gather(array, index)

        def batch(number):
            step = number // share.count if share else number
            epoch, first = step // steps, (step % steps) * batch_size
            index = tf.range(first, tf.minimum(first + batch_size, count))
            whole, begin = tf.size(index), 0
            if share:
                begin, end = share.bounds(share.first + number % share.count, tf.size(index, tf.int64))
                index = index[begin:end]
            if count % batch_size == 0 or steps * batch_size < count:
                index.set_shape((share.even(batch_size) if share else batch_size,))
            key = None if seed is None else tf.stack([tf.cast(seed, tf.int64), epoch])
            places = self._places(index, key)
            out = {name: rows(array, places[name]) for name, array in held.items()}
            if self.crop:
                moment = None if seed is None else tf.stack([tf.cast(seed, tf.int64), step])
                out = self._cropped(out, moment, tf.cast(begin, tf.int32), whole)
            return {name: _served(name, value) for name, value in out.items()}

        return batch


def _served(name, value):
    """Returns a tensor of the type that its kind is served in."""
    if served_scaled(name, value.dtype):
        return tf.cast(value, tf.float32) / 127.5 - 1.0
    return tf.cast(value, tf.int32) if kind_of(name).counted and value.dtype.is_integer else value


class Windows(Examples):
    """Rows of one long sequence of tokens, which may overlap.

    Args:
        token: int (n,).
        length: tokens in a row.
        stride: tokens from the beginning of a row to that of the next.
        tokenizer: the `keras_gen.tokenizer.Tokenizer` that made the tokens.
        name: as for `Examples`.
        digest: as for `Examples`.

    Raises:
        UsageError: fewer tokens than a row has.
    """

    def __init__(
        self, token: np.ndarray, length: int, stride: int = 1, tokenizer: Any = None, name: str = "", digest: str = ""
    ):
        super().__init__({"token": np.asarray(token, np.int32)}, (), name, digest)
        if len(token) < length:
            raise UsageError(f"there are {len(token)} tokens; expected at least the {length} of a row")
        self.length, self.stride, self.tokenizer = length, stride, tokenizer
        self.count = 1 + (len(token) - length) // stride

    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the shapes of what is served, batch first."""
        return {"token": (None, self.length)}

    def _places(self, index, key):
        first = shuffled(index, key, self.count)[:, None] * self.stride
        return {"token": first + tf.range(self.length, dtype=index.dtype)}


class Unpaired(Examples):
    """Named arrays that no row joins, of lengths of their own: a batch holds as many rows of each.

    An epoch passes once through the longest array, and through shorter ones again and again. Each has an order of its
    own, which is a function of the seed and the step as that of all examples.

    Args:
        arrays: name to array.
        classes: as for `Examples`.
        name: as for `Examples`.
        digest: as for `Examples`.
        crop: as for `Examples`, at other places in each array.
    """

    def _count(self, sizes):
        return max(sizes.values())

    def _places(self, index, key):
        found = {}
        for side, (name, array) in enumerate(self.arrays.items()):
            count = len(array)
            own = None if key is None else key + tf.constant([side * 2**32, 0], tf.int64)
            found[name] = shuffled(index % count, own, count)
        return found

    def _draws(self, key, rows):
        if key is None:
            return None
        keys = [key + tf.constant([side * 2**32, 0], tf.int64) for side in range(len(self.arrays))]
        return {name: tf.random.stateless_uniform((rows, 3), own) for name, own in zip(self.arrays, keys, strict=True)}


def shuffled(index: tf.Tensor, key: tf.Tensor | None, count: int) -> tf.Tensor:
    """Returns where the examples of an index stand in an order of `count` of them that a key, int64 (2,), draws."""
    return index if key is None else tf.random.experimental.index_shuffle(index, key, count - 1)


def _window(value, crop, draws):
    """Returns a window of each row (n, H, W, ...): where three numbers in [0, 1) tell, or in the middle."""
    spare = [side - size for side, size in zip(value.shape[1:3], crop, strict=True)]
    if draws is None:
        first = [tf.fill(tf.shape(value)[:1], room // 2) for room in spare]
    else:
        first = [tf.cast(draws[:, axis] * (room + 1), tf.int32) for axis, room in enumerate(spare)]
    rows, columns = (at[:, None] + tf.range(size) for at, size in zip(first, crop, strict=True))
    if draws is not None:
        columns = tf.where(draws[:, 2:] < 0.5, columns, columns[:, ::-1])
    return tf.gather(tf.gather(value, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)

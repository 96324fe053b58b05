"""Batches as a pure function of (seed, step): shuffled anew each epoch, and resumed at any step without replaying."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError

LARGEST_TENSOR = 2**30  # bytes; larger arrays (memory maps) are read through numpy, batch by batch


class Examples:
    """Named arrays of one length, served in batches.

    Images may be held as uint8; they are served as float32 in [-1, 1].

    Args:
        arrays: name (`image`, `label`, ...) to array; all of the same length. Memory maps are welcome.
        classes: names of the classes, in the order of their labels; empty without labels.
        name: what messages and a run's card call this set.
        digest: hexadecimal digest of the content, or empty.
    """

    def __init__(
        self, arrays: Mapping[str, np.ndarray], classes: tuple[str, ...] = (), name: str = "", digest: str = ""
    ):
        self.arrays = dict(arrays)
        self.classes = tuple(classes)
        self.name = name
        self.digest = digest
        sizes = {key: len(value) for key, value in self.arrays.items()}
        if not sizes:
            raise UsageError("there are no arrays; expected at least one")
        if len(set(sizes.values())) != 1:
            raise UsageError(f"arrays differ in length: {sizes}; expected one length")
        self.count = next(iter(sizes.values()))

    def __len__(self) -> int:
        return self.count

    def steps(self, batch_size: int, drop_remainder: bool = False) -> int:
        """Returns the number of batches in one epoch."""
        if batch_size < 1:
            raise UsageError(f"batch size is {batch_size}; expected at least 1")
        return self.count // batch_size if drop_remainder else -(-self.count // batch_size)

    def stream(
        self, batch_size: int, seed: int | None = None, start: int = 0, drop_remainder: bool = False
    ) -> tf.data.Dataset:
        """Serves epoch after epoch without end.

        Args:
            batch_size: examples in a batch; the last batch of an epoch holds what remains.
            seed: of the order, which differs in each epoch; `None` keeps the stored order.
            start: the step (batches since the first epoch began) to begin with.
            drop_remainder: leave out the last, smaller batch of each epoch.

        Returns:
            A `tf.data.Dataset` of dicts of tensors, batch first.
        """
        steps = self.steps(batch_size, drop_remainder)
        if not steps:
            raise UsageError(f"batch size {batch_size} is larger than the {self.count} examples; give at most that")
        dataset = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
        dataset = dataset.map(self._batch(batch_size, seed, steps), num_parallel_calls=tf.data.AUTOTUNE)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def dataset(self, batch_size: int, seed: int | None = None, drop_remainder: bool = False) -> tf.data.Dataset:
        """Serves one epoch, the first of `stream`; the result remembers its examples, for an exact `fit`."""
        dataset = self.stream(batch_size, seed, drop_remainder=drop_remainder)
        dataset = dataset.take(self.steps(batch_size, drop_remainder))
        dataset.examples = self
        dataset.serving = {"batch_size": batch_size, "seed": seed, "drop_remainder": drop_remainder}
        return dataset

    def _batch(self, batch_size, seed, steps):
        count = self.count
        held = {
            name: tf.constant(array) if array.nbytes <= LARGEST_TENSOR and not isinstance(array, np.memmap) else array
            for name, array in self.arrays.items()
        }

        def rows(array, index):
            if isinstance(array, np.ndarray):
                out = tf.numpy_function(lambda i: array[i], [index], tf.as_dtype(array.dtype), stateful=False)
                out.set_shape((index.shape[0], *array.shape[1:]))
                return out
            return tf.gather(array, index)

        def batch(step):
            epoch, first = step // steps, (step % steps) * batch_size
            index = tf.range(first, tf.minimum(first + batch_size, count))
            if count % batch_size == 0 or steps * batch_size < count:
                index.set_shape((batch_size,))
            if seed is not None:
                key = tf.stack([tf.cast(seed, tf.int64), epoch])
                index = tf.random.experimental.index_shuffle(index, key, count - 1)
            out = {name: rows(array, index) for name, array in held.items()}
            return {
                name: tf.cast(value, tf.float32) / 127.5 - 1.0 if (name, value.dtype) == ("image", tf.uint8) else value
                for name, value in out.items()
            }

        return batch

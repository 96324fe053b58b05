"""What `fit` and `evaluate` do with data before Keras sees it: names, checks, order, and the step to resume at."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.data.examples import Examples, Share
from keras_gen.errors import DamagedError, UsageError
from keras_gen.game.batch import check_labels, check_shapes, check_values, unpack

BATCH_SIZE = 32  # as Keras


def refuse(**weights: Any) -> None:
    """Refuses Keras' weights by name.

    Raises:
        UsageError: one is given.
    """
    for name, value in weights.items():
        if value is not None:
            raise UsageError(f"{name} was given; generative losses take no weights: leave it out, or resample the data")


def pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Returns `x` and `y` also where they were given together, as `(x, y)` or `[x, y]`."""
    if y is None and isinstance(x, (tuple, list)):
        refuse(sample_weight=x[2] if len(x) > 2 else None)
        return x[0] if x else None, x[1] if len(x) > 1 else None
    return x, y


def split(batch: Mapping[str, Any], fraction: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits arrays into the first part and the last, which holds `fraction` of the rows."""
    if not 0 < fraction < 1:
        raise UsageError(f"validation_split is {fraction}; expected more than 0 and less than 1")
    if not all(_is_array(value) for value in batch.values()):
        raise UsageError("validation_split needs arrays; give validation_data for a data set")
    count = len(next(iter(batch.values())))
    cut = count - int(count * fraction)
    return {k: v[:cut] for k, v in batch.items()}, {k: v[cut:] for k, v in batch.items()}


class Feed:
    """Data made ready for one call of `fit`.

    Args:
        at: `(epoch, step)` to the data set that begins there.
        steps: `steps_per_epoch` for Keras, or `None` where the data set ends each epoch itself.
        exact: `at` begins at the very step; otherwise the batches before it are to be drawn and discarded.
        found: the errors that a check inside the pipeline met.
    """

    def __init__(self, at: Callable[[int, int], Any], steps: int | None, exact: bool, found: list[Exception]):
        self.at, self.steps, self.exact, self.found = at, steps, exact, found

    @classmethod
    def empty(cls) -> "Feed":
        """Returns a feed without data, to collect the errors of an evaluation in."""
        return cls(lambda epoch, step: None, None, True, [])

    def discard(self, epoch: int, step: int, resumed: Any) -> int:
        """Returns how many batches of `at(epoch, step)` come before that step of a resumed training."""
        if self.exact or not resumed:
            return 0
        return step + (epoch * self.steps if self.steps else 0)  # with steps_per_epoch Keras draws one endless stream

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises what a check inside the pipeline found, in place of TensorFlow's account of it."""
        try:
            yield
        except tf.errors.OpError:
            if self.found:
                raise self.found[0] from None
            raise


def training(model, x, y, batch_size, shuffle, steps_per_epoch) -> Feed:
    """Makes the data of a `fit` ready, checking what can be checked before the first step."""
    splits = max(player.steps for player in model.players())
    examples, serving = _examples(model, x, y, batch_size, model.order_seed() if shuffle else None, splits)
    if examples is None:
        found: list[Exception] = []
        data = _checked(model, x, found, splits)
        return Feed(lambda epoch, step: data, steps_per_epoch, False, found)
    steps = steps_per_epoch or examples.steps(serving["batch_size"], serving["drop_remainder"])

    def at(epoch, step):
        start = epoch * steps + step
        return _distributed(model, splits, lambda share: examples.stream(start=start, **serving, share=share))

    return Feed(at, steps, True, [])


def evaluation(model, x, y, batch_size, feed) -> tuple[Any, int | None]:
    """Makes the data of an `evaluate` ready: a pass in the stored order; `feed` collects errors in the pipeline.

    Returns:
        The data, and the steps of a pass where the data do not end by themselves.
    """
    x, y = pair(x, y)
    examples, serving = _examples(model, x, y, batch_size, None, 1)
    if examples is None:
        return _checked(model, x, feed.found, 1), None
    size, replicas = serving["batch_size"], model.distribute_strategy.num_replicas_in_sync
    while 0 < len(examples) % size < replicas:  # every row counts, and every replica needs one
        size -= 1
    if replicas == 1:
        return examples.dataset(size), None
    return _distributed(model, 1, lambda share: examples.stream(size, share=share)), examples.steps(size)


def _distributed(model, splits, make):
    """Returns the data set of one replica, or one that gives each replica its own part; `make` takes a `Share`."""
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return make(None)

    def pieces(context):
        count = strategy.num_replicas_in_sync // context.num_input_pipelines
        return make(Share(strategy.num_replicas_in_sync, context.input_pipeline_id * count, count, splits))

    return strategy.distribute_datasets_from_function(pieces)


def _examples(model, x, y, batch_size, seed, splits):
    """Returns arrays, or a data set that remembers its own, as `Examples`; `(None, None)` for everything else."""
    if isinstance(x, tf.data.Dataset):
        examples = getattr(x, "examples", None)
        if examples is None:
            return None, None
        serving = x.serving
    else:
        batch = unpack((x, y), model.data_names)
        if not batch or not all(_is_array(value) for value in batch.values()):
            return None, None
        check_shapes({name: (None, *np.shape(value)[1:]) for name, value in batch.items()}, model.expects())
        names = {*model.expects(), *model.data_names}
        examples = Examples({name: np.asarray(value) for name, value in batch.items() if name in names})
        serving = {"batch_size": batch_size or BATCH_SIZE, "seed": seed, "drop_remainder": False}
        if not len(examples):
            raise UsageError("the data is empty: 0 examples; expected at least 1")
        check_values({name: value[: serving["batch_size"]] for name, value in examples.arrays.items()})
    check_shapes(examples.shapes(), model.expects())
    check_labels(examples.arrays, model)
    rows = min(serving["batch_size"], len(examples))
    _check_rows(model, rows, splits)
    if 0 < len(examples) % rows < splits * model.distribute_strategy.num_replicas_in_sync:
        serving = {**serving, "drop_remainder": True}  # too short a last batch for every replica and step to get a row
    return examples, serving


def _is_array(value):
    return isinstance(value, np.ndarray) or (tf.is_tensor(value) and hasattr(value, "numpy"))


def _check_rows(model, rows, splits):
    """Refuses a batch that does not give a row to every replica and to every step of a player."""
    replicas = model.distribute_strategy.num_replicas_in_sync
    if rows < splits * replicas:
        raise UsageError(
            f"a batch of {rows} cannot be split into {splits} steps of one player on {replicas} replicas; "
            f"use at least {splits * replicas}"
        )


def _checked(model, data, found, splits):
    """Returns the data with its first batch looked at on its way: nothing is drawn twice."""

    def look(batch):
        batch = {name: np.asarray(value) for name, value in unpack(batch, model.data_names).items()}
        check_shapes({name: value.shape for name, value in batch.items()}, model.expects())
        check_values({name: value for name, value in batch.items() if name in model.expects()})
        check_labels(batch, model)
        _check_rows(model, len(next(iter(batch.values()))), splits)

    if isinstance(data, tf.data.Dataset):
        return _checked_dataset(model, data, look, found, splits)
    if isinstance(data, keras.utils.PyDataset):
        look(data[0])
        return data
    if isinstance(data, Iterator):
        first = next(data, None)
        if first is None:
            raise UsageError("the generator is empty; expected at least 1 batch")
        look(first)
        return _tuples(first, data, model.data_names)
    raise UsageError(
        f"data of type {type(data).__name__} is not known; expected arrays, a dict of arrays, tf.data or a generator"
    )


def _tuples(first, rest, names):
    """Yields what was looked at and then the rest, in the tuples that Keras wants of a generator."""
    for batch in itertools.chain([first], rest):
        yield (unpack(batch, names),)


def _checked_dataset(model, data, look, found, splits):
    if data.cardinality() == 0:
        raise UsageError("the data set is empty: 0 batches; expected at least 1")
    spec = unpack(data.element_spec, model.data_names)
    shapes = {name: getattr(part, "shape", None) for name, part in spec.items()}
    check_shapes({k: None if s is None or s.rank is None else s.as_list() for k, s in shapes.items()}, model.expects())
    seen: list[bool] = []
    replicas = model.distribute_strategy.num_replicas_in_sync
    fewest = splits * replicas if replicas > 1 else 0

    def inspect(*flat):
        if not seen or len(flat[0]) < fewest:
            seen.append(True)
            try:
                look(tf.nest.pack_sequence_as(data.element_spec, flat))
            except (UsageError, DamagedError) as error:
                found.append(error)
                raise
        return np.bool_(True)

    def passed(index, batch):
        flat = tf.nest.flatten(batch)
        due = (index == 0) | (tf.shape(flat[0])[0] < fewest)
        fine = tf.cond(due, lambda: tf.numpy_function(inspect, flat, tf.bool), lambda: True)
        with tf.control_dependencies([fine]):
            return tf.nest.map_structure(tf.identity, batch)

    checked = data.enumerate().map(passed)
    return _distributed(
        model, splits, lambda share: (share.of(checked) if share else checked).prefetch(2).with_options(data.options())
    )

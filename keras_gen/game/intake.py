"""What `fit` and `evaluate` do with data before Keras sees it: names, checks, order, and the step to resume at."""

import contextlib
import itertools
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.data.examples import Examples, Share, Unpaired, served_scaled
from keras_gen.errors import DamagedError, UsageError
from keras_gen.game.batch import tell_unseen
from keras_gen.game.called import Called
from keras_gen.game.forms import Wanted, is_array

BATCH_SIZE = 32  # as Keras
ENDLESS = 2**40  # batches: a `range` without end, too


def refuse(**weights: Any) -> None:
    """Refuses Keras' weights by name.

    Raises:
        UsageError: one is given.
    """
    for name, value in weights.items():
        if value is not None:
            raise UsageError(f"{name} was given; generative losses take no weights: leave it out, or resample the data")


def pair(x: Any, y: Any, model: Any) -> tuple[Any, Any]:
    """Returns `x` and `y` also where they were given together, as `(x, y)` or `[x, y]`; a list of examples is `x`."""
    if y is None and isinstance(x, (tuple, list)) and not Wanted(model).are_rows(x):
        refuse(sample_weight=x[2] if len(x) > 2 else None)
        return x[0] if x else None, x[1] if len(x) > 1 else None
    return x, y


def split(model: Any, x: Any, y: Any, fraction: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits arrays into the first part and the last, which holds `fraction` of the rows."""
    if not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
        raise UsageError(f"validation_split is {fraction}; expected more than 0 and less than 1")
    if not _are_arrays(x):
        raise UsageError("validation_split needs arrays; give validation_data for a data set")
    batch = Wanted(model).take((x, y))
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
        except tf.errors.OpError as error:
            told = re.search(r"(UsageError|DamagedError): (.+)", str(error))  # by a process that loads data
            if self.found or told:
                kinds = {kind.__name__: kind for kind in (UsageError, DamagedError)}
                raise (self.found[0] if self.found else kinds[told[1]](told[2])) from None
            raise


def training(model, x, y, batch_size, shuffle, steps_per_epoch) -> Feed:
    """Makes the data of a `fit` ready, checking what can be checked before the first step."""
    wanted = Wanted(model, max(player.steps for player in model.players()))
    examples, serving = _examples(model, wanted, x, y, batch_size, model.order_seed() if shuffle else None)
    if examples is None:
        found: list[Exception] = []
        data = _checked(_Look(wanted, found), x, partial(_checked_dataset, model, wanted), steps_per_epoch)
        return Feed(lambda epoch, step: data, steps_per_epoch, False, found)
    if "label" in wanted.must and wanted.num_classes and _are_arrays(x):  # files have said it
        tell_unseen(examples.arrays["label"], wanted.num_classes, wanted.class_names.get("label", ()), stacklevel=4)
    steps = steps_per_epoch or examples.steps(serving["batch_size"], serving["drop_remainder"])

    def at(epoch, step):
        start = epoch * steps + step
        return _distributed(model, wanted.splits, lambda share: examples.stream(start=start, **serving, share=share))

    return Feed(at, steps, True, [])


def evaluation(model, x, y, batch_size, feed, steps=None, word="steps") -> tuple[Any, int | None]:
    """Makes the data of an `evaluate` ready: a pass in the stored order; `feed` collects errors in the pipeline.

    Args:
        model: that is evaluated.
        x: as in `fit`.
        y: as in `fit`.
        batch_size: as in `fit`.
        feed: of the `fit` that this belongs to.
        steps: of a pass, if given.
        word: what the caller calls `steps`.

    Returns:
        The data, and the steps of a pass where the data do not end by themselves.
    """
    x, y = pair(x, y, model)
    wanted = Wanted(model)
    examples, serving = _examples(model, wanted, x, y, batch_size, None)
    if examples is None:
        look = _Look(wanted, feed.found)
        return _checked(look, x, partial(_checked_dataset, model, wanted), steps, word), None
    size, replicas = serving["batch_size"], wanted.replicas
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


def _are_arrays(x):
    """Returns whether `x`, or what it names, is read whole."""
    values = [value for value in x.values() if value is not None] if isinstance(x, Mapping) else [x]
    return bool(values) and all(map(is_array, values))


def _examples(model, wanted, x, y, batch_size, seed):
    """Returns arrays, or a data set that remembers its own, as `Examples`; `(None, None)` for everything else."""
    if _are_arrays(x):
        examples = (Unpaired if wanted.apart else Examples)(wanted.take((x, y)))
        serving = {"batch_size": batch_size or BATCH_SIZE, "seed": seed, "drop_remainder": False}
        if not len(examples):
            raise UsageError("the data is empty: 0 examples; expected at least 1")
        wanted.check(examples.arrays)
    elif y is not None:
        raise UsageError(f"y was given beside {type(x).__name__}; expected both in one: tf.data.Dataset.zip((x, y))")
    else:
        examples = getattr(x, "examples", None) if isinstance(x, tf.data.Dataset) else None
        if examples is None:
            return None, None
        examples = examples.labelled_as(wanted.class_names.get("label", ()) if "label" in wanted.must else ())
        serving = x.serving
        wanted.take(wanted.blank(x.element_spec))
        # Images that are held as bytes are served in the range expected.
        wanted.check({k: v for k, v in examples.arrays.items() if not served_scaled(k, v.dtype)})
    rows = min(serving["batch_size"], len(examples))
    wanted.check_rows(rows)
    if 0 < len(examples) % rows < wanted.splits * wanted.replicas:
        serving = {**serving, "drop_remainder": True}  # too short a last batch for every replica and step to get a row
    return examples, serving


def calling(model: Any, x: Any, steps: int | None) -> tuple[Any, Feed]:
    """Makes the data of a `predict` ready; the feed holds the errors in the pipeline.

    Args:
        model: whose `call` is to take them.
        x: arrays, named or not, or any stream that `fit` takes.
        steps: of a pass, if given.
    """
    feed, called = Feed.empty(), Called(model)
    if _are_arrays(x):
        return called(x), feed

    def look(number, batch):
        return _noted(feed.found, called, batch[0] if isinstance(batch, (tuple, list)) else batch, int(number))

    def of_dataset(data, look):
        def passed(number, batch):
            flat = tf.nest.flatten(batch)

            def inspect(number, *flat):
                look(number, tf.nest.pack_sequence_as(batch, flat))
                return number

            with tf.control_dependencies([tf.numpy_function(inspect, [number, *flat], number.dtype)]):
                return tf.nest.map_structure(tf.identity, batch)

        first = data.map(lambda *batch: batch[0])  # of (x, y) the x
        return first.enumerate().map(passed)

    return _checked(look, x, of_dataset, steps, "steps"), feed


def _checked(look, data, of_dataset, steps, word="steps_per_epoch"):
    """Returns data of which every batch is brought to its form and checked on its way: nothing is drawn twice."""
    if isinstance(data, tf.data.Dataset):
        _check_ends(data.cardinality(), steps, word)
        return of_dataset(data, look)
    if isinstance(data, keras.utils.PyDataset):
        count = data.num_batches
        _check_ends(tf.data.INFINITE_CARDINALITY if count is None else count, steps, word)
        return _Checked(data, look)
    if isinstance(data, Iterator):
        if isinstance(data, (itertools.cycle, itertools.repeat)):  # of other generators nobody knows
            _check_ends(tf.data.INFINITE_CARDINALITY, steps, word)
        first = next(data, None)
        if first is None:
            raise UsageError("the generator is empty; expected at least 1 batch")
        return _tuples(look(0, first), data, look)
    way_out = "expected arrays, a dict of arrays, tf.data or a generator"
    if isinstance(data, (str, Path)):
        way_out += ": keras_gen.data.load(path)"
    elif isinstance(data, Examples):
        way_out += ": .dataset(64)"
    elif isinstance(data, Iterable):  # such as a PyTorch DataLoader
        way_out += ": (batch for batch in data)"
    raise UsageError(f"data of type {type(data).__name__} is not known; {way_out}")


class _Look:
    """Brings a batch of a stream to its form, and checks it: also in a process of its own."""

    def __init__(self, wanted, found):
        self.wanted, self.found, self.names = wanted, found, None

    def __call__(self, number, batch):
        return _noted(self.found, self.taken, batch, int(number))

    def taken(self, batch, number):
        batch = self.wanted.take(batch, keep=True)
        self.wanted.check(batch, number)
        self.names = self.names or tuple(batch)
        if set(batch) != set(self.names):
            here, before = (" and ".join(map(repr, names)) for names in (batch, self.names))
            raise UsageError(f"batch {number} holds {here}, and the first {before}; expected the same in every batch")
        return batch


def _noted(found, check, batch, number):
    """Returns what a check makes of a batch, and keeps its error: TensorFlow would make another of it."""
    try:
        return check(batch, number)
    except (UsageError, DamagedError) as error:
        found.append(error)
        raise


def _check_ends(batches, steps, word):
    """Refuses a data set without batches, and one without end where nobody says how many make a pass."""
    if batches == 0:
        raise UsageError("the data set is empty: 0 batches; expected at least 1")
    if steps is None and (batches == tf.data.INFINITE_CARDINALITY or batches >= ENDLESS):
        raise UsageError(f"the data never end (.repeat()), and {word} was not given; give it, or a finite one")


def _tuples(first, rest, look):
    """Yields what was looked at and then the rest, in the tuples that Keras wants of a generator."""
    yield (first,)
    for number, batch in enumerate(rest, 1):
        yield (look(number, batch),)


class _Checked(keras.utils.PyDataset):
    """The batches of another one, looked at."""

    def __init__(self, inner, look):
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self.inner, self.look = inner, look

    def __getitem__(self, index):
        return (self.look(index, self.inner[index]),)

    @property
    def num_batches(self):
        return self.inner.num_batches

    def on_epoch_begin(self):
        self.inner.on_epoch_begin()

    def on_epoch_end(self):
        self.inner.on_epoch_end()


def _checked_dataset(model, wanted, data, look):
    made = wanted.take(wanted.blank(data.element_spec), keep=True)
    direct = wanted.direct(data.element_spec, made)
    sizes = [spec.shape for spec in tf.nest.flatten(data.element_spec)]
    rows = next((shape[0] for shape in sizes if shape.rank), None)

    def inspect(number, *flat):
        batch = look(number, tf.nest.pack_sequence_as(data.element_spec, flat))
        if not set(made) <= set(batch):
            raise UsageError(f"y has a shape that tf.data did not know; expected {', '.join(made)}: tf.ensure_shape")
        return [np.asarray(batch[name], value.dtype) for name, value in made.items()]

    def in_python(number, flat):
        return tf.numpy_function(inspect, [number, *flat], [value.dtype for value in made.values()])

    def passed(number, batch):
        flat = tf.nest.flatten(batch)
        if direct:
            named, y = wanted.named(batch)
            named = {name: named.get(name, y) for name in made}
            quick = (number > 0) & wanted.surely_right(named)  # Python would wait for the training loop at every batch
            values = tf.cond(quick, lambda: [*named.values()], lambda: in_python(number, flat))
        else:
            values = in_python(number, flat)
        for value, empty in zip(values, made.values(), strict=True):
            value.set_shape((rows, *empty.shape[1:]))
        return dict(zip(made, values, strict=True))

    checked = data.enumerate().map(passed)
    return _distributed(
        model,
        wanted.splits,
        lambda share: (share.of(checked) if share else checked).prefetch(2).with_options(data.options()),
    )

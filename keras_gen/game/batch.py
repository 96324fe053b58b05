"""Batches: what `fit` takes becomes a dict of named tensors, and is checked before the first step."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.signatures.kinds import kind_of
from keras_gen.signatures.values import first_row


class Batch(dict):
    """Named tensors of one step, and what the players share of it.

    In a simultaneous step all players see one `Batch`, so that the generator runs once for both.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._made: dict[str, Any] = {}
        self.carried: dict[Any, Any] = {}  # what one replay of the same rows leaves to the next

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Returns `make()`, computed when first asked for under this name."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def again(self) -> "Batch":
        """Returns the same rows for a replay: nothing computed `once`, and what is `carried`."""
        same = Batch(self)
        same.carried = self.carried
        return same

    def part(self, index: int, parts: int) -> "Batch":
        """Returns rows `index::parts` of every tensor, without what was computed `once`.

        A replay of this batch finds its parts with what they `carried`. With fewer rows than parts, which only the last
        batch of a data set may have, parts share rows.
        """
        if parts == 1:
            return self.again()
        rows = tf.shape(next(iter(self.values())))[0]
        taken = tf.range(index, tf.maximum(rows, parts), parts) % rows
        some = Batch({name: tf.gather(value, taken) for name, value in self.items()})
        some.carried = self.carried.setdefault((index, parts), {})
        return some


def unpack(data: Any, names: Sequence[str]) -> dict[str, Any]:
    """Turns a Keras batch into a dict: `x`, `(x,)`, `(x, y)` or a dict of named tensors.

    Args:
        data: what a data set yields. `x` and `y` may be dicts themselves.
        names: what plain `x` and `y` are called.

    Raises:
        UsageError: sample weights, or more than `x` and `y`.
    """
    if isinstance(data, Mapping):
        return dict(data)
    parts = list(data) if isinstance(data, (tuple, list)) else [data]
    weightless(parts)
    batch = {}
    for name, part in zip(names, parts, strict=False):
        if part is not None:
            batch.update(part if isinstance(part, Mapping) else {name: part})
    return batch


def weightless(parts: Sequence[Any]) -> None:
    """Refuses what comes behind `x` and `y`.

    Raises:
        UsageError: sample weights, or more.
    """
    if any(part is not None for part in parts[2:]):
        raise UsageError("sample_weight was given; expected (x, y) or a dict: generative losses take no weights")


def check_shapes(
    shapes: Mapping[str, Sequence[int | None] | None], expected: Mapping[str, Sequence[int | None]]
) -> None:
    """Compares the shapes of a batch, batch first, with those that a model is made for.

    Raises:
        UsageError: a name is missing, or a shape differs; the message says both.
    """
    for name, want in expected.items():
        if name not in shapes:
            have = ", ".join(map(repr, shapes)) or "nothing"
            raise UsageError(f"{name!r} is missing: the data holds {have}; give fit a dict with {name!r}, or (x, y)")
        have = shapes[name]
        if have is None:
            continue
        have = tuple(have)
        fits = len(have) == len(want) and all(
            a is None or b is None or a == b for a, b in zip(have[1:], want[1:], strict=True)
        )
        if not fits:
            raise UsageError(
                f"{name!r} has shape {shown(have)}; this model expects {shown(want)}; {_way_out(name, have, want)}"
            )


def _way_out(name, have, want):
    """Returns the call that brings a shape to the one expected, or what else to change."""
    if name == "token":
        return "give rows of that length or set context"
    if len(want) < 3:
        return "give that"
    rest, inner = have[1:], tuple(want[1:])
    if rest == (*inner, 1):
        return "x[..., 0]"
    if len(want) == 4 and len(have) == 4 and rest == (inner[-1], *inner[:-1]):
        return "put the channels last: np.moveaxis(x, 1, -1), or in tf.data tf.transpose(x, (0, 2, 3, 1))"
    if have == inner or rest == inner[1:] or (have and have == inner[:-1]):
        return "give a batch of them: x[None], or dataset.batch(64)"
    if len(rest) == 1 and None not in (*rest, *inner) and rest[0] == math.prod(inner):
        return f"x.reshape(-1, {', '.join(map(str, inner))})"
    if len(want) == 4 and (rest == (*inner[:-1], 1) or rest == inner[:-1]):
        gray = "x" if len(rest) == 3 else "x[..., None]"
        return f"np.repeat({gray}, {inner[-1]}, axis=-1), or set image_shape={(*inner[:-1], 1)}"
    if name != "image" or len(rest) not in (2, 3) or None in rest:
        return "resize the data or set image_shape"
    return f"resize the data or set image_shape={(*rest, 1)[:3]}"


def check_labels(batch: Mapping[str, Any], model: Any, of: str = "") -> None:
    """Compares labels and tokens with the numbers of them that a model was made for: `num_classes`, `vocabulary`.

    Args:
        batch: named arrays. All rows are looked at.
        model: has those numbers.
        of: where the rows are, such as `" of batch 7"`.

    Raises:
        UsageError: one that is none of them: one-hot it would be no class at all.
    """
    for name, value in batch.items():
        setting = kind_of(name).counted
        count = getattr(model, setting, None) if setting else None
        if count is None or not np.size(value):
            continue
        value = np.asarray(value)
        if value.dtype.kind not in "iu":
            broken = value[value != np.floor(value)] if value.dtype.kind == "f" else value[:0]
            way_out = f"{broken[0]:g} is none" if broken.size else f"{name} = {name}.astype('int32')"
            raise UsageError(f"{name!r} is {value.dtype}; expected whole numbers: {way_out}")
        low, high = value.min(), value.max()
        if low < 0 or high >= count:
            row = first_row((value < 0) | (value >= count))
            place = f", first in row {row}{of} (from 0)" if row or of else ""
            raise UsageError(
                f"{name!r} is {value.dtype} from {low:g} to {high:g}; expected whole numbers from 0 to "
                f"{count - 1}: set {setting}{place}"
            )


def tell_unseen(labels: np.ndarray, count: int, names: Sequence[str] = (), stacklevel: int = 2) -> None:
    """Says which classes have no row among those to train on.

    Args:
        labels: (n,) whole numbers from 0 on, below `count`.
        count: of classes.
        names: of the classes, where they have some.
        stacklevel: as of `warnings.warn`.
    """
    unseen = np.flatnonzero(np.bincount(labels, minlength=count) == 0)
    if len(unseen):
        text = ", ".join(repr(names[index]) if names else str(index) for index in unseen[:4])
        more = f" and {len(unseen) - 4} more" if len(unseen) > 4 else ""
        of = f"class {text}" if len(unseen) == 1 else f"{len(unseen)} of {count} classes: {text}{more}"
        message = f"'label' has no row of {of}; samples of what was never seen mean nothing"
        warnings.warn(message, stacklevel=stacklevel)


def shown(shape: Sequence[int | None]) -> str:
    """Returns a shape as messages show it, batch first."""
    return "(" + ", ".join(["batch", *("?" if size is None else str(size) for size in shape[1:])]) + ")"

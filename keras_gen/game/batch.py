"""Batches: what `fit` takes becomes a dict of named tensors, and is checked before the first step."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.errors import DamagedError, UsageError


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
    if len(parts) > 2 and any(part is not None for part in parts[2:]):
        raise UsageError("sample_weight was given; expected (x, y) or a dict: generative losses take no weights")
    batch = {}
    for name, part in zip(names, parts, strict=False):
        if part is not None:
            batch.update(part if isinstance(part, Mapping) else {name: part})
    return batch


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
            way_out = {
                "image": "resize the data or set image_shape",
                "token": "give rows of that length or set context",
            }.get(name, "give that")
            raise UsageError(f"{name!r} has shape {_shape(have)}; this model expects {_shape(want)}; {way_out}")


def check_values(batch: Mapping[str, Any]) -> None:
    """Looks at one batch of arrays: images in [-1, 1], everything finite.

    Raises:
        UsageError: images of another range; the message gives the line that scales them.
        DamagedError: NaN or infinity.
    """
    for name, value in batch.items():
        value = np.asarray(value)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            row = int(np.argwhere(~np.isfinite(value.reshape(len(value), -1)).all(axis=1))[0, 0])
            raise DamagedError(f"{name!r} holds NaN or infinity, first in row {row} of the first batch; clean the data")
    if "image" in batch and np.asarray(batch["image"]).size:
        image = np.asarray(batch["image"])
        low, high = float(image.min()), float(image.max())
        if image.dtype.kind not in "f" or high > 1.001 or low < -1.001:
            scale = "x.astype('float32') / 127.5 - 1" if low >= 0 else "x / abs(x).max()"
            raise UsageError(
                f"'image' is {image.dtype} from {low:g} to {high:g}; expected float32 in [-1, 1]: x = {scale}"
            )
        if low >= 0 and high > 0:
            warnings.warn("'image' lies in [0, 1]; the range expected is [-1, 1]: x = x * 2 - 1", stacklevel=4)


def check_labels(batch: Mapping[str, Any], model: Any) -> None:
    """Compares labels and tokens with the numbers of them that a model was made for: `num_classes`, `vocabulary`.

    Raises:
        UsageError: one that is none of them: one-hot it would be no class at all.
    """
    for name, setting in (("label", "num_classes"), ("token", "vocabulary")):
        count = getattr(model, setting, None)
        if count is None or name not in batch or not np.size(batch[name]):
            continue
        value = np.asarray(batch[name])
        low, high = value.min(), value.max()
        if value.dtype.kind not in "iu" or low < 0 or high >= count:
            raise UsageError(
                f"{name!r} is {value.dtype} from {low:g} to {high:g}; expected whole numbers from 0 to {count - 1}: "
                f"set {setting}"
            )


def _shape(shape) -> str:
    return "(" + ", ".join(["batch", *("?" if size is None else str(size) for size in shape[1:])]) + ")"

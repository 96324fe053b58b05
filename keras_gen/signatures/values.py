"""The values of named tensors are checked here, in numpy alone: of data, of a model's inputs and of a file's."""

import contextlib
import re
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_gen.errors import DamagedError, UsageError
from keras_gen.signatures.kinds import kind_of

LIMIT = 1.001  # of images in [-1, 1], which may be rounded
_RANGE = re.compile(r"\[(-?[\d.e+]+), (-?[\d.e+]+)\]")


def range_of(meta: Mapping[str, str], name: str) -> tuple[float, float]:
    """Returns the least and the largest value of images by a signature's metadata, [-1, 1] if they name none."""
    ends = _RANGE.fullmatch(meta.get(f"{name}.range", "[-1, 1]"))
    low, high = (float(end) for end in ends.groups()) if ends else (-1.0, 1.0)
    return low * LIMIT, high * LIMIT


def check_values(
    batch: Mapping[str, Any], of: str = "", warn: bool = True, meta: Mapping[str, str] = types.MappingProxyType({})
) -> None:
    """Looks at arrays: images in [-1, 1], everything finite.

    Args:
        batch: named arrays. All rows are looked at.
        of: where the rows are, such as `" of batch 7"`.
        warn: of images in [0, 1], which are no error.
        meta: of the signature that they are inputs of, whose ranges may be wider.

    Raises:
        UsageError: images of another range; the message gives the line that scales them.
        DamagedError: NaN or infinity.
    """
    for name, value in batch.items():
        value = np.atleast_1d(np.asarray(value))
        value = value.astype(np.float32) if value.dtype.name == "bfloat16" else value
        if not value.size or value.dtype.kind not in "buif":
            continue
        low, high, kind = float(value.min()), float(value.max()), kind_of(name)  # NaN if there is one
        if kind.least is not None:
            if not low >= kind.least:
                most = f"at least {kind.least:g}" if kind.most is None else f"{kind.least:g} to {kind.most:g}"
                raise UsageError(f"{name} is {low:g}; expected {most}")
            if kind.most is not None and not high <= kind.most:
                raise UsageError(f"{name} is {high:g}; expected {kind.least:g} to {kind.most:g}")
            continue
        if not np.isfinite(low) or not np.isfinite(high):
            row = first_row(~np.isfinite(value))
            raise DamagedError(f"{name!r} holds NaN or infinity, first in row {row}{of} (from 0); clean the data")
        if not kind.picture or meta.get(f"{name}.layout", "NHWC") != "NHWC":  # a style may be a picture, or vectors
            continue
        least, most = range_of(meta, name)
        if value.dtype.kind != "f" or high > most or low < least:
            row = first_row((value > most) | (value < least)) if value.dtype.kind == "f" else 0
            place = f", first in row {row}{of} (from 0)" if row or of else ""
            raise UsageError(
                f"{name!r} is {value.dtype} from {low:g} to {high:g}{place}; expected float32 in [-1, 1]: "
                f"{_scaled(low, high, row)}"
            )
        if low >= 0 and high > 0 and warn:
            text = f"{name!r} lies in [0, 1]; the range expected is [-1, 1]: x = x * 2 - 1"
            warnings.warn(text, stacklevel=_level_of_caller())


@contextlib.contextmanager
def of_known_range() -> Iterator[None]:
    """Keeps quiet about images that lie in [0, 1]: bright ones, where it is known that white is 1 and black -1."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".* lies in \[0, 1\]")
        yield


def _level_of_caller():
    """Returns the level of the first line that is none of ours, for a warning of the function that asks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("keras_gen."):
        frame, level = frame.f_back, level + 1
    return level


def _scaled(low, high, row):
    """Returns the line that brings images of a range to [-1, 1]."""
    if low < 0:
        return "x = x / abs(x).max(), or np.clip(x, -1, 1) of noise" if not row else "bring all rows to one range"
    if 128 <= high <= 255:
        return "x = x.astype('float32') / 127.5 - 1"
    return f"x = x.astype('float32') / {high / 2:g} - 1, if {high:g} is white"


def first_row(broken: np.ndarray) -> int:
    """Returns the first row of (n, ...) that holds a true value, or 0."""
    return int(np.argmax(broken.reshape(len(broken), -1).any(axis=1)))

"""Classes are the values that occur, and are named by them."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from keras_gen.data.messages import notice, plain

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Returns names of classes in the order of their labels: as numbers where all are numbers, otherwise as text."""
    names = sorted(set(names))
    if all(_NUMBER.fullmatch(name) for name in names):
        names.sort(key=float)  # stable: "1" and "01" stay in the order of text
    return tuple(names)


def settled(label: np.ndarray, occurring: np.ndarray) -> np.ndarray:
    """Returns labels as numbers from 0 on, in the order of the values that occur in any split, int32."""
    return np.searchsorted(occurring, label).astype(np.int32)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Returns names for a message: of many the first few, and how many more there are."""
    text = ", ".join(repr(plain(name, 20)) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def tell_empty(name: str, classes: Sequence[str], label: np.ndarray) -> None:
    """Says which classes have no image among those to train on."""
    counts = np.bincount(label, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=False) if not count]
    if empty:
        of = "the class" if len(empty) == 1 else f"{len(empty)} of {len(classes)} classes:"
        notice(f"{plain(name, 40)} has no image to train on of {of} {listed(empty)}; other splits have some")

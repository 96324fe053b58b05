"""Classes are the values that occur, and are named by them."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from keras_gen.data.messages import notice, plain
from keras_gen.errors import UsageError

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


def places(found: Sequence[str], known: Sequence[str], name: str, of: str = "the model") -> list[int]:
    """Returns where each class of a set stands among those that a model knows: by its name, never by its number.

    Where a set calls its classes by numbers only, and no class is named so, they are the numbers of the known ones,
    which is said; so are known classes that the set does not hold.

    Args:
        found: names of the set's classes.
        known: names of the model's.
        name: what messages call the set.
        of: what messages call the model.

    Raises:
        UsageError: the set holds classes that the model does not know.
    """
    name, where = plain(name, 40), {one: index for index, one in enumerate(known)}
    if len(set(known)) < len(known):
        raise UsageError(f"{of} has several classes of one name, of {listed(known, 3)}; expected a name for each")
    numbers = all(one.isdecimal() and int(one) < len(known) for one in found)
    if numbers and not where.keys() & set(found) and not all(_NUMBER.fullmatch(one) for one in known):
        placed = [int(one) for one in found]
        notice(f"{name} names its classes by number only: read as those of {of}, {found[0]} as {known[placed[0]]!r}")
    else:
        unknown = [one for one in found if one not in where]
        if unknown:
            raise UsageError(
                f"{name} holds the {'class' if len(unknown) == 1 else 'classes'} {listed(unknown, 2)}, which {of} does "
                f"not know; it knows {listed(known, 2)}: rename them, or leave their images out"
            )
        placed = [where[one] for one in found]
    missing = [one for index, one in enumerate(known) if index not in set(placed)]
    if missing:
        notice(f"{name} holds no image of {len(missing)} of the {len(known)} classes of {of}: {listed(missing, 3)}")
    return placed


def tell_empty(name: str, classes: Sequence[str], label: np.ndarray) -> None:
    """Says which classes have no image among those to train on."""
    counts = np.bincount(label, minlength=len(classes))
    empty = [name for name, count in zip(classes, counts, strict=False) if not count]
    if empty:
        of = "the class" if len(empty) == 1 else f"{len(empty)} of {len(classes)} classes:"
        notice(f"{plain(name, 40)} has no image to train on of {of} {listed(empty)}; other splits have some")

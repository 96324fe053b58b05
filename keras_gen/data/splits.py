"""Which examples a split holds; where a set has no test split, some are held out, at random and of each class."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from keras_gen.data.messages import canonical, choose_split, notice


class Part(NamedTuple):
    """The examples that a caller asks for."""

    stored: tuple[str, ...]  # splits of the set, as it spells them, one after the other
    held: bool | None = None  # of the only one those that are held out, or the others; or all


def part(split: str, available: Iterable[str], name: str) -> Part:
    """Finds what a split is made of: a stored one, a part of one, or, of `"all"`, every one.

    Args:
        split: what was asked for.
        available: the splits that are stored.
        name: what messages call the set.

    Raises:
        UsageError: there is no such split.
    """
    available = list(available)
    divided = whole(available)
    if divided is None:
        chosen = choose_split(split, [*available, *({"all"} - set(available))], name)
        return Part((chosen,) if chosen in available else tuple(available))
    others = [other for other in available if other != divided]
    chosen = choose_split(split, dict.fromkeys(["train", "test", *others, "all", divided]), name)
    if chosen in ("train", "test"):
        return Part((divided,), chosen == "test")
    return Part(tuple(available) if chosen == "all" else (chosen,))


def whole(available: Iterable[str]) -> str | None:
    """Returns the stored split that train and test examples are both in, or None where a set has a test split."""
    known = {canonical(one): one for one in available}
    if {"validation", "test"} & known.keys():
        return None
    return known.get("train") or (next(iter(known.values())) if len(known) == 1 else None)


def rows(held: bool | None, count: int, labels: np.ndarray | None, name: str) -> np.ndarray | None:
    """Returns which examples of a stored split are asked for, bool (count,), or None for all of them.

    Args:
        held: those that are held out, the others, or all.
        count: of examples.
        labels: (count,) of their classes; `None` where there are none.
        name: what messages call the set.
    """
    if held is None or not count:
        return None
    chosen = held_out(count, labels)
    if not chosen.any():
        if held:
            notice(f"{name} holds one image: the train and the test split are the same")
        return None
    return chosen if held else ~chosen


def held_out(count: int, labels: np.ndarray | None = None, share: float = 0.1, seed: int = 0) -> np.ndarray:
    """Returns which examples are held out: at random, and of each class its share.

    Every tenth of an ordered sequence may be one class of ten in turn, or one camera of ten.

    Args:
        count: of examples.
        labels: (count,) of their classes, numbers or names; `None` where there are none.
        share: that is held out, in (0, 0.5]. Of two examples or more one is, and the only one of a class is not.
        seed: of the choice, which depends on nothing else.

    Returns:
        bool (count,).
    """
    rng = np.random.default_rng(seed)
    groups = np.unique(np.zeros(count, int) if labels is None else labels, return_inverse=True)[1].ravel()
    rows = rng.permutation(count)
    rows = rows[np.argsort(groups[rows], kind="stable")]  # class after class, each in random order
    several = rows[np.bincount(groups, minlength=1)[groups[rows]] > 1]
    rows = several if len(several) else rows
    held = np.zeros(count, bool)
    if len(rows) > 1:
        wanted = max(1, round(share * len(rows)))
        steps = (np.arange(wanted) + rng.random()) * (len(rows) / wanted)  # as long as they can be, and equally long
        held[rows[steps.astype(int)]] = True
    return held

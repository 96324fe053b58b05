"""Which examples are held out where a set has no test split."""

import numpy as np


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

"""The two ways in which a caller can be wrong. Every message is one line: the value, what was expected, the way out."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """What was asked for does not exist or does not fit (the command line ends with exit code 2)."""


class DamagedError(ValueError):
    """What was given cannot be used as it is: a broken file, NaN in the data (exit code 1)."""


def near_misses(word: str, known: Iterable[str]) -> str:
    """Returns `": did you mean 'dcgan'?"`, or the known names when nothing is near."""
    known = list(known)
    by_lower = {name.lower(): name for name in known}
    close = [by_lower[name] for name in difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.5)]
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "known: " + ", ".join(known)

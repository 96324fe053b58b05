"""The two ways in which a caller can be wrong, and checks of plain arguments.

Every message is one line: the value, what was expected, the way out.
"""

import difflib
import json
import numbers
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class UsageError(ValueError):
    """What was asked for does not exist or does not fit (the command line ends with exit code 2)."""


class DamagedError(ValueError):
    """What was given cannot be used as it is: a broken file, NaN in the data (exit code 1)."""


def near_misses(word: str, known: Iterable[str]) -> str:
    """Returns `": did you mean 'dcgan'?"`, or the known names when nothing is near."""
    known, word = list(known), str(word)
    by_lower = {name.lower(): name for name in known}
    close = [by_lower[name] for name in difflib.get_close_matches(word.lower(), by_lower, n=3, cutoff=0.5)]
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "known: " + ", ".join(known)


def choice(name: str, value: Any, known: Iterable[str]) -> Any:
    """Returns a constructor's argument if it is one of those known.

    Raises:
        UsageError: it is not; the message names the near misses.
    """
    if value not in known:
        raise UsageError(f"{name}={value!r} is not known; {near_misses(str(value), known)}")
    return value


def widths(name: str, value: Any) -> tuple[int, ...]:
    """Returns a constructor's argument if it is a sequence of whole numbers from 1 on.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, (list, tuple)):
        raise UsageError(f"{name} is {value!r}; expected a list of whole numbers, such as [256, 512]")
    return tuple(positive(name, width) for width in value)


def positive(name: str, value: int) -> int:
    """Returns a constructor's argument if it is a whole number from 1 on.

    Raises:
        UsageError: it is not.
    """
    return whole(name, value, 1)


def whole(name: str, value: int, least: int = 0) -> int:
    """Returns an argument if it is a whole number that is not below another: a number with a point is none.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise UsageError(f"{name} is {repr(value)[:40]}; expected a whole number, at least {least}")
    return int(value)


def number(name: str, value: float) -> float:
    """Returns an argument if it is a number.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, numbers.Real):
        raise UsageError(f"{name} is {repr(value)[:40]}; expected a number")
    return float(value)


def seeded(value: int | None, most: int | None = None) -> int | None:
    """Returns a seed if it is a whole number from 0 on, or nothing.

    Raises:
        UsageError: it is not, or above `most`.
    """
    if value is not None and whole("seed", value) > (most or value):
        raise UsageError(f"seed is {value}; expected at most {most}")
    return value


def check_backend() -> None:
    """Refuses a Keras that is set to another backend than TensorFlow: every room that imports Keras asks first.

    Raises:
        UsageError: it is, by `KERAS_BACKEND`, by Keras' own file, or since it was imported.
    """
    loaded = getattr(sys.modules.get("keras"), "backend", None)
    if loaded is not None:
        found, by = loaded.backend(), "which is imported already"
    elif os.environ.get("KERAS_BACKEND"):
        found, by = os.environ["KERAS_BACKEND"], "by KERAS_BACKEND"
    else:
        found, by = _backend_in_file(), "by its file keras.json"
    if found != "tensorflow":
        raise UsageError(f"Keras, {by}, has the backend {found!r}; expected TensorFlow: set KERAS_BACKEND=tensorflow")


def _backend_in_file():
    """Returns the backend in the file that Keras reads, where Keras looks for it."""
    home = os.path.expanduser("~")
    folder = os.environ.get("KERAS_HOME") or Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")
    try:
        known = json.loads(Path(folder, "keras.json").expanduser().read_text(encoding="utf-8"))
        return known.get("backend", "tensorflow")
    except (OSError, ValueError, AttributeError):
        return "tensorflow"

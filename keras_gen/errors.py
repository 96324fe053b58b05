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
    known = list(known)
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
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise UsageError(f"{name} is {value!r}; expected a whole number, at least 1")
    return int(value)


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

"""The distribution of an input, as the metadata of a signature and of its file name it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_gen.errors import UsageError
from keras_gen.signatures.classes import packed

_NUMBERS = {"classes": int, "constant": float}  # the kinds that have one
KNOWN = "normal, uniform, classes K, constant X"


@dataclass(frozen=True)
class Law:
    """A distribution: `"normal"`, `"uniform"`, `"classes K"` or `"constant X"`, which `str` gives and `parse` reads.

    Args:
        kind: `"normal"` (standard normal), `"uniform"` (on [-1, 1)), `"classes"` (one of K, whole numbers from 0 on) or
            `"constant"` (the number X: what an input is when nobody gives it).
        number: K, at least 1, or X; `None` of the others.
        names: of the K classes, where they have some; they are no part of the text, and stand in metadata of their own.

    Raises:
        UsageError: it is none of those.

    Example:
        >>> law = Law.parse("classes 10")
        >>> law.kind, law.number, str(law)
        ('classes', 10, 'classes 10')
    """

    kind: str
    number: int | float | None = None
    names: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self):
        number = self.number
        if self.kind == "classes":
            known = isinstance(number, (int, np.integer)) and number >= 1
        elif self.kind == "constant":
            known = number is not None
        else:
            known = self.kind in ("normal", "uniform") and number is None
        if not known:
            raise UsageError(f"law {str(self)!r} is not known; known: {KNOWN}")

    def __str__(self):
        if self.number is None:
            return self.kind
        return f"{self.kind} {self.number}" if self.kind == "classes" else f"{self.kind} {self.number:.9g}"

    @classmethod
    def parse(cls, text: "str | Law") -> "Law":
        """Reads what `str` gives; a `Law` is returned as it is.

        Raises:
            UsageError: there is no such law.
        """
        if isinstance(text, cls):
            return text
        kind, _, number = text.partition(" ")
        try:
            return cls(kind, _NUMBERS[kind](number)) if number else cls(kind)
        except (KeyError, ValueError):
            raise UsageError(f"law {text!r} is not known; known: {KNOWN}") from None

    @property
    def classes(self) -> int:
        """K of `"classes K"`, and 0 of every other."""
        return int(self.number) if self.kind == "classes" else 0

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Draws an array.

        Args:
            shape: the shape, batch first.
            rng: the source of randomness. Classes, which come in turn, and constants take nothing from it.

        Returns:
            A float32 array, or int32 for classes.
        """
        if self.kind == "normal":
            return rng.standard_normal(shape, dtype=np.float32)
        if self.kind == "uniform":
            return rng.random(shape, dtype=np.float32) * np.float32(2) - np.float32(1)
        if self.kind == "classes":
            return (np.arange(np.prod(shape, dtype=int)).reshape(shape) % self.classes).astype(np.int32)
        return np.full(shape, float(self.number), np.float32)


NORMAL, UNIFORM = Law("normal"), Law("uniform")


def law_of(meta: Mapping[str, str], name: str) -> Law | None:
    """Returns the distribution of an input by a signature's metadata, if they name one."""
    text = meta.get(f"{name}.law")
    return None if text is None else Law.parse(text)


def metadata(laws: Mapping[str, Law | str]) -> dict[str, str]:
    """Returns the metadata of inputs with these distributions; their text is a file format."""
    named = {name: law.names for name, law in laws.items() if isinstance(law, Law) and law.names}
    return {
        **{f"{name}.law": str(law) for name, law in laws.items()},
        **{f"{name}.classes": packed(names) for name, names in named.items()},
    }


def given_of(meta: Mapping[str, str]) -> list[str]:
    """Returns the inputs that no distribution draws: first the one that an image is made of, then what is given too."""
    return meta.get("given", "").split()


OUT_OF_RANGE = "clamped"  # what a signature, and so a file, does with a whole number that its input does not have


def count_of(meta: Mapping[str, str], name: str) -> int:
    """Returns K where an input's distribution is `"classes K"` or its range `"0 to K - 1"`, otherwise 0."""
    text = meta.get(f"{name}.law", "")
    ends = re.fullmatch(r"0 to (\d+)", meta.get(f"{name}.range", ""))
    return Law.parse(text).classes if text.startswith("classes") else int(ends[1]) + 1 if ends else 0


def check_classes(name: str, value: Any, count: int) -> None:
    """Refuses what is none of the classes, tokens or positions that there are.

    Args:
        name: of the input.
        value: one or many.
        count: how many there are, from 0 on.

    Raises:
        UsageError: one is out of range, or no whole number; the message names the first.
    """
    array = np.asarray(value)
    if not array.size:
        return
    if array.dtype.kind not in "iu":
        raise UsageError(f"{name} {array.flat[0]} is out of range; expected 0 to {count - 1}, in whole numbers")
    wrong = array[(array < 0) | (array >= count)]
    if wrong.size:
        raise UsageError(f"{name} {wrong.flat[0]} is out of range; expected 0 to {count - 1}")

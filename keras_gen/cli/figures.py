"""How the commands write figures: few digits, and an arrow for the better way."""

import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

FEW = 1000  # samples, below which two digits are all that another seed leaves standing
ARROWS, PLAIN = {"higher": "↑", "lower": "↓", None: " "}, {"higher": "^", "lower": "v", None: " "}
NOTHING = 1e-6  # what is nearer to 0 is rounding


def digits(n: int) -> int:
    """Returns how many digits a figure of n samples has that mean something."""
    return 3 if n >= FEW else 2


def number(value: float, digits: int = 3) -> str:
    """Writes a figure with so many significant digits, and without exponents.

    Args:
        value: the figure.
        digits: significant ones; whole parts are never rounded.
    """
    if not math.isfinite(value):
        return f"{value}"
    if abs(value) < NOTHING:
        return "0"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return f"{value:.{max(0, digits - 1 - exponent)}f}"


def arrows() -> Mapping[str | None, str]:
    """Returns the sign of each direction that standard output can write."""
    try:
        "".join(ARROWS.values()).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return ARROWS


def meaning() -> str:
    """Returns what the arrows mean."""
    signs = arrows()
    return f"{signs['higher']} higher is better, {signs['lower']} lower is better"


def lines(values: Mapping[str, Any], digits: int = 3, width: int = 0) -> list[str]:
    """Returns a line for each figure: its name, its arrow and the number, points below each other.

    Args:
        values: name to number, or to a text that stands for it.
        digits: significant ones.
        width: of the names, at least.
    """
    from keras_gen.metrics import better

    signs, width = arrows(), max([width, *map(len, values)])
    texts = [value if isinstance(value, str) else number(value, digits) for value in values.values()]
    whole = [len(re.match(r"-?\d*", text)[0]) for text in texts]
    return [
        f"  {name:{width}}  {signs[better(name)]} {' ' * (max(whole) - before)}{text}"
        for name, text, before in zip(values, texts, whole, strict=True)
    ]


def columns(header: Iterable[str], rows: Iterable[Iterable[str]], width: int | None = None) -> list[str]:
    """Returns the lines of a table: the first column to the left, the others to the right.

    Args:
        header: of the columns.
        rows: of texts.
        width: that a line may have: columns at the end that do not fit are left out; `None` keeps all.
    """
    table = [list(header), *map(list, rows)]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    kept = next((k for k in range(len(wide), 1, -1) if width is None or 2 * k + sum(wide[:k]) <= width), 1)
    lines = [
        f"  {row[0]:{wide[0]}}"
        + "".join(f"  {text:>{size}}" for text, size in zip(row[1:kept], wide[1:kept], strict=True))
        for row in table
    ]
    return lines if kept == len(wide) else [*lines, "  (more columns in a wider terminal)"]

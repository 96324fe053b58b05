"""`list`: the models by family, read from their source without importing TensorFlow."""

import argparse
import shutil
import sys
import textwrap

from keras_gen import registry
from keras_gen.cli import declared

NARROW = 72  # columns of a terminal, below which a description gets a line of its own
DENSITIES = "The likelihood is exact, bounded (bound), or unknown (implicit: the model only samples)."


def run(options: argparse.Namespace) -> int:
    """Prints each family and, for each of its models, name, density and the first line of its docstring."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table(width)))
    return 0


def table(width: int | None = None) -> list[str]:
    """Returns the lines that `list` prints.

    Args:
        width: columns that a line may have, which cuts it between two words; `None` cuts nothing.
    """
    rows = {name: declared.of_model(name) for name in registry.names()}
    densities = {name: one.variable("density") for name, one in rows.items()}
    longest, densest = (max(map(len, words)) for words in (rows, densities.values()))
    lines = []
    for family in sorted({registry.family(name) for name in rows}):
        lines += ["", family] if lines else [family]
        for name, one in rows.items():
            if registry.family(name) != family:
                continue
            line = f"  {name:{longest}}  {densities[name]:{densest}}"
            whole = width is None or width >= NARROW
            parts = [f"{line}  {one.summary}"] if whole else [line, f"    {one.summary}"]
            lines += [cut(part.rstrip(), width) for part in parts]
    return [*lines, "", *textwrap.wrap(DENSITIES, width or 1000)]


def cut(line: str, width: int | None) -> str:
    """Returns a line of at most so many characters, that ends with a whole word and three dots where it was longer."""
    if width is None or len(line) <= width:
        return line
    start, indent = line[: width - 3], len(line) - len(line.lstrip())
    at = start.rfind(" ")
    return f"{start[:at].rstrip(' :,;') if at > indent else start[:-1]} ..."

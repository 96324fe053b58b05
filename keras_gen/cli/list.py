"""`list`: the models by family, read from their source without importing TensorFlow."""

import argparse
import ast
import importlib.util
import shutil
import sys
import textwrap
from pathlib import Path

from keras_gen import registry

NARROW = 72  # columns of a terminal, below which a description gets a line of its own
DENSITIES = "The likelihood is exact, bounded (bound), or unknown (implicit: the model only samples)."


def run(options: argparse.Namespace) -> int:
    """Prints each family and, for each of its models, name, density and the first line of its docstring."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table(width)))
    return 0


def family(name: str) -> str:
    """Returns the family of a model."""
    return registry.MODELS[name][0].split(".")[2]


def table(width: int | None = None) -> list[str]:
    """Returns the lines that `list` prints.

    Args:
        width: columns that a line may have, which cuts it between two words; `None` cuts nothing.
    """
    rows = {name: describe(*registry.MODELS[name]) for name in registry.names()}
    longest, densest = max(map(len, rows)), max(len(density) for density, _ in rows.values())
    lines = []
    for group in sorted({family(name) for name in rows}):
        lines += ["", group] if lines else [group]
        for name, (density, text) in rows.items():
            if family(name) != group:
                continue
            line = f"  {name:{longest}}  {density:{densest}}"
            parts = [f"{line}  {text}"] if width is None or width >= NARROW else [line, f"    {text}"]
            lines += [cut(part.rstrip(), width) for part in parts]
    return [*lines, "", *textwrap.wrap(DENSITIES, width or 1000)]


def cut(line: str, width: int | None) -> str:
    """Returns a line of at most so many characters, that ends with a whole word and three dots where it was longer."""
    if width is None or len(line) <= width:
        return line
    start, indent = line[: width - 3], len(line) - len(line.lstrip())
    at = start.rfind(" ")
    return f"{start[:at].rstrip(' :,;') if at > indent else start[:-1]} ..."


def describe(module: str, name: str) -> tuple[str, str]:
    """Returns the density of a class and the first line of its docstring.

    Args:
        module: that defines the class.
        name: of the class.
    """
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    text = (ast.get_docstring(found) or "").partition("\n")[0]
    for node in found.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "density":
            return ast.literal_eval(node.value), text
    origins = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for base in found.bases:
        if isinstance(base, ast.Name) and base.id in origins:
            return describe(*origins[base.id])[0], text
    return "", text

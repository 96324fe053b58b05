"""`list`: the table of models, read from their source without importing TensorFlow."""

import argparse
import ast
import importlib.util
from pathlib import Path

from keras_gen import registry


def run(options: argparse.Namespace) -> int:
    """Prints a line for each model: name, density, the first line of its docstring."""
    rows = [(name, *describe(*registry.MODELS[name])) for name in registry.names()]
    rows = [("model", "density", ""), *rows]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, density, text in rows:
        print(f"{name:{widths[0]}}  {density:{widths[1]}}  {text}".rstrip())
    return 0


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

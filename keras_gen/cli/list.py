"""`list`: the table of models, read from their source without importing TensorFlow."""

import argparse

from keras_gen import registry
from keras_gen.cli import declared


def run(options: argparse.Namespace) -> int:
    """Prints a line for each model: name, density, the first line of its docstring."""
    classes = {name: declared.of_model(name) for name in registry.names()}
    rows = [(name, cls.variable("density"), cls.summary) for name, cls in classes.items()]
    rows = [("model", "density", ""), *rows]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, density, text in rows:
        print(f"{name:{widths[0]}}  {density:{widths[1]}}  {text}".rstrip())
    return 0

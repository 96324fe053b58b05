"""What the source of a model's class declares: its arguments, its first line, its settings. TensorFlow stays out."""

import ast
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_gen import registry

UNKNOWN = object()  # a default that only running the source would tell


class Declared:
    """A class by its source, and its bases as far as they are ours.

    Args:
        module: that defines the class.
        name: of the class.
    """

    def __init__(self, module: str, name: str):
        tree = _tree(module)
        self.node = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
        imported = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_gen.")
            for alias in node.names
        }
        bases = [imported[base.id] for base in self.node.bases if isinstance(base, ast.Name) and base.id in imported]
        self.bases = [declared(*base) for base in bases]

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (ast.get_docstring(self.node) or "").partition("\n")[0]

    def lineage(self) -> Iterator["Declared"]:
        """Yields this class and what it inherits from, the nearest first."""
        yield self
        for base in self.bases:
            yield from base.lineage()

    def variable(self, name: str) -> Any:
        """Returns a class variable, inherited ones too, or `UNKNOWN`."""
        for one in self.lineage():
            value = one.own(name)
            if value is not UNKNOWN:
                return value
        return UNKNOWN

    def own(self, name: str) -> Any:
        """Returns a variable that the class itself sets, or `UNKNOWN`."""
        for node in self.node.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and name in map(_named, targets) and node.value:
                return self._value(node.value)
        return UNKNOWN

    def arguments(self) -> dict[str, Any]:
        """Returns what the constructor takes, without Keras' own: name to default, or `UNKNOWN`.

        What a class settles is not taken from its bases; it may have an argument of its own by that name.
        """
        found: dict[str, Any] = {}
        settled: set[str] = set()
        for one in self.lineage():
            own = one.own("settled")
            signature = next((node.args for node in one.node.body if _named(node) == "__init__"), None)
            below, settled = settled, settled | set(() if own is UNKNOWN else own)
            if signature is None:
                continue
            given = [argument.arg for argument in (*signature.posonlyargs, *signature.args)][1:]
            defaults = [UNKNOWN] * (len(given) - len(signature.defaults)) + list(map(self._value, signature.defaults))
            given += [argument.arg for argument in signature.kwonlyargs]
            defaults += [UNKNOWN if node is None else self._value(node) for node in signature.kw_defaults]
            pairs = zip(given, defaults, strict=True)
            found = {key: default for key, default in pairs if key not in below} | found
            if signature.kwarg is None:
                break
        return found

    def _value(self, node):
        """Returns the value of an expression of literals and of class variables, or `UNKNOWN`."""
        if isinstance(node, (ast.Tuple, ast.List)):
            parts = [self._value(part.value if isinstance(part, ast.Starred) else part) for part in node.elts]
            if UNKNOWN in parts:
                return UNKNOWN
            spread = zip(node.elts, parts, strict=True)
            return tuple(v for part, value in spread for v in (value if isinstance(part, ast.Starred) else [value]))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):  # such as GAN.NETWORKS
            return next((one.variable(node.attr) for one in self.lineage() if one.node.name == node.value.id), UNKNOWN)
        if isinstance(node, ast.Name):
            return self.variable(node.id)
        try:
            return ast.literal_eval(node)
        except ValueError:
            return UNKNOWN


@functools.cache
def declared(module: str, name: str) -> Declared:
    """Returns a class by its source."""
    return Declared(module, name)


def of_model(name: str) -> Declared:
    """Returns the class of a model by its source.

    Raises:
        UsageError: no model has this name.
    """
    return declared(*registry.class_path(name))


def defaults(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the arguments whose default the source tells."""
    return {name: value for name, value in arguments.items() if value is not UNKNOWN}


@functools.cache
def _tree(module):
    return ast.parse(Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8"))


def _named(node):
    return getattr(node, "id", None) or getattr(node, "name", None)

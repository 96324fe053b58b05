"""What the test modules hold for others: contract rows of models and planted bugs, found where they stand."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def load(path):
    """Returns a test module by its path, under the name that pytest gives it: both hold one and the same."""
    name = ".".join((TESTS.name, *path.relative_to(TESTS).with_suffix("").parts))
    if name not in sys.modules:
        # The first finder of pytest is that which rewrites assertions.
        found = (finder.find_spec(name, [str(path.parent)]) for finder in sys.meta_path)
        spec = next(spec for spec in found if spec is not None and spec.origin == str(path))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


@cache
def modules_of_models():
    """Returns the test module of each model: name to path."""
    return {path.stem.removeprefix("test_"): path for path in sorted(TESTS.glob("models/*/test_*.py"))}


def row(name):
    """Returns (model, function to constructor arguments) of a row; it begins with the model's name."""
    module = load(modules_of_models()[name.partition("-")[0]])
    return {**module.ROWS, **getattr(module, "MORE", {})}[name]


@cache
def rows():
    """Returns the rows of all models for the contract, those of a family together."""
    found = {}
    for path in modules_of_models().values():
        found |= getattr(load(path), "ROWS", {})
    return found


@cache
def bugs():
    """Returns all planted bugs with the full addresses of their laws, in the order of the files they are planted in."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        if "BUGS" in path.read_text():
            here = path.relative_to(TESTS).as_posix()
            for bug in getattr(load(path), "BUGS", ()):
                laws = tuple(law if "::" in law else f"{here}::{law}" for law in bug.laws)
                found.append(bug._replace(laws=laws))
    return sorted(found, key=lambda bug: bug.file)

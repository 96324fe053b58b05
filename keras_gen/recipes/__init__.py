"""What `train` does when nobody says otherwise: a file for each model, which also makes the model known.

`NAME.toml` is the recipe of the model NAME; a copy of it can be changed and given as `train NAME --recipe mine.toml`:

* `class`: path of the model's class, and `family`: folder of it, which `list` groups by.
* `batch_size`: images for one update; `epochs` (of each stage, where a model has several) or, in their place, `steps`.
* `settings`: arguments of the constructor, and `none`: names of those that are None.
* `optimizer`: Keras' configuration of one, for each player; without it the paper's. `learning_rate`: a number, or one
  for each player, in place of the optimizer's. `decay_from`: share of the steps after which they fall linearly to 0.
* `accumulate`: parts in which each batch is passed, for the update of the whole and less memory.
* `[data.SET]`: the same for one data set, in place of what stands above (settings are added to those above).
* `[thresholds.SET]`: what `benchmark` expects of the median over seeds, such as `fd = "<= 3"`.
"""

import functools
import operator
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path, PurePath
from typing import Any

from keras_gen.errors import DamagedError, UsageError, near_misses

COMPARE = {"<=": operator.le, ">=": operator.ge}
DEFAULT: Mapping[str, Any] = {"batch_size": 64, "epochs": 20}
LENGTHS = ("epochs", "steps")
SETTINGS = ("batch_size", *LENGTHS, "optimizer", "learning_rate", "decay_from", "accumulate", "settings", "none")
_KEYS = ("class", "family", *SETTINGS, "data", "thresholds")
_BOUND = re.compile(r"(<=|>=) *(-?[\d.]+(?:e-?\d+)?)")


@functools.cache
def names() -> tuple[str, ...]:
    """Returns the names of all recipes, sorted; none of them is read."""
    listed = (PurePath(entry.name) for entry in resources.files(__name__).iterdir())
    return tuple(sorted(path.stem for path in listed if path.suffix == ".toml"))


@functools.cache
def read(name: str) -> Mapping[str, Any]:
    """Returns the recipe file of a model.

    Args:
        name: one of `names()`.
    """
    text = resources.files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return _checked(text, f"recipes/{name}.toml")


def read_file(path: str | Path) -> Mapping[str, Any]:
    """Returns a recipe of one's own.

    Raises:
        UsageError: there is no such file, or a key in it is not known.
        DamagedError: it is not TOML.
    """
    try:
        return _checked(Path(path).read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UsageError(f"--recipe {path} cannot be read: {error.strerror}; give a .toml file") from None
    except UnicodeDecodeError:
        raise DamagedError(f"--recipe {path} is not UTF-8; give a .toml file") from None


def recipe(model: str, data: str, file: str | Path | None = None) -> dict[str, Any]:
    """Returns what a model is trained with on a data set.

    Args:
        model: name of the model.
        data: name of the data set, or of its file: `data/mnist.npz` is `mnist` here. One without a table of its own
            takes what the recipe says of all.
        file: a recipe of one's own, in place of the model's.

    Returns:
        `batch_size`, `epochs` or `steps`, and perhaps `optimizer`, `learning_rate`, `decay_from`, `accumulate`
        and `settings`.

    Raises:
        UsageError: the file is of another model, cannot be read, or has a key that is not known.
        DamagedError: the file is not TOML.
    """
    whole = read(model) if file is None else read_file(file)
    if file is not None and whole.get("class", read(model)["class"]) != read(model)["class"]:
        raise UsageError(f"--recipe {file} is of {whole['class']}, not of {read(model)['class']}; give one of {model}")
    made = dict(DEFAULT)
    for part in (whole, whole.get("data", {}).get(called(data), {})):
        if any(length in part for length in LENGTHS):  # one takes the place of the other
            made = {key: value for key, value in made.items() if key not in LENGTHS}
        settings = {**made.get("settings", {}), **dict.fromkeys(part.get("none", ())), **part.get("settings", {})}
        made |= {key: part[key] for key in SETTINGS if key in part and key not in ("none", "settings")}
        made |= {"settings": settings} if settings else {}
    return made


def thresholds(model: str, data: str, file: str | Path | None = None) -> dict[str, tuple[str, float]]:
    """Returns the bounds of a model's metrics on a data set: name to (`"<="` or `">="`, number).

    Args:
        model: name of the model.
        data: as for `recipe`.
        file: as for `recipe`.
    """
    whole = read(model) if file is None else read_file(file)
    bounds = whole.get("thresholds", {}).get(called(data), {})
    found = {metric: _BOUND.fullmatch(bound) for metric, bound in bounds.items()}
    return {metric: (match[1], float(match[2])) for metric, match in found.items()}


def called(data: str) -> str:
    """Returns what recipes call a data set: the name without folder, suffix and version (`mnist:3.*.*`)."""
    return PurePath(data).stem.partition(":")[0].lower()


def _checked(text, name):
    """Parses a recipe, and looks at its keys."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DamagedError(f"{name} is not TOML: {error}; mend it") from None
    for part, known in ((found, _KEYS), *((part, SETTINGS) for part in found.get("data", {}).values())):
        if not isinstance(part, dict):
            raise UsageError(f"{name}: data holds {part!r}; expected tables such as [data.mnist]")
        for key in part:
            if key not in known:
                raise UsageError(f"{name} has the key {key!r}; {near_misses(key, known)}")
        _check_types(part, name)
    for bounds in found.get("thresholds", {}).values():
        for metric, bound in bounds.items():
            if not isinstance(bound, str) or not _BOUND.fullmatch(bound):
                raise UsageError(f"{name}: {metric} = {bound!r}; expected a bound such as '<= 3'")
    return found


def _check_types(part, name):
    for key in ("batch_size", "accumulate", *LENGTHS):
        value = part.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UsageError(f"{name}: {key} = {value!r}; expected a whole number, at least 1")
    for key in ("settings", "optimizer", "data", "thresholds"):
        if not isinstance(part.get(key, {}), dict):
            raise UsageError(f"{name}: {key} = {part[key]!r}; expected a table")
    rate = part.get("learning_rate", 1.0)
    rates = rate.values() if isinstance(rate, dict) else [rate]
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) and one >= 0 for one in rates):
        raise UsageError(f"{name}: learning_rate = {rate!r}; expected a number, or one for each player")
    share = part.get("decay_from", 0.0)
    if not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 <= share < 1:
        raise UsageError(f"{name}: decay_from = {share!r}; expected a share of the steps in [0, 1), such as 0.5")
    none = part.get("none", [])
    if not isinstance(none, list) or not all(isinstance(word, str) for word in none):
        raise UsageError(f"{name}: none = {none!r}; expected a list of names of settings")

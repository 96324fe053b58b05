"""What a person gave to `train`, checked as far as that needs no TensorFlow: a slip of the hand costs no waiting."""

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gen import recipes, registry
from keras_gen.cli import declared
from keras_gen.errors import DamagedError, UsageError, near_misses
from keras_gen.files import sets
from keras_gen.files.runs import find_folder
from keras_gen.files.writing import shown

ELSEWHERE = {"seed": "--seed", "dtype": "--precision"}
INJECTED = ("generator", "discriminator", "encoder")  # networks, which a command line cannot hold
# Inputs of samplers, which people look for here.
OF_SAMPLE = ("truncation", "label", "category", "code", "prompt", "temperature", "top_k", "top_p", "beams", "length")
READING = ("range", "skip_damaged", "arrays", "jitter", "direction")  # what is said of the values and the files of data
# Arguments that follow from the data.
FOLLOWING = ("image_shape", "source_channels", "num_classes", "class_names", "vocabulary", "tokenizer")


def check(options: argparse.Namespace) -> None:
    """Settles what was left out, and checks the options of `train` and `benchmark`.

    Args:
        options: of the command line; `data` and `precision` are set where they were not given.

    Raises:
        UsageError: no such model, argument, data or run, or a value of another type.
        DamagedError: a recipe or a card that cannot be read.
    """
    registry.check_name(options.name)
    arguments(options.name, options.settings)
    card = _card(options)
    if card and options.data is None:
        old = card["settings"]
        options.data, options.split = old.get("data"), old.get("split", options.split)
        options.image_size, options.channels = (getattr(options, k) or old.get(k) for k in ("image_size", "channels"))
        options.image_size = tuple(options.image_size) if isinstance(options.image_size, list) else options.image_size
        for name, value in reading(old).items():
            setattr(options, name, getattr(options, name) or value)
    options.data = sets.check(options.data or declared.of_model(options.name).variable("usual_data"))
    if getattr(options, "precision", "") is None:
        options.precision = card["identity"].get("precision", "float32") if card else "float32"
    usual(options)


def reading(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what was said of the values and the files of data, as `keras_gen.data.examples` takes it.

    Args:
        settings: options of a command, or those in the card of a run.
    """
    found = {name: settings[name] for name in READING if settings.get(name)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def usual(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the recipe that `train` follows where the command line says nothing: the model's, a file's, or a run's.

    Args:
        options: with a name and data.

    Raises:
        UsageError: a run or a recipe of another model, or one that is not there.
        DamagedError: a recipe or a card that cannot be read.
    """
    card = _card(options)
    if not card:
        found = recipes.recipe(options.name, options.data, getattr(options, "recipe", None))
        _check_settings(options.name, found.get("settings", {}))
        return found
    identity = card["identity"]
    old = identity["configuration"]
    settings = {name: value for name, value in old.items() if name not in FOLLOWING}
    if "num_classes" in old and old["num_classes"] is None:
        settings["num_classes"] = None  # the labels of the data were not wanted
    if settings.get("n_critic", 1) > 1 and settings.get("update") == "simultaneous":
        del settings["update"]  # the default, which such a run did not follow
    if "characters" not in str(old.get("tokenizer") or "characters"):
        settings |= {"tokenizer": "bpe", "vocabulary": old["vocabulary"]}
    found = {"batch_size": identity["batch_size"], "steps": card["target_steps"], "settings": settings}
    rest = ("learning_rate", "optimizer", "decay_from", "accumulate")
    return found | {key: identity[key] for key in rest if identity.get(key) is not None}


def arguments(name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Returns the constructor's arguments of `--set`.

    Args:
        name: of the model.
        pairs: names and values, as they were typed.

    Raises:
        UsageError: an argument that the model does not have, or a value of another type.
    """
    cls, defaults = registry.class_path(name)[1], _defaults(name)
    given = {}
    for key, text in pairs:
        if key in ELSEWHERE:
            raise UsageError(f"--set {key}=... is not how to choose it; give {ELSEWHERE[key]}")
        if key not in defaults:
            if key in OF_SAMPLE:
                raise UsageError(f"--set {key} is for drawing samples; give it to: python -m keras_gen sample RUN")
            raise UsageError(f"--set {key}: {cls} has no argument {key!r}; {near_misses(key, defaults)}")
        try:
            given[key] = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))  # as recipes write them
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            given[key] = text
        _check_type(f"--set {key}={shown(text, 40)}", given[key], defaults[key])
    return given


def _defaults(name):
    """Returns the arguments that can be given as text, with their defaults."""
    return {key: one for key, one in declared.of_model(name).arguments().items() if key not in (*ELSEWHERE, *INJECTED)}


def _check_settings(name, settings):
    """Looks at the arguments that a recipe names."""
    defaults = _defaults(name)
    for key, value in settings.items():
        if key not in defaults:
            raise UsageError(f"the recipe of {name} sets {key!r}, which it has not; {near_misses(key, defaults)}")
        if value is not None:
            _check_type(f"{key} = {shown(str(value), 40)} in the recipe of {name}", value, defaults[key])


def _check_type(what, value, default):
    """Compares a value with the constructor's default, where that tells the type."""
    words = {bool: "True or False", int: "a number", float: "a number", str: "text", tuple: "a list"}
    fits = {bool: int, int: (int, float), float: (int, float), str: str, tuple: (tuple, list)}
    if not isinstance(value, fits.get(type(default), object)):
        expected = words[type(default)]
        example = str(list(default) if isinstance(default, tuple) else default).replace(" ", "")
        raise UsageError(f"{what} is of another type; expected {expected}, such as {example}")


def _card(options):
    """Returns the card of `--like`, if it was given."""
    source = getattr(options, "like", None)
    if source is None:
        return None
    if getattr(options, "recipe", None) is not None:
        raise UsageError("--recipe and --like both tell what to train with; give one of them")
    path = Path(find_folder(source)) / "card.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        model, _ = card["model"], (card["identity"]["configuration"], card["identity"]["batch_size"])
        card["settings"], card["target_steps"]
    except OSError as error:
        raise UsageError(f"--like {shown(path)} cannot be read: {error.strerror}; give the folder of a run") from None
    except (ValueError, KeyError, TypeError):
        raise DamagedError(f"--like {shown(path)} is damaged; give the folder of another run") from None
    if model != options.name:
        raise UsageError(f"--like {shown(source)} is a run of {model!r}, not of {options.name!r}; give one of that")
    return card

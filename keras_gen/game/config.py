"""A model's configuration: its constructor's arguments, recorded, checked and turned into plain values and back."""

import contextlib
import contextvars
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_gen.errors import UsageError, near_misses

KERAS_ARGUMENTS = ("name", "dtype", "trainable")
HALF_PRECISIONS = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")

_READING = contextvars.ContextVar("reading", default=False)


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Lets constructors take what `refused` refuses: a file of an earlier version works as it did."""
    before = _READING.set(True)
    try:
        yield
    finally:
        _READING.reset(before)


def refused(message: str) -> None:
    """Refuses arguments that an earlier version took and its files may hold.

    Raises:
        UsageError: with this message, unless the model is made from a configuration.
    """
    if not _READING.get():
        raise UsageError(message)


def names(argument: str, given: Any) -> tuple[str, ...]:
    """Returns names in their order, which tells nothing where two are alike.

    Raises:
        UsageError: no sequence of names, an empty one, or two that are alike but for spaces around them.
    """
    if given is None:
        return ()
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, (Sequence, np.ndarray)):
        refused(f"{argument} is {repr(given)[:40]}; expected a list of names in their order, such as ['cat', 'dog']")
    found = tuple(map(str, given))
    plain_ = [name.strip() for name in found]
    for name in plain_:
        if not name or plain_.count(name) > 1:
            refused(f"{argument} holds {name!r}{' twice' if name else ''}; give each class a name of its own")
    return found


def constructor_arguments(cls: type) -> tuple[str, ...]:
    """Returns the names of all arguments that a model's constructor takes, inherited ones too.

    Those that a class names in its attribute `settled` it gives to its parent itself: they are not to be taken, unless
    the class, or one below it, has an argument of its own by that name.
    """
    names: dict[str, None] = {}
    settled: set[str] = set()
    for base in cls.__mro__[: cls.__mro__.index(keras.Model)]:
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        own = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        names.update(dict.fromkeys(name for name in own if name not in settled))
        settled.update(vars(base).get("settled", ()))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return tuple(names)
    return (*names, *(name for name in KERAS_ARGUMENTS if name not in settled))


def former(cls: type) -> dict[str, Any]:
    """Returns what arguments stand for in files that do not name them, which were written before these were there.

    A class that gains an argument whose default changes what it makes names it in its attribute `former`, with the
    value that makes what it made before, and keeps what it was given as an attribute of the argument's name.
    """
    known = constructor_arguments(cls)
    bases = reversed(cls.__mro__[: cls.__mro__.index(keras.Model)])
    found = {name: value for base in bases for name, value in vars(base).get("former", {}).items()}
    return {name: value for name, value in found.items() if name in known}


def recorded(cls: type, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a constructor's call by name.

    Raises:
        UsageError: an argument that the constructor does not have, where the message names the near misses; more
            arguments by position than it takes; or a network in place of another argument.
    """
    known = constructor_arguments(cls)
    for word in kwargs:
        if word not in known:
            raise UsageError(f"{cls.__name__} has no argument {word!r}; {near_misses(word, known)}")
    signature = inspect.signature(cls.__init__)
    try:
        given = dict(signature.bind_partial(None, *args, **kwargs).arguments)
    except TypeError as error:
        raise UsageError(f"{cls.__name__} cannot take this: {error}; {_by_name(cls)}") from None
    rest = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)
    extra = given.pop(rest, {})
    given.pop(next(iter(signature.parameters)))
    given |= extra
    usual = {p.name: p.default for p in reversed(list(_parameters(cls)))}
    for name, value in given.items():
        wanted = usual.get(name)
        if isinstance(value, keras.Layer) and not (wanted in (None, inspect.Parameter.empty) or callable(wanted)):
            raise UsageError(f"{cls.__name__} was given the network {value.name!r} as {name}; {_by_name(cls)}")
    return given


def _parameters(cls):
    """Yields the parameters of a model's constructor and of those it inherits, the nearest first."""
    for base in cls.__mro__[: cls.__mro__.index(keras.Model)]:
        yield from list(inspect.signature(base.__init__).parameters.values())[1:]


def _by_name(cls):
    """Returns how networks are given, in words."""
    known = constructor_arguments(cls)
    takes = dict.fromkeys(p.name for p in _parameters(cls) if p.name in known and "Model" in str(p.annotation))
    return "give networks by name: " + ", ".join(f"{name}=" for name in takes) if takes else "give arguments by name"


def plain(value: Any) -> Any:
    """Turns a constructor's argument into what JSON holds; layers and networks are serialized."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, (keras.layers.Layer, keras.dtype_policies.DTypePolicy)):
        return keras.saving.serialize_keras_object(value)
    return value


def restored(value: Any, custom_objects: Mapping[str, type] | None = None) -> Any:
    """Undoes `plain`."""
    if isinstance(value, list):
        return [restored(item, custom_objects) for item in value]
    if isinstance(value, dict) and "class_name" in value:
        return keras.saving.deserialize_keras_object(value, custom_objects)
    return value


def in_float32(config: Any, key: str = "") -> Any:
    """Replaces every half-precision policy in a configuration."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return in_float32(config["config"]["name"], "dtype")
        return {name: in_float32(value, name) for name, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [in_float32(value, key) for value in config]
    return "float32" if key == "dtype" and config in HALF_PRECISIONS else config

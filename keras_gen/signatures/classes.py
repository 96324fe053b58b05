"""Classes by name: in the metadata of a signature and its file, and where a person names one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_gen.errors import UsageError, near_misses

Classes = int | str | Sequence[int | str] | None  # one for all, or one for each, by number or name


def packed(names: Sequence[str]) -> str:
    """Returns names as metadata hold them: comma separated, so that a comma inside of one becomes a semicolon."""
    return ",".join(name.replace(",", ";") for name in names)


def names_of(meta: Mapping[str, str], name: str = "label") -> tuple[str, ...]:
    """Returns the names of an input's classes, in the order of their numbers; none where the metadata have none."""
    text = meta.get(f"{name}.classes", "")
    return tuple(text.split(",")) if text else ()


def indices(text: str, names: Sequence[str] = (), name: str = "label") -> list[int]:
    """Returns the numbers of one or several classes as a person has typed them: a name goes before a number.

    Args:
        text: comma separated names or numbers.
        names: of the classes, in the order of their numbers; without them there are only numbers.
        name: what messages call it.

    Raises:
        UsageError: neither a name nor a number.

    Example:
        ```python
        assert indices("2", ["1", "2", "cat"]) == [1] and indices("cat,0", ["1", "2", "cat"]) == [2, 0]
        ```
    """
    number = {packed([name]): index for index, name in enumerate(names)}
    if packed([text.strip()]) in number:  # it may hold a comma
        return [number[packed([text.strip()])]]
    return [_index(part.strip(), number, name) for part in text.split(",")]


def numbered(value: Any, names: Sequence[str] = (), name: str = "label") -> Any:
    """Returns classes as numbers where some are given as text, as on the command line: a name goes before a number.

    A number itself is an index always, also where the name of another class is that number.

    Args:
        value: one class or many, in a list or an array; numbers stay as they are.
        names: of the classes, in the order of their numbers; without them there are only numbers.
        name: what messages call it.

    Raises:
        UsageError: a text that is neither a name nor a number.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return _index(packed([value.strip()]), {packed([one]): index for index, one in enumerate(names)}, name)
    if getattr(getattr(value, "dtype", None), "kind", "") in ("U", "S", "O"):
        found = numbered(np.asarray(value).tolist(), names, name)
        return np.array(found) if isinstance(found, list) else found
    if isinstance(value, (list, tuple)) and any(isinstance(one, (str, bytes, np.str_)) for one in value):
        known = {one: numbered(one, names, name) for one in {one for one in value if isinstance(one, (str, bytes))}}
        return [known.get(one, one) if isinstance(one, (str, bytes)) else one for one in value]
    return value


def _index(text, number, name):
    if text in number:
        return number[text]
    if text.isdecimal() and len(text) < 10:
        return int(text)
    if not number:
        raise UsageError(f"{name} {text!r} is no number, and these classes have no names; give a number such as 3")
    raise UsageError(f"no class is named {text!r}; {near_misses(text, number)}")


def told(chosen: Sequence[int], names: Sequence[str]) -> str:
    """Returns numbers of classes with their names, such as `class 4 ('5')`; nothing where names say no more."""
    kinds = list(dict.fromkeys(chosen))
    if not kinds or not names or all(index < len(names) and names[index] == str(index) for index in kinds):
        return ""
    listed = [f"{index} ({names[index]!r})" if index < len(names) else str(index) for index in kinds[:8]]
    return f"{'class' if len(kinds) == 1 else 'classes'} {', '.join(listed)}" + (", ..." if len(kinds) > 8 else "")

"""Classes by name: in the metadata of a signature and its file, and where a person names one."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_gen.errors import UsageError, near_misses

Classes = int | str | Sequence[int | str] | None  # one for all, or one for each, by number or name


_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def packed(names: Sequence[str]) -> str:
    """Returns names as metadata hold them: comma separated, or, where that would be ambiguous, as a JSON list."""
    plain = all(name and "," not in name for name in names) and not "".join(names[:1]).startswith("[")
    return ",".join(names) if plain else json.dumps(list(names), ensure_ascii=False)


def names_of(meta: Mapping[str, str], name: str = "label") -> tuple[str, ...]:
    """Returns the names of an input's classes, in the order of their numbers; none where the metadata have none.

    Files of before hold no JSON: a comma inside of a name had become a semicolon.
    """
    text = meta.get(f"{name}.classes", "")
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            return tuple(found)
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
    if _place(text, names) is not None:
        return [_index(text, names, name)]
    parts, found = text.split(","), []
    most = 1 + max((one.count(",") + one.count(";") for one in names), default=0)
    while parts:  # a name may hold commas
        sizes = range(min(most, len(parts)), 1, -1)
        size = next((size for size in sizes if _place(",".join(parts[:size]), names) is not None), 1)
        found.append(_index(",".join(parts[:size]), names, name))
        parts = parts[size:]
    return found


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
        return _index(value, names, name)
    if getattr(getattr(value, "dtype", None), "kind", "") in ("U", "S", "O"):
        found = numbered(np.asarray(value).tolist(), names, name)
        return np.array(found) if isinstance(found, list) else found
    if isinstance(value, (list, tuple)) and any(isinstance(one, (str, bytes, np.str_)) for one in value):
        known = {one: numbered(one, names, name) for one in {one for one in value if isinstance(one, (str, bytes))}}
        return [known.get(one, one) if isinstance(one, (str, bytes)) else one for one in value]
    return value


def _place(text, names):
    """Returns the number of the class of this name, as it is or but for spaces around it; None where there is none."""
    for same in (lambda one: one, str.strip, lambda one: one.strip().replace(",", ";")):
        found = [index for index, one in enumerate(names) if same(one) == same(text)]
        if len(found) > 1:
            told = " and ".join(map(str, found[:4]))
            raise UsageError(f"classes {told} are all named {text.strip()[:40]!r}; expected a name for each")
        if found:
            return found[0]
    return None


def _index(text, names, name):
    place = _place(text, names)
    if place is not None:
        return place
    text = text.strip()
    numbers = bool(names) and all(map(_NUMBER.fullmatch, names))
    if text.isdecimal() and len(text) < 10 and not numbers:
        return int(text)
    if not names:
        raise UsageError(f"{name} {text!r} is no number, and these classes have no names; give a number such as 3")
    if numbers and _NUMBER.fullmatch(text):
        known = ", ".join(names)
        known = known if len(known) < 100 else f"{known[:80].rpartition(',')[0]}, ... {names[-1][:15]}"
        raise UsageError(f"no class is named {text[:20]!r}; the classes are named {known}")
    raise UsageError(f"no class is named {text!r}; {near_misses(text, names)}")


def told(chosen: Sequence[int], names: Sequence[str]) -> str:
    """Returns numbers of classes with their names, such as `class 4 ('5')`; nothing where names say no more."""
    kinds = list(dict.fromkeys(chosen))
    if not kinds or not names or all(index < len(names) and names[index] == str(index) for index in kinds):
        return ""
    listed = [f"{index} ({names[index]!r})" if index < len(names) else str(index) for index in kinds[:8]]
    return f"{'class' if len(kinds) == 1 else 'classes'} {', '.join(listed)}" + (", ..." if len(kinds) > 8 else "")

"""Words that messages share. A message is one line of at most 200 characters, however long the value it names."""

import sys
import warnings
from collections.abc import Iterable, Sequence

from keras_gen.errors import UsageError

_ALIASES = {"training": "train", "testing": "test", "val": "validation", "valid": "validation"}
_STAND_INS = {"validation": "test", "test": "validation"}


def brief(value: object, room: int = 60) -> str:
    """Returns the value quoted, on one line; of a long one the beginning and, since paths differ there, the end."""
    text = repr(str(value))
    if len(text) <= room:
        return text
    head = room // 4
    return f"{text[:head]}...{text[head + 3 - room :]}"


def plain(value: object, room: int = 60) -> str:
    """Returns the value without quotes, on one line, cut at `room` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= room else text[: room - 3] + "..."


def notice(message: str) -> None:
    """Warns, in the name of the caller outside this package: that is whose line can be changed."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "keras_gen":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def tell_broken(where: str, links: Sequence[object]) -> None:
    """Says which links of a folder lead to no file."""
    if links:
        told = ", ".join(plain(one, 30) for one in links[:3]) + (", ..." if len(links) > 3 else "")
        count = "1 link that leads" if len(links) == 1 else f"{len(links)} links that lead"
        notice(f"{where}: left out {count} to no file: {told}")


def canonical(split: str) -> str:
    """Returns the usual name of a split: `train`, `validation` and `test` have other spellings."""
    return _ALIASES.get(split.lower(), split.lower())


def choose_split(split: str, available: Iterable[str], name: str) -> str:
    """Finds a split under any of its spellings.

    Where a set holds out one part only, that part answers to both `validation` and `test`.

    Args:
        split: what was asked for.
        available: the splits that exist, as they are spelled in the set.
        name: what messages call the set.

    Returns:
        The name of the split, as it is spelled in the set.

    Raises:
        UsageError: there is no such split.
    """
    available = list(available)
    if not isinstance(split, str):
        raise UsageError(f"split is {brief(split, 30)}; expected one of {plain(', '.join(available))}")
    if split in available:
        return split
    by_name = {canonical(candidate): candidate for candidate in available}
    wanted = canonical(split)
    for candidate in (wanted, _STAND_INS.get(wanted)):
        if candidate in by_name:
            return by_name[candidate]
    raise UsageError(
        f"{brief(name)} has no split {brief(split, 30)}; expected one of: {plain(', '.join(available)) or 'none'}"
    )

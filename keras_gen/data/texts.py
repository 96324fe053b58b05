"""Text as windows of tokens: a file, a text set of tensorflow-datasets, or the docstrings of Python's own library."""

import ast
import os
import sysconfig
from functools import cache
from pathlib import Path

from keras_gen.data import digits, store, tfds
from keras_gen.data.examples import Windows
from keras_gen.data.messages import brief, canonical, choose_split, plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown
from keras_gen.tokenizer import KINDS, Tokenizer

NAME = "docstrings"
LENGTH = 65  # tokens in a row
SIZE = 512  # of a vocabulary of pairs
_TRAIN = 0.9  # of the characters, as stored; the rest is the test split


def is_text(name_or_path: str | os.PathLike) -> bool:
    """Tells whether this names text: `"docstrings"`, a file that ends in `.txt`, or a set of text and no images."""
    name = str(name_or_path)
    if name == NAME or Path(name).suffix.lower() == ".txt":
        return True
    return name != digits.NAME and not Path(name).exists() and tfds.knows(name) and tfds.holds_text(name)


def windows(
    name_or_path: str | os.PathLike = NAME,
    split: str = "train",
    length: int = LENGTH,
    tokenizer: str | Tokenizer = "characters",
    size: int = SIZE,
) -> Windows:
    """Reads text.

    Args:
        name_or_path: a `.txt` file in UTF-8; `"docstrings"`, those of Python's standard library, which need no
            network; or the name of a tensorflow-datasets set with text. Where there are no splits, the last tenth is
            the test split.
        split: `"train"` or `"test"`.
        length: tokens in a row. In the train split a row begins at every token; in the test split, with the last token
            of the one before it.
        tokenizer: `"characters"` or `"bpe"`, learned from the train split (the characters from both); or one that is
            there.
        size: of the vocabulary of `"bpe"`.

    Returns:
        The examples, `token`, with their `tokenizer`.

    Raises:
        UsageError: no such text or split, or one that is shorter than a row.
        DamagedError: it is not UTF-8.
    """
    if length < 2:
        raise UsageError(f"length is {length}; expected at least 2 tokens")
    name = str(name_or_path)
    parts = _read(name)
    chosen = choose_split(split, parts, name)
    if not isinstance(tokenizer, Tokenizer):
        learned_from = "".join(parts.values()) if tokenizer == "characters" else parts["train"]
        tokenizer = Tokenizer.learned(learned_from, tokenizer, size)
    token = tokenizer.encode(parts[chosen])
    if len(token) < length:
        raise UsageError(f"the {split} split of {brief(name, 40)} has {len(token)} tokens; expected at least {length}")
    stride = 1 if chosen == "train" else length - 1
    return Windows(token, length, stride, tokenizer, name, store.digest({"token": token}))


def tokenizer_for(kind: str, name_or_path: str | os.PathLike, size: int) -> Tokenizer:
    """Returns the tokenizer that `windows` would learn."""
    if kind not in KINDS:
        return Tokenizer(kind)
    return windows(name_or_path, "train", 2, kind, size).tokenizer


def _read(name):
    """Returns the text of each split."""
    if name == NAME:
        return _halves(_docstrings())
    if tfds.knows(name) and not Path(name).is_file():
        found = {canonical(split): text for split, text in tfds.texts(name).items()}
        if "train" not in found:
            raise UsageError(
                f"{brief(name, 40)} has the splits {plain(', '.join(found), 60)}; expected one for training"
            )
        return _halves(found["train"]) if len(found) == 1 else found
    try:
        return _halves(Path(name).expanduser().read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DamagedError(f"{shown(name)} is not UTF-8: byte {error.start}; convert it") from None
    except OSError as error:
        raise UsageError(f"cannot read {shown(name)}: {error.strerror}; give a .txt file, or '{NAME}'") from None


def _halves(text):
    cut = int(_TRAIN * len(text))
    return {"train": text[:cut], "test": text[cut:]}


@cache
def _docstrings():
    """Returns the docstrings of Python's standard library, module by module, in the order of their paths."""
    found = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "test", "tests", "idle_test"} & set(path.parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
        found += [text for node in nodes if (text := ast.get_docstring(node)) and text.isascii()]
    if not found:
        raise UsageError(f"Python's library holds no docstrings here; give a .txt file in place of {NAME!r}")
    return "\n\n".join(found) + "\n"

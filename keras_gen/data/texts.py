"""Text as windows of tokens: files, a text set of tensorflow-datasets, or the docstrings of Python's own library."""

import ast
import codecs
import os
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from keras_gen.data import digits, formats, store, tfds
from keras_gen.data.examples import Windows
from keras_gen.data.messages import brief, canonical, choose_split, notice, plain, tell_broken
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import sets
from keras_gen.files.writing import shown
from keras_gen.tokenizer import KINDS, Tokenizer

NAME = "docstrings"
LENGTH = 65  # tokens in a row
SIZE = 512  # of a vocabulary of pairs
Data = str | os.PathLike | Sequence[str | os.PathLike]
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}  # first: UTF-16's is the beginning of one
_MARKS |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_STRANGE = [chr(code) for code in range(1, 32) if chr(code) not in "\b\t\n\v\f\r\x1a\x1b"]  # controls that texts lack
_TRAIN = 0.9  # of the characters, as stored; the rest is the test split


def is_text(name_or_path: Data) -> bool:
    """Tells whether this names text.

    It does if it is `"docstrings"`, one or several files that end in `.txt`, a folder of them without an image, or a
    set of tensorflow-datasets with text and no images.
    """
    if isinstance(name_or_path, (list, tuple)):
        return True
    name = str(name_or_path)
    path = Path(name).expanduser()
    if name == NAME or sets.is_text(path) or name == digits.NAME:
        return name != digits.NAME
    if path.is_dir():
        return not tfds.knows(name) and sets.holds_texts(path)
    return not path.exists() and tfds.knows(name) and tfds.holds_text(name)


def windows(
    name_or_path: Data = NAME,
    split: str = "train",
    length: int = LENGTH,
    tokenizer: str | Tokenizer = "characters",
    size: int = SIZE,
) -> Windows:
    """Reads text.

    Args:
        name_or_path: a text file in UTF-8, or UTF-16 with its mark; a list of such files, on the command line
            `a.txt,b.txt`; a folder of `.txt` files, which may be named `train.txt` and `test.txt`; `"docstrings"`,
            those of Python's standard library, which need no network; or the name of a tensorflow-datasets set with
            text. Where there are no splits, the last tenth is the test split: of each file, where there are several.
        split: `"train"`, `"test"` or `"all"`.
        length: tokens in a row. In the test split a row begins with the last token of the one before it; in the train
            split, and of all, one begins at every token.
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
    parts, name = _read(name_or_path)
    parts = {**parts, "all": parts.get("all", "\n\n".join(filter(None, parts.values())))}
    chosen = choose_split(split, parts, name)
    if not isinstance(tokenizer, Tokenizer):
        learned_from = "".join(_known(parts, chosen)) if tokenizer == "characters" else parts["train"]
        tokenizer = Tokenizer.learned(learned_from, tokenizer, size)
    token = tokenizer.encode(parts[chosen])
    if len(token) < length:
        raise UsageError(f"the {split} split of {brief(name, 40)} has {len(token)} tokens; expected at least {length}")
    stride = 1 if chosen in ("train", "all") else length - 1
    return Windows(token, length, stride, tokenizer, name, store.digest({"token": token}))


def _known(parts, chosen):
    """Returns the texts of which the characters are known."""
    return [text for split, text in parts.items() if split != "all" or chosen == "all"]


def tokenizer_for(kind: str, name_or_path: Data, size: int) -> Tokenizer:
    """Returns the tokenizer that `windows` would learn."""
    if kind not in KINDS:
        return Tokenizer(kind)
    return windows(name_or_path, "train", 2, kind, size).tokenizer


def _read(data):
    """Returns the text of each split, and what messages call the set."""
    several = list(data) if isinstance(data, (list, tuple)) else sets.several(str(data))
    if several:
        return _files([Path(one).expanduser() for one in several]), ", ".join(Path(one).name for one in several)
    name = str(data)
    if name == NAME:
        return _halves([_docstrings()]), name
    path = Path(name).expanduser()
    if tfds.knows(name) and not path.is_file():
        found = {canonical(split): text for split, text in tfds.texts(name).items()}
        if "train" not in found:
            raise UsageError(
                f"{brief(name, 40)} has the splits {plain(', '.join(found), 60)}; expected one for training"
            )
        return (_halves([found["train"]]) if len(found) == 1 else found), name
    if not path.is_dir():
        return _files([path]), name
    every = sets.files_in(path)
    tell_broken(shown(path, 60), [link.relative_to(path) for link in sets.broken_links(path)])
    files = list(filter(sets.is_text, every))
    if not files:
        raise UsageError(f"{shown(path)} holds no .txt files; give a folder of texts, a .txt file, or '{NAME}'")
    if len(every) > len(files):
        notice(f"{shown(path)}: left out {formats.counted(set(every) - set(files))} that do not end in .txt")
    by_split = {}
    for file in files:  # in folders of splits, or with such names
        first = file.relative_to(path).parts[0]
        by_split.setdefault(canonical(first if first != file.name else file.stem), []).append(file)
    parts = {split: files for split, files in by_split.items() if split in ("train", "validation", "test")}
    if "train" in parts and len(parts) > 1:
        left = [file for split, files in by_split.items() if split not in parts for file in files]
        if left:
            told = plain(", ".join(file.relative_to(path).parts[0] for file in left[:3]), 60)
            notice(f"{shown(path, 60)} has {' and '.join(parts)}: left out {len(left)} other files, such as {told}")
        by_split = parts
        return {split: "\n\n".join(_contents(files)) for split, files in by_split.items()}, name
    return _files(files), name


def _files(paths):
    return _halves(_contents(paths))


def _contents(paths):
    """Returns the texts of files.

    Raises:
        UsageError: one cannot be opened.
        DamagedError: some are no text; all of them are named.
    """
    texts, damaged, nul = [], {}, 0
    for path in paths:
        try:
            text = _decoded(path.read_bytes())
        except (UnicodeError, DamagedError) as error:
            damaged[path] = f"byte {error.start}" if isinstance(error, UnicodeDecodeError) else str(error)
            continue
        except OSError as error:
            raise UsageError(f"cannot read {shown(path)}: {error.strerror}; give a .txt file, or '{NAME}'") from None
        nul += text.count("\0")
        texts.append(text.replace("\0", ""))
    if damaged:
        first, *others = damaged
        more = f" and {len(others)} more: {plain(', '.join(path.name for path in others), 60)}" if others else ""
        raise DamagedError(
            f"{shown(first, 60)} is not UTF-8: {damaged[first]}{more}; convert {'them' if others else 'it'}"
        )
    if nul:
        notice(f"{shown(paths[0].parent if len(paths) > 1 else paths[0], 80)}: left out {nul} NUL characters: no text")
    return texts


def _decoded(data):
    """Returns the text of bytes, without what editors and systems put in: marks of the encoding and of the end."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    text = data.decode(encoding).replace("\ufeff", "")  # also inside, where files were put together
    if text.count("\0") > len(text) / 4:
        raise DamagedError("it is full of NUL, as UTF-16 without its mark is")
    strange = sum(map(text.count, _STRANGE))
    if strange > 0.02 * len(text):  # of Cyrillic, Arabic or Thai letters one byte is such a character
        raise DamagedError(f"{strange} of its characters are controls, as in UTF-16 without its mark")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")


def _halves(texts):
    """Returns texts cut into train and test split, and whole."""
    cuts = [int(_TRAIN * len(text)) for text in texts]
    train = [text[:cut] for text, cut in zip(texts, cuts, strict=True)]
    test = [text[cut:] for text, cut in zip(texts, cuts, strict=True)]
    return {name: "\n\n".join(filter(None, part)) for name, part in (("train", train), ("test", test), ("all", texts))}


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

"""What data may be called, known without TensorFlow: paths that exist, sets that need no network, and the catalog."""

import contextlib
import difflib
import functools
import os
import re
from importlib import resources
from pathlib import Path

from keras_gen.errors import UsageError
from keras_gen.files.writing import shown

BUILT_IN = ("digits", "docstrings")
NAME = re.compile(r"[A-Za-z]\w{0,79}(/[\w+.-]+)?(:(\d+|\*)(\.(\d+|\*)){2})?")  # of tensorflow-datasets


@functools.cache
def catalog() -> frozenset[str]:
    """Returns the names of tensorflow-datasets, of the release that this version is made for."""
    return frozenset(resources.files(__package__).joinpath("sets.txt").read_text(encoding="utf-8").split())


def data_dir() -> str:
    """Returns the folder of tensorflow-datasets: `TFDS_DATA_DIR`, by default `~/tensorflow_datasets`."""
    return os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")


def prepared(name: str) -> bool:
    """Tells whether a set was prepared in the folder of tensorflow-datasets."""
    return any(Path(data_dir(), re.split("[/:]", name)[0]).glob("**/dataset_info.json"))


def check(text: str) -> str:
    """Returns the name or the path of data that may exist.

    Raises:
        UsageError: no such file or folder, and no set of this name; the message names the near misses.
    """
    path = Path(text).expanduser()
    if text in BUILT_IN or path.exists():
        return text
    if path.suffix in (".npz", ".txt") or not NAME.fullmatch(text):
        raise missing(path)
    stem = re.split("[/:]", text)[0]
    if stem in catalog() or prepared(text):
        return text
    raise missing(path) if "/" in text or os.sep in text else unknown(text)


def missing(path: Path) -> UsageError:
    """Returns the error for a path that does not exist."""
    parent = path.parent
    if not parent.is_dir():
        return UsageError(f"no file {shown(path)}: no folder {shown(parent, 50)}; give an .npz or a folder")
    near = []
    with contextlib.suppress(OSError):
        near = difflib.get_close_matches(path.name, os.listdir(parent), n=1)
    hint = f": did you mean {shown(near[0], 40)!r}?" if near else "; give an .npz file or a folder of images"
    return UsageError(f"no file {shown(path)}{hint}")


def unknown(text: str) -> UsageError:
    """Returns the error for a name that no set has."""
    near = difflib.get_close_matches(text.split(":")[0], [*BUILT_IN, *catalog()], n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "see tensorflow-datasets' catalog for names"
    return UsageError(
        f"no data set {shown(text, 40)!r}; expected 'digits', a tensorflow-datasets name, an .npz or a folder: {hint}"
    )

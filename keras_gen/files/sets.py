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
# A file with such an ending that is no picture is damaged; one with any other ending is of another kind.
IMAGES = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .jif .mpo .gif .webp .bmp .dib .tif .tiff .ppm .pgm .pbm .pnm .avif".split()
)

# What operating systems, file servers and synchronization put beside pictures; in lower case. What begins with a dot
# (.DS_Store, ._x.png, .Trashes, .thumbnails, .@__thumb) is left out, too.
_BESIDE = frozenset(
    (
        "__macosx|icon\r|desktop db|desktop df|network trash folder|temporary items|thevolumesettingsfolder|"
        "thumbs.db|ehthumbs.db|ehthumbs_vista.db|desktop.ini|folder.ini|autorun.inf|$recycle.bin|recycler|recycled|"
        "recycle.bin|system volume information|bootex.log|indexervolumeguid|wpsettings.dat|albumartsmall.jpg|"
        "lost+found|lost.dir|@eadir|@tmp|@sharebin|@recycle|@recently-snapshot|@__thumb|#recycle|#snapshot|"
        "picasa.ini|zbthumbnail.info|aquota.user|aquota.group"
    ).split("|")
)
_BESIDE_LIKE = re.compile(
    r"found\.\d{3}|fsck\d{4}\.rec|albumart_\{.*|~\$.*|.*:zone\.identifier|.*@syno\w+|thumbs\.db:.*"
)


def beside(name: str) -> bool:
    """Tells whether a file or folder is what an operating system or a drive puts beside people's pictures."""
    low = name.lower()
    return low.startswith(".") or low in _BESIDE or _BESIDE_LIKE.fullmatch(low) is not None


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
    if parts := several(text):
        for part in parts:
            if not Path(part).expanduser().is_file():
                raise missing(Path(part).expanduser())
        return text
    if path.suffix in (".npz", ".npy", ".txt") or not NAME.fullmatch(text):
        raise missing(path)
    stem = re.split("[/:]", text)[0]
    if stem in catalog() or prepared(text):
        return text
    raise missing(path) if "/" in text or os.sep in text else unknown(text)


def several(text: str) -> list[str]:
    """Returns the text files of `a.txt,b.txt`, or none where it is the path of one, or something else."""
    parts = [part.strip() for part in text.split(",")]
    fine = len(parts) > 1 and all(part.lower().endswith(".txt") for part in parts)
    return parts if fine and not Path(text).expanduser().exists() else []


def files_in(folder: Path) -> list[Path]:
    """Returns the files below a folder, sorted, but for those that systems and drives put there."""
    return [file for file in _below(folder) if file.is_file()]


def broken_links(folder: Path) -> list[Path]:
    """Returns the links below a folder, sorted, that lead to no file."""
    return [file for file in _below(folder) if file.is_symlink() and not file.exists()]


def _below(folder):
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not beside(name)]
        found += [Path(root, name) for name in files if not beside(name)]
    return sorted(found)


def is_text(path: Path) -> bool:
    """Tells whether a file is a text by its ending."""
    return path.suffix.lower() == ".txt"


def holds_texts(folder: Path) -> bool:
    """Tells whether a folder holds texts and no files that end as images do: beside those, texts describe them."""
    if (folder / "dataset_info.json").is_file():
        return False
    files = files_in(folder)
    return any(map(is_text, files)) and not any(file.suffix.lower() in IMAGES for file in files)


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

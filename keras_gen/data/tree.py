"""Files below a folder, or in a zip: their names, and how each of them is opened. Nothing is unpacked to the disk."""

import io
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from keras_gen.data.messages import plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import sets
from keras_gen.files.writing import shown

SPLITS = ("train", "validation", "test")
LARGEST = 2**28  # bytes of one file of a zip, unpacked: a raw bitmap of 9,400 x 9,400 pixels
_SMALL = 2**24  # bytes that are unpacked whatever they were packed into
_PACKED = 200  # times that pictures are packed at most, beyond those
_TOGETHER = 2**30  # bytes of all files, likewise
_ENDINGS = (".zip", ".cbz", ".npz", "")
ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)  # what a damaged zip raises, too

Name = PurePosixPath  # below the top


class Tree:
    """A folder, or one file in it.

    Args:
        path: of the folder.
        only: name of the one file.
    """

    def __init__(self, path: Path, only: str = ""):
        self.path, self._only = path, only
        self.broken: list[Name] = []  # links that lead nowhere, found with the files

    def files(self) -> list[Name]:
        """Returns the names of all files in order, but for what systems and drives put beside them."""
        if self._only:
            return [Name(self._only)]
        loose = [Name(one.name) for one in self.path.iterdir() if not sets.beside(one.name) and not one.is_dir()]
        every = sorted([*loose, *(name for top in self.folders() for name in self._walk(top))])
        self.broken = [name for name in every if not (self.path / name).exists()]
        lost = set(self.broken)
        return [name for name in every if name not in lost and (self.path / name).is_file()]

    def folders(self, *below: str) -> list[str]:
        """Returns the names of the folders at the top, or below another."""
        found = self.path.joinpath(*below).iterdir()
        return sorted(entry.name for entry in found if entry.is_dir() and not sets.beside(entry.name))

    def open(self, name: Name) -> BinaryIO:
        """Opens a file; it can seek."""
        return open(self.path / name, "rb")

    def head(self, name: Name, size: int) -> bytes:
        """Returns the first bytes of a file."""
        with open(self.path / name, "rb") as file:
            return file.read(size)

    def stamp(self, name: Name) -> tuple[int, int]:
        """Returns what changes with the content of a file."""
        stat = (self.path / name).stat()
        return stat.st_size, stat.st_mtime_ns

    def called(self, name: Name, room: int) -> str:
        """Returns what messages call a file."""
        return shown(self.path / name, room)

    def check(self, names: Iterable[Name]) -> None:
        """Looks at what it would cost to read these files."""

    def _walk(self, top) -> Iterator[Name]:
        """Yields the files below a folder; links to folders are followed, but not in circles."""
        seen = {os.path.realpath(self.path / top)}
        for root, folders, files in os.walk(self.path / top, followlinks=True):
            real = {name: os.path.realpath(os.path.join(root, name)) for name in folders}
            folders[:] = sorted(name for name in folders if not sets.beside(name) and real[name] not in seen)
            seen.update(real[name] for name in folders)
            here = Name(Path(root).relative_to(self.path).as_posix())
            yield from (here / name for name in files if not sets.beside(name))


class Zip(Tree):
    """A zip.

    Args:
        path: of the zip.

    Raises:
        DamagedError: it is no zip, or one of its names points outside of it.
    """

    def __init__(self, path: Path):
        super().__init__(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except (*ERRORS, ValueError, LookupError, EOFError) as error:
            raise DamagedError(
                f"cannot read {shown(path)}: {plain(error, 50)}; expected a zip: fetch or write it again"
            ) from error
        self._infos: dict[Name, zipfile.ZipInfo] = {}
        self._folders: set[Name] = set()
        for info in self._zip.infolist():
            self._take(info)

    def _take(self, info):
        text = _decoded(info).replace("\\", "/")
        name = Name(text)
        if text.startswith("/") or ".." in name.parts or re.match("[A-Za-z]:", text):
            raise DamagedError(f"{shown(self.path)} holds {plain(text, 60)!r}, which points outside; write it again")
        if any(map(sets.beside, name.parts)) or not name.parts:
            return
        parents = list(name.parents)[:-1]
        self._folders.update(parents)
        if text.endswith("/"):
            self._folders.add(name)
        else:
            self._infos[name] = info

    def files(self) -> list[Name]:
        """Returns the names of all files in order, but for what systems and drives put beside them."""
        return sorted(self._infos)

    def folders(self, *below: str) -> list[str]:
        """Returns the names of the folders at the top, or below another."""
        return sorted(one.name for one in self._folders if one.parts[:-1] == below)

    def open(self, name: Name) -> BinaryIO:
        """Opens a file, unpacked in memory; it can seek."""
        info = self._infos[name]
        if info.file_size > LARGEST or info.file_size > max(_SMALL, _PACKED * info.compress_size):
            raise ValueError(f"{info.file_size:,} bytes when unpacked, of {info.compress_size:,}: no picture")
        return io.BytesIO(self._zip.read(info))

    def head(self, name: Name, size: int) -> bytes:
        """Returns the first bytes of a file."""
        with self._zip.open(self._infos[name]) as file:
            return file.read(size)

    def stamp(self, name: Name) -> tuple[int, int]:
        """Returns what changes with the content of a file."""
        return self._infos[name].file_size, self._infos[name].CRC

    def called(self, name: Name, room: int) -> str:
        """Returns what messages call a file."""
        return f"{plain(name, room // 2)} in {shown(self.path, room // 2)}"

    def check(self, names: Iterable[Name]) -> None:
        """Looks at what it would cost to read these files.

        Raises:
            UsageError: they are encrypted.
            DamagedError: they are far larger than the zip.
        """
        infos = {name: self._infos[name] for name in names}
        locked = next((name for name, info in infos.items() if info.flag_bits & 1), None)
        if locked:
            raise UsageError(f"{shown(self.path)} is encrypted ({plain(locked, 40)}): unpack it, and give the folder")
        whole, packed = sum(info.file_size for info in infos.values()), self.path.stat().st_size
        huge = next((name for name, info in infos.items() if info.file_size > LARGEST), None)
        if whole > max(_PACKED * packed, _TOGETHER) or huge:
            what = f"({plain(huge, 40)} alone {infos[huge].file_size:,})" if huge else f"in {len(infos)} files"
            raise DamagedError(
                f"{shown(self.path, 40)} of {packed:,} bytes would unpack to {whole:,} bytes {what}; "
                "if it holds pictures, unpack it and give the folder"
            )


def opened(path: Path) -> Tree:
    """Returns the files of a folder, of a zip, or one alone."""
    if path.is_dir():
        return Tree(path)
    return Zip(path) if is_zip(path) else Tree(path.parent, path.name)


def refuse_zip(path: Path) -> None:
    """Refuses a zip of pictures in two parts.

    Raises:
        UsageError: it is one.
    """
    if path.is_file() and is_zip(path):
        raise UsageError(f"{shown(path)} is a zip; images in two parts are read from a folder or an .npz: unpack it")


def is_zip(path: Path) -> bool:
    """Tells whether a file is a zip of pictures: an `.npz`, a document and a model are zips, too."""
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        return False
    try:
        with zipfile.ZipFile(path) as file:
            endings = {Name(name).suffix.lower() for name in file.namelist()}
    except (*ERRORS, ValueError, LookupError, EOFError):
        return ending in (".zip", ".cbz")
    if ".npy" in endings:
        return bool(endings & sets.IMAGES) and ending != ".npz"
    return bool(endings & sets.IMAGES) or ending in (".zip", ".cbz")


def _decoded(info):
    """Returns the name of a file: macOS writes UTF-8 and does not say so."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename

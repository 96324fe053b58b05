"""An array in an `.npz` or `.npy` file: its shape and type first, then some rows at a time. Pickles are never read."""

import contextlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_gen.data.messages import plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown

CHUNK = 2**24  # bytes that are read at a time
_PLAIN = b"\x93NUMPY"  # how an .npy file begins
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError, KeyError)


class Array:
    """One array of a file: its shape and type are known before its values are read.

    Args:
        path: of the file.
        name: of the array.

    Raises:
        DamagedError: it cannot be read, or holds Python objects.
    """

    def __init__(self, path: Path, name: str):
        self.path, self.name = path, name
        with self._open() as stream:
            self.start = stream.tell()
        size = self._size - self.start
        if self.dtype.hasobject:
            raise DamagedError(
                f"{name!r} in {shown(path)} holds Python objects, which are never read; save it as a plain array"
            )
        if self.nbytes != size:
            raise DamagedError(f"{name!r} in {shown(path)} is {size} bytes long, not {self.nbytes}; write it again")

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @contextlib.contextmanager
    def _open(self):
        """Opens the member and reads its header."""
        with readable(self.path, self.name), contextlib.ExitStack() as stack:
            if is_plain(self.path):
                self._size, self._member = self.path.stat().st_size, False
                stream = stack.enter_context(open(self.path, "rb"))
            else:
                file = stack.enter_context(zipfile.ZipFile(self.path))
                info = file.getinfo(f"{self.name}.npy")
                self._size, self._member = info.file_size, True
                stream = stack.enter_context(file.open(info))
            with stream:
                version = np.lib.format.read_magic(stream)
                headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                if version not in headers:
                    raise ValueError(f"array format {version}")
                self.shape, self.fortran, self.dtype = headers[version](stream)
                yield stream

    def whole(self) -> np.ndarray:
        """Reads all of it."""
        with self._open() as stream:
            flat = np.frombuffer(self._exactly(stream, self.nbytes), self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def chunks(self) -> Iterator[np.ndarray]:
        """Reads some rows at a time."""
        if not self.shape or not self.shape[0]:
            return
        rows = max(1, CHUNK * self.shape[0] // max(1, self.nbytes))
        if self.fortran:  # its rows are scattered over the file
            array = self.whole()
            for first in range(0, len(array), rows):
                yield np.ascontiguousarray(array[first : first + rows])
            return
        with self._open() as stream:
            for first in range(0, self.shape[0], rows):
                shape = (min(rows, self.shape[0] - first), *self.shape[1:])
                data = self._exactly(stream, math.prod(shape) * self.dtype.itemsize)
                yield np.frombuffer(data, self.dtype).reshape(shape)

    def _exactly(self, stream, size):
        data = stream.read(size)
        if len(data) != size:
            raise EOFError(f"{len(data)} of {size} bytes")
        if self._member and stream.tell() == self._size:
            stream.read(1)  # the checksum is compared at the end of the member
        return data


@contextlib.contextmanager
def readable(path: Path, name: str | None = None) -> Iterator[None]:
    """Turns whatever a broken file raises into one line."""
    try:
        yield
    except (DamagedError, UsageError):
        raise
    except _BROKEN as error:
        what = f"{name!r} in {shown(path)}" if name else shown(path)
        reason = plain(getattr(error, "strerror", None) or error, 50)
        raise DamagedError(f"cannot read {what}: {reason}; expected an .npz file: write it again") from error


def is_plain(path: Path) -> bool:
    """Tells whether a file is one array, an `.npy` file, by its content."""
    with open(path, "rb") as file:
        return file.read(len(_PLAIN)) == _PLAIN

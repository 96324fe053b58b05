"""The one door through which everything is written: a path holds its old content or the complete new one."""

import contextlib
import errno
import fcntl
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

from keras_gen.errors import UsageError

# Every system call that changes a disk goes through these names, so that a test can fail each of them.
_makedirs, _open, _write, _fsync, _close = os.makedirs, os.open, os.write, os.fsync, os.close
_replace, _unlink, _flock = os.replace, os.unlink, fcntl.flock

_TEMPORARY = re.compile(r"\.tmp-(\d+)-\d+-.")
_counter = itertools.count()
_being_written: set[str] = set()

_CAUSES = {
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENXIO: "it is a device; give the name of a file",
    errno.EEXIST: "a file stands where a folder is needed; choose another path",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another path",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


class WriteError(OSError):
    """A file could not be written. It keeps its `errno`, and its text is one line that says what to do."""

    def __str__(self) -> str:
        """Returns the line alone, without the number that `OSError` puts before it."""
        return self.strerror


def shown(path: str | os.PathLike, length: int = 80) -> str:
    """Returns a path as an error line shows it: on one line, and its end only when it is long."""
    text = "".join(c if c.isprintable() else "?" for c in os.fspath(path))
    return text if len(text) <= length else "..." + text[3 - length :]


def write(path: str | os.PathLike, data: bytes) -> None:
    """Writes a whole file, or leaves the old one as it was.

    Args:
        path: of the file; missing folders are made.
        data: its complete content.

    Raises:
        WriteError: the disk is full, read-only, ...; nothing has changed.
    """
    with beside(path, needed=len(data)) as temporary:
        descriptor = _open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[_write(descriptor, rest) :]
        finally:
            _close(descriptor)


@contextlib.contextmanager
def beside(path: str | os.PathLike, needed: int | None = None) -> Iterator[Path]:
    """Lends a temporary path to a writer that wants one (`keras.Model.save`, PIL), and puts the file in its place.

    Args:
        path: of the file; missing folders are made, and a link is written through.
        needed: bytes, for the message of a full disk; estimated when not given.

    Yields:
        A path in the same folder with the same suffix. What is there when the block ends becomes `path`; when the
        block raises, it is removed and `path` is as it was.

    Raises:
        WriteError: the disk is full, read-only, ...; nothing has changed.
    """
    # Renaming onto a link would replace the link, not the file behind it.
    target = Path(os.path.realpath(path))
    # The old name is the end of the new one, because writers choose a format by suffix (".weights.h5" too).
    temporary = target.with_name(f".tmp-{os.getpid()}-{next(_counter)}-{target.name[-100:]}")
    _being_written.add(str(temporary))
    try:
        if target.exists() and not target.is_file():  # renaming would put a file in the place of a device
            raise OSError(errno.EISDIR if target.is_dir() else errno.ENXIO, "not a file", str(target))
        _makedirs(target.parent, exist_ok=True)
        yield temporary
        _sync(temporary)
        _replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        size = needed if needed is not None else max(_size(temporary), _size(target))
        _remove(temporary)
        # A writer may also fail to read something else: that error is already about its own path.
        if error.errno is None or error.filename not in (None, *_names(temporary, target)):
            raise
        raise _explained(error, path, size, exact=needed is not None) from error
    except BaseException:
        _remove(temporary)
        raise
    finally:
        _being_written.discard(str(temporary))


@contextlib.contextmanager
def lock(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps other writers out of a folder; readers never need it, and the kernel releases it when the process dies.

    Args:
        folder: of a run; made if missing.

    Yields:
        Nothing.

    Raises:
        UsageError: another process holds the lock; the message names it.
        WriteError: the folder cannot be written.
    """
    path = Path(folder) / ".lock"
    try:
        descriptor = _locked(folder, path)
    except OSError as error:
        raise _explained(error, path, 0) from error
    try:
        # The number is for the message alone: on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            _write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        # Unlocked by name: a forked child that lives on would otherwise keep it.
        _flock(descriptor, fcntl.LOCK_UN)
        _close(descriptor)


def clean(folder: str | os.PathLike) -> None:
    """Removes the temporary files that dead processes left in a folder. Call it under the folder's lock."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            owner = _TEMPORARY.match(entry.name)
            if owner and not _alive(int(owner[1]), os.path.join(os.path.realpath(folder), entry.name)):
                _remove(entry.path)


def move_aside(folder: str | os.PathLike) -> Path:
    """Renames `<run>` to `<run>.1`, or to the next free number, and deletes nothing.

    Call it under the folder's lock, which moves along: the new `<run>` needs a lock of its own.

    Args:
        folder: of a run.

    Returns:
        The new path.

    Raises:
        UsageError: there is no such folder.
        WriteError: the folder around it cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    if not folder.is_dir():
        raise UsageError(f"{shown(folder)} is not a folder: there is no run to move aside")
    for number in itertools.count(1):
        aside = folder.with_name(f"{folder.name}.{number}")
        if os.path.lexists(aside):
            continue
        try:
            _replace(folder, aside)
            _sync(folder.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # somebody else took this number just now
                continue
            raise _explained(error, aside, 0) from error
        return aside


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = _open(path, os.O_RDONLY)
    try:
        _fsync(descriptor)
    finally:
        _close(descriptor)


def _remove(path: str | os.PathLike) -> None:
    try:
        with contextlib.suppress(OSError):
            _unlink(path)
    except KeyboardInterrupt:  # a second Ctrl-C must not leave the file
        with contextlib.suppress(OSError):
            _unlink(path)
        raise


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _names(temporary: Path, target: Path) -> Iterator[str | Path]:
    """Yields what an error about our own write may carry as its file name."""
    for path in (temporary, target, target.parent):
        yield from (path, str(path))


def _explained(error: OSError, path: str | os.PathLike, size: int, exact: bool = False) -> WriteError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        need = (
            f"{size} bytes are needed" if exact else f"{size} bytes or more are needed" if size else "no byte is left"
        )
        cause = f"the disk is full, {need}; free some space or choose another folder"
    else:
        cause = _CAUSES.get(error.errno) or f"{os.strerror(error.errno)}; check the disk or choose another folder"
    return WriteError(error.errno, f"cannot write {shown(path)}: {cause}")


def _locked(folder: str | os.PathLike, path: Path) -> int:
    """Returns the descriptor of the lock file, locked."""
    while True:
        _makedirs(folder, exist_ok=True)
        descriptor = _open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The folder may have been moved aside between the two calls: then this is the lock of another run.
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        except BlockingIOError:
            owner = os.read(descriptor, 20).decode(errors="replace")
            _close(descriptor)
            owner = f"process {owner}" if owner.isdigit() else "another process"
            way_out = "wait for it to end, stop it, or choose another folder"
            raise UsageError(f"{shown(folder)} is in use by {owner}; {way_out}") from None
        except BaseException:
            _close(descriptor)
            raise
        _close(descriptor)


def _alive(process: int, temporary: str) -> bool:
    """Tells whether a temporary file is still being written."""
    if process == os.getpid():  # in a container every start may have the same number
        return temporary in _being_written
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True

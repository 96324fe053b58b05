"""The one door through which everything is written: a path holds its old content or the complete new one."""

import contextlib
import errno
import itertools
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_gen.errors import UsageError

# Every system call that changes a disk goes through these names, so that a test can fail each of them.
_makedirs, _open, _write, _fsync, _close = os.makedirs, os.open, os.write, os.fsync, os.close
_replace, _unlink = os.replace, os.unlink

LOCK, OWNER = ".lock", ".lock.pid"  # of a folder; a run's folder may hold them before it holds anything else
_PATIENCE = 0.2  # seconds to wait for a lock: another process may just be giving it back
WINDOWS = os.name == "nt"
_BINARY = getattr(os, "O_BINARY", 0)  # without it, Windows changes the ends of lines
_TEMPORARY = re.compile(r"\.tmp-(\d+)-\d+-.")
_counter = itertools.count()
_being_written: set[str] = set()

_CAUSES = {
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ELOOP: "it is a link; remove it or choose another folder",
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
        _create(temporary, data)


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
        _sync_names(target.parent)
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

    The number of the process is in a file beside, because Windows lets nobody read a locked one.

    Args:
        folder: of a run; made if missing.

    Yields:
        Nothing.

    Raises:
        UsageError: another process holds the lock; the message names it.
        WriteError: the folder cannot be written.
    """
    path, owner = Path(folder) / LOCK, Path(os.path.abspath(folder)) / OWNER
    try:
        held = _locked(folder, path)
    except OSError as error:
        raise _explained(error, path, 0) from error
    process = os.getpid()
    try:
        # The number is for the message alone: on a full disk the lock holds without it.
        with contextlib.suppress(OSError):
            _remove(owner)  # never written through: it may be a link
            _create(owner, str(process).encode())
        yield
    finally:
        if os.getpid() == process:  # a forked child holds nothing
            if _owner(owner) == process:  # the folder may have been moved aside, and another process be in the new one
                _remove(owner)
            held.release()


def clean(folder: str | os.PathLike) -> None:
    """Removes the temporary files that dead processes left in a folder. Call it under the folder's lock."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            owner = _TEMPORARY.match(entry.name)
            if owner and not _alive(int(owner[1]), os.path.join(os.path.realpath(folder), entry.name)):
                _remove(entry.path)


def move_aside(folder: str | os.PathLike) -> Path:
    """Renames `<run>` to `<run>.1`, or to the next free number, and deletes nothing.

    Call it under the folder's lock, which moves along: the new `<run>` needs a lock of its own. Windows moves no folder
    that holds an open file: there, call it just after the lock.

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
            _remove(aside / OWNER)
            _sync_names(folder.parent)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # somebody else took this number just now
                continue
            raise _explained(error, aside, 0) from error
        return aside


def _create(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet; a link is there."""
    descriptor = _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[_write(descriptor, rest) :]
    finally:
        _close(descriptor)


def _sync(path: Path, access: int = os.O_RDWR) -> None:
    """Waits until a file is on the disk."""
    descriptor = _open(path, access | _BINARY)  # Windows does not wait for one that is open for reading
    try:
        _fsync(descriptor)
    finally:
        _close(descriptor)


def _sync_names(folder: Path) -> None:
    """Waits until the names in a folder are on the disk."""
    with contextlib.suppress(PermissionError):  # Windows opens no folder, and others none that may not be listed
        _sync(folder, os.O_RDONLY)


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


def _locked(folder: str | os.PathLike, path: Path) -> Any:
    """Returns the lock of a folder, held. It does not follow a link, and leaves what is in the file."""
    with warnings.catch_warnings():
        # Where the kernel has no locks of files, a file that exists is the lock, and a dead process's is taken over.
        warnings.filterwarnings("ignore", "only soft file lock|flock not supported")
        import filelock

        held = filelock.FileLock(path, timeout=_PATIENCE, poll_interval=0.05, thread_local=False)
        for attempt in itertools.count():
            _makedirs(folder, exist_ok=True)
            before = _identity(folder)
            try:
                held.acquire()
            except FileNotFoundError:  # the folder is gone already
                if attempt == 9:
                    raise
                continue
            except filelock.Timeout:
                owner = _owner(Path(folder) / OWNER)
                owner = f"process {owner}" if owner is not None and _runs(owner) is not False else "another process"
                way_out = "wait for it to end, stop it, or choose another folder"
                raise UsageError(f"{shown(folder)} is in use by {owner}; {way_out}") from None
            # The folder may have been moved aside between the two calls: then this is the lock of another run.
            if before is not None and before == _identity(folder):
                return held
            held.release()


def _identity(folder: str | os.PathLike) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(folder)
        return found.st_dev, found.st_ino
    return None


def _owner(path: Path) -> int | None:
    """Returns the number in the file beside a lock, whoever wrote it, or None."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            text = os.read(descriptor, 20)
        finally:
            os.close(descriptor)
        return int(text) or None if text.isdigit() and len(text) < 20 else None
    return None


def _alive(process: int, temporary: str) -> bool:
    """Tells whether a temporary file is still being written."""
    if process == os.getpid():  # in a container every start may have the same number
        return temporary in _being_written
    # On Windows nobody can remove a file that is open: there, trying is how to ask.
    return bool(_runs(process))


def _runs(process: int) -> bool | None:
    """Tells whether a process runs, or None where it cannot be asked: on Windows, signal 0 is Ctrl-C."""
    if WINDOWS:
        return None
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True

"""Downloads of tensorflow-datasets that cannot hang."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_gen.data.messages import brief, plain
from keras_gen.errors import UsageError
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

FIRST_BYTE = 8.0  # seconds: without a network, the library itself tries for minutes
STALL = 120.0  # seconds without a byte, or work, once some have come
_AT_WORK = 0.3  # processor seconds per second that tell preparing from waiting
_START = 60.0  # seconds for the child's imports, before that clock
_CHILD = """
import sys
try:
    import tensorflow, tensorflow_datasets as tfds
    print("READY", flush=True)
    tfds.builder(sys.argv[1], data_dir=sys.argv[2]).download_and_prepare()
except BaseException as error:
    text = str(error).strip() or type(error).__name__
    sys.exit("FAILED " + text.splitlines()[0])
"""


def download(name: str, folder: str) -> None:
    """Prepares a set in a child process, which is ended when nothing arrives.

    The library tries again and again for minutes when there is no network, and nothing stops it from inside.

    Args:
        name: of the set.
        folder: that holds all of them.

    Raises:
        UsageError: nothing arrived, or it cannot be prepared.
    """
    local = Path(folder)
    before = set(_downloads(local, name))
    existed = local.exists()
    with (
        tempfile.TemporaryDirectory(prefix="keras_gen-") as beside,
        open(Path(beside) / "log", "wb") as log,
        Progress(f"downloading {name} to {shown(folder, 40)}", unit="MB") as progress,
    ):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", _CHILD, name, folder]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        try:
            ended = _wait(child, lambda: _bytes(local, name), lambda: b"READY" in _text(log.name), progress)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        text = _text(log.name).decode(errors="replace")
    if child.returncode == 0:
        return
    _remove_partial(local, name, before, existed)
    failed = re.findall(r"^FAILED (.*)", text, re.MULTILINE)
    if failed:
        reason = re.sub(r'^Failed to construct dataset .*?": ', "", failed[-1])
        raise UsageError(
            f"tensorflow-datasets cannot prepare {brief(name, 30)}: {plain(reason, 90)}; give an .npz or a folder"
        )
    hosts = re.findall(r"Failed to resolve '([^']+)'|host='([^']+)'", text)
    reason = f"exit code {child.returncode}" if ended else "no answer"
    if hosts:
        reason = "cannot reach " + "".join(hosts[-1])
    raise UsageError(
        f"tensorflow-datasets has no {brief(name, 20)} in {shown(folder, 34)} and the download failed "
        f"({plain(reason, 36)}); give an .npz or a folder, or set TFDS_DATA_DIR"
    )


def _text(log):
    with open(log, "rb") as file:  # anew: the child writes at the shared position, which must not move
        return file.read(2**20)


def _wait(child, size, ready, progress):
    """Waits for the child to end, and tells whether it did; False where it only waits itself."""
    import psutil

    process = psutil.Process(child.pid)
    limit, since, start, work = _START, time.monotonic(), size(), 0.0
    last = start
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.25)
            return True
        now = time.monotonic()
        current = size()
        if limit == _START and ready():
            limit, since, work = FIRST_BYTE, now, _spent(process)
        if current > last:
            last, since, limit = current, now, STALL
        progress.tell(max(0, current - start) // 10**6)
        if now - since > limit:
            spent = _spent(process)
            if spent - work < _AT_WORK * limit:
                return False
            work, since = spent, now


def _spent(process):
    """Returns the processor seconds of a child: nothing is written while it sorts what has come."""
    import psutil

    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def _downloads(folder, name):
    """Yields what a download writes; what it has extracted may be many files, and is not looked through."""
    stem = re.split("[/:]", name)[0]
    for top in (folder / "downloads", folder / stem):
        for root, folders, files in os.walk(top):
            folders[:] = [child for child in folders if child != "extracted"]
            yield from (Path(root, child) for child in [*folders, *files])


def _bytes(folder, name):
    total = 0
    for path in _downloads(folder, name):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _remove_partial(folder, name, before, existed):
    """Removes the temporary files of a download that failed; whole files stay, for the next attempt."""
    fresh = [path for path in _downloads(folder, name) if path not in before]
    for path in fresh:
        if ".incomplete" in path.name or path.name.startswith("incomplete.") or ".tmp." in path.name:
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                path.unlink()
    stem = re.split("[/:]", name)[0]
    folders = [*reversed([path for path in fresh if path.is_dir()])]
    folders += [folder / "downloads" / "extracted", folder / "downloads", folder / stem]
    with contextlib.suppress(OSError):
        for path in folders if existed else [*folders, folder]:
            with contextlib.suppress(OSError):
                path.rmdir()  # of empty ones only

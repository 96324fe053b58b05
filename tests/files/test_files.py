"""Whatever fails at whatever instant, a path holds its old content or the complete new one."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_gen.errors import UsageError
from keras_gen.files import writing

OLD, NEW = b"old" * 1000, b"new!" * 2000
CALLS = ("_makedirs", "_open", "_write", "_fsync", "_close", "_replace", "_unlink")
FAULTS = {
    "crash": None,
    "torn": None,
    "interrupt": KeyboardInterrupt,
    "interrupt after": KeyboardInterrupt,
    "no space": errno.ENOSPC,
    "no space after": errno.ENOSPC,
    "device error": errno.EIO,
}


class Crash(BaseException):
    """The process is gone: from here on nothing reaches the disk."""


class Faults:
    """Stands between `files` and the system, notes every call, and fails the one with the given number."""

    def __init__(self, monkeypatch, fail_at=None, fault="", second=False):
        self.calls, self.dead, self.fail_at, self.fault, self.second = [], False, fail_at, fault, second
        for name in CALLS:
            monkeypatch.setattr(writing, name, self.wrap(name, getattr(writing, name)))

    def wrap(self, name, real):
        def call(*args, **kwargs):
            if self.dead:
                raise Crash
            self.calls.append((name, args))
            if name == "_unlink" and self.second:  # Ctrl-C again, while the first one is cleaned up
                self.second = False
                raise KeyboardInterrupt
            if len(self.calls) - 1 != self.fail_at:
                return real(*args, **kwargs)
            if self.fault == "torn":
                if name == "_write":
                    real(args[0], args[1][: len(args[1]) // 2])
                self.dead = True
                raise Crash
            if self.fault == "crash":
                self.dead = True
                raise Crash
            if name == "_close" or self.fault.endswith("after"):  # a failed close closes all the same
                real(*args, **kwargs)
            error = FAULTS[self.fault]
            if error is KeyboardInterrupt:
                raise KeyboardInterrupt
            raise OSError(error, os.strerror(error), *([] if isinstance(args[0], int) else [str(args[0])]))

        return call


def write(path):
    writing.write(path, NEW)


def write_beside(path):
    with writing.beside(path) as temporary:
        Path(temporary).write_bytes(NEW)


WRITERS = {"write": write, "beside": write_beside}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("old", [OLD, None], ids=["over an old file", "a new file"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_call_leaves_the_old_or_the_new_content(tmp_path, writer, old, fault):
    number, failed = 0, True
    while failed:  # fail call 0, 1, ... until the writer needs no more calls
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "model.weights.h5"
        if old:
            path.write_bytes(old)
        with pytest.MonkeyPatch.context() as monkeypatch:
            faults = Faults(monkeypatch, number, fault)
            try:
                WRITERS[writer](path)
            except writing.WriteError as error:
                assert error.errno == FAULTS[fault]
                assert str(path)[-40:] in str(error)
                assert len(str(error)) <= 200
                assert "\n" not in str(error)
            except (Crash, KeyboardInterrupt) as error:
                assert isinstance(error, Crash) == (fault in ("crash", "torn"))
            failed = len(faults.calls) > number
        found = path.read_bytes() if path.exists() else None
        assert found in (old, NEW)
        assert failed or found == NEW
        others = {p.name for p in folder.iterdir()} - {path.name}
        assert not others or fault in ("crash", "torn")
        writing.clean(folder)  # what the next run does
        assert {p.name for p in folder.iterdir()} <= {path.name}
        number += 1
    assert number >= (8 if writer == "write" else 6)


def test_a_second_ctrl_c_leaves_no_temporary_file(tmp_path):
    path = tmp_path / "a.keras"
    with pytest.MonkeyPatch.context() as monkeypatch:
        Faults(monkeypatch, 3, "interrupt", second=True)
        with pytest.raises(KeyboardInterrupt):
            writing.write(path, NEW)
    assert not list(tmp_path.iterdir())


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    faults = Faults(monkeypatch)
    writing.write(tmp_path / "a.json", NEW)
    names = [name for name, _ in faults.calls]
    after_rename = names[names.index("_replace") :]
    assert names.index("_write") < names.index("_fsync") < names.index("_replace")
    assert "_fsync" in after_rename


def test_short_writes_are_completed(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_write", lambda descriptor, data: os.write(descriptor, data[:7]))
    writing.write(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_a_temporary_path_has_the_suffix_is_hidden_and_in_the_same_folder(tmp_path):
    with writing.beside(tmp_path / "runs" / "a.weights.h5") as temporary:
        assert temporary.parent == tmp_path / "runs"
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(".weights.h5")
        assert str(os.getpid()) in temporary.name
        temporary.write_bytes(NEW)
        writing.clean(tmp_path / "runs")  # it is being written: it stays
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["a.weights.h5"]


def test_a_block_that_raises_or_writes_nothing_changes_nothing(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(OLD)
    with pytest.raises(ZeroDivisionError), writing.beside(path) as temporary:
        temporary.write_bytes(NEW)
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError, match=r"other\.txt"), writing.beside(path):
        (tmp_path / "other.txt").read_bytes()  # an error of its own keeps its own text
    with pytest.raises(writing.WriteError), writing.beside(path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == OLD


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full, 8000 bytes are needed; free some space"),
        (errno.EDQUOT, "the disk is full, 8000 bytes are needed"),
        (errno.EROFS, "read-only; choose another folder"),
        (errno.EACCES, "permission denied; choose a folder that you may write to"),
        (errno.EIO, "check the disk"),
    ],
)
def test_errors_name_the_path_the_need_and_the_way_out(tmp_path, monkeypatch, code, words):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(writing, "_open", fail)
    path = tmp_path / ("very" * 30) / "long\nname.keras"
    with pytest.raises(OSError, match="cannot write .*name.keras: ") as caught:
        writing.write(path, NEW)
    assert words in str(caught.value)
    assert caught.value.errno == code
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_a_full_disk_under_another_writer_names_at_least_the_size_of_the_old_file(tmp_path):
    path = tmp_path / "a.keras"
    path.write_bytes(OLD)
    with pytest.raises(writing.WriteError, match="3000 bytes or more are needed"), writing.beside(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_bytes() == OLD


def test_what_is_not_a_file_is_not_replaced(tmp_path):
    with pytest.raises(writing.WriteError, match="it is a folder"):
        writing.write(tmp_path, NEW)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(writing.WriteError, match="it is a device"):
        writing.write(tmp_path / "pipe", NEW)
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(writing.WriteError, match="a file stands where a folder is needed"):
        writing.write(tmp_path / "file" / "a.json", NEW)


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "a.keras").symlink_to(tmp_path / "disk" / "a.keras")
    writing.write(tmp_path / "a.keras", NEW)
    assert (tmp_path / "a.keras").is_symlink()
    assert (tmp_path / "disk" / "a.keras").read_bytes() == NEW


def run(code, *args):
    """Starts Python on a few lines, with this package on its path."""
    environment = {**os.environ, "PYTHONPATH": str(Path(writing.__file__).parents[1])}
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_sigkill_at_any_instant_leaves_a_complete_file(tmp_path):
    code = """if True:
        import sys
        from keras_gen.files import writing
        path, number = sys.argv[1], int(sys.argv[2])
        with writing.lock(sys.argv[3]):
            writing.clean(sys.argv[3])
            print("go", flush=True)
            while True:
                number += 1
                writing.write(path, (b"%08d" % number) * 20_000)
    """
    path, number, leftovers = tmp_path / "state.ckpt", 0, 0
    for kill in range(20):
        writer = run(code, path, number, tmp_path)
        assert writer.stdout.readline() == "go\n"
        time.sleep(0.003 * kill)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        leftovers += len(list(tmp_path.glob(".tmp-*")))
        content = path.read_bytes() if path.exists() else b""
        assert content in (b"", content[:8] * 20_000)
        assert int(content[:8] or 0) >= number  # what was there before the kill is not lost
        number = int(content[:8] or 0)
    assert number > 0
    with writing.lock(tmp_path):
        writing.clean(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {".lock", "state.ckpt"}
    assert leftovers > 0  # the kills did hit writes


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path):
    code = "import sys; from keras_gen.files import writing\nwith writing.lock(sys.argv[1]): "
    holder = run(code + "print('go', flush=True); input()", tmp_path / "run")
    assert holder.stdout.readline() == "go\n"
    with (
        pytest.raises(UsageError, match=rf"run is in use by process {holder.pid}; ") as caught,
        writing.lock(tmp_path / "run"),
    ):
        pass
    assert len(str(caught.value)) <= 200
    holder.kill()  # the kernel gives it back
    holder.communicate()
    with writing.lock(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock.pid").read_text() == str(os.getpid())
        with pytest.raises(UsageError, match=f"process {os.getpid()}"), writing.lock(tmp_path / "run"):
            pass
    with writing.lock(tmp_path / "run"):
        pass


def test_a_lock_is_kept_on_a_full_disk_and_given_back_by_a_block_that_raises(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(writing, "_write", full)
    with pytest.raises(KeyboardInterrupt), writing.lock(tmp_path):
        with pytest.raises(UsageError, match="in use by another process"), writing.lock(tmp_path):
            pass
        raise KeyboardInterrupt
    with writing.lock(tmp_path):
        pass


def test_a_child_that_lives_on_does_not_keep_the_lock(tmp_path):
    code = """if True:
        import os, sys
        from keras_gen.files import writing
        with writing.lock(sys.argv[1]):
            child = os.fork()
            if not child:
                os.read(0, 1)
                os._exit(0)
        with writing.lock(sys.argv[1]):
            print("free", flush=True)
    """
    assert run(code, tmp_path).communicate("x")[0] == "free\n"


@pytest.mark.parametrize("anew", [False, True])
def test_a_lock_on_a_folder_that_was_moved_aside_is_not_a_lock(tmp_path, monkeypatch, anew):
    folder, real, moved = tmp_path / "run", os.open, []

    def opened(path, *args):
        descriptor = real(path, *args)
        if not moved and os.fspath(path).endswith(".lock"):  # another process moves the run before our lock
            moved.append(writing.move_aside(folder))
            if anew:
                folder.mkdir()
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    with writing.lock(folder):
        assert (folder / ".lock").exists()
        assert moved == [tmp_path / "run.1"]
        with writing.lock(tmp_path / "run.1"):  # free
            pass


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    with (
        pytest.raises(writing.WriteError, match="a file stands where a folder is needed"),
        writing.lock(tmp_path / "file"),
    ):
        pass


def test_clean_removes_what_dead_processes_left_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    gone = [f".tmp-{dead.pid}-0-model.keras", f".tmp-{dead.pid}-12-a", ".tmp-99999999999999999999-0-a"]
    gone += [f".tmp-{os.getpid()}-999999-model.keras"]  # an earlier start with this number
    kept = ["model.keras", ".tmp-mine", ".tmp-1-0-model.keras", f"tmp-{dead.pid}-0-a", ".lock", ".lock.pid"]
    for name in gone + kept:
        (tmp_path / name).write_bytes(OLD)
    writing.clean(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == set(kept)
    writing.clean(tmp_path / "missing")


def test_move_aside_takes_the_next_free_number_and_deletes_nothing(tmp_path):
    for number in ("1", "2", "3"):
        run = tmp_path / "run"
        run.mkdir()
        (run / "model.keras").write_text(number)
        assert writing.move_aside(run) == tmp_path / f"run.{number}"
    (tmp_path / "run").mkdir()
    (tmp_path / "run.2" / "model.keras").unlink()
    (tmp_path / "run.2").rmdir()
    assert writing.move_aside(f"{tmp_path}/run/") == tmp_path / "run.2"
    assert (tmp_path / "run.3" / "model.keras").read_text() == "3"
    with pytest.raises(UsageError, match="no run to move aside"):
        writing.move_aside(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run.4").symlink_to(tmp_path / "nowhere")
    assert writing.move_aside(tmp_path / "run") == tmp_path / "run.5"

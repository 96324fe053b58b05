"""The lock of a folder is the kernel's; the number beside it is for the message alone."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_gen.errors import UsageError
from keras_gen.files import writing


def python(code, *args):
    environment = {**os.environ, "PYTHONPATH": str(Path(writing.__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, env=environment, timeout=60
    )


def refused(folder):
    with pytest.raises(UsageError, match="is in use by ") as caught, writing.lock(folder):
        pass
    return str(caught.value).partition(" is in use by ")[2].partition(";")[0]


def test_a_lock_leaves_what_is_in_its_file(tmp_path):
    (tmp_path / ".lock").write_text("12345")  # as earlier versions wrote it
    with writing.lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == "12345"
        assert refused(tmp_path) == f"process {os.getpid()}"
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_lock_follows_no_link(tmp_path):
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "thesis")
    with pytest.raises(writing.WriteError, match="it is a link; remove it") as caught, writing.lock(tmp_path / "run"):
        pass
    assert caught.value.errno == errno.ELOOP
    (tmp_path / "run" / ".lock").unlink()
    (tmp_path / "run" / ".lock.pid").symlink_to(tmp_path / "thesis")
    with writing.lock(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock.pid").read_text() == str(os.getpid())
    assert (tmp_path / "thesis").read_text() == "mine"


def test_a_folder_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with writing.lock(tmp_path / "run"):
        assert refused(tmp_path / "disk") == f"process {os.getpid()}"


def _dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return str(process.pid)


@pytest.mark.parametrize("content", [None, "", "0", "-1", "12x", "\u0663", "9" * 19, "1" * 5000, _dead])
def test_a_number_that_is_no_running_process_is_not_told(tmp_path, content):
    with writing.lock(tmp_path):
        (tmp_path / ".lock.pid").unlink()
        if content is not None:
            (tmp_path / ".lock.pid").write_text(content() if callable(content) else content, encoding="utf-8")
        assert refused(tmp_path) == "another process"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_number_is_read_from_a_file_alone(tmp_path, kind):
    (tmp_path / "other").write_text(str(os.getpid()))
    with writing.lock(tmp_path):
        owner = tmp_path / ".lock.pid"
        owner.unlink()
        {"link": lambda: owner.symlink_to(tmp_path / "other"), "folder": owner.mkdir, "pipe": lambda: os.mkfifo(owner)}[
            kind
        ]()
        assert refused(tmp_path) == "another process"


def test_a_forked_child_that_ends_its_block_gives_nothing_back(tmp_path):
    code = """if True:
        import os, sys
        from keras_gen.errors import UsageError
        from keras_gen.files import writing
        with writing.lock(sys.argv[1]):
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0
                print(open(sys.argv[1] + "/.lock.pid").read() == str(os.getpid()))
                try:
                    with writing.lock(sys.argv[1]):
                        print("taken")
                except UsageError:
                    print("held")
    """
    out = python(code, tmp_path)
    assert out.stdout.split() == ["True", "held"], out.stderr


def test_a_folder_that_is_moved_aside_leaves_no_number_behind(tmp_path):
    run = tmp_path / "run"
    with writing.lock(run):
        aside = writing.move_aside(run)
        with writing.lock(run):
            assert refused(run) == f"process {os.getpid()}"
            assert refused(aside) == "another process"
        (run / ".lock.pid").write_text("1")  # by now, another process may be here
    assert (run / ".lock.pid").read_text() == "1"
    assert [path.name for path in aside.iterdir()] == [".lock"]


def test_another_thread_may_give_a_lock_back(tmp_path):
    import threading

    lock = writing.lock(tmp_path)
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with writing.lock(tmp_path):
        pass


def test_a_lock_on_a_read_only_folder_is_one_line(tmp_path, monkeypatch):
    def fail(path, *args):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fspath(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        with (
            pytest.raises(writing.WriteError, match="the file system is read-only; choose another"),
            writing.lock(tmp_path),
        ):
            pass

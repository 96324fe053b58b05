"""The package runs where there is no `fcntl`, no folder can be opened, and no open file be moved: on Windows."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What of Windows can be had on Linux: what is missing there is taken away, what is forbidden there raises.
PRELUDE = """if True:
    import errno, os, re, shutil, signal, sys, tempfile

    sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = sys.modules["termios"] = None
    shutil._use_fd_functions = False  # of the standard library, which opens folders here
    for name in ("SIGKILL", "SIGHUP", "SIGUSR1"):
        delattr(signal, name)
    for name in ("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "mkfifo", "fork", "pread", "getuid", "fchmod", "killpg"):
        delattr(os, name)

    def forbidden(path):
        return PermissionError(errno.EACCES, "Permission denied", os.fspath(path))

    real_open, real_fsync, real_kill = os.open, os.fsync, os.kill

    def open_(path, *args, **kwargs):
        if os.path.isdir(path):
            raise forbidden(path)
        return real_open(path, *args, **kwargs)

    def fsync(descriptor):
        flags = re.search(r"flags:\\s*(\\d+)", open(f"/proc/self/fdinfo/{descriptor}").read())[1]
        if not int(flags, 8) & os.O_ACCMODE:
            raise OSError(errno.EBADF, "Bad file descriptor")  # as for one that is open for reading
        return real_fsync(descriptor)

    def kill(process, number):
        assert number or "keras_gen" not in sys._getframe(1).f_globals["__name__"], "there, 0 is Ctrl-C"
        return real_kill(process, number)

    os.open, os.fsync, os.kill = open_, fsync, kill

    from keras_gen.files import writing

    def closed(path):
        for entry in os.listdir("/proc/self/fd"):
            name = os.path.realpath(f"/proc/self/fd/{entry}")
            if name == os.path.realpath(path) or name.startswith(os.path.realpath(path) + "/"):
                raise forbidden(path)

    def checked(real):
        def call(*paths):
            for path in paths:
                if os.path.exists(path):
                    closed(path)
            return real(*paths)
        return call

    assert writing.WINDOWS is False
    writing.WINDOWS = True
    writing._replace, writing._unlink = checked(writing._replace), checked(writing._unlink)
"""


def windows(code, *args, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
        timeout=300,
    )


@pytest.mark.slow
def test_everything_is_imported_and_a_run_is_trained_resumed_and_moved_aside(tmp_path):
    code = """
    import importlib, pkgutil
    import export, keras_gen

    from keras_gen.terminal import hold

    with hold():
        for package in (keras_gen, export):
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
    from keras_gen.cli.main import main

    small = ["--data", "digits", "--set", "hidden=[4]", "--set", "latent_dim=2", "--samples", "4", "--batch-size", "8"]
    for more in (["--steps", "2"], ["--steps", "4"], ["--steps", "1", "--no-resume"]):
        assert main(["train", "vae", "--output", "run", *small, *more]) == 0, more
    assert main(["sample", "run", "--output", "samples.png"]) == 0
    assert main(["train", "vae", "--output", "refused", "--data", "missing.npz"]) == 2
"""
    out = windows(code, cwd=tmp_path)
    assert out.returncode == 0, out.stderr[-2000:]
    assert "going on from step 2" in out.stdout and "/run.1\n" in out.stdout
    assert "soft" not in out.stderr, "no warning of locks"
    assert out.stderr.count("\n") == 1 and "missing.npz" in out.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run.1", "samples.png"}
    for path in tmp_path.rglob("*"):
        assert not path.name.startswith((".lock", ".tmp-")), "nothing hidden is left"
        assert not set('<>:"\\|?*') & set(path.name) and not path.name.endswith((".", " "))


def test_a_lock_without_the_kernel_still_keeps_others_out(tmp_path):
    code = """
    import subprocess, sys, warnings
    from keras_gen.errors import UsageError

    with writing.lock("run"):
        try:
            with writing.lock("run"):
                print("taken")
        except UsageError as error:
            print(f"process {os.getpid()}" in str(error))
    with writing.lock("run"):  # given back
        print("free", flush=True)
        os._exit(0)  # as a process that is killed
"""
    first, second = (windows(code, cwd=tmp_path) for _ in range(2))
    assert first.stdout.split() == ["True", "free"], first.stderr
    assert second.stdout.split() == ["True", "free"], "a dead process's lock is taken over: " + second.stderr
    assert first.stderr == second.stderr == ""


def test_temporary_files_of_other_processes_go_without_asking_them(tmp_path):
    (tmp_path / ".tmp-1-0-a.png").write_bytes(b"left by a dead process")
    (tmp_path / ".tmp-1-0-b.png").write_bytes(b"is being written")
    code = """
    with open(".tmp-1-0-b.png", "rb"), writing.lock("."):
        writing.clean(".")
"""
    out = windows(code, cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".tmp-1-0-b.png"]


def _texts(path):
    """Yields the calls that read or write text in the encoding of the machine."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        mode = [arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)] or ["r"]
        if (
            name in ("read_text", "write_text")
            or isinstance(node.func, ast.Name)
            and name == "open"
            and "b" not in mode[0]
        ):
            yield node.lineno
        if name in ("run", "Popen", "check_output") and any(word.arg == "text" for word in node.keywords):
            yield node.lineno


@pytest.mark.parametrize("room", ["keras_gen", "export", "examples"])
def test_text_is_utf_8_on_every_machine(room):
    assert not [f"{path.relative_to(ROOT)}:{line}" for path in (ROOT / room).rglob("*.py") for line in _texts(path)]

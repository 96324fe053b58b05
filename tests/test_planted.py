"""A law that holds is worth what it catches: each of these bugs, planted in a copy of the package, breaks its law.

    pytest -m slow tests/test_planted.py [--since REV] [-k "words of bugs' names"]

The bugs stand beside their laws, in the test modules.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import collect
import pytest
from tiny import SHARED

ROOT = Path(__file__).resolve().parents[1]


def changed_since(revision):
    """Returns the files that differ from a revision, or that git does not know yet, as paths below the root."""
    found = set()
    for command in (["diff", "--name-only", revision, "--"], ["ls-files", "--others", "--exclude-standard"]):
        out = subprocess.run(["git", *command], capture_output=True, text=True, cwd=ROOT)
        if out.returncode:
            raise pytest.UsageError(f"--since {revision}: {out.stderr.strip()}")
        found |= set(out.stdout.split())
    return found


def of_changed(bugs, changed):
    """Returns the bugs that are planted in a changed file, or whose laws stand in one."""
    files = {bug: {f"keras_gen/{bug.file}", *(f"tests/{law.partition('::')[0]}" for law in bug.laws)} for bug in bugs}
    return [bug for bug in bugs if files[bug] & changed]


def pytest_generate_tests(metafunc):
    if "bug" in metafunc.fixturenames:
        revision = metafunc.config.getoption("--since")
        bugs = of_changed(collect.bugs(), changed_since(revision)) if revision else collect.bugs()
        metafunc.parametrize("bug", bugs, ids=[bug.name for bug in bugs])


# --- what is quick ---------------------------------------------------------------------------------------------------


@cache
def names_in(path):
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_bug_has_its_place_and_its_laws():
    bugs = collect.bugs()
    assert len({bug.name for bug in bugs}) == len(bugs) > 100
    for bug in bugs:
        assert (ROOT / "keras_gen" / bug.file).read_text().count(bug.old) == 1, f"{bug.file}: {bug.name!r} has no place"
        assert bug.old != bug.new and bug.laws
        for law in bug.laws:
            path, _, test = law.partition("::")
            assert test.partition("[")[0] in names_in(f"tests/{path}"), law


def test_bugs_since_a_revision_are_those_of_changed_sources_and_of_changed_laws():
    bugs = collect.bugs()
    assert of_changed(bugs, set()) == []
    wgan = [bug for bug in bugs if bug.name.startswith("WGAN: ")]
    assert of_changed(bugs, {"keras_gen/models/adversarial/wgan.py"}) == wgan
    assert of_changed(bugs, {"tests/models/adversarial/test_wgan.py", "README.md"}) == wgan
    assert "tests/planted.py" in changed_since("4b825dc642cb6eb9a060e54bf8d69288fbee4904"), "the empty tree"
    with pytest.raises(pytest.UsageError, match="--since nothing"):
        changed_since("nothing")


# --- what is slow ----------------------------------------------------------------------------------------------------

NURSERY = """
import json, os, sys
import absl.logging, h5py, keras, numpy, onnx, onnxruntime, PIL.Image, pytest, scipy.stats, sklearn.datasets, tensorflow
import tf2onnx, tokenizers
print("ready", flush=True)
for line in sys.stdin:
    path, *arguments = json.loads(line)
    child = os.fork()  # imports are made already, nothing has been computed yet, and no file of ours is read
    if not child:
        out = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1), os.dup2(out, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = pytest.main(arguments)
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
    """A copy of the project and a function that runs laws in it, each time in a fresh fork of one process."""
    folder = tmp_path_factory.mktemp("nursery")
    for name in ("keras_gen", "export", "tests", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "KERAS_GEN_TEST_DATA": str(SHARED),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONDONTWRITEBYTECODE": "1",  # two bugs may be planted within one second
    }
    arguments = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen([sys.executable, "-c", NURSERY], cwd=folder, env=environment, **arguments)
    assert process.stdout.readline() == "ready\n"

    def run(laws):
        log = folder / "log"
        log.unlink(missing_ok=True)
        # Laws that take longer than the others are slow themselves.
        command = [str(log), "-q", "-rf", "-n", "0", "-m", "", *(f"tests/{law}" for law in laws)]
        print(json.dumps(command), file=process.stdin, flush=True)
        return int(process.stdout.readline()), log.read_text()

    yield folder, run
    process.stdin.close()
    process.wait()


@pytest.mark.slow
def test_the_law_fails(bug, nursery):
    folder, run = nursery
    source = folder / "keras_gen" / bug.file
    text = source.read_text()
    assert text.count(bug.old) == 1, f"{bug.file} has changed: plant {bug.name!r} elsewhere"
    source.write_text(text.replace(bug.old, bug.new))
    try:
        code, out = run(bug.laws)
    finally:
        source.write_text(text)
    assert code == 1, out[-3000:]
    lines = out.splitlines()
    for law in bug.laws:
        assert any(line.startswith(f"FAILED tests/{law}") for line in lines), f"{law} holds:\n{out[-2000:]}"
    assert " skipped" not in lines[-1], "a law that is skipped says nothing"

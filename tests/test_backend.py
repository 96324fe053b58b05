"""A Keras that is set to another backend is said in one line, wherever it would be imported first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Modules that import Keras without standing in a room that looks first, and who looks for them.
ELSEWHERE = {
    "cli/folder.py": "cli/libraries.py",
    "cli/libraries.py": "cli/libraries.py",
    "cli/progress.py": "cli/libraries.py",
    "cli/settings.py": "cli/libraries.py",
    "files/archive.py": "files/loading.py",
    "files/loading.py": "files/loading.py",
    "latent/project.py": "files/loading.py",  # of the model that it is given
}
FIRST = [
    "keras_gen.DCGAN",
    "keras_gen.get('vae')",
    "keras_gen.load('nothing')",
    "keras_gen.layers",
    "keras_gen.networks",
    "keras_gen.optimizers",
    "keras_gen.random",
    "keras_gen.callbacks",
    "keras_gen.metrics",
    "keras_gen.GenerativeModel",
]


def python(code, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    env = {**kept, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, env=env, cwd=ROOT, timeout=300)


def test_whoever_imports_keras_has_looked_at_its_backend():
    for path in sorted((ROOT / "keras_gen").rglob("*.py")):
        if "import keras\n" not in path.read_text():
            continue
        name = path.relative_to(ROOT / "keras_gen").as_posix()
        looks = ROOT / "keras_gen" / ELSEWHERE.get(name, f"{name.partition('/')[0]}/__init__.py")
        assert "\ncheck_backend()\n" in looks.read_text().replace("\n    check", "\ncheck"), name


TRIED = """
import sys
import keras_gen
for first in sys.argv[1:]:
    try:
        eval(first)
    except keras_gen.errors.UsageError as error:
        assert str(error).endswith("set KERAS_BACKEND=tensorflow") and "'jax'" in str(error), error
        assert "\\n" not in str(error)
    else:
        raise AssertionError(first)
assert not {"keras", "jax"} & set(sys.modules)
keras_gen.exported, keras_gen.draws, keras_gen.names()  # need no Keras
"""


def test_another_backend_is_said_wherever_keras_is_imported_first(tmp_path):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps({"backend": "jax"}))
    for variables in (
        {"KERAS_BACKEND": "jax"},
        {"HOME": str(tmp_path)},
        {"KERAS_HOME": str(tmp_path / ".keras")},
    ):
        out = python(["-c", TRIED, *FIRST], **variables)
        assert out.returncode == 0, out.stderr[-1000:]


@pytest.mark.parametrize(
    "words", [["train", "vae", "--data", "digits"], ["sample", "nothing"], ["export", "nothing.keras"]], ids=str
)
def test_the_command_line_says_so_in_one_line(words):
    out = python(["-m", "keras_gen", *words], KERAS_BACKEND="jax")
    assert out.returncode == 2 and not out.stdout, out.stderr
    if words[0] == "train":
        line = (
            "error: Keras, by KERAS_BACKEND, has the backend 'jax'; expected TensorFlow: set KERAS_BACKEND=tensorflow"
        )
        assert out.stderr.strip() == line
    assert len(out.stderr.strip().splitlines()) == 1 and "Traceback" not in out.stderr


def test_the_variable_comes_before_the_file_and_a_damaged_file_says_nothing(tmp_path):
    for content in ('{"backend": "jax"}', "{", "[]"):
        (tmp_path / "keras.json").write_text(content)
        variables = {"KERAS_HOME": str(tmp_path), **({"KERAS_BACKEND": "tensorflow"} if "jax" in content else {})}
        out = python(["-c", "import keras_gen.ops"], **variables)
        assert out.returncode == 0, out.stderr[-1000:]

"""The examples run as they stand, and say what they should."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_gen.signatures import exported

ROOT = Path(__file__).resolve().parents[2]


def example(name, *arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300)


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    out = example("quickstart.py", "--steps", 3, cwd=folder)
    assert out.returncode == 0, out.stderr
    assert out.stderr == "loading TensorFlow ...\n", "nothing but its own lines is told"
    return folder, out.stdout


def test_quickstart_leaves_a_run_both_formats_and_a_grid(quickstart):
    folder, out = quickstart
    run = folder / "saved_models" / "quickstart"
    names = {path.name for path in run.iterdir()}
    assert {"model.keras", "card.json", "history.csv", "samples.png"} <= names
    assert {"generate.onnx", "model.tflite", "export.json", "onnx.png"} <= names
    for word in ("finished at step 3", "max error", "onnx.png"):
        assert word in out
    with Image.open(run / "onnx.png") as picture:
        assert picture.mode == "L" and min(picture.size) >= 512 and len(picture.getcolors()) > 2


@pytest.mark.slow
def test_quickstart_again_has_nothing_to_train(quickstart):
    folder, _ = quickstart
    out = example("quickstart.py", "--steps", 3, cwd=folder)
    assert out.returncode == 0 and "is finished at step 3" in out.stdout, out.stderr


def test_run_onnx_draws_what_sample_draws(quickstart):
    folder, _ = quickstart
    file = folder / "saved_models" / "quickstart" / "generate.onnx"
    out = example("run_onnx.py", file, "-n", 5, "--seed", 7, "-o", "x.npy", cwd=folder)
    assert out.returncode == 0, out.stderr
    wanted = exported.open_file(file).sample(5, seed=7)["image"]
    np.testing.assert_array_equal(np.load(folder / "x.npy"), wanted)
    out = example("run_onnx.py", file, "-n", 5, "--seed", 7, "-o", "x.png", cwd=folder)
    assert out.returncode == 0, out.stderr
    levels = np.clip(np.rint((wanted[4, ..., 0] + 1) * 127.5), 0, 255)  # the second of the second row
    with Image.open(folder / "x.png") as picture:
        sheet = np.asarray(picture)
    side = 3 * 18
    factor = sheet.shape[1] // side
    assert sheet.shape == (2 * 18 * factor, side * factor)
    np.testing.assert_array_equal(sheet[::factor, ::factor][19:35, 19:35], levels)


def test_run_onnx_imports_numpy_and_onnxruntime_only():
    tree = ast.parse((ROOT / "examples" / "run_onnx.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in names if name not in sys.stdlib_module_names} == {"numpy", "onnxruntime"}

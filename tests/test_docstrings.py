"""The examples in docstrings run as they stand, but for the length of a training."""

import ast
import doctest
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import make, real_digits

import export
import keras_gen
from export import onnx, tflite

ROOT = Path(__file__).parents[1]
SHAPE = re.compile(r"image_shape=\((\d+), (\d+), (\d)\)")


def examples():
    """Yields where an example stands, its module, and its text."""
    for path in sorted([*(ROOT / "keras_gen").rglob("*.py"), *(ROOT / "export").rglob("*.py")]):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.Module)):
                text = ast.get_docstring(node) or ""
                found = [textwrap.dedent(part) for part in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]
                found += [text[text.index(">>>") :]] if ">>>" in text else []
                for part in found:
                    # Layers of a whole network are compiled for each model: minutes for all.
                    slow = "models." in module and "Model(" not in part and getattr(node, "name", "") != "GAN"
                    marks = [pytest.mark.slow] if slow else []
                    yield pytest.param(module, part, id=f"{module}.{getattr(node, 'name', '')}", marks=marks)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with small runs of the names that examples have, and data."""
    folder = tmp_path_factory.mktemp("examples")
    for row in ("dcgan", "vq_vae", "autoencoder"):
        make(row).save(folder / "saved_models" / row / "model.keras")
    make("gan", compiled=False)
    model = make("dcgan", compiled=False)
    onnx.export(model, folder / "saved_models/dcgan")
    images, labels = real_digits(400)
    np.savez(folder / "mnist.npz", x_train=images[:300], y_train=labels[:300], x_test=images[300:], y_test=labels[300:])
    (folder / "shakespeare.txt").write_text("KING: so shaken as we are, so wan with care.\n" * 40)
    return folder


def given(module, text):
    """Returns what an example takes as given: data of the shape that it names, and the names of its module."""
    shape = tuple(map(int, found.groups())) if (found := SHAPE.search(text)) else (8, 8, 1)
    if "vq_vae" in text or '"autoencoder"' in text:
        shape = keras_gen.load("vq_vae" if "vq_vae" in text else "autoencoder").image_shape
    images, labels = real_digits(256 if "test_labels" in text or "judge" in text else 32)
    images = np.tile(images, (1, -(-shape[0] // 8), -(-shape[1] // 8), shape[2]))[:, : shape[0], : shape[1]]
    rng = np.random.default_rng(0)
    names = {
        **vars(__import__(module, fromlist=["_"])),
        **{"keras": keras, "tf": tf, "np": np, "keras_gen": keras_gen, "onnx": onnx, "tflite": tflite},
        **{"images": images, "labels": labels, "others": images, "test_images": images, "test_labels": labels},
        **{"image": images, "x": tf.ones((8, 4, 4, 16)), "export": export},
        **{"label": labels[:8], "codes": rng.standard_normal((50, 2), np.float32)},
        **{"noise": rng.standard_normal((9, 2), np.float32), "vectors": rng.standard_normal((9, 4, 64), np.float32)},
        **{"batches": [images[:16], images[16:]], "maps": np.zeros((4, *shape[:2]), int)},
        **dict.fromkeys(("apples", "oranges", "edges", "photos", "paintings"), images[:4]),
    }
    if "keras_gen.callbacks." in text:
        names["model"] = make("gan")
    if "judge" in text and "for_data" not in text:
        names["judge"] = keras_gen.metrics.NeighborJudge.for_data("mnist.npz")
        names["other"] = keras_gen.metrics.Moments(names["judge"].features(images[::-1]))
    return names


@pytest.mark.parametrize(("module", "text"), list(examples()))
def test_an_example_runs(module, text, here, monkeypatch):
    monkeypatch.chdir(here)
    names = given(module, text)
    text = re.sub(r"epochs=\d+", "epochs=1", text)
    if "replicas=" in text:  # which a process must ask for before anything else
        lines = [example.source for example in doctest.DocTestParser().get_examples(text)]
        before = f"import keras_gen, numpy\nimages = numpy.zeros({names['images'].shape}, 'float32')\n"
        out = subprocess.run([sys.executable, "-c", before + "".join(lines)], capture_output=True, text=True)
        assert out.returncode == 0, out.stderr[-2000:]
        return
    if ">>>" not in text:
        exec(text, names)
        return
    test = doctest.DocTestParser().get_doctest(text, names, module, None, None)
    wrong = []
    keras.utils.disable_interactive_logging()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for example in test.examples:  # a history of losses, the rows of the stand-in for a data set
        example.source = re.sub(r"^(\s*)(\w+\.fit\()", r"\1_ = \2", example.source, flags=re.MULTILINE)
        example.want = example.want.replace("60000", str(len(names["images"])))
    try:
        runner.run(test, out=wrong.append, clear_globs=False)
    finally:
        keras.utils.enable_interactive_logging()
    assert not runner.failures, "".join(wrong)

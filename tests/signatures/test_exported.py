"""The reader of exported files: what it refuses, and that it needs neither TensorFlow nor Keras."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import export.onnx
import export.tflite
from keras_gen.errors import DamagedError, UsageError
from keras_gen.signatures import exported
from keras_gen.signatures.signature import Signature

READER = """
import sys
from keras_gen.signatures import exported
for path in sys.argv[1:]:
    read = exported.open_file(path)
    assert read.sample(5, seed=1)["image"].shape == (5, 3)
    assert not {"tensorflow", "keras"} & set(sys.modules), "too much was imported"
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A sampler and a function that is none, in both formats."""
    import tensorflow as tf

    weight = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3) / 12)
    spec = tf.TensorSpec((None, 4), tf.float32)

    def example(n):
        return {"latent": np.random.default_rng(n).uniform(-1, 1, (n, 4)).astype(np.float32)}

    class Model:
        def float32(self):
            return self

        def signatures(self):
            meta = {"sample": "image", "latent.law": "uniform"}
            return {
                "generate": Signature(lambda latent: {"image": latent @ weight}, {"latent": spec}, example, meta),
                "double": Signature(lambda latent: {"twice": latent * 2.0}, {"latent": spec}, example),
            }

    folder = tmp_path_factory.mktemp("exported")
    export.onnx.export(Model(), folder)
    export.tflite.export(Model(), folder)
    return {"onnx": folder / "generate.onnx", "tflite": folder / "model.tflite"}


def test_reading_needs_no_tensorflow(paths):
    command = [sys.executable, "-c", READER, *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_batches_of_any_size_in_any_order(kind, paths):
    read = exported.open_file(paths[kind])
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    whole = read.run("generate", latent=x)["image"]
    for n in (1, 5, 1, 9):
        assert np.allclose(read.run("generate", latent=x[:n])["image"], whole[:n], atol=1e-6)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_results_survive_the_next_call(kind, paths):
    read = exported.open_file(paths[kind])
    first = read.run("generate", latent=np.ones((2, 4)))["image"]
    kept = first.copy()
    read.run("generate", latent=np.zeros((2, 4)))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_batch_size_changes_no_sample(kind, paths):
    read = exported.open_file(paths[kind])
    whole = read.sample(7, seed=4)["image"]
    assert np.allclose(read.sample(7, seed=4, batch_size=2)["image"], whole, atol=1e-6)
    assert not np.allclose(read.sample(7, seed=5)["image"], whole, atol=1e-2)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "needs the input 'latent'"),
        ({"latent": np.ones((2, 5))}, r"has shape \(2, 5\); expected \(any, 4\)"),
        ({"latent": np.ones(4)}, "has shape"),
        ({"latent": np.ones((0, 4))}, "at least 1"),
        ({"latent": np.ones((2, 4)), "laten": 1}, "did you mean 'latent'"),
        ({"latent": np.full((2, 4), "a")}, "expected float32"),
    ],
)
def test_wrong_inputs_are_named(kind, inputs, words, paths):
    with pytest.raises(UsageError, match=words):
        exported.open_file(paths[kind]).run("generate", **inputs)


def test_wrong_names_are_named(paths):
    read = exported.open_file(paths["tflite"])
    with pytest.raises(UsageError, match="did you mean 'generate'"):
        read.run("generat", latent=np.ones((1, 4)))
    with pytest.raises(UsageError, match="no labels; leave it out"):
        read.sample(2, label=1)
    with pytest.raises(UsageError, match="holds no sampler"):
        exported.open_file(paths["onnx"].with_name("double.onnx")).sampler()


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        exported.open_file(tmp_path / "a.onnx")
    with pytest.raises(UsageError, match="neither"):
        exported.open_file(tmp_path / "a.h5")


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
@pytest.mark.parametrize("content", ["empty", "noise", "half"])
def test_damaged_files_are_one_line(kind, content, paths, tmp_path, capfd):
    good = paths[kind].read_bytes()
    bad = {"empty": b"", "noise": np.random.default_rng(0).bytes(5000), "half": good[: len(good) // 2]}[content]
    path = tmp_path / paths[kind].name
    path.write_bytes(bad)
    with pytest.raises(DamagedError) as error:
        exported.open_file(path).sample(1)
    assert str(path)[-40:] in str(error.value) and "\n" not in str(error.value)
    assert not capfd.readouterr().err


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_every_flipped_bit_is_found(kind, paths, tmp_path):
    good = paths[kind].read_bytes()
    bad = tmp_path / f"bad.{kind}"
    digest = good.index(b"content-sha256:")
    for position in range(0, len(good), 3):
        bad.write_bytes(good[:position] + bytes([good[position] ^ 0x10]) + good[position + 1 :])
        if digest <= position < digest + 15:  # the word itself: the file passes for a foreign one, and is whole
            assert exported.open_file(bad).sample(1)["image"].shape == (1, 3)
            continue
        with pytest.raises(DamagedError, match="does not match its digest"):
            exported.open_file(bad)


def test_a_foreign_file_that_names_no_tensor_is_damaged(paths, tmp_path):
    """The runtime would end the process."""
    from ai_edge_litert import schema_py_generated as schema

    content = bytearray(paths["tflite"].read_bytes().replace(b"content-sha256:", b"another-program"))
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(content)
    assert exported.open_file(foreign).signatures == ("double", "generate")
    entry = schema.Model.GetRootAsModel(content, 0).SignatureDefs(0).Outputs(0)
    field = entry._tab.Pos + entry._tab.Offset(6)
    content[field : field + 4] = (10**6).to_bytes(4, "little")
    foreign.write_bytes(content)
    with pytest.raises(DamagedError, match="names a tensor that is not there"):
        exported.open_file(foreign)

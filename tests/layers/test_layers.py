import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.layers import (
    ConditionalBatchNormalization,
    MinibatchStddev,
    ModulatedBatchNormalization,
    SpectralConv2D,
    SpectralDense,
)
from keras_gen.signatures.signature import Signature

ROOT = Path(__file__).resolve().parents[2]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def matrix(layer):
    kernel = np.asarray(layer.kernel)
    return kernel.reshape(-1, kernel.shape[-1])


# --- conditional batch normalization ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 3), (6, 4, 4, 3)])
def test_untrained_tables_make_it_batch_normalization(shape):
    ours, keras_own = ConditionalBatchNormalization(4), layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    x, label = 2 * normal(*shape) + 1, tf.constant([0, 3, 1, 1, 2, 0])
    for _ in range(3):
        np.testing.assert_allclose(ours([x, label], training=True), keras_own(x, training=True), atol=1e-6)
    np.testing.assert_allclose(ours([x, label]), keras_own(x), atol=1e-6)
    assert not np.allclose(ours([x, label]), ours([x, label], training=True), atol=0.1)


def test_two_classes_by_hand():
    layer = ConditionalBatchNormalization(2, epsilon=0.0, momentum=0.75)
    x = np.float32([[1, 10], [3, 30]])
    layer.build([(None, 2), (None,)])
    layer.gamma.assign([[1, 2], [10, 20]])
    layer.beta.assign([[0, 0.5], [100, 200]])
    # Normalized, the rows are (-1, -1) and (1, 1).
    np.testing.assert_allclose(layer([x, np.int32([0, 1])], training=True), [[-1, -1.5], [110, 220]], rtol=1e-5)
    np.testing.assert_allclose(layer([x, np.int32([1, 0])], training=True), [[90, 180], [1, 2.5]], rtol=1e-5)
    mean = (1 - 0.75**2) * np.array([2, 20])
    variance = 0.75**2 + (1 - 0.75**2) * np.array([1, 100])
    expected = (x - mean) / np.sqrt(variance) * [10, 20] + [100, 200]
    np.testing.assert_allclose(layer([x, np.int32([1, 1])]), expected, rtol=1e-5)


def test_gains_and_offsets_are_given_for_each_example_and_a_table_gives_those_of_its_class():
    given, table = ModulatedBatchNormalization(), ConditionalBatchNormalization(4)
    x, label = 2 * normal(6, 4, 4, 3) + 1, np.int32([0, 3, 1, 1, 2, 0])
    table.build([x.shape, label.shape])
    table.gamma.assign(normal(4, 3, seed=1)), table.beta.assign(normal(4, 3, seed=2))
    rows = [np.asarray(one)[label] for one in (table.gamma, table.beta)]
    for training in (True, False):
        np.testing.assert_array_equal(given([x, *rows], training=training), table([x, label], training=training))
    plain = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    by_hand = plain * rows[0][:, None, None] + rows[1][:, None, None]
    np.testing.assert_allclose(given([x, *rows], training=True), by_hand, atol=1e-5)


def test_the_paths_of_weights_in_a_file_are_those_of_before_the_layer_was_divided(tmp_path):
    model, _ = conditional_model()
    model.save_weights(tmp_path / "m.weights.h5")
    found = {}
    with h5py.File(tmp_path / "m.weights.h5") as file:
        file.visititems(lambda path, held: found.update({path: held.shape}) if hasattr(held, "shape") else None)
    here = "layers/conditional_batch_normalization/"
    tables, statistics = {"vars/0": (5, 6), "vars/1": (5, 6)}, {"vars/0": (6,), "vars/1": (6,)}
    expected = {**tables, **{f"normalization/{path}": shape for path, shape in statistics.items()}}
    assert {path.removeprefix(here): shape for path, shape in found.items() if path.startswith(here)} == expected


def test_gradient_reaches_the_classes_of_the_batch_only(seeded):
    x, label = keras.Input((4, 4, 3), name="x"), keras.Input((), dtype="int32", name="label")
    model = keras.Model([x, label], ConditionalBatchNormalization(5)([x, label]))
    layer = model.layers[-1]
    before = [np.asarray(layer.gamma), np.asarray(layer.beta)]
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit([normal(4, 4, 4, 3), np.int32([1, 3, 3, 1])], normal(4, 4, 4, 3, seed=1), verbose=0)
    for old, table in zip(before, (layer.gamma, layer.beta), strict=True):
        moved = np.abs(table - old) > 1e-3
        assert moved[[1, 3]].all() and not moved[[0, 2, 4]].any()


def conditional_model():
    x, label = keras.Input((4, 4, 3), name="x"), keras.Input((), dtype="int32", name="label")
    y = layers.Conv2D(6, 3, padding="same")(x)
    y = ConditionalBatchNormalization(5, momentum=0.8, epsilon=1e-4)([y, label])
    model = keras.Model({"x": x, "label": label}, layers.Dense(2)(layers.Flatten()(layers.ReLU()(y))))
    for index, weight in enumerate(model.trainable_weights):
        weight.assign(normal(*weight.shape, seed=index))
    inputs = {"x": normal(7, 4, 4, 3), "label": np.arange(7, dtype=np.int32) % 5}
    model(inputs, training=True)
    return model, inputs


def test_conditional_layer_is_saved(seeded, tmp_path):
    model, inputs = conditional_model()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(inputs), loaded(inputs))
    layer = next(layer for layer in loaded.layers if isinstance(layer, ConditionalBatchNormalization))
    assert (layer.num_classes, layer.momentum, layer.epsilon, layer.synchronized) == (5, 0.8, 1e-4, False)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(inputs), clone(inputs))


def test_conditional_layer_in_mixed_precision(seeded):
    layer = ConditionalBatchNormalization(2, dtype="mixed_bfloat16")
    output = layer([normal(3, 4), np.int32([0, 1, 1])], training=True)
    assert output.dtype == tf.bfloat16 and layer.gamma.dtype == layer.beta.dtype == "float32"


def test_number_of_classes_is_checked():
    with pytest.raises(UsageError, match="num_classes is 0"):
        ConditionalBatchNormalization(0)


# --- minibatch standard deviation ------------------------------------------------------------------------------------


def test_deviation_of_groups_by_hand():
    """Eight rows in groups of four: the even rows are one group, the odd ones the other."""
    x = np.float32([[0, 0], [5, 1], [2, 0], [5, 1], [0, 4], [5, 1], [2, 4], [5, 1]])
    output = MinibatchStddev()(x).numpy()
    np.testing.assert_array_equal(output[:, :2], x)
    np.testing.assert_allclose(output[::2, 2], (1 + 2) / 2, rtol=1e-5)
    np.testing.assert_allclose(output[1::2, 2], 1e-4, rtol=1e-5)  # the root of what is added


@pytest.mark.parametrize("rows", range(1, 15))
@pytest.mark.parametrize("group", [1, 3, 4])
def test_each_row_gets_the_deviation_of_its_own_group_at_any_batch(rows, group):
    x = normal(rows, 2, 3, 5) * np.arange(1, rows + 1, dtype=np.float32).reshape(-1, 1, 1, 1)
    run = tf.function(MinibatchStddev(group), input_signature=[tf.TensorSpec((None, 2, 3, 5))])
    output = run(x).numpy()
    assert output.shape == (rows, 2, 3, 6)
    np.testing.assert_array_equal(output[..., :5], x)
    count = max(rows // group, 1)
    for row in range(rows):
        mine = x[row % count :: count]
        assert len(mine) >= min(group, rows)
        np.testing.assert_allclose(output[row, :, :, 5], np.sqrt(mine.var(axis=0) + 1e-8).mean(), rtol=1e-4)


def test_gradient_is_finite_where_nothing_varies_and_right_where_something_does():
    layer = MinibatchStddev()
    for x in (np.ones((4, 3), np.float32), np.ones((1, 3), np.float32), normal(4, 3)):
        x = tf.constant(x)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = layer(x)[0, 3]
            gradient = tape.gradient(value, x)
            slope = tf.reduce_sum(tf.square(gradient))
        assert np.isfinite(gradient).all() and np.isfinite(outer.gradient(slope, x)).all()
    deviation, mean = x.numpy().std(axis=0), x.numpy().mean(axis=0)
    np.testing.assert_allclose(gradient, (x - mean) / (4 * deviation) / 3, rtol=1e-4, atol=1e-6)


def test_deviation_layer_is_saved_and_keeps_its_precision(tmp_path):
    model = keras.Sequential([keras.Input((4, 4, 2)), MinibatchStddev(3)])
    assert model.output_shape == (None, 4, 4, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].group == 3
    np.testing.assert_array_equal(model(normal(7, 4, 4, 2)), loaded(normal(7, 4, 4, 2)))
    large = np.float32([[300.0], [-300.0]])
    output = MinibatchStddev(dtype="mixed_float16")(large)  # the square of 300 overflows in float16
    assert output.dtype == tf.float16
    np.testing.assert_allclose(output[:, 1], [300, 300], rtol=1e-3)
    with pytest.raises(UsageError, match="group is 0"):
        MinibatchStddev(0)


# --- export and replicas ---------------------------------------------------------------------------------------------


def everything():
    """Returns a functional model with all of these layers, and inputs; no batch normalization is at its start."""
    x, label = keras.Input((4, 4, 3), name="x"), keras.Input((), dtype="int32", name="label")
    y = SpectralConv2D(6, 3, padding="same")(x)
    y = MinibatchStddev()(ConditionalBatchNormalization(5)([y, label]))
    model = keras.Model({"x": x, "label": label}, SpectralDense(2)(layers.Flatten()(y)))
    inputs = {"x": normal(7, 4, 4, 3), "label": np.arange(7, dtype=np.int32) % 5}
    model(inputs, training=True)
    return model, inputs


class Exportable(NamedTuple):
    """All that `export` wants of a model."""

    network: keras.Model
    inputs: dict

    def float32(self):
        return self

    def signatures(self):
        def fn(x, label):
            return {"y": self.network({"x": x, "label": label}, training=False)}

        specs = {"x": tf.TensorSpec((None, 4, 4, 3), tf.float32), "label": tf.TensorSpec((None,), tf.int32)}
        return {"f": Signature(fn, specs, lambda n: {name: value[:n] for name, value in self.inputs.items()})}


@pytest.mark.parametrize("make", [conditional_model, everything])
@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_layers_agree_with_keras_when_exported(make, format, seeded, tmp_path):
    """To ONNX and to the built-in ops of TFLite; `export` compares the outputs at several batch sizes."""
    report = importlib.import_module(f"export.{format}").export(Exportable(*make()), tmp_path)
    assert list(report["signatures"]) == ["f"] and report["signatures"]["f"]["max_error"] < 1e-4


REPLICAS = """
import keras, numpy as np, tensorflow as tf, keras_gen
from keras_gen.layers import ConditionalBatchNormalization, SpectralConv2D, SpectralDense

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        x, label = keras.Input((4, 4, 1), name="x"), keras.Input((), dtype="int32", name="label")
        y = SpectralConv2D(6, 3, activation="leaky_relu")(x)
        y = ConditionalBatchNormalization(3, synchronized=True)([y, label])
        model = keras.Model([x, label], SpectralDense(1)(keras.layers.Flatten()(y)))
        model.compile(keras.optimizers.Adam(1e-2), "mse")
    rng = np.random.default_rng(0)
    given = [rng.normal(size=(24, 4, 4, 1)).astype("float32"), np.arange(24, dtype="int32") % 3]
    model.fit(given, rng.normal(size=(24, 1)), batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model

two = keras_gen.distribution.strategy("mirrored", replicas=2)
one, other = trained(keras_gen.distribution.strategy("one")), trained(two)
for a, b in zip(one.weights, other.weights, strict=True):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=2e-4, err_msg=a.path)
for weight in other.weights:
    if weight.name == "u":
        first, second = (np.asarray(part) for part in two.experimental_local_results(weight.value))
        assert np.array_equal(first, second)
print("same")
"""


@pytest.mark.distributed
@pytest.mark.slow
def test_two_replicas_end_where_one_does():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", REPLICAS]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert "same" in out.stdout, out.stderr[-3000:]


BUGS = (
    Bug(
        "conditional batch normalization: one row for all",
        "layers/conditional.py",
        "tf.cast(label, tf.int32))",
        "0 * tf.cast(label, tf.int32))",
        (
            "test_two_classes_by_hand",
            "test_gradient_reaches_the_classes_of_the_batch_only",
        ),
    ),
    Bug(
        "conditional batch normalization: statistics of the batch in inference",
        "layers/conditional.py",
        "self.normalization(x, training=training)",
        "self.normalization(x, training=True)",
        (
            "test_two_classes_by_hand",
            "test_untrained_tables_make_it_batch_normalization[shape1]",
        ),
    ),
    Bug(
        "minibatch deviation: neighbors are a group",
        "layers/minibatch.py",
        "tf.gather(value, tf.range(rows) % groups)",
        "tf.gather(value, tf.range(rows) // most)",
        ("test_deviation_of_groups_by_hand",),
    ),
    Bug(
        "minibatch deviation: no floor",
        "layers/minibatch.py",
        "FLOOR = 1e-8",
        "FLOOR = 0.0",
        ("test_gradient_is_finite_where_nothing_varies_and_right_where_something_does",),
    ),
)

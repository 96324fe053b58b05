import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.layers import ConditionalBatchNormalization, MinibatchStddev, SpectralConv2D, SpectralDense
from keras_gen.signatures.signature import Signature

ROOT = Path(__file__).resolve().parents[2]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def matrix(layer):
    kernel = np.asarray(layer.kernel)
    return kernel.reshape(-1, kernel.shape[-1])


# --- spectral normalization ------------------------------------------------------------------------------------------

SPECTRAL = {
    "dense": (lambda **more: SpectralDense(7, **more), (5, 9)),
    "conv": (lambda **more: SpectralConv2D(7, 3, strides=2, padding="same", **more), (5, 6, 6, 2)),
}


@pytest.fixture(params=SPECTRAL)
def spectral(request, seeded):
    """Returns a function that makes a layer, built, and an input for it."""

    def made(**more):
        make, shape = SPECTRAL[request.param]
        layer = make(**more)
        layer.build((None, *shape[1:]))
        return layer, tf.constant(normal(*shape))

    return made


def converged(layer, x, calls=1000):
    step = tf.function(lambda: layer(x, training=True))
    for _ in range(calls):
        step()
    return layer


def test_sigma_is_the_largest_singular_value(spectral):
    layer, x = spectral()
    np.testing.assert_allclose(np.linalg.norm(layer.u), 1, rtol=1e-5)
    first = abs(float(layer.sigma()) / np.linalg.svd(matrix(layer), compute_uv=False)[0] - 1)
    assert first > 1e-2, "a start at the answer would test nothing"
    converged(layer, x)
    assert float(layer.sigma()) == pytest.approx(np.linalg.svd(matrix(layer), compute_uv=False)[0], rel=1e-4)


def test_output_is_that_of_the_kernel_over_sigma(spectral):
    layer, x = spectral(activation="relu", bias_initializer="normal")
    converged(layer, x, calls=3)
    plain = (
        type(layer)
        .__mro__[2]
        .from_config(  # the Keras layer
            {name: value for name, value in layer.get_config().items() if name != "power_iterations"}
        )
    )
    plain.build((None, *x.shape[1:]))
    plain.set_weights([layer.kernel / layer.sigma(), np.asarray(layer.bias)])
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-6)
    assert np.abs(plain(x)).max() > 0.1


def test_gradient_goes_through_sigma(spectral):
    """Finite differences of a scalar of the output, in every coordinate of the kernel."""
    layer, x = spectral(dtype="float64")
    x = tf.cast(x, tf.float64)
    converged(layer, x)
    weight = tf.constant(np.random.default_rng(1).normal(size=layer(x).shape))

    def value():
        return tf.reduce_sum(weight * tf.sin(layer(x)))

    with tf.GradientTape() as tape:
        loss = value()
    gradient = tape.gradient(loss, layer.kernel.value).numpy()
    start, step, found = np.asarray(layer.kernel), 1e-5, np.zeros_like(gradient)
    for place in np.ndindex(start.shape):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            layer.kernel.assign(moved)
            # The law is of sigma itself, of which u must keep up with the moved kernel.
            v = np.linalg.svd(matrix(layer))[2][0]
            layer.u.assign(v)
            ends.append(float(value()))
        found[place] = (ends[0] - ends[1]) / (2 * step)
    np.testing.assert_allclose(gradient, found, rtol=1e-3, atol=1e-3 * np.abs(found).max())
    # A kernel of any length gives the same output, so no gradient lies along it.
    assert abs((gradient * start).sum()) < 1e-6 * np.linalg.norm(gradient) * np.linalg.norm(start)


def test_only_training_calls_move_u_and_nothing_moves_the_kernel(spectral):
    layer, x = spectral()
    kernel, u = np.asarray(layer.kernel), np.asarray(layer.u)
    outputs = [layer(x).numpy(), layer(x, training=False).numpy()]
    assert np.array_equal(*outputs) and np.array_equal(u, layer.u)

    @tf.function
    def step():
        return layer(x, training=True) + layer(x, training=True)

    step()
    assert np.array_equal(kernel, layer.kernel)
    assert not np.allclose(u, layer.u, atol=1e-3)
    twice = u
    for _ in range(2):
        twice = matrix(layer).T @ (matrix(layer) @ twice)
    np.testing.assert_allclose(layer.u, twice / np.linalg.norm(twice), atol=1e-5)
    np.testing.assert_allclose(layer(x, training=True), layer(x), atol=1e-6)


def test_power_iterations_count(spectral):
    (one, x), (five, _) = spectral(), spectral(power_iterations=5)
    five.set_weights(one.get_weights())
    for _ in range(5):
        one(x, training=True)
    five(x, training=True)
    np.testing.assert_allclose(one.u, five.u, atol=1e-5)


def test_a_zero_kernel_gives_no_nan_and_u_survives_it(spectral):
    layer, x = spectral(kernel_initializer="zeros")
    u = np.asarray(layer.u)
    assert np.array_equal(layer(x, training=True), np.zeros_like(layer(x)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(x))
    assert np.isfinite(tape.gradient(loss, layer.kernel.value)).all()
    layer.kernel.assign(tf.fill(layer.kernel.shape, np.nan))
    layer(x, training=True)
    assert np.array_equal(u, layer.u)


def test_a_spectral_network_stretches_no_pair_of_points(seeded):
    network = keras.Sequential(
        [keras.Input((8,)), SpectralDense(32, "leaky_relu"), SpectralDense(32, "relu"), SpectralDense(3)]
    )
    for index, weight in enumerate(network.trainable_weights):
        weight.assign(3 * normal(*weight.shape, seed=index))
    converged(network, tf.constant(normal(2, 8)))
    a, b = normal(10_000, 8, seed=1), normal(10_000, 8, seed=2)
    b[5000:] = a[5000:] + 1e-2 * b[5000:]
    ratio = np.linalg.norm(network(a) - network(b), axis=1) / np.linalg.norm(a - b, axis=1)
    assert ratio.max() <= 1 + 1e-3
    assert ratio.max() > 0.1, "a constant network would pass"


def test_start_is_reproducible_and_random():
    def start(seed):
        keras.utils.set_random_seed(seed)
        layer = SpectralDense(6)
        layer.build((None, 4))
        return np.asarray(layer.u)

    assert np.array_equal(start(1), start(1)) and not np.allclose(start(1), start(2))


def test_spectral_layers_are_saved_and_cloned(spectral, tmp_path):
    layer, x = spectral(power_iterations=2, use_bias=False)
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    converged(layer, x, calls=3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is type(layer) and loaded.layers[0].power_iterations == 2
    assert np.array_equal(layer.u, loaded.layers[0].u) and np.array_equal(model(x), loaded(x))
    model.save_weights(tmp_path / "model.weights.h5")
    clone = keras.models.clone_model(model)
    assert not np.allclose(clone.layers[0].u, layer.u)
    clone.load_weights(tmp_path / "model.weights.h5")
    assert clone.layers[0].power_iterations == 2 and np.array_equal(model(x), clone(x))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_sigma_is_exact_in_mixed_precision(spectral, policy):
    (layer, x), (exact, _) = spectral(dtype=policy), spectral()
    exact.set_weights(layer.get_weights())
    with tf.GradientTape() as tape:
        output = layer(x, training=True)
        loss = tf.reduce_sum(tf.cast(output, tf.float32))
    assert output.dtype == layer.compute_dtype and layer.u.dtype == layer.kernel.dtype == "float32"
    assert tape.gradient(loss, layer.kernel.value).dtype == tf.float32
    np.testing.assert_allclose(exact(x, training=True), tf.cast(output, tf.float32), atol=0.05)
    np.testing.assert_allclose(exact.u, layer.u, atol=1e-6)


def test_power_iterations_are_checked():
    with pytest.raises(UsageError, match="power_iterations is 0"):
        SpectralDense(3, power_iterations=0)


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
def test_two_replicas_end_where_one_does():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", REPLICAS]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert "same" in out.stdout, out.stderr[-3000:]


BUGS = (
    Bug(
        "spectral normalization: no gradient through sigma",
        "layers/spectral.py",
        "kernel = tf.reshape(matrix / tf.maximum(_stretch(matrix, u), 1e-12), self._kernel.shape)",
        "kernel = tf.reshape(matrix / tf.maximum(tf.stop_gradient(_stretch(matrix, u)), 1e-12), self._kernel.shape)",
        (
            "test_gradient_goes_through_sigma[dense]",
            "test_gradient_goes_through_sigma[conv]",
        ),
    ),
    Bug(
        "spectral normalization: the kernel is written to, as in Keras' layer",
        "layers/spectral.py",
        "        outputs = self._linear(",
        "        if training:\n            self._kernel.assign(kernel)\n        outputs = self._linear(",
        ("test_only_training_calls_move_u_and_nothing_moves_the_kernel[dense]",),
    ),
    Bug(
        "spectral normalization: u is not kept",
        "layers/spectral.py",
        "            self.u.assign(u)\n",
        "",
        (
            "test_sigma_is_the_largest_singular_value[dense]",
            "test_only_training_calls_move_u_and_nothing_moves_the_kernel[conv]",
        ),
    ),
    Bug(
        "spectral normalization: u moves in inference",
        "layers/spectral.py",
        "        if training:\n            u = _iterated",
        "        if True:\n            u = _iterated",
        ("test_only_training_calls_move_u_and_nothing_moves_the_kernel[dense]",),
    ),
    Bug(
        "spectral normalization: the wrong matrix of a convolution",
        "layers/spectral.py",
        "return tf.reshape(kernel, (-1, kernel.shape[-1]))",
        "return tf.reshape(tf.transpose(tf.reshape(kernel, (kernel.shape[-1], -1))), (-1, kernel.shape[-1]))",
        ("test_sigma_is_the_largest_singular_value[conv]",),
    ),
    Bug(
        "spectral normalization: u is not saved",
        "layers/spectral.py",
        'self.u.assign(store["u"])',
        "pass",
        ("test_spectral_layers_are_saved_and_cloned[dense]",),
    ),
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

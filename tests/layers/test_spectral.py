"""Spectral normalization: sigma is found, used, differentiated, kept and saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.layers import SpectralConv2D, SpectralDense


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def matrix(layer):
    kernel = np.asarray(layer.kernel)
    return kernel.reshape(-1, kernel.shape[-1])


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
)

"""Layers of style-based generators: each beside its closed form, scipy, or one kernel per example."""

import keras
import numpy as np
import pytest
import scipy.signal
import tensorflow as tf
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.layers import (
    FIR,
    AdaptiveInstanceNormalization,
    BiasActivation,
    EqualizedConv2D,
    EqualizedDense,
    FadeIn,
    LearnedConstant,
    ModulatedConv2D,
    Noise,
    PixelNorm,
    Styles,
)


def normal(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# --- equalized -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
@pytest.mark.parametrize("make", [EqualizedDense, EqualizedConv2D])
def test_a_kernel_has_deviation_1_over_the_multiplier_and_outputs_have_1(make, multiplier, seeded):
    layer = make(256, multiplier=multiplier)
    x = normal(64, 128) if make is EqualizedDense else normal(4, 8, 8, 128)
    y = layer(x).numpy() if make is EqualizedDense else layer(x).numpy()[:, 1:-1, 1:-1]
    assert np.std(layer.kernel) == pytest.approx(1 / multiplier, rel=0.02)
    assert np.std(y) == pytest.approx(1, rel=0.03)


def test_a_first_step_of_adam_changes_layers_of_any_width_by_the_same_share(seeded):
    """And those of the mapping network by a hundredth of it."""
    shares = []
    for inputs, multiplier in ((16, 1.0), (1024, 1.0), (64, 0.01)):
        layer = EqualizedDense(32, multiplier=multiplier, bias=1.0)
        layer.build((None, inputs))
        before = layer.kernel.numpy().copy()
        keras.optimizers.Adam(1e-3, epsilon=1e-20).apply(
            [tf.ones(variable.shape) for variable in layer.trainable_variables], layer.trainable_variables
        )
        shares.append(np.abs(layer.kernel - before).mean() / before.std())
        assert layer(tf.zeros((1, inputs))).numpy() == pytest.approx(1 - multiplier * 1e-3, rel=1e-6)
    np.testing.assert_allclose(shares, [1e-3, 1e-3, 1e-5], rtol=0.05)


def test_gains_stand_in_the_weight_or_after_the_activation():
    x = np.float32([[3.0, -4.0, 0.0, 0.0]])
    before = EqualizedDense(1, "leaky_relu", gain=2.0, bias=1.0)
    after = EqualizedDense(1, "leaky_relu", activation_gain=2.0, bias=1.0)
    for layer in (before, after):
        layer.build((None, 4))
        layer.kernel.assign(tf.ones((4, 1)))
    # The sum, -1, is divided by the root of four inputs.
    np.testing.assert_allclose(before(x), [[0.2 * (2 * -0.5 + 1)]], atol=1e-7)
    np.testing.assert_allclose(after(x), [[2 * (-0.5 + 1)]], atol=1e-7)
    np.testing.assert_allclose(after(-4 * x / 4), [[2 * (0.5 + 1)]], atol=1e-7)
    bias = BiasActivation("leaky_relu", activation_gain=2.0)
    np.testing.assert_allclose(bias(np.float32([[1, -1]])), [[2, -0.4]], rtol=1e-6)


# --- resampling ------------------------------------------------------------------------------------------------------


def upfirdn(x, taps, up, down, padding, gain):
    """The same by scipy, of one map (H, W): padding is of the map with zeros between pixels."""
    taps = np.array(taps) / np.sum(taps) * np.sqrt(gain)
    for axis in (0, 1):
        x = np.moveaxis(x, axis, 0)
        spread = np.zeros((up * x.shape[0], x.shape[1]))
        spread[::up] = x
        padded = np.pad(spread, [(max(padding[0], 0), max(padding[1], 0)), (0, 0)])
        whole = scipy.signal.upfirdn(taps, padded, axis=0)  # every place that the filter touches
        x = np.moveaxis(whole[len(taps) - 1 : len(padded)][::down], 0, axis)
    return x


@pytest.mark.parametrize(
    ("up", "down", "taps", "padding"),
    [
        (2, 1, (1, 3, 3, 1), (2, 1)),
        (1, 2, (1, 3, 3, 1), (1, 1)),
        (1, 1, (1, 2, 1), (1, 1)),
        (1, 1, (1, 3, 3, 1), (2, 1)),
        (1, 1, (1, 2, 5), (2, 2)),
        (4, 3, (1, 2, 5), (0, 3)),
    ],
)
def test_resampling_is_that_of_scipy(up, down, taps, padding):
    x = normal(2, 6, 8, 3)
    usual = (up, down) in ((2, 1), (1, 2)) or taps == (1, 2, 1)
    layer = FIR(taps, up, down, None if usual else padding)
    y = layer(x).numpy()
    wanted = [[upfirdn(x[n, ..., c], taps, up, down, padding, up**2) for c in range(3)] for n in range(2)]
    np.testing.assert_allclose(y, np.moveaxis(wanted, 1, -1), atol=1e-6)
    assert layer.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize(("up", "down", "taps"), [(2, 1, (1, 3, 3, 1)), (1, 2, (1, 3, 3, 1)), (1, 1, (1, 2, 1))])
def test_a_ramp_stays_where_it_is(up, down, taps):
    """Half-pixel centers: the middle of pixel i of n lies at (i + 1/2) / n."""
    sides = np.arange(16) + 0.5
    y = FIR(taps, up, down)(np.float32(10 * sides[:, None] + sides)[None, ..., None]).numpy()[0, ..., 0]
    new = (np.arange(16 * up // down) + 0.5) * down / up
    inner = slice(3, -3)
    np.testing.assert_allclose(y[inner, inner], (10 * new[:, None] + new)[inner, inner], rtol=1e-5)


def test_a_filter_that_sums_to_0_is_refused():
    with pytest.raises(UsageError, match="whose sum is 0"):
        FIR((1, -1))


# --- modulated convolution -------------------------------------------------------------------------------------------


def one_by_one(layer, x, w):
    """Returns what a modulated convolution makes with a kernel for each example, scaled and then normalized."""
    style, made = layer.affine(w), []
    for number in range(x.shape[0]):
        kernel = layer.scale * tf.convert_to_tensor(layer.kernel) * style[number][:, None]
        if layer.demodulate:
            kernel /= tf.sqrt(tf.reduce_sum(tf.square(kernel), axis=(0, 1, 2)) + 1e-8)
        one = x[number : number + 1]
        if layer.up == 2:  # zeros between pixels, and a convolution, which reverses the kernel
            size = 2 * x.shape[1]
            one = tf.reshape(
                tf.pad(one[:, :, None, :, None], [[0, 0], [0, 0], [0, 1], [0, 0], [0, 1], [0, 0]]), (1, size, size, -1)
            )
            one = tf.pad(one, [[0, 0], [2, 1], [2, 1], [0, 0]])
            one = tf.nn.conv2d(one, kernel[::-1, ::-1], 1, "VALID")
            one = FIR(padding=1, gain=4.0, dtype="float64")(one)
        else:
            one = tf.nn.conv2d(one, kernel, 1, "SAME")
        made.append(one)
    return tf.concat(made, axis=0)


def slopes(function, x, w, kernel):
    """Returns the output, and the gradient of a norm of its gradient to w, as the path length has it."""
    with tf.GradientTape() as outer:
        outer.watch(kernel)
        with tf.GradientTape() as tape:
            tape.watch(w)
            y = function(x, w)
            value = tf.reduce_sum(
                y * tf.cos(tf.range(tf.size(y, tf.int64), dtype=y.dtype) ** 1.0).numpy().reshape(y.shape)
            )
        norm = tf.reduce_sum(tf.square(tape.gradient(value, w)))
    return y, outer.gradient(norm, kernel)


@pytest.mark.parametrize(("up", "demodulate"), [(1, True), (1, False), (2, True)])
def test_a_modulated_convolution_is_one_kernel_per_example(up, demodulate, seeded):
    layer = ModulatedConv2D(3, up=up, demodulate=demodulate, dtype="float64")
    x, w = (tf.constant(normal(*shape, dtype=np.float64)) for shape in ((2, 5, 5, 4), (2, 6)))
    assert layer([x, w]).shape == layer.compute_output_shape([x.shape, w.shape]) == (2, 5 * up, 5 * up, 3)
    ours, theirs = (
        slopes(function, x, w, layer.kernel.value)
        for function in (lambda x, w: layer([x, w]), lambda x, w: one_by_one(layer, x, w))
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-10)
        assert np.abs(other).max() > 0.1


def test_outputs_have_deviation_1_and_a_longer_style_changes_nothing(seeded):
    x, w = normal(64, 8, 8, 32), normal(64, 16)
    whole, colors = ModulatedConv2D(64, padding="full"), ModulatedConv2D(64, demodulate=False)
    for layer in (whole, colors):
        layer.build([x.shape, w.shape])
        np.testing.assert_allclose(layer.affine(np.zeros((1, 16), np.float32)), 1)
    y, plain = whole([x, w]).numpy(), colors([x, w]).numpy()
    assert y.shape == (64, 10, 10, 64)
    assert np.std(y[:, 2:-2, 2:-2]) == pytest.approx(1, rel=0.01)
    for layer in (whole, colors):  # factors three times as large
        layer.affine.kernel.assign(3 * layer.affine.kernel)
        layer.affine.bias.assign(3 * layer.affine.bias)
    np.testing.assert_allclose(whole([x, w]), y, atol=1e-4)
    np.testing.assert_allclose(colors([x, w]), 3 * plain, atol=1e-3)


# --- styles, noise, fading in ----------------------------------------------------------------------------------------


def test_the_mean_of_w_follows_training_calls_alone():
    styles, w = Styles(3), np.float32([[1, -2], [3, -2]])
    np.testing.assert_array_equal(styles(w), np.repeat(w[:, None], 3, axis=1))
    np.testing.assert_array_equal(styles.mean, 0)
    for _ in range(20):
        styles(w, training=True)
    np.testing.assert_allclose(styles.mean, (1 - 0.998**20) * np.float32([2, -2]), rtol=1e-4)
    assert not styles.trainable_variables and styles.mean.aggregation == "only_first_replica"


def test_truncation_draws_styles_to_the_mean_up_to_the_cutoff():
    w = normal(2, 4, 3)
    for cutoff, changed in ((None, 4), (2, 2), (8, 4)):
        styles = Styles(4, cutoff=cutoff)
        styles.build((None, 3))
        styles.mean.assign([0.5, -1, 2])
        np.testing.assert_array_equal(styles.truncated(w, tf.ones(2)), w)
        drawn = styles.truncated(w, tf.constant([0.0, 0.7])).numpy()
        assert (drawn[0, :changed] == styles.mean.numpy()).all()
        np.testing.assert_allclose(drawn[1, :changed], (styles.mean + 0.7 * (w - styles.mean))[1, :changed], rtol=1e-5)
        np.testing.assert_array_equal(drawn[:, changed:], w[:, changed:])


def test_noise_of_no_strength_is_none_and_each_map_takes_its_own_part():
    x, noise = normal(2, 2, 3, 4), normal(2, 11)
    for per_channel, strength in ((False, 0.5), (True, [0.5, 1, 0, -2])):
        layer = Noise(start=5, per_channel=per_channel)
        np.testing.assert_array_equal(layer([x, noise]), x)
        layer.strength.assign(strength)
        own = noise[:, 5:11].reshape(2, 2, 3, 1)
        np.testing.assert_allclose(layer([x, noise]), x + own * np.float32(strength), rtol=1e-5, atol=1e-6)


def test_a_constant_is_the_same_for_all_rows(seeded):
    for deviation in (0, 1):
        rows = LearnedConstant((4, 4, 64), deviation)(normal(3, 2)).numpy()
        np.testing.assert_array_equal(rows[0], rows[2])
        assert rows.std() == pytest.approx(deviation, rel=0.1) and rows.mean() == pytest.approx(1 - deviation, abs=0.1)


def test_pixels_have_mean_square_1():
    x = PixelNorm()(3 * normal(2, 4, 4, 5)).numpy()
    np.testing.assert_allclose(np.mean(x**2, axis=-1), 1, rtol=1e-5)
    with pytest.raises(UsageError, match="epsilon is 0"):
        PixelNorm(0)


def test_a_style_gives_scale_and_offset_to_channels(seeded):
    x, w = 5 * normal(2, 6, 6, 3) + 1, normal(2, 4)
    layer = AdaptiveInstanceNormalization()
    y = layer([x, w]).numpy()
    scale, offset = np.split(layer.affine(w).numpy(), 2, axis=-1)
    np.testing.assert_allclose(y.mean(axis=(1, 2)), offset, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(1, 2)), np.abs(1 + scale), rtol=1e-4)


def test_fading_in_is_exact_at_both_ends():
    fade, before, after = FadeIn(), normal(3, 4), normal(3, 4, seed=1)
    np.testing.assert_array_equal(fade([before, after]), before)
    fade.alpha.assign(0.25)
    np.testing.assert_allclose(fade([before, after]), 0.75 * before + 0.25 * after, rtol=1e-5)
    fade.alpha.assign(1.0)
    np.testing.assert_array_equal(fade([before, after]), after)
    assert not fade.trainable_variables and fade.alpha.aggregation == "only_first_replica"


# --- all of them -----------------------------------------------------------------------------------------------------

MAP, STYLE = (2, 4, 4, 3), (2, 5)
EVERY = [
    (EqualizedDense(4, "leaky_relu", gain=2.0, multiplier=0.1, bias=1.0), STYLE),
    (EqualizedConv2D(4, 3, activation_gain=2.0, strides=2, padding="valid", use_bias=False), MAP),
    (BiasActivation("leaky_relu", activation_gain=2.0), MAP),
    (FIR((1, 2, 1), up=2, padding=(1, 0), gain=3.0), MAP),
    (ModulatedConv2D(4, up=2, taps=(1, 2, 1)), [MAP, STYLE]),
    (ModulatedConv2D(4, 1, demodulate=False), [MAP, STYLE]),
    (PixelNorm(1e-6), MAP),
    (Styles(3, 0.9, cutoff=2), STYLE),
    (Noise(2, per_channel=True), [MAP, (2, 18)]),
    (AdaptiveInstanceNormalization(1e-6), [MAP, STYLE]),
    (LearnedConstant((4, 4, 3)), STYLE),
    (FadeIn(0.5), [MAP, MAP]),
]


@pytest.mark.parametrize(("layer", "shapes"), EVERY, ids=[type(layer).__name__ for layer, _ in EVERY])
def test_a_layer_is_what_its_configuration_says_in_half_precision_too(layer, shapes):
    several = isinstance(shapes, list)
    x = [normal(*shape) for shape in shapes] if several else normal(*shapes)
    y = layer(x)
    again = type(layer).from_config(layer.get_config())
    again.build(shapes)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), y)
    assert layer.compute_output_shape(shapes) == y.shape
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    half.build(shapes)
    half.set_weights(layer.get_weights())
    rough = half([tf.cast(one, "bfloat16") for one in x] if several else tf.cast(x, "bfloat16"))
    assert rough.dtype == "bfloat16" and {weight.dtype for weight in half.weights} <= {"float32"}
    np.testing.assert_allclose(tf.cast(rough, tf.float32), y, atol=0.05 * np.abs(y).max())


BUGS = [
    Bug(
        "equalized: the gain in the initializer",
        "layers/equalized.py",
        "self.scale = self.multiplier * self.gain / math.sqrt(math.prod(shape[:-1]))",
        "self.scale = 1.0\n"
        "        self.kernel.assign(self.kernel * self.gain * self.multiplier / math.sqrt(math.prod(shape[:-1])))",
        (
            "test_a_kernel_has_deviation_1_over_the_multiplier_and_outputs_have_1",
            "test_a_first_step_of_adam_changes_layers_of_any_width_by_the_same_share",
        ),
    ),
    Bug(
        "equalized: a bias without the multiplier",
        "layers/equalized.py",
        "tf.cast(self.multiplier * tf.convert_to_tensor(self.bias), x.dtype)",
        "tf.cast(tf.convert_to_tensor(self.bias), x.dtype)",
        ("test_a_first_step_of_adam_changes_layers_of_any_width_by_the_same_share",),
    ),
    Bug(
        "FIR: gain 1 going up",
        "layers/resample.py",
        "self.up**2 if gain is None",
        "1 if gain is None",
        (
            "test_resampling_is_that_of_scipy",
            "test_a_ramp_stays_where_it_is",
        ),
    ),
    Bug(
        "FIR: padding (1, 2) for (2, 1)",
        "layers/resample.py",
        "usual = ((length - down + up) // 2, (length - up - down + 1) // 2)",
        "usual = ((length - up - down + 1) // 2, (length - down + up) // 2)",
        (
            "test_resampling_is_that_of_scipy",
            "test_a_ramp_stays_where_it_is",
        ),
    ),
    Bug(
        "FIR: a filter that is not reversed",
        "layers/resample.py",
        "np.array(self.taps[::-1])",
        "np.array(self.taps)",
        ("test_resampling_is_that_of_scipy",),
    ),
    Bug(
        "modulated: s for its square",
        "layers/modulated.py",
        "tf.matmul(tf.square(style), power)",
        "tf.matmul(style, power)",
        (
            "test_a_modulated_convolution_is_one_kernel_per_example",
            "test_outputs_have_deviation_1_and_a_longer_style_changes_nothing",
        ),
    ),
    Bug(
        "modulated: the sum over filters",
        "layers/modulated.py",
        "tf.reduce_sum(tf.square(kernel), axis=(0, 1))",
        "tf.reduce_sum(tf.square(kernel), axis=(0, 1, 3), keepdims=True)[0, 0]",
        ("test_a_modulated_convolution_is_one_kernel_per_example",),
    ),
    Bug(
        "styles: decay and 1 - decay",
        "layers/style.py",
        "self.decay * self.mean + (1.0 - self.decay) * mean_over_replicas(w)",
        "(1.0 - self.decay) * self.mean + self.decay * mean_over_replicas(w)",
        ("test_the_mean_of_w_follows_training_calls_alone",),
    ),
    Bug(
        "noise: every map from the first number on",
        "layers/style.py",
        "noise[:, self.start : self.start + height * width]",
        "noise[:, : height * width]",
        ("test_noise_of_no_strength_is_none_and_each_map_takes_its_own_part",),
    ),
    Bug(
        "AdaIN: a scale without 1",
        "layers/style.py",
        "(1.0 + scale) * self.normalization(x)",
        "scale * self.normalization(x)",
        ("test_a_style_gives_scale_and_offset_to_channels",),
    ),
]

"""Layers of continuous signals: they move and turn with them, bend them without folding, and keep their size."""

import keras
import numpy as np
import pytest
import scipy.signal
import tensorflow as tf
from planted import Bug
from tiny import refused

from keras_gen.layers import FilteredLeakyReLU, FourierFeatures, MagnitudeNormalization
from keras_gen.layers.filters import lowpass, radial_lowpass


@pytest.fixture
def features():
    """Waves on 36x36 samples, 16 of which are on the side of the image."""
    keras.utils.set_random_seed(0)
    layer = FourierFeatures(6, size=36, rate=16, cutoff=2.0)
    layer.build([(None, 4), (None, 2), (None,)])
    return layer


def waves(layer, style=None, shift=(0.0, 0.0), angle=0.0):
    style = np.zeros((1, 4), np.float32) if style is None else style
    shift, angle = (np.float32(np.broadcast_to(value, (len(style), *n))) for value, n in ((shift, (2,)), (angle, ())))
    return layer([style, shift, angle]).numpy()


def test_a_shift_by_samples_moves_every_wave_right_and_down_by_as_many(features):
    still, moved = waves(features), waves(features, shift=(3 / 16, -2 / 16))
    np.testing.assert_allclose(moved[:, :-2, 3:], still[:, 2:, :-3], atol=1e-5)


def test_an_angle_turns_counterclockwise_about_the_middle_before_the_shift(features):
    still = waves(features)
    np.testing.assert_allclose(waves(features, angle=90.0), np.rot90(still, axes=(1, 2)), atol=1e-5)
    both = waves(features, shift=(3 / 16, 0.0), angle=90.0)
    np.testing.assert_allclose(both[:, :, 3:], np.rot90(still, axes=(1, 2))[:, :, :-3], atol=1e-5)


def test_the_style_turns_and_shifts_what_the_user_moves_then(features):
    """Beside products of matrices, as the paper tells it: rotation, translation, and the inverse of the user's."""
    rng = np.random.default_rng(0)
    style, shift, angle = rng.normal(size=(5, 4)), rng.normal(size=(5, 2)), rng.uniform(-180, 180, 5)
    features.motion.assign(rng.normal(size=(4, 4)))
    features.motion_bias.assign([0.4, -0.8, 0.1, 0.3])
    found = features([np.float32(value) for value in (style, shift, angle)]).numpy()
    frequencies, phases, kernel = (np.asarray(v) for v in (features.frequencies, features.phases, features.kernel))
    place = (np.arange(36) + 0.5 - 18) / 16
    points = np.stack([*np.meshgrid(place, place), np.ones((36, 36))], -1)
    for row in range(5):
        motion = style[row] @ np.asarray(features.motion) / 2 + np.asarray(features.motion_bias)
        cos, sin, right, down = motion / np.hypot(*motion[:2])
        turn = np.float64([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        move = np.float64([[1, 0, -right], [0, 1, -down], [0, 0, 1]])
        c, s = np.cos(np.radians(angle[row])), np.sin(np.radians(angle[row]))
        user = np.float64([[c, s, shift[row, 0]], [-s, c, shift[row, 1]], [0, 0, 1]])
        at = points @ (turn @ move @ np.linalg.inv(user)).T
        expected = np.sin(2 * np.pi * (at[..., :2] @ frequencies.T + phases)) @ kernel / np.sqrt(6)
        np.testing.assert_allclose(found[row], expected, atol=2e-5)


def test_frequencies_fill_a_disc_and_phases_a_period():
    layer = FourierFeatures(4000, size=4, rate=4, cutoff=2.0)
    layer.build([(None, 1), (None, 2), (None,)])
    radius = np.linalg.norm(layer.frequencies, axis=1)
    assert radius.max() <= 2 and np.mean(radius < 1) == pytest.approx(0.25, abs=0.03)
    assert np.mean(radius < 1.6) == pytest.approx(0.64, abs=0.03)
    assert np.ptp(layer.phases) == pytest.approx(1, abs=0.01)
    assert np.std(layer.kernel) == pytest.approx(1, abs=0.01)


LAYER = {"up": 4, "down": 2, "rate": 16, "up_band": (4.0, 4.0), "down_band": (5.66, 10.34)}


@pytest.mark.parametrize("radial", [False, True])
def test_layer_is_filters_and_a_leaky_relu(radial):
    x = np.random.default_rng(0).normal(size=(2, 22, 22, 3)).astype(np.float32)
    layer = FilteredLeakyReLU(20, **LAYER, radial=radial, clamp=1.5)
    layer.build(x.shape)
    layer.bias.assign([0.5, -1.0, 0.0])
    up, down = lowpass(24, 4.0, 4.0, 64), lowpass(12, 5.66, 10.34, 64)
    down = radial_lowpass(12, 5.66, 10.34, 64) if radial else np.outer(down, down)
    total = 19 * 2 + 1 - 22 * 4 + 24 + 12 - 2
    before = (total + 4) // 2
    for row, channel in np.ndindex(2, 3):
        fine = np.zeros((88, 88))
        fine[::4, ::4] = x[row, :, :, channel] + np.float32([0.5, -1.0, 0.0])[channel]
        assert before < 0 and total - before < 0
        fine = 16 * scipy.signal.correlate2d(fine[-before : total - before, -before : total - before], np.outer(up, up))
        fine = fine[23:-23, 23:-23]  # complete sums only
        fine = np.clip(np.sqrt(2) * np.where(fine > 0, fine, 0.2 * fine), -1.5, 1.5)
        expected = scipy.signal.correlate2d(fine, down, "valid")[::2, ::2]
        np.testing.assert_allclose(layer(x)[row, :, :, channel], expected, atol=2e-6)


def folded(upsampled):
    """Returns the share of the result of a wave of .17 cycles per sample that is none of its harmonics, in decibels."""
    t = np.arange(70) - 34.5
    x = np.cos(2 * np.pi * 0.17 * t + 0.3)[None, None, :, None] * np.ones((1, 70, 1, 1))
    band = (0.17, 0.33)
    layer = FilteredLeakyReLU(64, upsampled, upsampled, 1, up_band=band, down_band=band)
    found = layer(x.astype(np.float32)).numpy()[0, 32, 8:-8, 0]
    t = np.arange(48)
    waves = [wave(2 * np.pi * 0.17 * times * t) for times in (1, 2) for wave in (np.cos, np.sin)]
    waves = np.stack([np.ones(48), *waves], axis=1)
    rest = found - waves @ np.linalg.lstsq(waves, found, rcond=None)[0]
    return 10 * np.log10(np.square(rest).sum() / np.square(found).sum())


def test_what_a_bend_adds_above_half_of_the_rate_does_not_fold_back():
    found = folded(2), folded(1)
    assert found[0] < -40 < -28 < found[1]


def test_second_derivatives_are_those_of_differences():
    layer = FilteredLeakyReLU(6, **{**LAYER, "down": 4}, radial=True, slope=1.0)  # without a kink
    x = tf.random.stateless_normal((1, 8, 8, 2), (1, 2))

    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(layer(x) ** 3)
        return tf.reduce_sum(tape.gradient(value, x) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = slope(x)
    along = tf.random.stateless_normal(x.shape, (3, 4))
    found = tf.reduce_sum(tape.gradient(value, x) * along)
    differences = (slope(x + 1e-2 * along) - slope(x - 1e-2 * along)) / 2e-2
    assert float(found) == pytest.approx(float(differences), rel=5e-3)


def test_magnitude_follows_batches_and_inference_divides_by_it():
    layer = MagnitudeNormalization(half_life=8)
    x = 3 * tf.ones((4, 2, 2, 1))
    np.testing.assert_allclose(layer(x), 3)
    for batches in (1, 2, 3):
        made, kept = layer(x, training=True), 0.5 ** (4 * batches / 8)
        assert float(layer.magnitude) == pytest.approx(kept + (1 - kept) * 9, rel=1e-6)
        np.testing.assert_allclose(made, 3 / np.sqrt(layer.magnitude), rtol=1e-6)
    np.testing.assert_allclose(layer(7 * x), 7 * np.asarray(made), rtol=1e-6)
    layer.magnitude.assign(0.0)
    assert np.isfinite(layer(0 * x)).all()
    assert not layer.trainable_variables


def test_configurations_and_what_is_refused():
    for layer in (
        FourierFeatures(3, size=8, rate=4, cutoff=1.5),
        FilteredLeakyReLU(20, **LAYER, taps=2, radial=True, slope=0.1, gain=1.0, clamp=2.0),
        MagnitudeNormalization(half_life=5),
    ):
        again = type(layer).from_config(layer.get_config())
        assert again.get_config() == layer.get_config()
    refused(lambda: FilteredLeakyReLU(20, **LAYER)(tf.zeros((1, 8, 9, 1))), "maps are 8x9; expected square ones")
    refused(lambda: MagnitudeNormalization(0), "half_life is 0; expected a number of rows above 0")
    refused(lambda: FourierFeatures(0, size=8, rate=4, cutoff=1.5), "channels is 0")


BUGS = (
    Bug(
        "Fourier features: turned the other way",
        "layers/alias_free.py",
        "x, y = cos_user * x - sin_user * y + right, sin_user * x + cos_user * y + down",
        "x, y = cos_user * x + sin_user * y + right, cos_user * y - sin_user * x + down",
        (
            "test_an_angle_turns_counterclockwise_about_the_middle_before_the_shift",
            "test_the_style_turns_and_shifts_what_the_user_moves_then",
        ),
    ),
    Bug(
        "Fourier features: the style's shift is not turned",
        "layers/alias_free.py",
        "x, y = sin * y - cos * x, -sin * x - cos * y",
        "x, y = -x, -y",
        ("test_the_style_turns_and_shifts_what_the_user_moves_then",),
    ),
    Bug(
        "Fourier features: frequencies fill no disc",
        "layers/alias_free.py",
        "tf.exp(-squares / 4.0)",
        "tf.exp(-squares / 2.0)",
        ("test_frequencies_fill_a_disc_and_phases_a_period",),
    ),
    Bug(
        "filtered leaky ReLU: clamped after the filter",
        "layers/alias_free.py",
        "x = tf.clip_by_value(self.gain * tf.maximum(x, self.slope * x), -self.clamp, self.clamp)",
        "x = self.gain * tf.maximum(x, self.slope * x)",
        ("test_layer_is_filters_and_a_leaky_relu",),
    ),
    Bug(
        "magnitude: inference moves it",
        "layers/alias_free.py",
        "if training:\n            magnitude",
        "if True:\n            magnitude",
        ("test_magnitude_follows_batches_and_inference_divides_by_it",),
    ),
)

"""StyleGAN3: images move and turn as the signature is asked to, and the blur of R fades."""

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from planted import Bug
from tiny import batch_for, make, refused

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.layers import FourierFeatures, MagnitudeNormalization
from keras_gen.ops.blur import blurred

SIZES = {"latent_dim": 6, "style_dim": 5, "base": 32, "largest": 4, "seed": 3}
ROWS = {
    "stylegan3": (
        "stylegan3",
        lambda: {
            **SIZES,
            "image_shape": (8, 8, 1),
            "variant": "r",
            "depth": 1,
            "synthesis_layers": 2,
            "critical": 1,
            "r1": 0.5,
            "r1_every": 1,
            "blur": 1.5,
            "blur_steps": 4,
            "ema": 0.9,
        },
    ),
    "stylegan3-classes": (
        "stylegan3",
        lambda: {
            **SIZES,
            "image_shape": (16, 16, 3),
            "synthesis_layers": 4,
            "num_classes": 10,
            "augment": ("translation",),
            "augment_target": 0.5,
        },
    ),
}


@pytest.fixture(scope="module")
def model():
    return make("stylegan3")


def test_a_shift_moves_samples_right_and_down_and_an_angle_turns_them(model):
    """Samples of whole pixels: the margins are large, but the network is not trained, and has seen no magnitudes."""
    still, moved = model.sample(3, seed=1), model.sample(3, seed=1, shift=(1 / 8, -2 / 8))
    scale = still.std()
    np.testing.assert_allclose(moved[:, :-2, 1:], still[:, 2:, :-1], atol=0.02 * scale)
    turned = model.sample(3, seed=1, angle=90.0)
    np.testing.assert_allclose(turned, np.rot90(still, axes=(1, 2)), atol=0.02 * scale)


def test_figures_are_those_of_shifts_and_of_angles(model):
    found = model.equivariance()
    assert set(found) == {"eq_t", "eq_t_fractional"}, "in 8x8 pixels nothing can be turned"
    assert found["eq_t"] > 30 and found["eq_t_fractional"] > 15, found


@pytest.mark.parametrize("sigma", [3.0, 0.4])
def test_blur_is_a_filter_of_halves(sigma):
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    x = np.arange(-int(3 * sigma), int(3 * sigma) + 1)
    kernel = 2.0 ** -((x / sigma) ** 2) / (2.0 ** -((x / sigma) ** 2)).sum()
    expected = scipy.ndimage.convolve1d(image, kernel, axis=1, mode="constant")
    expected = scipy.ndimage.convolve1d(expected, kernel, axis=2, mode="constant")
    np.testing.assert_allclose(blurred(tf.constant(image), tf.constant(sigma), 3.0), expected, atol=1e-6)
    np.testing.assert_array_equal(blurred(tf.constant(image), tf.constant(0.3), 3.0), image)
    np.testing.assert_array_equal(blurred(tf.constant(image), tf.constant(0.0), 3.0), image)


def test_blur_is_of_all_that_the_discriminator_sees_and_fades_in_its_steps(model):
    image, batch = tf.random.stateless_normal((2, 8, 8, 1), (1, 2)), Batch()
    for step, sigma in ((0, 1.5), (1, 1.125), (4, 0.0), (9, 0.0)):
        model.d_optimizer.iterations.assign(step)
        for kind in ("real", "fake", "r1"):
            seen = model.augmented(image, kind, batch, True)
            np.testing.assert_allclose(seen, blurred(image, tf.constant(sigma), 1.5), atol=1e-6)
        np.testing.assert_array_equal(model.augmented(image, "real", batch, False), image)
    model.d_optimizer.iterations.assign(0)


def test_magnitudes_move_once_a_step_and_not_in_inference():
    model = make("stylegan3", compiled=False, blur=0.0, r1=0.0)
    parts = model.part("synthesis", True).layers
    first, *others = [one for one in parts if isinstance(one, MagnitudeNormalization)]
    batch, kept = Batch(image=tf.constant(batch_for(model)["image"])), 0.5 ** (16 / 20_000)
    model.discriminator_loss(batch, True)
    moved = [float(one.magnitude) for one in (first, *others)]
    model.generator_loss(batch, True)
    model.sample(4)
    assert moved == [float(one.magnitude) for one in (first, *others)] and all(value != 1 for value in moved)
    features = next(one for one in parts if isinstance(one, FourierFeatures))
    style = model.styles(batch, True)[:, 0]
    power = np.square(features([style, tf.zeros((16, 2)), tf.zeros(16)])).mean()
    assert moved[0] == pytest.approx(kept + (1 - kept) * power, rel=1e-6)


def test_the_papers_settings():
    small = {"base": 32, "largest": 2, "latent_dim": 2, "style_dim": 2}
    model = keras_gen.StyleGAN3(image_shape=(256, 256, 1), **small)
    assert (model.r1, model.r1_every, model.blur, model.mixing) == (2.0, 16, 0.0, 0.0)
    assert set(model.laws()) == {"latent", "shift", "angle"} and model.term_weights() == ({"r1": 2.0}, {})
    assert model.part("synthesis", True).input["style"].shape == (None, 16, 2)
    assert keras_gen.StyleGAN3(image_shape=(16, 16, 1), variant="r", synthesis_layers=3, **small).blur == 10.0
    for player, rate in (("d", 2e-3), ("g", 2.5e-3)):
        adam = model.paper_optimizer(player)
        assert (float(adam.learning_rate), adam.beta_1, adam.beta_2, adam.epsilon) == (
            pytest.approx(rate),
            0.0,
            0.99,
            1e-8,
        )


def test_what_is_refused():
    refused(lambda: keras_gen.StyleGAN3(image_shape=(28, 28, 1)), "images have 28 pixels on a side")
    refused(lambda: make("stylegan3", blur=-1.0), "blur is -1.0; expected a number of pixels")
    with pytest.raises(UsageError, match="StyleGAN3 has no argument 'mixing'"):
        make("stylegan3", mixing=0.5)


BUGS = (
    Bug(
        "StyleGAN3: R1 sees images without their blur",
        "models/adversarial/stylegan3.py",
        "if training and self.blur:",
        'if training and self.blur and kind != "r1":',
        ("test_blur_is_of_all_that_the_discriminator_sees_and_fades_in_its_steps",),
    ),
    Bug(
        "StyleGAN3: the blur does not fade",
        "models/adversarial/stylegan3.py",
        "tf.maximum(1.0 - done, 0.0)",
        "tf.maximum(1.0 - 0.0 * done, 0.0)",
        ("test_blur_is_of_all_that_the_discriminator_sees_and_fades_in_its_steps",),
    ),
    Bug(
        "StyleGAN3: a Gaussian of e",
        "ops/blur.py",
        "tf.pow(2.0, -tf.square(x / sigma))",
        "tf.exp(-tf.square(x / sigma))",
        ("test_blur_is_a_filter_of_halves",),
    ),
)

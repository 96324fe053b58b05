"""Least squares: the losses by hand, the best discriminator, and the usual targets as the loss of `GAN`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import difference, make, real_digits, small_gan, weights

import keras_gen
from keras_gen.errors import UsageError

ROWS = {
    "lsgan": (
        "lsgan",
        lambda: {
            **small_gan(),
            "fake_target": -1.0,
            "real_target": 0.75,
            "generator_target": 0.5,
            "architecture": "mlp",
            "norm": "none",
            "latent": "normal",
            "ema": 0.9,
        },
    ),
}


def test_both_losses_by_hand():
    sides = make("lsgan").sides()
    real, fake = tf.constant([[1.0], [2.0]]), tf.constant([[0.0], [-3.0]])
    # b = 0.75: (0.25^2 + 1.25^2) / 4; a = -1: (1^2 + 2^2) / 4; c = 0.5: (0.5^2 + 3.5^2) / 4.
    assert float(sides.discriminator(real, fake)) == pytest.approx(0.40625 + 1.25)
    assert float(sides.generator(fake)) == pytest.approx(3.125)


def test_the_best_discriminator_is_that_of_the_paper():
    """On three points with known probabilities, free outputs go to (b p_data + a p_model) / (p_data + p_model)."""
    p_data, p_model = np.float32([0.5, 0.3, 0.2]), np.float32([0.1, 0.3, 0.6])
    sides, outputs = make("lsgan").sides(), tf.Variable(tf.zeros(3))
    rows = [np.repeat(np.arange(3), np.rint(10 * p).astype(int)) for p in (p_data, p_model)]
    for _ in range(500):
        with tf.GradientTape() as tape:
            loss = sides.discriminator(*(tf.gather(outputs, row)[:, None] for row in rows))
        outputs.assign_sub(tape.gradient(loss, outputs))
    np.testing.assert_allclose(outputs, (0.75 * p_data - p_model) / (p_data + p_model), atol=1e-4)


def test_usual_targets_are_the_least_squares_loss_of_gan():
    usual = {"fake_target": 0.0, "real_target": 1.0, "generator_target": 1.0}
    same = {**small_gan(), "architecture": "mlp", "norm": "none", "latent": "normal"}
    keras.utils.set_random_seed(0)
    ours = keras_gen.LSGAN(**same, **usual)
    keras.utils.set_random_seed(0)
    theirs = keras_gen.GAN(**same, adversarial="least_squares")
    for model in (ours, theirs):
        model.compile()
        model.fit(real_digits(16)[0], batch_size=8, verbose=0)
    assert difference(weights(ours), weights(theirs)) == 0


def test_usage_errors():
    with pytest.raises(UsageError, match="are both 1"):
        keras_gen.LSGAN(image_shape=(8, 8, 1), fake_target=1.0)
    with pytest.raises(UsageError, match="no argument 'adversarial'"):
        keras_gen.LSGAN(image_shape=(8, 8, 1), adversarial="hinge")


BUGS = (
    Bug(
        "LSGAN: the targets of real and fake images are swapped",
        "models/adversarial/lsgan.py",
        "return _half_square(real, self.real_target) + _half_square(fake, self.fake_target)",
        "return _half_square(real, self.fake_target) + _half_square(fake, self.real_target)",
        (
            "test_both_losses_by_hand",
            "test_the_best_discriminator_is_that_of_the_paper",
            "test_usual_targets_are_the_least_squares_loss_of_gan",
        ),
    ),
    Bug(
        "LSGAN: the generator aims at real images' target",
        "models/adversarial/lsgan.py",
        "lambda fake: _half_square(fake, self.generator_target)",
        "lambda fake: _half_square(fake, self.real_target)",
        ("test_both_losses_by_hand",),
    ),
)

import numpy as np
import pytest
import tensorflow as tf

from keras_gen import losses

REAL, FAKE = np.float32([[2.0], [-1.0]]), np.float32([[0.5], [-3.0]])


def softplus(x):
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    "name, discriminator, generator",
    [
        ("minimax", softplus(-REAL).mean() + softplus(FAKE).mean(), -softplus(FAKE).mean()),
        ("non_saturating", softplus(-REAL).mean() + softplus(FAKE).mean(), softplus(-FAKE).mean()),
        ("least_squares", 0.5 * (1 + 4) / 2 + 0.5 * (0.25 + 9) / 2, 0.5 * (0.25 + 16) / 2),
        ("wasserstein", -1.25 - 0.5, 1.25),
        ("hinge", (0 + 2) / 2 + (1.5 + 0) / 2, 1.25),
    ],
)
def test_adversarial_losses_by_hand_on_four_logits(name, discriminator, generator):
    pair = losses.ADVERSARIAL[name]
    assert float(pair.discriminator(REAL, FAKE)) == pytest.approx(float(discriminator), abs=1e-6)
    assert float(pair.generator(FAKE)) == pytest.approx(float(generator), abs=1e-6)


def test_losses_are_finite_at_extreme_logits():
    for pair in losses.ADVERSARIAL.values():
        extreme = tf.constant([[1e4], [-1e4]])
        assert np.isfinite(pair.discriminator(extreme, extreme)) and np.isfinite(pair.generator(extreme))


def test_minimax_gradient_vanishes_against_a_sure_discriminator_and_the_non_saturating_does_not():
    gradients = {}
    for name in ("minimax", "non_saturating"):
        logits = tf.constant([[-20.0]])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss = losses.ADVERSARIAL[name].generator(logits)
        gradients[name] = abs(tape.gradient(loss, logits).numpy().item())
    assert gradients["minimax"] < 1e-8
    assert gradients["non_saturating"] == pytest.approx(1, abs=1e-6)


def test_gaussian_kl_closed_form_and_monte_carlo():
    means, log_variance = tf.constant([[1.0, -2.0]]), tf.math.log([[1.0, 0.25]])
    assert float(losses.gaussian_kl(means, log_variance)[0]) == pytest.approx(2.818147, abs=1e-5)
    draws = means + tf.exp(0.5 * log_variance) * np.random.default_rng(0).standard_normal((200_000, 2), np.float32)
    zero = tf.zeros((1, 2))
    estimate = losses.gaussian_log_likelihood(draws, means, log_variance) - losses.gaussian_log_likelihood(
        draws, zero, zero
    )
    assert float(tf.reduce_mean(estimate)) == pytest.approx(2.818147, rel=0.01)


def test_likelihoods_sum_over_pixels():
    x = np.random.default_rng(0).random((3, 4, 4, 2)).astype(np.float32)
    flat = losses.bernoulli_log_likelihood(x, tf.zeros_like(x))
    np.testing.assert_allclose(flat, np.full(3, -32 * np.log(2)), rtol=1e-6)
    gaussian = losses.gaussian_log_likelihood(x, tf.zeros_like(x), tf.fill(x.shape, np.float32(np.log(4))))
    by_hand = -0.5 * (np.log(2 * np.pi) + np.log(4) + x**2 / 4).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(gaussian, by_hand, rtol=1e-5)

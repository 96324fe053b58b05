import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from scipy.special import logsumexp
from tiny import linear_gaussian, small_vae

import keras_gen
from keras_gen.game.batch import Batch

ROWS = {
    "iwae": ("iwae", lambda: {**small_vae(), "samples": 3}),
}


class Known(keras_gen.IWAE):
    """The noise of latent number i is `noise[i]`."""

    noise = None

    def code(self, means, log_variance, training):
        return means + tf.exp(0.5 * log_variance) * self.noise, tf.constant(self.noise)


@pytest.mark.parametrize("samples", [1, 3])
def test_loss_by_hand(samples):
    """K weights p(x, z) / q(z | x) of each of two images, from log densities written out."""
    keras.utils.set_random_seed(0)
    model = Known(image_shape=(1, 2, 1), latent_dim=2, hidden=(), samples=samples, binarize="none")
    image = np.float32([[1, -1], [-1, -1]]).reshape(2, 1, 2, 1)
    Known.noise = np.random.default_rng(0).normal(size=(2 * samples, 2)).astype(np.float32)
    code = model.encoder({"image": image}).numpy().astype(np.float64)
    bounds, expected = [], {"reconstruction": [], "kl": []}
    for i in range(2):
        log_weights = []
        mean, deviation = code[i, :2], np.exp(code[i, 2:] / 2)
        for noise in Known.noise[i * samples : (i + 1) * samples]:
            z = mean + deviation * noise
            logit = model.decoder({"latent": z[None].astype(np.float32)}).numpy().ravel()
            on = 0.5 * (image[i].ravel() + 1)
            likelihood = np.sum(-on * np.log1p(np.exp(-logit)) - (1 - on) * np.log1p(np.exp(logit)))
            prior = np.sum(-0.5 * np.log(2 * np.pi) - z**2 / 2)
            posterior = np.sum(-0.5 * np.log(2 * np.pi) - np.log(deviation) - (z - mean) ** 2 / (2 * deviation**2))
            log_weights.append(likelihood + prior - posterior)
            expected["reconstruction"].append(-likelihood)
            expected["kl"].append(posterior - prior)
        bounds.append(logsumexp(log_weights) - np.log(samples))
    terms = model.negative_elbo(Batch(image=image), True)
    assert float(terms["bound"]) == pytest.approx(-np.mean(bounds), abs=1e-5)
    for name, values in expected.items():
        assert float(terms[name]) == pytest.approx(np.mean(values), abs=1e-5)


def test_one_sample_is_the_vae_in_expectation(digits):
    """The same weights: the VAE has its KL in closed form, here a draw estimates it."""
    keras.utils.set_random_seed(0)
    arguments = {"image_shape": (8, 8, 1), "latent_dim": 3, "hidden": (16,), "binarize": "none"}
    vae, iwae = keras_gen.VAE(**arguments), keras_gen.IWAE(samples=1, **arguments)
    vae.encoder.trainable_variables[-1].assign([1.0, -1.0, 0.5, -1.0, 0.5, 0.0])
    iwae.set_weights(vae.get_weights())
    for model in (vae, iwae):
        model.compile()
    many = np.repeat(digits[:1], 20_000, axis=0)
    ours, theirs = (model.evaluate(many, batch_size=5000, verbose=0, return_dict=True) for model in (iwae, vae))
    assert theirs["kl"] > 1
    for name in ("loss", "reconstruction", "kl"):
        assert ours[name] == pytest.approx(theirs[name], abs=0.1), name


def test_bound_rises_with_its_samples_and_stays_below_the_truth_of_a_linear_gaussian():
    bounds = []
    for samples in (1, 8, 128):
        model, x, exact = linear_gaussian("iwae", samples=samples, seed=0)
        model.compile()
        bounds.append(-model.evaluate(np.repeat(x, 2000, axis=0), batch_size=500, verbose=0, return_dict=True)["loss"])
    assert bounds[0] + 0.05 < bounds[1] and bounds[1] + 0.005 < bounds[2] < exact + 0.003
    assert bounds[2] == pytest.approx(exact, abs=0.01)


def test_loss_is_the_bound_alone_and_tighter_than_the_terms_beside_it(digits):
    keras.utils.set_random_seed(0)
    model = keras_gen.IWAE(image_shape=(8, 8, 1), latent_dim=3, hidden=(16,), seed=0)
    assert model.samples == 5
    model.compile(keras.optimizers.Adam(1e-2))
    history = {name: np.array(values) for name, values in model.fit(digits, epochs=5, verbose=0).history.items()}
    assert (history["loss"] < history["reconstruction"] + history["kl"]).all(), "Jensen"
    assert history["loss"][-1] < history["loss"][0]


def test_weights_of_any_size_are_added():
    """Log weights of minus a million are common for large images: their exponentials are all 0 in float32."""
    model = keras_gen.IWAE(image_shape=(8, 8, 3), likelihood="gaussian", seed=0)
    bias = model.decoder.trainable_variables[-1]
    bias.assign(tf.reshape(tf.tile([0.0, -50.0], [8 * 8 * 3]), [-1]))  # standard deviations of half a gray level
    with tf.GradientTape() as tape:
        bound = model.negative_elbo(Batch(image=np.ones((4, 8, 8, 3), np.float32)), True)["bound"]
    gradients = tape.gradient(bound, model.trainable_variables)
    assert 1e6 < float(bound) < np.inf
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_gradient_reaches_mean_and_log_variance(digits):
    keras.utils.set_random_seed(0)
    model = keras_gen.IWAE(image_shape=(8, 8, 1), latent_dim=3, seed=0)
    with tf.GradientTape() as tape:
        bound = model.negative_elbo(Batch(image=digits[:16]), True)["bound"]
    by_code = np.abs(tape.gradient(bound, model.encoder.trainable_variables[-2]).numpy()).sum(axis=0)
    assert (by_code > 1e-6).all() and by_code.shape == (6,)


BUGS = (
    Bug(
        "IWAE: mean of the logarithms",
        "models/autoencoders/iwae.py",
        "tf.reduce_logsumexp(log_weights, axis=1) - math.log(self.samples)",
        "tf.reduce_mean(log_weights, axis=1)",
        ("test_loss_by_hand[3]",),
    ),
)

import keras
import numpy as np
import pytest
from planted import Bug
from tiny import difference, small_vae, weights

import keras_gen
from keras_gen.errors import UsageError

ROWS = {
    "beta_vae": ("beta_vae", lambda: {**small_vae(), "beta": 3.0, "reconstruction_weight": 0.5}),
}


def trained(digits, cls=keras_gen.BetaVAE, epochs=1, rate=1e-3, **arguments):
    """Returns a model of the 8x8 digits, the same but for `arguments`, and the history of its training."""
    keras.utils.set_random_seed(0)
    model = cls(image_shape=(8, 8, 1), latent_dim=3, hidden=(32,), seed=0, **arguments)
    model.compile(keras.optimizers.Adam(rate))
    return model, model.fit(digits, batch_size=32, epochs=epochs, verbose=0).history


def test_beta_one_is_the_vae_bit_for_bit(digits):
    (ours, history), (theirs, expected) = trained(digits, beta=1.0), trained(digits, keras_gen.VAE)
    assert history == expected
    assert difference(weights(ours), weights(theirs)) == 0
    assert trained(digits)[1] == trained(digits, keras_gen.VAE, beta=4.0)[1], "4 is the default"


def test_both_weights_are_in_the_loss_and_not_in_its_terms(digits):
    history = trained(digits, beta=3.0, reconstruction_weight=0.5)[1]
    (loss,), (reconstruction,), (kl,) = (history[name] for name in ("loss", "reconstruction", "kl"))
    assert loss == pytest.approx(0.5 * reconstruction + 3 * kl, rel=1e-5)
    assert reconstruction == pytest.approx(64 * np.log(2), rel=0.2), "nats, without a weight"


@pytest.mark.slow
def test_kl_falls_with_beta_from_an_unregularized_code_to_none(digits):
    """Sixteen pixels for each of the 8x8, so that there is enough to tell for the larger weights."""
    large = digits.repeat(4, axis=1).repeat(4, axis=2)
    kl = []
    for beta in (0.0, 1.0, 4.0, 16.0):
        keras.utils.set_random_seed(0)
        model = keras_gen.BetaVAE(image_shape=(32, 32, 1), latent_dim=4, hidden=(64,), beta=beta, seed=0)
        model.compile()
        kl.append(model.fit(large, batch_size=32, epochs=30, verbose=0).history["kl"][-1])
    assert kl[0] > 2 * kl[1] and kl[1] > 1.2 * kl[2] and kl[2] > 1.2 * kl[3] > 0.5


def test_a_very_large_beta_ends_at_the_mean_image(digits):
    model, history = trained(digits, epochs=60, rate=3e-3, beta=1000.0, binarize="none")
    mean = digits.mean(axis=0)
    assert history["kl"][-1] < 0.01
    assert np.abs(model.sample(20, seed=0) - mean).mean() < 0.05, "whatever the latent"
    assert np.abs(model.reconstruct(digits[:20]) - mean).mean() < 0.05, "whatever the image"
    assert np.abs(digits - mean).mean() > 0.3


def test_the_kl_alone_makes_the_posterior_the_prior_and_leaves_the_decoder_as_it_was(digits):
    before, _ = trained(digits, epochs=0)
    after, history = trained(digits, epochs=30, rate=3e-3, reconstruction_weight=0.0)
    assert history["kl"][-1] < 1e-3 < history["kl"][0]
    assert difference(before.decoder.get_weights(), after.decoder.get_weights()) == 0


def test_log_prob_has_no_weights(digits):
    one, other = (trained(digits, epochs=0, beta=beta)[0] for beta in (1.0, 7.0))
    np.testing.assert_array_equal(one.log_prob(digits[:5], samples=2), other.log_prob(digits[:5], samples=2))


@pytest.mark.parametrize("name", ["beta", "reconstruction_weight"])
def test_a_weight_is_not_negative(name):
    with pytest.raises(UsageError, match=f"{name} is -1; expected a weight of at least 0"):
        keras_gen.BetaVAE(**{name: -1})


BUGS = (
    Bug(
        "beta-VAE: no beta",
        "models/autoencoders/beta_vae.py",
        '"kl": self.beta}',
        '"kl": 1.0}',
        ("test_both_weights_are_in_the_loss_and_not_in_its_terms",),
    ),
)

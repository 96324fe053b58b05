"""Clipping holds after every critic step, and from the start."""

import keras
import numpy as np
import pytest
from planted import Bug
from tiny import make, real_digits, small_gan

import keras_gen
from keras_gen.errors import UsageError

ROWS = {
    "wgan": (
        "wgan",
        lambda: {
            **small_gan(),
            "clip": 0.02,
            "n_critic": 2,
            "architecture": "mlp",
            "norm": "none",
            "discriminator_norm": "layer",
        },
    ),
}


def largest(model):
    return max(float(np.abs(variable).max()) for variable in model.discriminator.trainable_variables)


@pytest.mark.parametrize("row", ["wgan", "wgan-conv"])
def test_every_weight_of_the_critic_stays_within_the_bound(row):
    model = make("wgan") if row == "wgan" else keras_gen.WGAN(image_shape=(8, 8, 1), width=2, seed=0)
    assert largest(model) <= model.clip, "before the first step"
    model.compile(d_optimizer=keras.optimizers.SGD(1.0), g_optimizer=keras.optimizers.SGD(1.0))
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(largest(model))

    model.fit(real_digits(40)[0], batch_size=10, verbose=0, callbacks=[Watch()])
    assert len(seen) == 4 and max(seen) <= model.clip
    assert max(seen) == pytest.approx(model.clip, rel=1e-6), "some weights are at the bound"
    assert max(float(np.abs(v).max()) for v in model.generator.trainable_variables) > model.clip, "the critic's alone"


def test_a_loaded_model_goes_on_clipping(tmp_path):
    model = make("wgan")
    model.save(tmp_path / "model.keras")
    again = keras_gen.load(tmp_path / "model.keras")
    again.compile(d_optimizer=keras.optimizers.SGD(1.0), g_optimizer=keras.optimizers.SGD(0.1))
    again.fit(real_digits(8)[0], batch_size=8, verbose=0)
    assert largest(again) <= again.clip == model.clip


def test_critic_estimates_minus_its_loss_and_the_papers_settings():
    model = keras_gen.WGAN(image_shape=(8, 8, 1), width=2, seed=0)
    assert (model.n_critic, model.clip, model.update, model.adversarial) == (5, 0.01, "alternating", "wasserstein")
    model.compile()
    for optimizer in (model.d_optimizer, model.g_optimizer):
        assert isinstance(optimizer, keras.optimizers.RMSprop)
        assert float(optimizer.learning_rate) == pytest.approx(5e-5)
    model.fit(real_digits(40)[0], batch_size=20, verbose=0)
    assert int(model.d_optimizer.iterations) == 5 * int(model.g_optimizer.iterations)


def test_a_step_is_that_of_the_authors_program():
    """PyTorch's RMSprop: w -= rate g / (sqrt(m) + 1e-8), with m = 0.99 m + 0.01 g^2; of gradients however small."""
    optimizer, weight = keras_gen.WGAN.paper_optimizer(), keras.Variable(np.zeros(4, np.float32))
    expected, squares, rng = np.zeros(4), np.zeros(4), np.random.default_rng(0)
    for _ in range(5):
        slope = rng.normal(size=4) * [1e-5, 1e-4, 1e-2, 1]
        optimizer.apply([slope.astype(np.float32)], [weight])
        squares = 0.99 * squares + 0.01 * slope**2
        expected -= 5e-5 * slope / (np.sqrt(squares) + 1e-8)
    np.testing.assert_allclose(weight, expected, rtol=0.05)


def test_a_bound_is_positive():
    with pytest.raises(UsageError, match="clip is 0"):
        keras_gen.WGAN(image_shape=(8, 8, 1), clip=0)


BUGS = (
    Bug(
        "WGAN: the constants of another RMSprop",
        "models/adversarial/wgan.py",
        "RMSprop(5e-5, rho=0.99, epsilon=1e-16)",
        "RMSprop(5e-5, rho=0.99)",
        ("test_a_step_is_that_of_the_authors_program",),
    ),
    Bug(
        "WGAN: no clipping",
        "models/adversarial/wgan.py",
        "            variable.constraint = self.clipped  # which the optimizer applies after each update\n",
        "",
        ("test_every_weight_of_the_critic_stays_within_the_bound[wgan]",),
    ),
)

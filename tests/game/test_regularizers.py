"""Regularizers of own networks are in the loss of the player that updates the weights; other losses are refused."""

import keras
import numpy as np
import pytest
from keras import layers
from one_weight import OneWeight, X, moved
from planted import Bug

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game import config

RATE, L2 = 0.1, 0.5


def networks(g_kernel=None, d_kernel=None, **more):
    latent, image = keras.Input((1,), name="latent"), keras.Input((1, 1, 1), name="image")
    dense = {"use_bias": False, "kernel_initializer": keras.initializers.Constant(0.4)}
    x = layers.Dense(1, kernel_regularizer=g_kernel, **dense)(latent)
    y = layers.Dense(1, kernel_regularizer=d_kernel, **dense, **more)(layers.Flatten()(image))
    return keras.Model({"latent": latent}, layers.Reshape((1, 1, 1))(x)), keras.Model({"image": image}, y)


def trained(g_kernel=None, d_kernel=None, accumulate=1, **arguments):
    """Returns a game of one weight each after a step, and its losses."""
    model = OneWeight(*networks(g_kernel, d_kernel), latent_dim=1, seed=0, **arguments)
    sgd = {name: keras.optimizers.SGD(RATE) for name in ("d_optimizer", "g_optimizer")}
    model.compile(**sgd, accumulate=accumulate)
    return model, model.fit(np.full((6, 1, 1, 1), X, np.float32), batch_size=6, verbose=0).history


@pytest.mark.parametrize("more", [{}, {"accumulate": 2}, {"accumulate": 4}, {"ema": 0.9}, {"update": "alternating"}])
def test_a_regularizer_moves_the_weights_of_its_player(more):
    (plain, losses), (held, with_it) = trained(**more), trained(g_kernel=keras.regularizers.L2(L2), **more)
    g, d = moved(plain)
    assert moved(held)[1] == d and with_it["d_loss"] == losses["d_loss"], "the other player's"
    np.testing.assert_allclose(moved(held)[0], g - RATE * 2 * L2 * 0.4, rtol=1e-5)
    np.testing.assert_allclose(with_it["g_loss"][0], losses["g_loss"][0] + L2 * 0.4**2, rtol=1e-5)
    held, _ = trained(d_kernel=keras.regularizers.L1(L2), **more)
    np.testing.assert_allclose(moved(held)[1], d - RATE * L2, rtol=1e-5)


def test_evaluate_counts_it_and_a_file_keeps_it(tmp_path):
    (model, _), (plain, _) = trained(g_kernel="l2"), trained()
    plain.set_weights(model.get_weights())
    model.save(tmp_path / "m.keras")
    again = keras_gen.load(tmp_path / "m.keras", custom_objects={"OneWeight": OneWeight})
    images = np.full((4, 1, 1, 1), X, np.float32)
    without, *found = (one.evaluate(images, verbose=0, return_dict=True) for one in (plain, model, again))
    for each in found:
        assert each["g_loss"] - without["g_loss"] == pytest.approx(0.01 * moved(model)[0] ** 2, rel=1e-2)


@keras.saving.register_keras_serializable("mine")
class Adding(layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(x))
        return x


def test_losses_of_activities_are_one_line():
    generator, discriminator = networks(activity_regularizer="l1")
    with pytest.raises(UsageError, match=r"^the layer '[^\n]*adds a loss of its own[^\n]*$"):
        keras_gen.GAN(generator, discriminator, latent_dim=1)
    with config.reading():  # a file of before
        keras_gen.GAN(generator, discriminator, latent_dim=1)
    generator, discriminator = networks()
    model = keras_gen.GAN(generator, keras.Sequential([discriminator, Adding()]), latent_dim=1)
    model.compile()
    with pytest.raises(UsageError, match="adds a loss of its own"):
        model.fit(np.full((4, 1, 1, 1), X, np.float32), verbose=0)


BUGS = [
    Bug(
        "Player: regularizers are left out",
        "game/player.py",
        "        if not kept:\n",
        "        if kept or not kept:\n",
        ("test_a_regularizer_moves_the_weights_of_its_player",),
    ),
]

"""Each failure of a game is planted, and told by name."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import make, real_digits

import keras_gen
from keras_gen import terminal
from keras_gen.callbacks import GANHealth, ProgressLine, Quality, TraversalImages

IMAGES = real_digits(64)[0]


def game(**arguments):
    keras.utils.set_random_seed(0)
    model = keras_gen.GAN(image_shape=(8, 8, 1), latent_dim=4, hidden=(16,), seed=0, **arguments)
    model.compile(d_optimizer=keras.optimizers.SGD(1e-4), g_optimizer=keras.optimizers.SGD(1e-4))
    return model


def watch(model, **arguments):
    health = GANHealth(IMAGES, every=1, n=32, **arguments)
    model.fit(IMAGES, batch_size=16, verbose=0, callbacks=[health])
    return health


def test_a_fresh_game_is_healthy_and_measured():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        health = watch(game())
    assert not health.failures and len(health.history) == 4
    assert all(found["gradient"] > 1e-4 for found in health.history)


def test_collapse_is_told_once():
    model = game()
    for variable in model.generator.trainable_variables[:-1]:
        variable.assign(tf.zeros_like(variable))  # every latent gives the same image
    with pytest.warns(UserWarning, match="low diversity") as told:
        health = watch(model)
    assert sum("low diversity" in str(one.message) for one in told) == 1
    assert "low_diversity" in health.failures and health.history[0]["diversity"] < 0.3


@pytest.mark.parametrize("modes, expected", [(1, True), (2, True), (10, True), (64, False)])
def test_a_few_prototypes_are_a_collapse_however_far_apart_they_are(modes, expected):
    health = GANHealth(IMAGES, n=64)
    model = game()
    others = real_digits(500)[0][100:]
    model.sample = lambda n, seed: others[np.arange(n) % modes]
    health.set_model(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        health.look({"d_loss": 1.0})
        assert not health.failures, "one look is not believed"
        health.look({"d_loss": 1.0})
    assert ("low_diversity" in health.failures) == expected
    if modes == 10:
        assert health.history[-1]["diversity"] > 0.7, "the mean distance alone does not see it"


def test_the_minimax_gradient_vanishes_against_a_sure_discriminator_and_the_other_does_not():
    def against_a_sure_one(adversarial):
        model = game(adversarial=adversarial)
        model.discriminator.trainable_variables[-1].assign([-60.0])  # every image is taken for a fake
        return watch(model).failures

    with pytest.warns(UserWarning, match="vanishing gradient.*non_saturating"):
        assert against_a_sure_one("minimax") == {"vanishing_gradient"}
    assert against_a_sure_one("non_saturating") == set()


def test_a_discriminator_at_zero():
    health = GANHealth(every=1)
    health.set_model(game())
    with pytest.warns(UserWarning, match="discriminator at zero.*slow the discriminator"):
        health.look({"d_loss": 0.001, "g_loss": 9.0})
    critic = GANHealth(every=1)
    critic.set_model(game(adversarial="wasserstein"))
    critic.look({"d_loss": -5.0, "g_loss": 1.0})  # a critic's loss may be anything
    assert not critic.failures


def test_further_terms_count_by_their_weights_in_the_gradient_and_not_as_the_game():
    def looked(weight, class_loss):
        keras.utils.set_random_seed(0)
        model = keras_gen.ACGAN(
            image_shape=(8, 8, 1), latent_dim=4, architecture="mlp", hidden=(16,), class_weight=weight, seed=0
        )
        health = GANHealth(IMAGES, n=8)
        health.set_model(model)
        health.look({"d_loss": 0.001 + weight * class_loss, "d_class": class_loss, "g_loss": 1.0})
        return health.history[0]["gradient"], health.failures

    with pytest.warns(UserWarning, match="discriminator at zero"):
        heavy, failures = looked(100.0, 2.0)
    assert failures == {"discriminator_at_zero"}
    with pytest.warns(UserWarning, match="discriminator at zero"):
        assert looked(1.0, 2.0)[0] < 0.1 * heavy


def test_a_look_that_fails_leaves_the_random_state_and_the_averages_as_they_were():
    class Broken(keras_gen.GAN):
        def generator_terms(self, batch, training):
            raise RuntimeError("broken")

    model = Broken(image_shape=(8, 8, 1), latent_dim=4, hidden=(16,), seed=0, ema=0.9)
    before = np.asarray(model.test_seed_generator.state)
    health = GANHealth(IMAGES)
    health.set_model(model)
    with pytest.raises(RuntimeError, match="broken"):
        health.look({"d_loss": 1.0})
    assert np.array_equal(before, model.test_seed_generator.state)
    assert model.inference("generator") is model.ema_generator


def test_nan():
    health = GANHealth(every=1)
    health.set_model(game())
    with pytest.warns(UserWarning, match="nan .*learning rate"):
        health.look({"d_loss": float("nan"), "g_loss": 1.0})


def test_watching_changes_nothing():
    plain, watched = make("gan-injected"), make("gan-injected")
    plain.fit(IMAGES, batch_size=16, verbose=0)
    watched.fit(IMAGES, batch_size=16, verbose=0, callbacks=[GANHealth(IMAGES, every=1, diversity=0)])
    assert all(np.array_equal(a, b) for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True))


def test_quality_is_measured_on_fixed_samples_and_logged():
    seen = []

    def brightness(images):
        seen.append(images)
        return images.mean()

    quality = Quality({"brightness": brightness}, every=2, n=5, seed=3)
    model = game()
    history = model.fit(IMAGES, batch_size=16, epochs=2, verbose=0, callbacks=[quality]).history
    assert len(quality.history["brightness"]) == 4 and history["brightness"][-1] == quality.history["brightness"][-1]
    assert history["brightness"][-1] == pytest.approx(float(model.sample(5, seed=3).mean()))
    with pytest.raises(keras_gen.errors.UsageError, match="every is 0"):
        Quality({}, every=0)


@pytest.mark.parametrize("together", [1, 3])
def test_progress_counts_the_steps_of_the_epochs_that_are_left(capsys, monkeypatch, together):
    monkeypatch.setattr(terminal, "_QUIET", 0.0)
    monkeypatch.setattr(terminal, "_EVERY_LOG", 0.0)
    model, line = game(), ProgressLine("training it")
    model.compile(steps_per_execution=together)
    for first, total in ((0, 12), (1, 8)):
        model.fit(IMAGES, batch_size=16, epochs=3, initial_epoch=first, verbose=0, callbacks=[line])
        out, err = capsys.readouterr()
        told = [text.partition(",")[0] for text in err.splitlines() if text.startswith("training it")]
        assert not out and told[-1] == f"training it: {total} of {total} steps"
        assert together > 1 or told == [f"training it: {step} of {total} steps" for step in range(1, total + 1)]


def test_traversals_reach_tensorboard(tmp_path):
    callback = TraversalImages(tmp_path, coordinates=(0, 1), steps=5)
    make("vae").fit(IMAGES, batch_size=32, verbose=0, callbacks=[callback])
    assert callback.picture().shape == (2 * 9 - 1, 5 * 9 - 1, 1)
    assert [path.name for path in tmp_path.iterdir()][0].startswith("events")

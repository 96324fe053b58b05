import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import encoder, real_digits, small_gan

import keras_gen
from keras_gen.game.batch import Batch

ROWS = {
    "ali": (
        "ali",
        lambda: {
            **small_gan(),
            "encoder": encoder(12),
            "architecture": "mlp",
            "norm": "none",
            "latent": "uniform",
            "ema": 0.9,
        },
    ),
}


def small(architecture="mlp", **arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 5, "hidden": (16,), "norm": "none", "dropout": 0.0}
    return keras_gen.ALI(architecture=architecture, seed=0, **{**sizes, **arguments})


def constant(model, mean, log_variance):
    """Lets the encoder say the same of every image."""
    *others, bias = model.encoder.trainable_variables
    for variable in others:
        variable.assign(tf.zeros_like(variable))
    bias.assign([mean] * model.latent_dim + [log_variance] * model.latent_dim)


def codes(model, training, count=2000):
    return model.code(Batch(image=np.repeat(real_digits(1)[0], count, axis=0)), training).numpy()


def test_code_is_mean_plus_sigma_times_noise():
    model = small()
    constant(model, 0.3, 2 * np.log(2.0))
    first, second = codes(model, True), codes(model, True)
    assert first.shape == (2000, 5)
    assert first.mean() == pytest.approx(0.3, abs=0.08) and first.std() == pytest.approx(2, abs=0.08)
    assert np.abs(np.corrcoef(first.T) - np.eye(5)).max() < 0.1, "coordinates have noise of their own"
    assert np.abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05, "and so have steps"
    constant(model, 0.3, -60.0)
    np.testing.assert_allclose(codes(model, True), 0.3, atol=1e-6)


def test_evaluation_draws_the_same_codes_every_time():
    model = small()
    states = []
    for _ in range(2):
        model.test_seed_generator.state.assign([0, 0])
        states.append(codes(model, False, 8))
    np.testing.assert_array_equal(*states)


def test_gradient_reaches_mean_and_log_variance_with_the_right_sign():
    """The discriminator likes large codes: for real pairs to pass for generated ones, codes must shrink."""
    model = small()
    constant(model, 0.0, 0.0)
    bias = model.encoder.trainable_variables[-1]
    batch = Batch(image=np.repeat(real_digits(1)[0], 2000, axis=0))
    model.judge = lambda image, kind, batch, training: tf.reduce_sum(
        model.discriminator_inputs(image, kind, batch, training)["latent"] ** 2, 1, keepdims=True
    )
    with tf.GradientTape() as tape:
        loss = model.generator_terms(batch, True)["encoder"]
    mean, log_variance = np.split(tape.gradient(loss, bias).numpy(), 2)
    assert (log_variance > 0.1).all() and np.abs(mean).max() < 0.2
    constant(model, 1.0, 0.0)
    with tf.GradientTape() as tape:
        loss = model.generator_terms(Batch(batch), True)["encoder"]
    assert (np.split(tape.gradient(loss, bias).numpy(), 2)[0] > 1).all()


def test_encode_gives_mean_and_log_variance_and_reconstructions_are_of_the_mean(digits):
    model = small(latent="uniform")
    found = model.run("encode", image=digits)
    assert list(found) == ["mean", "log_variance"]
    output = model.encoder({"image": digits}).numpy()
    np.testing.assert_allclose(np.concatenate(list(found.values()), axis=1), output, atol=1e-5)
    np.testing.assert_array_equal(model.encode(digits), found["mean"])
    np.testing.assert_allclose(model.reconstruct(digits), model.decode(found["mean"]), atol=1e-6)
    np.testing.assert_allclose(keras_gen.latent.encoder(model)(digits), found["mean"], atol=1e-6)


@pytest.mark.slow
def test_encoder_inverts_the_generator_of_a_normal_law():
    """Of x ~ N(3, 2^2), in units of a tenth: the mean of the code tells the latent."""
    x = np.random.default_rng(0).normal(0.3, 0.2, (200_000, 1, 1, 1)).astype(np.float32).clip(-1, 1)
    model = small(image_shape=(1, 1, 1), latent_dim=1, hidden=(32, 32), ema=0.998)
    model.compile(**{f"{name}_optimizer": keras.optimizers.Adam(5e-4, beta_1=0.5) for name in "dg"})
    model.fit(x, batch_size=256, epochs=12, steps_per_epoch=500, verbose=0)
    z = np.random.default_rng(1).standard_normal((2000, 1), np.float32)
    made = model.decode(z, 2000)
    assert 10 * made.mean() == pytest.approx(3, abs=0.3) and 10 * made.std() == pytest.approx(2, abs=0.3)
    assert np.corrcoef(z[:, 0], model.encode(made, 2000)[:, 0])[0, 1] >= 0.98


BUGS = (
    Bug(
        "ALI: the mean in place of a draw",
        "models/adversarial/ali.py",
        'tf.exp(0.5 * inferred["log_variance"]) * noise',
        "0.0 * noise",
        (
            "test_code_is_mean_plus_sigma_times_noise",
            "test_gradient_reaches_mean_and_log_variance_with_the_right_sign",
        ),
    ),
    Bug(
        "ALI: variance in place of the standard deviation",
        "models/adversarial/ali.py",
        'tf.exp(0.5 * inferred["log_variance"])',
        'tf.exp(inferred["log_variance"])',
        ("test_code_is_mean_plus_sigma_times_noise",),
    ),
)

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import encoder, real_digits, small_gan

import keras_gen
from keras_gen import latent
from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch

ROWS = {
    "bigan": (
        "bigan",
        lambda: {
            **small_gan(),
            "encoder": encoder(6),
            "architecture": "mlp",
            "norm": "none",
            "latent": "normal",
            "ema": 0.9,
        },
    ),
}

Z, X = 0.5, -0.8  # every latent, and every pixel of the real images
G, E, A, B = 0.4, 0.7, -1.5, 0.6  # x = G z, z = E x, and the logit of a pair, A x + B z


def linear(name, value):
    """Returns an input of one number, and it times a weight."""
    entry = keras.Input((1, 1, 1) if name == "image" else (1,), name=name)
    weight = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(value))
    return entry, weight(keras.layers.Flatten()(entry))


class OneWeight(keras_gen.BiGAN):
    """Draws the latent Z always, so that every gradient can be done by hand."""

    def random_input(self, name, rows, training):
        return tf.fill((rows, 1), Z)


def game(encoder=E, **arguments):
    z, x = linear("latent", G)
    image, code = linear("image", encoder)
    (seen, a), (beside, b) = linear("image", A), linear("latent", B)
    discriminator = keras.Model({"image": seen, "latent": beside}, keras.layers.Add()([a, b]))
    generator = keras.Model({"latent": z}, keras.layers.Reshape((1, 1, 1))(x))
    networks = {"generator": generator, "discriminator": discriminator, "encoder": keras.Model({"image": image}, code)}
    model = OneWeight(**networks, latent_dim=1, latent="normal", **arguments)
    rates = {f"{name}_optimizer": keras.optimizers.SGD(0.1) for name in "dg"}
    model.compile(**rates, run_eagerly=True)
    return model


def small(architecture="mlp", **arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 5, "hidden": (16,), "width": 4, "norm": "none"}
    return keras_gen.BiGAN(architecture=architecture, seed=0, **{**sizes, **arguments})


def pairs(model, batch):
    """Returns what the discriminator is shown by either player: (image, latent), each once."""
    seen, original = [], model.discriminator.call

    def watched(inputs, **more):
        seen.append((inputs["image"].numpy(), inputs["latent"].numpy()))
        return original(inputs, **more)

    model.discriminator.call = watched
    for loss in (model.discriminator_loss, model.generator_loss):
        loss(batch, True)
    return seen


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


REAL, FAKE = A * X + B * E * X, A * G * Z + B * Z  # the logits of both pairs


# What the loss of generator and encoder grows by with the logit of a generated pair, and with that of a real one.
SLOPES = {
    "non_saturating": (-sigmoid(-FAKE), sigmoid(REAL)),
    "minimax": (-sigmoid(FAKE), sigmoid(-REAL)),
    "least_squares": (FAKE - 1, REAL),
    "wasserstein": (-1, 1),
    "hinge": (-1, 1),
}


@pytest.mark.parametrize("name", SLOPES)
def test_generator_and_encoder_pass_their_pairs_for_the_others(name):
    of_fake, of_real = SLOPES[name]
    model = game(adversarial=name)
    model.fit(np.full((4, 1, 1, 1), X, np.float32), batch_size=4, verbose=0)
    g, e = model.generator.weights[0].numpy().item(), model.encoder.weights[0].numpy().item()
    assert g == pytest.approx(G - 0.1 * of_fake * A * Z, abs=1e-6)
    assert e == pytest.approx(E - 0.1 * of_real * B * X, abs=1e-6)


def test_discriminator_tells_the_pairs_apart_and_the_losses_are_reported():
    model = game()
    history = model.fit(np.full((4, 1, 1, 1), X, np.float32), batch_size=4, verbose=0).history
    a, b = (weight.numpy().item() for weight in model.discriminator.weights)
    assert a == pytest.approx(A - 0.1 * (-sigmoid(-REAL) * X + sigmoid(FAKE) * G * Z), abs=1e-6)
    assert b == pytest.approx(B - 0.1 * (-sigmoid(-REAL) * E * X + sigmoid(FAKE) * Z), abs=1e-6)
    assert history["d_loss"] == pytest.approx([np.log1p(np.exp(-REAL)) + np.log1p(np.exp(FAKE))], abs=1e-6)
    assert history["g_encoder"] == pytest.approx([np.log1p(np.exp(REAL))], abs=1e-6)
    assert history["g_loss"] == pytest.approx([np.log1p(np.exp(REAL)) + np.log1p(np.exp(-FAKE))], abs=1e-6)


def test_discriminator_sees_images_with_their_codes_and_latents_with_their_images():
    model = small()
    images = real_digits(6)[0]
    (real, code), (fake, z) = pairs(model, Batch(image=images))  # each pair once, for both players
    np.testing.assert_array_equal(real, images)
    np.testing.assert_allclose(code, model.encode(images), atol=1e-6)
    np.testing.assert_allclose(fake, model.decode(z), atol=1e-6)
    assert z.shape == (6, 5) and np.abs(z).max() < 1 and np.ptp(z, axis=0).min() > 0


def test_codes_are_of_images_before_augmentation():
    model = small(augment=("cutout",))
    images = real_digits(6)[0]
    (real, code), _ = pairs(model, Batch(image=images))
    assert np.abs(real - images).max() > 0.1
    np.testing.assert_allclose(code, model.encode(images), atol=1e-6)


@pytest.mark.parametrize("architecture", ["mlp", "conv", "resnet"])
def test_codes_of_uniform_latents_stay_in_their_range_and_others_need_not(architecture, digits):
    for law, inside in (("uniform", True), ("normal", False)):
        model = small(architecture=architecture, latent=law)
        model.encoder.set_weights([100 * weight for weight in model.encoder.get_weights()])
        codes = model.encode(digits)
        assert codes.shape == (256, 5) and (np.abs(codes).max() <= 1) == inside


def test_real_images_are_interpolated_between(digits):
    model = small(ema=0.9)
    encode, decode = latent.autoencoder(model)
    start, end = encode(digits[:2])
    np.testing.assert_allclose([start, end], model.encode(digits[:2]), atol=1e-6)
    way = decode(latent.interpolate(start, end, 5))
    assert way.shape == (5, 8, 8, 1)
    np.testing.assert_allclose(way[[0, -1]], model.reconstruct(digits[:2]), atol=1e-6)
    np.testing.assert_allclose(way[[0, -1]], latent.reconstruct(model, digits[:2]), atol=1e-6)
    assert np.abs(np.diff(way, axis=0)).max(axis=(1, 2, 3)).min() > 0
    drawn = decode.draw(3, seed=1)
    np.testing.assert_allclose(decode(drawn), model(drawn), atol=1e-6)


def test_reconstruction_ratio_by_hand():
    test = Examples({"image": np.linspace(-0.9, 0.9, 50, dtype=np.float32).reshape(50, 1, 1, 1)})
    assert game(encoder=1 / G).measures(test, test)["reconstruction_ratio"] == pytest.approx(0, abs=1e-6)
    assert game(encoder=0.0).measures(test, test)["reconstruction_ratio"] == 1
    assert 0 < game(encoder=0.5 / G).measures(test, test)["reconstruction_ratio"] < 1


@pytest.mark.slow
def test_encoder_inverts_the_generator_of_a_normal_law():
    """Of x ~ N(3, 2^2), in units of a tenth."""
    x = np.random.default_rng(0).normal(0.3, 0.2, (200_000, 1, 1, 1)).astype(np.float32).clip(-1, 1)
    model = small(image_shape=(1, 1, 1), latent_dim=1, hidden=(32, 32), latent="normal", ema=0.998)
    model.compile(**{f"{name}_optimizer": keras.optimizers.Adam(5e-4, beta_1=0.5) for name in "dg"})
    model.fit(x, batch_size=256, epochs=6, steps_per_epoch=500, verbose=0)
    z = np.random.default_rng(1).standard_normal((2000, 1), np.float32)
    made = model.decode(z, 2000)
    assert 10 * made.mean() == pytest.approx(3, abs=0.3) and 10 * made.std() == pytest.approx(2, abs=0.3)
    assert np.corrcoef(z[:, 0], model.encode(made, 2000)[:, 0])[0, 1] >= 0.98


def test_an_encoder_of_another_kind_is_said_in_one_line():
    for outputs in (5, 13):
        with pytest.raises(UsageError, match=rf"^the encoder gives \(None, {outputs}\); expected one tensor \(B, 6\)$"):
            keras_gen.BiGAN(image_shape=(8, 8, 1), latent_dim=6, width=2, encoder=encoder(outputs))
    one = encoder(6)
    with pytest.raises(UsageError, match="the encoder gives .*expected one tensor"):
        two = keras.Model(one.input, [one.output, one.output])
        keras_gen.BiGAN(image_shape=(8, 8, 1), latent_dim=6, width=2, encoder=two)


BUGS = (
    Bug(
        "BiGAN: pair (x, z')",
        "models/adversarial/bigan.py",
        'if kind == "fake" else self.code(batch, training)',
        'if kind == "fake" or kind == "real" else self.code(batch, training)',
        ("test_discriminator_sees_images_with_their_codes_and_latents_with_their_images",),
    ),
    Bug(
        "BiGAN: codes of generated images",
        "models/adversarial/bigan.py",
        "self.inferred(self.real(batch, training), training)",
        "self.inferred(self.fake(batch, training), training)",
        ("test_discriminator_sees_images_with_their_codes_and_latents_with_their_images",),
    ),
    Bug(
        "BiGAN: the encoder helps the discriminator",
        "models/adversarial/bigan.py",
        "else -real",
        "else real",
        ("test_generator_and_encoder_pass_their_pairs_for_the_others[non_saturating]",),
    ),
    Bug(
        "BiGAN: the encoder stands still",
        "models/adversarial/bigan.py",
        '((self.encoder,) if player == "g" else ())',
        "()",
        ("test_generator_and_encoder_pass_their_pairs_for_the_others[hinge]",),
    ),
)

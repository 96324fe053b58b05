"""Networks of one's own: a label that would never reach them, and a discriminator without logits, are refused."""

import keras
import numpy as np
import pytest
from keras import layers
from planted import Bug
from tiny import difference, real_digits, refused

import keras_gen
from keras_gen.game import config

IMAGES, LABELS = real_digits(16)


def generator(labelled=False):
    latent, label = keras.Input((5,), name="latent"), keras.Input((), dtype="int32", name="label")
    x = layers.Concatenate()([latent, keras.ops.one_hot(label, 10)]) if labelled else latent
    image = layers.Reshape((8, 8, 1))(layers.Dense(64, "tanh")(x))
    return keras.Model({"latent": latent, "label": label}, image) if labelled else keras.Model(latent, image)


def discriminator(*after, outputs=1, labelled=False, **more):
    image, label = keras.Input((8, 8, 1), name="image"), keras.Input((), dtype="int32", name="label")
    x = layers.Flatten()(image)
    x = layers.Concatenate()([x, keras.ops.one_hot(label, 10)]) if labelled else x
    x = layers.Dense(outputs, **more)(x)
    for layer in after:
        x = layer(x)
    return keras.Model({"image": image, "label": label}, x) if labelled else keras.Model(image, x)


@pytest.mark.parametrize("kind, outputs", [("CGAN", 1), ("ACGAN", 11), ("RobGAN", 11)])
def test_networks_that_no_label_reaches_are_refused(kind, outputs):
    make, own = getattr(keras_gen, kind), discriminator(outputs=outputs, labelled=kind == "CGAN")
    refused(lambda: make(generator=generator(), discriminator=own, latent_dim=5), "generator of .* not 'label'; give")
    if kind == "CGAN":
        plain = discriminator()
        refused(lambda: make(generator=generator(True), discriminator=plain), "discriminator of .* not 'label'; give")
    model = make(generator=generator(True), discriminator=own, seed=0)
    assert difference([model.sample(1, label=0)], [model.sample(1, label=7)]) > 0
    with config.reading():  # as an earlier version made it
        old = make(generator=generator(), discriminator=own, latent_dim=5)
    again = type(old).from_config(old.get_config())
    again.set_weights(old.get_weights())
    assert np.array_equal(again.sample(2, label=3), old.sample(2, label=3))


def test_other_columns_than_the_losses_read_are_refused():
    refused(lambda: keras_gen.GAN(generator(), discriminator(outputs=10)), r"gives \('B', 10\); GAN expects .*\(B, 1\)")
    own = {"generator": generator(True), "discriminator": discriminator(outputs=10)}
    for kind in (keras_gen.ACGAN, keras_gen.RobGAN):
        refused(lambda: kind(**own), r"expects logits \(B, 11\)")  # noqa: B023
    keras_gen.GAN(generator(), discriminator(layers.Reshape((4, 4, 1)), outputs=16))  # a logit for each patch
    keras_gen.GAN(generator(), discriminator(layers.Reshape(())))


@pytest.mark.parametrize(
    "own",
    [
        lambda: discriminator(activation="sigmoid"),
        lambda: discriminator(layers.Activation("sigmoid")),
        lambda: discriminator(keras.ops.sigmoid),
        lambda: discriminator(layers.Activation("sigmoid"), layers.Activation("linear", dtype="float32")),
        lambda: discriminator(layers.Reshape((1, 1)), layers.Flatten(), activation="sigmoid"),
        lambda: discriminator(layers.Softmax()),
        lambda: discriminator(layers.ReLU()),
        lambda: discriminator(activation="tanh"),
        lambda: keras.Sequential([keras.Input((8, 8, 1)), discriminator(activation="sigmoid")]),
        lambda: keras.Sequential([layers.Flatten(), layers.Dense(1, "sigmoid")]),
    ],
)
def test_a_discriminator_of_probabilities_is_refused(own):
    sizes = {"latent_dim": 5, "image_shape": (8, 8, 1)}
    for kind in (keras_gen.GAN, keras_gen.WGANGP, keras_gen.DCGAN):
        refused(lambda: kind(generator=generator(), discriminator=own(), **sizes), "ends in .* logits")  # noqa: B023


def test_logits_pass():
    for own in (discriminator(), discriminator(layers.LeakyReLU()), discriminator(layers.Activation("linear"))):
        keras_gen.GAN(generator(), own)
    keras_gen.LSGAN(generator=generator(), discriminator=discriminator(activation="sigmoid"))  # of any numbers


BUGS = [
    Bug(
        "GAN: own networks that no label reaches",
        "models/adversarial/gan.py",
        "missing = [name for name in wanted if name not in names]",
        "missing = []",
        ("test_networks_that_no_label_reaches_are_refused",),
    ),
]

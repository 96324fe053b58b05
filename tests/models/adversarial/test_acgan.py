"""The class's loss is on real and on fake images, in both losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make, real_digits, small_gan

import keras_gen
from keras_gen.game.batch import Batch

ROWS = {
    "acgan": (
        "acgan",
        lambda: {
            **small_gan(),
            "num_classes": 11,
            "class_weight": 0.5,
            "architecture": "mlp",
            "norm": "conditional_batch",
        },
    ),
}


def small(**arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 3, "hidden": (16,), "architecture": "mlp", "norm": "none"}
    return keras_gen.ACGAN(seed=0, **{**sizes, "dropout": 0.0, **arguments})


def batch(rows=8):
    images, labels = real_digits(rows)
    return Batch(image=tf.constant(images), label=tf.constant(labels))


def cross_entropy(output, labels):
    logits = output[:, 1:].numpy().astype(np.float64)
    return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]))


def test_discriminator_tells_the_class_of_real_and_of_fake_images():
    model, given = small(), batch()
    terms = model.discriminator_loss(given, False)
    labels = given["label"].numpy()
    real = model.discriminator({"image": given["image"]})
    fake = model.discriminator({"image": given.once("fake", None)})
    expected = cross_entropy(real, labels) + cross_entropy(fake, labels)
    assert float(terms["class"]) == pytest.approx(expected, abs=1e-5)
    by_hand = np.mean(np.log1p(np.exp(-real[:, 0]))) + np.mean(np.log1p(np.exp(fake[:, 0])))
    assert float(terms["adversarial"]) == pytest.approx(by_hand, abs=1e-5)
    assert float(model.generator_loss(given, False)["class"]) == pytest.approx(cross_entropy(fake, labels), abs=1e-5)


def test_at_zero_logits_the_class_costs_ln_10_for_each_kind():
    model = small()
    for variable in model.discriminator.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    assert float(model.discriminator_loss(batch(), True)["class"]) == pytest.approx(2 * np.log(10), abs=1e-6)
    assert float(model.generator_loss(batch(), True)["class"]) == pytest.approx(np.log(10), abs=1e-6)


def test_gradient_of_the_class_reaches_the_generator_and_its_labels():
    model = small()
    given = batch()
    with tf.GradientTape() as tape:
        loss = model.generator_loss(given, True)["class"]
    kernel = model.generator.trainable_variables[0]  # latents, then a row for each class
    by_class = np.abs(tape.gradient(loss, kernel).numpy()[-10:]).sum(axis=1)
    assert set(np.flatnonzero(by_class)) == set(given["label"].numpy().tolist())


def test_weight_of_the_class_is_in_the_loss_and_not_in_its_metric(digits):
    images, labels = real_digits(16)
    found = []
    for weight in (1.0, 3.0):
        model = small(class_weight=weight)
        model.compile()
        found.append(model.evaluate(images, labels, batch_size=16, verbose=0, return_dict=True))
    one, three = found
    assert one["d_class"] == pytest.approx(three["d_class"]) and one["g_class"] == pytest.approx(three["g_class"])
    assert three["d_loss"] - one["d_loss"] == pytest.approx(2 * one["d_class"], abs=1e-5)
    assert three["g_loss"] - one["g_loss"] == pytest.approx(2 * one["g_class"], abs=1e-5)


def test_discriminator_does_not_see_the_label():
    assert set(make("acgan").discriminator.input) == {"image"}
    assert small(num_classes=7).discriminator.output_shape == (None, 8)


BUGS = (
    Bug(
        "ACGAN: the class of fakes only",
        "models/adversarial/acgan.py",
        'loss = self.class_loss("real", batch, training) + self.class_loss("fake", batch, training)',
        'loss = self.class_loss("fake", batch, training)',
        (
            "test_discriminator_tells_the_class_of_real_and_of_fake_images",
            "test_at_zero_logits_the_class_costs_ln_10_for_each_kind",
        ),
    ),
)

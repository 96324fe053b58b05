"""Small models of images as sequences of pixels, and what is asked of all of them."""

import importlib
import itertools
import math
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gen


def shaken(name="pixel_cnn", **arguments):
    """Returns a small model whose output weights are not zero."""
    keras.utils.set_random_seed(0)
    model = keras_gen.get(name, **{"width": 6, "blocks": 2, "first": 3, "seed": 1, **arguments})
    rng = np.random.default_rng(2)
    model.set_weights([value + rng.normal(0, 0.3, value.shape) for value in model.get_weights()])
    return model


def jacobian(model, **given):
    """Returns d logits / d image at random images as it is one after the other, |.| summed over levels: (D, D)."""
    size = math.prod(model.image_shape)
    image = tf.constant(np.random.default_rng(1).uniform(-1, 1, (4, *model.image_shape)), tf.float32)

    @partial(tf.function, autograph=False)
    def whole(image):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(image)
            logits = tf.reshape(model.logits(image, False, **given), (4, size, -1))
        return tape.batch_jacobian(logits, image, experimental_use_pfor=False)

    return np.abs(whole(image).numpy()).sum(axis=(0, 2)).reshape(size, size)


def every_image(shape, levels):
    """Returns all images of these levels, (levels^D, H, W, C)."""
    images = itertools.product(np.linspace(-1, 1, levels), repeat=math.prod(shape))
    return np.array(list(images), np.float32).reshape(-1, *shape)


def total_probability(model):
    """Returns the sum over all images."""
    model.binarize = "threshold"
    return np.exp(model.log_prob(every_image(model.image_shape, model.levels)).astype(np.float64)).sum()


def check_places_one_by_one(model):
    """Compares what is drawn with what layers remember, and by a full pass for each value."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, (16, *model.image_shape)).astype(np.float32)
    known = model.value(model.level(rng.uniform(-1, 1, noise.shape)))
    keep = tf.constant(rng.integers(0, noise[0].size + 1, 16), tf.float32)
    given = {"label": tf.range(16) % 3} if model.num_classes else {}
    ways = (model.sampled_images, model.sampled_naively)
    fast, slow = (tf.function(partial(way), autograph=False)(noise, known, keep, **given) for way in ways)
    np.testing.assert_array_equal(fast, slow)
    assert len(np.unique(fast, axis=0)) == 16 and np.std(fast) > 0.3


def check_steps_are_as_likely_as_the_whole(model):
    """Compares log p of samples with that of each value, after those before."""
    levels, shape = model.levels, model.image_shape
    noise = np.random.default_rng(3).uniform(-1, 1, (6, *shape)).astype(np.float32)
    image = model.sample(6, noise=noise)
    logits = model.logits(tf.constant(image), False)
    np.testing.assert_array_equal(model.quantile(logits, tf.constant(0.5 * (noise + 1))), image)
    partly, steps = np.full_like(image, -1), np.zeros(6)
    for place in itertools.product(*map(range, shape)):
        own = np.asarray(model.logits(tf.constant(partly), False))[(slice(None), *place)]  # (6, 1) or (6, levels)
        probability = np.asarray(tf.nn.softmax(np.concatenate([0 * own, own], axis=1) if levels == 2 else own))
        value = image[(slice(None), *place)]
        steps += np.log(probability[range(6), np.rint(0.5 * (value + 1) * (levels - 1)).astype(int)])
        partly[(slice(None), *place)] = value
    np.testing.assert_allclose(model.log_prob(image), steps, atol=1e-4)


def check_exported_files(model, folder, kind):
    """Compares samples of an exported file with Keras', pixel for pixel."""
    from keras_gen.signatures.exported import open_file

    importlib.import_module(f"export.{kind}").export(model, folder)
    known, keep = model.sample(7, seed=5), np.arange(7) * math.prod(model.image_shape) / 6
    expected = model.sample(7, seed=2, known=known, keep=keep)
    assert len(np.unique(expected)) == model.levels and np.array_equal(expected[6], known[6])
    path = folder / {"onnx": "sample.onnx", "tflite": "model.tflite"}[kind]
    drawn = open_file(path).sample(7, seed=2, known=known, keep=keep)["image"]
    np.testing.assert_allclose(drawn, expected, atol=1e-6)


def check_two_images_are_learned(model):
    """Trains on two real digits, which are equally likely at best."""
    from tiny import real_digits

    images = real_digits(2)[0]
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(np.repeat(images, 4, axis=0), batch_size=8, epochs=150, verbose=0)
    assert -model.log_prob(images).mean() < math.log(2) + 0.7, "ln 2 nats at the least"


SUM = partial(pytest.approx, 1, abs=1e-5)

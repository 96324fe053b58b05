"""Small things of which tests are made: networks, arguments, real batches, and models by the names of their rows."""

import os
from functools import cache
from pathlib import Path

import collect
import numpy as np
import pytest

from keras_gen.signatures.law import count_of, given_of

SHARED = Path(os.environ.get("KERAS_GEN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def shared(name):
    """Returns the path of a shared data file, or skips the test."""
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} is absent; set KERAS_GEN_TEST_DATA to the folder that holds {name}")
    return SHARED / name


@cache
def _digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images[..., None] / 8 - 1).astype(np.float32), data.target.astype(np.int32)


def real_digits(count=64):
    images, labels = _digits()
    return images[:count], labels[:count]


@cache
def mnist(split="train"):
    """MNIST in [-1, 1], (n, 28, 28, 1)."""
    with np.load(shared("mnist.npz")) as held:
        return (held[f"x_{split}"][..., None] / 127.5 - 1).astype(np.float32)


def networks():
    """Returns an injected generator and discriminator, with dropout and batch normalization."""
    import keras
    from keras import layers

    latent = keras.Input((5,), name="latent")
    x = layers.BatchNormalization()(layers.Dense(16, activation="relu")(latent))
    generator = keras.Model({"latent": latent}, layers.Reshape((8, 8, 1))(layers.Dense(64, activation="tanh")(x)))
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Dropout(0.2)(layers.Dense(16, activation="relu")(layers.Flatten()(image)))
    return generator, keras.Model({"image": image}, layers.Dense(1)(x))


def encoder(outputs):
    """Returns an injected encoder of 8x8 images."""
    import keras
    from keras import layers

    image = keras.Input((8, 8, 1), name="image")
    return keras.Model({"image": image}, layers.Dense(outputs)(layers.Flatten()(image)))


def injected():
    generator, discriminator = networks()
    return {"generator": generator, "discriminator": discriminator, "latent_dim": 5}


def small_gan():
    """Returns small networks for any GAN, with dropout."""
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 6, "hidden": (12, 10), "width": 4}
    return {**sizes, "dropout": 0.1, "seed": 3}


def small_vae():
    """Returns a value other than the default for every argument of a VAE."""
    return {
        "image_shape": (8, 8, 1),
        "latent_dim": 3,
        "architecture": "conv",
        "hidden": (9, 8),
        "width": 4,
        "likelihood": "gaussian",
        "beta": 2.0,
        "samples": 2,
        "binarize": "threshold",
        "seed": 5,
        "ema": 0.9,
        "ema_statistics": "copied",
    }


LETTERS = '{"characters": "abcdefghijklmnopq"}'  # state of a tokenizer


def small_gpt(vocabulary=5, context=6, sharp=8.0, **more):
    """Returns a GPT whose predictions are far from equal."""
    import keras

    import keras_gen

    keras.utils.set_random_seed(1)
    sizes = {"vocabulary": vocabulary, "context": context, "width": 16, "blocks": 2, "heads": 2, **more}
    model = keras_gen.GPT(**sizes, seed=0)
    for variable in model.transformer.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(sharp * variable)
    return model


def make(row, compiled=True, **more):
    """Builds a row's model, with the same initial weights in every call."""
    import keras

    import keras_gen

    keras.utils.set_random_seed(0)
    name, arguments = collect.row(row)
    model = keras_gen.get(name, **{**arguments(), **more})
    if compiled:
        model.compile()
    return model


def batch_for(model, count=16):
    """Returns a dict of real arrays that the model can be trained on."""
    images, labels = real_digits(count)
    if "source" in model.expects():
        shapes = {name: shape[1:] for name, shape in model.expects().items()}
        return {"source": tiled(-images, shapes["source"]), "target": tiled(images, shapes["target"])}
    if "segmentation" in model.expects():
        image = tiled(images, model.image_shape)
        return {"segmentation": ((image[..., 0] + 1) * 0.4999 * model.num_classes).astype(np.int32), "image": image}
    if "token" in model.expects():  # gray levels of the upper rows
        token = images.reshape(count, -1)[:, 8 : 8 + model.expects()["token"][1]]
        return {"token": (8 * token + 8).astype(np.int32), "label": labels}
    return {"image": tiled(images, model.image_shape), "label": labels}


def tiled(images, shape):
    """Returns images of another shape, of one channel repeated."""
    height, width, channels = shape
    return np.tile(images, (1, -(-height // 8), -(-width // 8), channels))[:, :height, :width]


def given(model, n):
    """Returns what n samples are made of, where it is given: images, of sizes of their own, or maps of classes."""
    signature = next((one for one in model.signatures().values() if "sample" in one.meta), None)
    found = {}
    for number, name in enumerate(given_of(signature.meta) if signature else ()):
        shape, rng = signature.inputs[name].shape.as_list()[1:], np.random.default_rng(3 + number)
        if classes := count_of(signature.meta, name):
            found[name] = rng.integers(classes, size=(n, *shape)).astype(np.int32)
            continue
        sides = [side or own for side, own in zip(shape, (11 + 6 * number, 13 - 4 * number, None), strict=True)]
        found[name] = rng.uniform(-1, 1, (n, *sides)).astype(np.float32)
    return found


def refused(call, says, kind=None):
    """Calls, and checks that the error, a `UsageError` where nothing else is said, is one line that says so."""
    from keras_gen.errors import UsageError

    with pytest.raises(kind or UsageError, match=says) as error:
        call()
    text = str(error.value)
    assert "\n" not in text and len(text) <= 210, text


def linear_gaussian(name, **arguments):
    """Returns a VAE of x = w z + b + noise of variance 1, one x of two pixels, and log p(x) as it is known exactly."""
    import tensorflow as tf

    import keras_gen

    model = keras_gen.get(name, image_shape=(1, 2, 1), latent_dim=1, hidden=(), likelihood="gaussian", **arguments)
    encoder, decoder = model.encoder.trainable_variables, model.decoder.trainable_variables
    for variable in encoder:
        variable.assign(tf.zeros_like(variable))
    encoder[-1].assign([0.3, np.log(2.0)])  # a poor proposal, of another mean and width than the posterior
    w, b = np.float32([0.8, -0.5]), np.float32([0.1, 0.2])
    # Outputs are mean and raw log variance of each pixel; the raw value is chosen so that the variance is 1.
    low = -2 * np.log(255.0)
    raw = np.float32(low + np.log(np.expm1(-low)))
    decoder[0].assign([[w[0], 0, w[1], 0]])
    decoder[1].assign([b[0], raw, b[1], raw])
    x = np.float32([0.3, -0.7])
    covariance, gap = np.eye(2) + np.outer(w, w), x - b
    exact = -0.5 * (2 * np.log(2 * np.pi) + np.log(np.linalg.det(covariance)) + gap @ np.linalg.solve(covariance, gap))
    return model, x.reshape(1, 1, 2, 1), exact


def weights(model):
    return [np.asarray(value) for value in model.variables]


def everything(model):
    """Returns all that a next step, a sample or an evaluation can depend on, found without the code under test."""
    optimizers = [getattr(model, player.prefixed("optimizer")) for player in model.players()]
    seeds = [generator.state for layer in model._flatten_layers() for generator in layer._seed_generators]
    variables = [v for optimizer in optimizers for v in optimizer.variables] + seeds
    averages = [average for name in model.averaged for average in model.inference(name).get_weights()]
    return (
        model.get_weights()
        + averages
        + [np.asarray(v) for v in variables]
        + [model.sample(2, seed=9, **given(model, 2))]
    )


def difference(ours, theirs):
    """Returns the largest absolute difference between two lists of arrays, integers included."""
    assert len(ours) == len(theirs)
    return max(
        float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0))
        for a, b in zip(ours, theirs, strict=True)
    )

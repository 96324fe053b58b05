"""A row per model: constructor arguments that differ from the defaults, and one real batch."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

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


def injected():
    generator, discriminator = networks()
    return {"generator": generator, "discriminator": discriminator, "latent_dim": 5}


# name of the row: (model, arguments). Together the rows of a model give every argument a value other than its default.
ROWS = {
    "gan": (
        "gan",
        lambda: {
            "latent_dim": 6,
            "image_shape": (8, 8, 1),
            "hidden": (12, 10),
            "adversarial": "hinge",
            "latent": "uniform",
            "update": "alternating",
            "n_critic": 2,
            "ema": 0.9,
            "seed": 3,
            "name": "mine",
        },
    ),
    "gan-injected": ("gan", lambda: {**injected(), "seed": 1}),
    "dcgan": (
        "dcgan",
        lambda: {
            "image_shape": (8, 16, 3),
            "latent_dim": 7,
            "width": 4,
            "latent": "normal",
            "norm": "sync_batch",
            "adversarial": "least_squares",
            "ema": 0.5,
            "seed": 2,
        },
    ),
    "vae": (
        "vae",
        lambda: {
            "image_shape": (8, 8, 1),
            "latent_dim": 3,
            "hidden": (9, 8),
            "beta": 4.0,
            "samples": 2,
            "binarize": "threshold",
            "seed": 5,
            "ema": 0.9,
        },
    ),
    "vae-conv": (
        "vae",
        lambda: {
            "image_shape": (8, 8, 3),
            "latent_dim": 3,
            "architecture": "conv",
            "width": 4,
            "likelihood": "gaussian",
            "seed": 5,
        },
    ),
}


def make(row, compiled=True, **more):
    """Builds a row's model, with the same initial weights in every call."""
    import keras

    import keras_gen

    keras.utils.set_random_seed(0)
    name, arguments = ROWS[row]
    model = keras_gen.get(name, **{**arguments(), **more})
    if compiled:
        model.compile()
    return model


def batch_for(model, count=16):
    """Returns a dict of real arrays that the model can be trained on."""
    images, labels = real_digits(count)
    height, width, channels = model.image_shape
    images = np.tile(images, (1, height // 8, width // 8, channels))
    return {"image": images, "label": labels}


def weights(model):
    return [np.asarray(value) for value in model.variables]


def everything(model):
    """Returns all that a next step, a sample or an evaluation can depend on, found without the code under test."""
    optimizers = [getattr(model, player.prefixed("optimizer")) for player in model.players()]
    seeds = [generator.state for layer in model._flatten_layers() for generator in layer._seed_generators]
    variables = [v for optimizer in optimizers for v in optimizer.variables] + seeds
    averages = [average for name in model.averaged for average in model.inference(name).get_weights()]
    return model.get_weights() + averages + [np.asarray(v) for v in variables] + [model.sample(2, seed=9)]


def difference(ours, theirs):
    """Returns the largest absolute difference between two lists of arrays, integers included."""
    assert len(ours) == len(theirs)
    return max(
        float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0))
        for a, b in zip(ours, theirs, strict=True)
    )

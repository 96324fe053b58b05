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


def labelled_networks():
    """Returns an injected generator that takes a label, and a discriminator that tells 10 classes, too."""
    import keras
    from keras import layers

    latent, label = keras.Input((5,), name="latent"), keras.Input((), dtype="int32", name="label")
    x = layers.Concatenate()([latent, layers.Flatten()(layers.Embedding(10, 3)(label))])
    x = layers.Reshape((8, 8, 1))(layers.Dense(64, activation="tanh")(layers.Dense(16, activation="relu")(x)))
    image = keras.Input((8, 8, 1), name="image")
    y = layers.Dense(16, activation="relu")(layers.Flatten()(image))
    generator = keras.Model({"latent": latent, "label": label}, x)
    return {"generator": generator, "discriminator": keras.Model({"image": image}, layers.Dense(11)(y))}


def encoder(outputs):
    """Returns an injected encoder of 8x8 images."""
    import keras
    from keras import layers

    image = keras.Input((8, 8, 1), name="image")
    return keras.Model({"image": image}, layers.Dense(outputs)(layers.Flatten()(image)))


def injected():
    generator, discriminator = networks()
    return {"generator": generator, "discriminator": discriminator, "latent_dim": 5}


def game():
    """Returns small networks for any GAN, with dropout."""
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 6, "hidden": (12, 10), "width": 4}
    return {**sizes, "dropout": 0.1, "seed": 3}


def vae():
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
    }


LETTERS = '{"characters": "abcdefghijklmnopq"}'  # state of a tokenizer

# name of the row: (model, arguments). Together the rows of a model give every argument a value other than its default.
ROWS = {
    "gan": (
        "gan",
        lambda: {
            "latent_dim": 6,
            "image_shape": (8, 8, 1),
            "hidden": (12, 10),
            "dropout": 0.1,
            "adversarial": "minimax",
            "latent": "uniform",
            "update": "alternating",
            "n_critic": 2,
            "label_smoothing": 0.1,
            "r1": 0.5,
            "r1_every": 3,
            "ema": 0.9,
            "seed": 3,
            "name": "mine",
        },
    ),
    "gan-resnet": (
        "gan",
        lambda: {
            "image_shape": (8, 8, 1),
            "architecture": "resnet",
            "width": 4,
            "norm": "sync_batch",
            "discriminator_norm": "layer",
            "minibatch_stddev": True,
            "r1": 0.5,
            "r1_every": 2,
            "augment": ("color", "translation", "cutout"),
            "seed": 3,
        },
    ),
    "gan-injected": ("gan", lambda: {**injected(), "seed": 1}),
    "dcgan": (
        "dcgan",
        lambda: {
            "image_shape": (8, 16, 3),
            "latent_dim": 7,
            "width": 4,
            "hidden": (6,),
            "latent": "normal",
            "norm": "sync_batch",
            "dropout": 0.2,
            "adversarial": "least_squares",
            "ema": 0.5,
            "seed": 2,
        },
    ),
    "cgan": (
        "cgan",
        lambda: {
            **game(),
            "num_classes": 11,
            "projection": True,
            "architecture": "mlp",
            "norm": "conditional_batch",
            "discriminator_norm": "spectral",
        },
    ),
    "acgan": (
        "acgan",
        lambda: {
            **game(),
            "num_classes": 11,
            "class_weight": 0.5,
            "architecture": "mlp",
            "norm": "conditional_batch",
        },
    ),
    "infogan": (
        "infogan",
        lambda: {
            **game(),
            "num_categories": 7,
            "continuous": 3,
            "info_weight": 0.5,
            "continuous_weight": 0.2,
            "architecture": "mlp",
            "norm": "none",
            "latent": "normal",
            "ema": 0.9,
        },
    ),
    "bigan": (
        "bigan",
        lambda: {
            **game(),
            "encoder": encoder(6),
            "architecture": "mlp",
            "norm": "none",
            "latent": "normal",
            "ema": 0.9,
        },
    ),
    "ali": (
        "ali",
        lambda: {
            **game(),
            "encoder": encoder(12),
            "architecture": "mlp",
            "norm": "none",
            "latent": "uniform",
            "ema": 0.9,
        },
    ),
    "rob_gan": (
        "rob_gan",
        lambda: {
            **game(),
            "num_classes": 11,
            "class_weight": 0.5,
            "epsilon": 0.2,
            "attack_steps": 2,
            "attack_step_size": 0.15,
            "n_critic": 1,
            "architecture": "conv",
            "norm": "batch",
            "discriminator_norm": "layer",
            "update": "simultaneous",
            "ema": 0.9,
        },
    ),
    "rob_gan-free": (
        "rob_gan",
        lambda: {
            **labelled_networks(),
            "attack": "free",
            "replays": 3,
            "epsilon": 0.3,
            "attack_step_size": 0.2,
            "n_critic": 1,
            "dropout": 0.1,
            "seed": 3,
        },
    ),
    "wgan": (
        "wgan",
        lambda: {
            **game(),
            "clip": 0.02,
            "n_critic": 2,
            "architecture": "mlp",
            "norm": "none",
            "discriminator_norm": "layer",
        },
    ),
    "wgan_gp": (
        "wgan_gp",
        lambda: {
            **game(),
            "penalty_weight": 5.0,
            "n_critic": 2,
            "architecture": "mlp",
            "norm": "none",
            "discriminator_norm": "spectral",
        },
    ),
    "sngan": (
        "sngan",
        lambda: {
            **game(),
            "n_critic": 1,
            "architecture": "conv",
            "norm": "sync_batch",
            "adversarial": "wasserstein",
            "ema": 0.9,
        },
    ),
    "autoencoder": (
        "autoencoder",
        lambda: {
            "image_shape": (8, 8, 1),
            "latent_dim": 3,
            "hidden": (9, 8),
            "loss": "cross_entropy",
            "seed": 5,
            "ema": 0.9,
        },
    ),
    "autoencoder-conv": (
        "autoencoder",
        lambda: {"image_shape": (8, 16, 3), "latent_dim": 3, "architecture": "conv", "width": 4, "seed": 5},
    ),
    "denoising_autoencoder": (
        "denoising_autoencoder",
        lambda: {
            "image_shape": (8, 8, 3),
            "latent_dim": 3,
            "hidden": (9, 8),
            "corruption": "masking",
            "amount": 0.3,
            "seed": 5,
        },
    ),
    "denoising_autoencoder-conv": (
        "denoising_autoencoder",
        lambda: {
            "image_shape": (8, 8, 1),
            "latent_dim": 3,
            "architecture": "conv",
            "width": 4,
            "loss": "cross_entropy",
            "amount": 0.2,
            "seed": 5,
            "ema": 0.9,
        },
    ),
    "stacked_autoencoder": (
        "stacked_autoencoder",
        lambda: {
            "image_shape": (8, 8, 1),
            "latent_dim": 5,
            "hidden": (12, 9),
            "loss": "cross_entropy",
            "corruption": 0.25,
            "seed": 4,
            "ema": 0.9,
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
    "beta_vae": ("beta_vae", lambda: {**vae(), "beta": 3.0, "reconstruction_weight": 0.5}),
    "conditional_vae": ("conditional_vae", lambda: {**vae(), "num_classes": 11}),
    "conditional_vae-mlp": (
        "conditional_vae",
        lambda: {"image_shape": (8, 16, 3), "latent_dim": 3, "hidden": (9,), "num_classes": 12, "seed": 5},
    ),
    "iwae": ("iwae", lambda: {**vae(), "samples": 3}),
    "vq_vae": (
        "vq_vae",
        lambda: {
            "image_shape": (8, 16, 1),
            "codes": 11,
            "code_dim": 3,
            "width": 6,
            "blocks": 1,
            "commitment": 0.5,
            "decay": 0.9,
            "revive": 0.1,
            "seed": 6,
            "ema": 0.9,
        },
    ),
    "gpt": (
        "gpt",
        lambda: {
            "vocabulary": 17,
            "context": 8,
            "width": 12,
            "blocks": 2,
            "heads": 3,
            "dropout": 0.1,
            "positions": "rotary",
            "start": True,
            "num_classes": 11,
            "learning_rate": 2e-3,
            "warmup": 2,
            "decay": 50,
            "weight_decay": 0.2,
            "seed": 4,
            "ema": 0.9,
        },
    ),
    "gpt-text": (
        "gpt",
        lambda: {"vocabulary": 17, "context": 8, "width": 8, "blocks": 1, "heads": 2, "seed": 4, "tokenizer": LETTERS},
    ),
    "pixel_cnn": (
        "pixel_cnn",
        lambda: {
            "image_shape": (8, 8, 1),
            "width": 4,
            "blocks": 1,
            "first": 5,
            "kernel": 5,
            "gated": False,
            "binarize": "threshold",
            "num_classes": 11,
            "seed": 4,
            "ema": 0.9,
        },
    ),
    "pixel_cnn-color": (
        "pixel_cnn",
        lambda: {
            "image_shape": (8, 8, 3),
            "levels": 5,
            "likelihood": "mixture",
            "mixtures": 3,
            "width": 6,
            "blocks": 1,
            "first": 3,
            "seed": 4,
        },
    ),
    "pixel_rnn": (
        "pixel_rnn",
        lambda: {
            "image_shape": (8, 8, 1),
            "width": 4,
            "blocks": 1,
            "first": 5,
            "lstm": "row",
            "kernel": 5,
            "binarize": "threshold",
            "num_classes": 11,
            "seed": 4,
            "ema": 0.9,
        },
    ),
    "pixel_rnn-diagonal": (
        "pixel_rnn",
        lambda: {
            "image_shape": (8, 8, 3),
            "levels": 5,
            "likelihood": "mixture",
            "mixtures": 3,
            "width": 3,
            "blocks": 1,
            "first": 3,
            "seed": 4,
        },
    ),
}


# Further networks of some models, for laws; the contract holds for the model in its rows above.
MORE = {
    "wgan_gp-conv": ("wgan_gp", lambda: {**game(), "n_critic": 1}),
    "sngan-mlp": ("sngan", lambda: {**game(), "n_critic": 1, "architecture": "mlp", "norm": "none"}),
}


def make(row, compiled=True, **more):
    """Builds a row's model, with the same initial weights in every call."""
    import keras

    import keras_gen

    keras.utils.set_random_seed(0)
    name, arguments = {**ROWS, **MORE}[row]
    model = keras_gen.get(name, **{**arguments(), **more})
    if compiled:
        model.compile()
    return model


def batch_for(model, count=16):
    """Returns a dict of real arrays that the model can be trained on."""
    images, labels = real_digits(count)
    if "token" in model.expects():  # gray levels of the upper rows
        token = images.reshape(count, -1)[:, 8 : 8 + model.expects()["token"][1]]
        return {"token": (8 * token + 8).astype(np.int32), "label": labels}
    height, width, channels = model.image_shape
    images = np.tile(images, (1, height // 8, width // 8, channels))
    return {"image": images, "label": labels}


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
    return model.get_weights() + averages + [np.asarray(v) for v in variables] + [model.sample(2, seed=9)]


def difference(ours, theirs):
    """Returns the largest absolute difference between two lists of arrays, integers included."""
    assert len(ours) == len(theirs)
    return max(
        float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0))
        for a, b in zip(ours, theirs, strict=True)
    )

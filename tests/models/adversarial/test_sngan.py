"""A spectrally normalized discriminator: slope, state and the paper's settings."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make, real_digits, small_gan

import keras_gen

ROWS = {
    "sngan": (
        "sngan",
        lambda: {
            **small_gan(),
            "n_critic": 1,
            "architecture": "conv",
            "norm": "sync_batch",
            "adversarial": "wasserstein",
            "ema": 0.9,
        },
    ),
}
# Further networks, for laws.
MORE = {
    "sngan-mlp": ("sngan", lambda: {**small_gan(), "n_critic": 1, "architecture": "mlp", "norm": "none"}),
}


def test_no_change_of_the_image_changes_the_logit_by_more():
    """Layers of slope at most 1 make a network of slope at most 1, once sigma has converged."""
    model = make("sngan-mlp", dropout=0.0)
    for variable in model.discriminator.trainable_variables:
        variable.assign(5.0 * variable)
    images = tf.random.stateless_uniform((4, 8, 8, 1), (1, 2), -1, 1)
    for _ in range(300):
        model.discriminator({"image": images}, training=True)
    one, other = (tf.random.stateless_normal((10_000, 8, 8, 1), (seed, 0)) for seed in (3, 4))
    logits = [model.discriminator({"image": x}, training=False).numpy().ravel() for x in (one, other)]
    distance = np.linalg.norm((one - other).numpy().reshape(10_000, -1), axis=1)
    assert (np.abs(logits[0] - logits[1]) / distance).max() <= 1 + 1e-3


def test_a_step_of_the_generator_leaves_the_discriminators_kernels_alone():
    model = make("sngan")
    model.compile(d_optimizer=keras.optimizers.SGD(0.0), g_optimizer=keras.optimizers.SGD(0.1))
    kernels = [np.asarray(v) for v in model.discriminator.trainable_variables]
    model.fit(real_digits(16)[0], batch_size=8, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(kernels, model.discriminator.trainable_variables, strict=True))


def test_the_papers_settings():
    model = keras_gen.SNGAN(image_shape=(8, 8, 1), width=2)
    assert (model.n_critic, model.adversarial, model.update) == (5, "hinge", "alternating")
    optimizer = model.paper_optimizer()
    assert (float(optimizer.learning_rate), optimizer.beta_1, optimizer.beta_2) == (pytest.approx(2e-4), 0.0, 0.9)
    normalized = [layer for layer in model.discriminator.layers if "Spectral" in type(layer).__name__]
    plain = [layer for layer in model.discriminator.layers if type(layer).__name__ in ("Dense", "Conv2D")]
    assert normalized and not plain


BUGS = (
    Bug(
        "SNGAN: no normalization",
        "models/adversarial/sngan.py",
        'discriminator_norm="spectral"',
        'discriminator_norm="none"',
        (
            "test_no_change_of_the_image_changes_the_logit_by_more",
            "test_the_papers_settings",
        ),
    ),
)

"""Losses and likelihoods: tensors in, a mean over this batch (or one value per example) out."""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

LOG_2PI = math.log(2 * math.pi)


class Adversarial(NamedTuple):
    """The losses of the discriminator and of the generator, on logits; both are minimized."""

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (real logits, fake logits) -> scalar
    generator: Callable[[tf.Tensor], tf.Tensor]  # (fake logits) -> scalar


def mean(values: tf.Tensor) -> tf.Tensor:
    """Averages over the batch, and over patches if a discriminator has them, in float32."""
    return tf.reduce_mean(tf.cast(values, tf.float32))


def _cross_entropy(real, fake):
    return mean(tf.nn.softplus(-real)) + mean(tf.nn.softplus(fake))


def _least_squares(real, fake):
    return 0.5 * mean(tf.square(real - 1.0)) + 0.5 * mean(tf.square(fake))


def _critic(real, fake):
    return mean(fake) - mean(real)


def _hinge(real, fake):
    return mean(tf.nn.relu(1.0 - real)) + mean(tf.nn.relu(1.0 + fake))


def _fool(fake):
    return -mean(fake)


# Goodfellow et al. 2014 (arXiv:1406.2661); Mao et al. 2016 (arXiv:1611.04076); Arjovsky et al. 2017 (arXiv:1701.07875);
# Lim and Ye 2017 (arXiv:1705.02894).
ADVERSARIAL = {
    "minimax": Adversarial(_cross_entropy, lambda fake: -mean(tf.nn.softplus(fake))),
    "non_saturating": Adversarial(_cross_entropy, lambda fake: mean(tf.nn.softplus(-fake))),
    "least_squares": Adversarial(_least_squares, lambda fake: 0.5 * mean(tf.square(fake - 1.0))),
    "wasserstein": Adversarial(_critic, _fool),
    "hinge": Adversarial(_hinge, _fool),
}


def class_cross_entropy(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns the mean cross-entropy in nats of classes, int32 (B,), under logits (B, K)."""
    logits = tf.cast(logits, tf.float32)
    return mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(label, tf.int32), logits=logits))


def per_example(values: tf.Tensor) -> tf.Tensor:
    """Sums over all dimensions but the first, in float32: `(B, ...)` to `(B,)`."""
    values = tf.cast(values, tf.float32)
    return tf.reduce_sum(tf.reshape(values, (tf.shape(values)[0], -1)), axis=1)


def bernoulli_log_likelihood(x: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Returns log p(x) in nats of pixels in [0, 1] under independent Bernoullis: `(B, ...)` to `(B,)`."""
    logits = tf.cast(logits, tf.float32)
    return -per_example(tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(x, tf.float32), logits=logits))


def gaussian_log_likelihood(x: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """Returns the log density of x in nats under a diagonal Gaussian: `(B, ...)` to `(B,)`."""
    x, mean, log_variance = (tf.cast(value, tf.float32) for value in (x, mean, log_variance))
    return -0.5 * per_example(LOG_2PI + log_variance + tf.square(x - mean) * tf.exp(-log_variance))


def gaussian_kl(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """Returns KL(N(mean, diag(exp(log_variance))) || N(0, I)) in nats: `(B, d)` to `(B,)`."""
    mean, log_variance = tf.cast(mean, tf.float32), tf.cast(log_variance, tf.float32)
    return 0.5 * per_example(tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance)


class Levels(NamedTuple):
    """The values that a channel of a pixel can have, by which likelihoods of several models are put side by side."""

    count: int
    width: float = 1.0  # of one in the units of a density; 1 where the likelihood is that of the levels themselves


class PixelLikelihood(NamedTuple):
    """The likelihood of images (B, H, W, C) in [-1, 1] that a decoder's output (B, H, W, outputs * C) parameterizes."""

    outputs: int  # for each channel
    log_likelihood: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (image, output) -> nats (B,)
    mean: Callable[[tf.Tensor], tf.Tensor]  # output -> image
    levels: Levels


SMALLEST_LOG_VARIANCE = -2 * math.log(
    255.0
)  # half a gray level: below it a density on 8-bit images grows without bound


def _gaussian_pixels(image, output):
    means, raw = tf.split(output, 2, axis=-1)
    return gaussian_log_likelihood(image, means, SMALLEST_LOG_VARIANCE + tf.nn.softplus(raw - SMALLEST_LOG_VARIANCE))


PIXEL_LIKELIHOODS = {
    "bernoulli": PixelLikelihood(
        1,
        lambda image, output: bernoulli_log_likelihood(0.5 * (image + 1.0), output),
        lambda output: 2.0 * tf.sigmoid(output) - 1.0,
        Levels(2),
    ),
    "gaussian": PixelLikelihood(
        2,
        _gaussian_pixels,
        lambda output: tf.clip_by_value(tf.split(output, 2, axis=-1)[0], -1.0, 1.0),
        Levels(256, 2.0 / 255.0),
    ),
}

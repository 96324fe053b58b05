"""Penalties on a critic: pure functions of tensors, each a mean over the batch."""

from collections.abc import Callable

import tensorflow as tf


def gradient_penalty(critic: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor, target: float = 1.0) -> tf.Tensor:
    """Returns how far the slope of a critic is from its target: mean of (|d critic / d image| - target)^2.

    The norm is of each example's gradient, over all of its pixels. Gulrajani et al., "Improved Training of Wasserstein
    GANs", 2017, arXiv:1704.00028.

    Args:
        critic: images (B, H, W, C) to one number each. It must judge each image by itself: no batch normalization.
        image: where the slope is taken; in the paper, drawn uniformly between a real and a fake image.
        target: the slope aimed at.

    Returns:
        A scalar.
    """
    with tf.GradientTape() as tape:
        tape.watch(image)
        value = critic(image)
    slope = tape.gradient(value, image)  # (B, H, W, C)
    squared = tf.reduce_sum(tf.square(tf.reshape(slope, (tf.shape(slope)[0], -1))), axis=1)
    # The root has no finite slope at 0, where a critic that ignores its input would put NaN into its weights.
    return tf.reduce_mean(tf.square(tf.sqrt(tf.maximum(squared, 1e-12)) - target))

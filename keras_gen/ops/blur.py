"""A blur whose width may change from step to step."""

import numpy as np
import tensorflow as tf


def blurred(image: tf.Tensor, sigma: tf.Tensor, most: float) -> tf.Tensor:
    """Returns images (B, H, H, C) through a filter 2^-(x / sigma)^2 of 3 sigma pixels either way, zeros around them.

    Args:
        image: the images.
        sigma: scalar; below a third of a pixel, images stay as they are.
        most: what it is at most.
    """
    side, channels = image.shape[2:]
    sigma = tf.maximum(tf.cast(sigma, tf.float32), 1e-3)

    def weight(x):
        x = np.abs(x).astype(np.float32)
        return tf.where(x <= tf.floor(3.0 * sigma), tf.pow(2.0, -tf.square(x / sigma)), 0.0)

    total = tf.reduce_sum(weight(np.arange(-int(3 * most), int(3 * most) + 1)))
    place = np.arange(side)
    matrix = tf.cast(weight(place[:, None] - place) / total, image.dtype)
    image = tf.matmul(matrix, tf.reshape(image, (-1, side, side * channels)))
    return tf.reshape(tf.matmul(matrix, tf.reshape(image, (-1, side, channels))), (-1, side, side, channels))

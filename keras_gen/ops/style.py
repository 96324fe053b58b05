"""Means and deviations of features, which stand for the style of an image: measured, and given to another's."""

from collections.abc import Sequence

import tensorflow as tf

EPSILON = 1e-5  # added to variances, as in the program of the paper


def moments(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and standard deviation of each channel of each map (B, h, w, C), both float32 (B, 1, 1, C)."""
    wide = tf.cast(features, tf.float32)
    mean = tf.reduce_mean(wide, axis=(1, 2), keepdims=True)
    variance = tf.reduce_mean(tf.square(wide - mean), axis=(1, 2), keepdims=True)
    return mean, tf.sqrt(variance + EPSILON)


def normalized(features: tf.Tensor) -> tf.Tensor:
    """Returns maps (B, h, w, C) whose channels have mean 0 and deviation 1, in float32: what style leaves of them."""
    mean, deviation = moments(features)
    return (tf.cast(features, tf.float32) - mean) / deviation


def adapted(content: tf.Tensor, style: tf.Tensor) -> tf.Tensor:
    """Gives the channels of features the mean and the deviation of another image's.

    Args:
        content: (B, h, w, C).
        style: (B, h', w', C), of a height and width of its own.

    Returns:
        float32 (B, h, w, C).

    Reference:
        Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", 2017,
        arXiv:1703.06868, equation 8.
    """
    mean, deviation = moments(style)
    return normalized(content) * deviation + mean


def moments_apart(ours: Sequence[tf.Tensor], theirs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the squared differences of means and of deviations: of each the mean over channels and images.

    Args:
        ours: features of images, a tensor (B, h, w, C) for each level, over which they are summed.
        theirs: those of as many others.
    """
    pairs = [zip(moments(one), moments(other), strict=True) for one, other in zip(ours, theirs, strict=True)]
    return tf.add_n([tf.reduce_mean(tf.square(one - other)) for pair in pairs for one, other in pair])

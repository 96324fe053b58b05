"""Penalties on a critic, each a mean over the batch, and on kernels: pure functions of tensors."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf


def gradient_penalty(critic: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor, target: float = 1.0) -> tf.Tensor:
    """Returns the gradient penalty of a critic: mean of (|d critic / d image| - target)^2.

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


def r1(critic: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor) -> tf.Tensor:
    """Returns the R1 penalty of a critic at the data: mean of |d critic / d real|^2 / 2.

    The caller multiplies by the paper's gamma. Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do
    actually Converge?", 2018, arXiv:1801.04406, equation 9.

    Args:
        critic: images (B, H, W, C) to one number each, a logit. It must judge each image by itself.
        real: images of the data, and no fake ones.

    Returns:
        A scalar.
    """
    real = tf.convert_to_tensor(real)
    with tf.GradientTape() as tape:
        tape.watch(real)
        value = critic(real)
    slope = tape.gradient(value, real)  # (B, H, W, C)
    return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(tf.reshape(slope, (tf.shape(slope)[0], -1))), axis=1))


def path_lengths(synthesize: Callable[[tf.Tensor], tf.Tensor], styles: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
    """Returns how far images move along a random direction for a step of their styles, one length for each image.

    With y of independent N(0, 1) / sqrt(H W), it is the root of the mean over styles of |J' y|^2: for a linear map with
    orthogonal columns, their norm times a constant. Karras et al., "Analyzing and Improving the Image Quality of
    StyleGAN", 2020, arXiv:1912.04958, section 3.2.

    Args:
        synthesize: styles (B, n, d) to images (B, H, W, C), each of its own row alone.
        styles: where.
        directions: standard normal (B, H, W, C).

    Returns:
        float32 (B,).
    """
    height, width = directions.shape[1:3]
    with tf.GradientTape() as tape:
        tape.watch(styles)
        along = tf.reduce_sum(synthesize(styles) * directions) / math.sqrt(height * width)
    slope = tf.cast(tape.gradient(along, styles), tf.float32)  # (B, n, d)
    # The root has no finite slope at 0, where images do not depend on styles.
    return tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(slope), axis=2), axis=1) + 1e-12)


def is_due(every: int, step: tf.Tensor) -> tf.Tensor:
    """Returns whether a step, numbered from 0 on, is one in which what is lazy is computed: a bool scalar."""
    return tf.equal(step % every, 0)


def when_due(compute: Callable[[], Any], every: int, step: tf.Tensor, otherwise: Any) -> Any:
    """Returns what is computed in each `every`-th step, tensors in any nesting, and something else in the others.

    Nothing may be assigned and nothing drawn in `compute`: no update of variables may be conditional.

    Args:
        compute: computes it.
        every: steps from one to the next, at least 1.
        step: number of this step, from 0 on.
        otherwise: tensors of the same nesting and types, which cost nothing.
    """
    return compute() if every == 1 else tf.cond(is_due(every, step), compute, lambda: otherwise)


def lazily(penalty: Callable[[], tf.Tensor], every: int, step: tf.Tensor) -> tf.Tensor:
    """Returns a penalty in each `every`-th step, times `every`, and 0 in the others: on average the penalty itself.

    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2019, arXiv:1912.04958, section 3.2.

    Args:
        penalty: computes a scalar.
        every: steps from one to the next, at least 1.
        step: number of this step, from 0 on.
    """
    return when_due(lambda: float(every) * penalty(), every, step, 0.0)


def orthogonal(kernels: Iterable[tf.Tensor]) -> tf.Tensor:
    """Returns how far the columns of kernels are from being orthogonal to each other: the sum of |W'W x (1 - I)|^2.

    Of each kernel as a matrix W (inputs of an output, outputs). The lengths of its columns are left alone: they are on
    the diagonal. The caller multiplies by the paper's beta. Brock, Donahue and Simonyan, "Large Scale GAN Training for
    High Fidelity Natural Image Synthesis", 2018, arXiv:1809.11096, equation 3.

    Args:
        kernels: of dense layers (inputs, outputs) and convolutions (height, width, inputs, outputs).

    Returns:
        A scalar, float32.
    """
    total = tf.zeros(())
    for kernel in kernels:
        matrix = tf.cast(tf.convert_to_tensor(kernel), tf.float32)
        matrix = tf.reshape(matrix, (-1, matrix.shape[-1]))  # (fan in, outputs)
        rows, columns = matrix.shape
        if rows < columns:  # W'W would be larger than W: its squares have the sum of those of WW'
            lengths = tf.reduce_sum(tf.square(matrix), axis=0)
            whole = tf.reduce_sum(tf.square(tf.matmul(matrix, matrix, transpose_b=True)))
            total += whole - tf.reduce_sum(tf.square(lengths))
        else:
            products = tf.matmul(matrix, matrix, transpose_a=True)  # (outputs, outputs)
            total += tf.reduce_sum(tf.square(tf.linalg.set_diag(products, tf.zeros(columns))))
    return total

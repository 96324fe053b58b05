"""From the logits of the next token to a token."""

import tensorflow as tf


def chosen(
    logits: tf.Tensor, share: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """Draws tokens: the one below which, from the likeliest on, lies a share of the probability that is left.

    Args:
        logits: (B, V).
        share: (B,), uniform on [0, 1): the only randomness.
        temperature: scalar by which logits are divided; 0 takes the likeliest token.
        top_k: scalar, the likeliest tokens that are left.
        top_p: scalar in (0, 1]: of the likeliest tokens so many are left that those before the last have less than this
            probability together (nucleus sampling: Holtzman et al., 2019, arXiv:1904.09751).

    Returns:
        int32 (B,).
    """
    order = tf.argsort(logits, direction="DESCENDING", stable=True)
    sharpened = tf.gather(logits, order, batch_dims=1) / tf.maximum(temperature, 1e-6)
    probability = tf.nn.softmax(sharpened)
    left = (tf.cumsum(probability, axis=1, exclusive=True) < top_p) & (tf.range(tf.shape(logits)[1])[None] < top_k)
    below = tf.cumsum(tf.where(left, probability, 0.0), axis=1)
    rank = tf.reduce_sum(tf.cast(below <= share[:, None] * below[:, -1:], tf.int32), axis=1)
    rank = tf.minimum(rank, tf.reduce_sum(tf.cast(left, tf.int32), axis=1) - 1)  # a share that rounds up to 1
    rank = tf.where(temperature > 0, rank, 0)
    return tf.gather(order, rank, batch_dims=1)

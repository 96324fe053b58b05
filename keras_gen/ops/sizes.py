"""Images of any height and width through networks that take only multiples of a number."""

import tensorflow as tf


def padded(image: tf.Tensor, multiple: int, least: int = 0) -> tf.Tensor:
    """Continues images below and to the right by their last row and column.

    Args:
        image: (B, H, W, C), of any height and width from 1 on.
        multiple: that the sides of the result are of.
        least: that they are at least; a multiple of `multiple`.

    Returns:
        (B, H', W', C): what is beyond H and W is to be cut off again.
    """
    for axis in (1, 2):
        side = tf.shape(image)[axis]
        # Not (-side) % multiple: what is left of a negative number is negative in ONNX.
        whole = tf.maximum(side + (multiple - side % multiple) % multiple, least)
        image = tf.gather(image, tf.minimum(tf.range(whole), side - 1), axis=axis)
    return image


def cropped(image: tf.Tensor, like: tf.Tensor, scale: int = 1) -> tf.Tensor:
    """Cuts images (B, H', W', C) to the height and width of others, times `scale`: undoes `padded`."""
    height, breadth = (tf.shape(like)[axis] * scale for axis in (1, 2))
    return image[:, :height, :breadth]

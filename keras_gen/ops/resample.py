"""Images made smaller and larger by fixed filters: what models that make images larger learn from and compete with."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice


def _bicubic(x, a=-0.5):
    x = np.abs(x)
    inner, outer = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x < 1, inner, np.where(x < 2, outer, 0.0))


# Of a distance in pixels of the coarser image, as Pillow has them; `nearest` is none, and repeats pixels.
FILTERS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": lambda x: np.maximum(1 - np.abs(x), 0.0),
    "bicubic": _bicubic,
    "lanczos": lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0),
}


@functools.lru_cache(maxsize=64)
def matrix(kind: str, old: int, new: int) -> np.ndarray:
    """Returns the weights (new, old) by which one side of an image is resampled, without aliasing.

    Beyond the edge there is nothing: rows are divided by their sum. Filters widen as the image shrinks.

    Args:
        kind: one of `FILTERS`, or `"nearest"`.
        old: pixels of the side.
        new: pixels that it is to have.

    Raises:
        UsageError: a filter that does not exist.
    """
    kind = choice("filter", kind, ("nearest", *FILTERS))
    center = (np.arange(new)[:, None] + 0.5) * old / new
    if kind == "nearest":
        return (np.arange(old) == np.floor(center)).astype(np.float32)
    weights = FILTERS[kind]((np.arange(old) + 0.5 - center) / max(1.0, old / new))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resized(images: tf.Tensor, size: Sequence[int], kind: str = "bicubic") -> tf.Tensor:
    """Resamples images as Pillow does, in float32.

    Args:
        images: (B, H, W, C), of known height and width.
        size: (height, width) that they are to have.
        kind: as for `matrix`.

    Returns:
        (B, *size, C), which may leave the range of the images at edges: bicubic and Lanczos filters overshoot.
    """
    images = tf.cast(images, tf.float32)
    for equation, axis, side in (("oh,bhwc->bowc", 1, size[0]), ("ow,bhwc->bhoc", 2, size[1])):
        images = tf.einsum(equation, tf.constant(matrix(kind, images.shape[axis], side)), images)
    return images


def shrunk(images: tf.Tensor, scale: int) -> tf.Tensor:
    """Makes images smaller as photographs are made smaller: by an antialiased bicubic filter, in 256 levels.

    Args:
        images: (B, H, W, C) in [-1, 1], of known height and width.
        scale: that divides both.

    Returns:
        float32 (B, H / scale, W / scale, C) in [-1, 1].

    Raises:
        UsageError: it does not divide them.
    """
    sides = images.shape[1:3]
    if any(side % scale for side in sides):
        raise UsageError(f"images have {sides[0]}x{sides[1]} pixels; expected sides that {scale} divides")
    small = tf.clip_by_value(resized(images, [side // scale for side in sides]), -1.0, 1.0)
    return tf.round((small + 1.0) * 127.5) / 127.5 - 1.0


def enlarged(images: tf.Tensor, scale: int) -> tf.Tensor:
    """Makes images of any height and width larger by a bilinear filter, of operations that every runtime has.

    Args:
        images: (B, H, W, C); only C need be known.
        scale: times that both sides become longer.

    Returns:
        (B, scale * H, scale * W, C).
    """
    for axis in (1, 2):
        side = tf.shape(images)[axis]
        index = tf.range(side)
        before = tf.gather(images, tf.maximum(index - 1, 0), axis=axis)
        after = tf.gather(images, tf.minimum(index + 1, side - 1), axis=axis)
        apart = [(phase + 0.5) / scale - 0.5 for phase in range(scale)]  # of a new pixel from its old one
        made = [(1 - abs(by)) * images + abs(by) * (before if by < 0 else after) for by in apart]
        sides = [tf.shape(images)[1], tf.shape(images)[2]]
        sides[axis - 1] *= scale
        images = tf.reshape(tf.stack(made, axis=axis + 1), (-1, *sides, images.shape[-1]))
    return images

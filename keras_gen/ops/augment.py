"""Differentiable augmentation: random changes of real and fake images, through which the gradient passes."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from keras_gen.errors import choice
from keras_gen.ops.random import SeedGenerator

SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side
IMAGES = 500_000  # in which an adaptive probability goes from 0 to 1


def augment(
    image: tf.Tensor, kinds: Sequence[str], seed: SeedGenerator, probability: tf.Tensor | None = None
) -> tf.Tensor:
    """Changes each image at random, in a way of its own, and lets the gradient through to the image.

    Zhao, Liu, Lin, Zhu and Han, "Differentiable Augmentation for Data-Efficient GAN Training", 2020, arXiv:2006.10738.

    * `"color"`: adds a number from [-0.5, 0.5) to the image, multiplies each pixel's distance from the mean of its
      channels by one from [0, 2) and each value's distance from the image's mean by one from [0.5, 1.5).
    * `"translation"`: moves by whole pixels, up to 1/8 of each side (rounded) each way; 0 comes in from outside.
    * `"cutout"`: sets a box with sides half as long as the image's to 0; its center is anywhere, so that the border
      may cut some of it off.

    Args:
        image: float32 (B, H, W, C) in [-1, 1]; H, W and C must be known. What comes out may exceed the range.
        kinds: of `KINDS`, applied in their order; none leaves the image as it is.
        seed: what the draws come from.
        probability: with which each kind changes each image, a scalar; without it all are changed.

    Returns:
        float32 (B, H, W, C).

    Raises:
        UsageError: a kind that is not known.
    """
    image = tf.convert_to_tensor(image)
    for kind in kinds:
        changed = _CHANGES[choice("kinds", kind, KINDS)](image, seed)
        image = changed if probability is None else tf.where(_uniform(image, seed) < probability, changed, image)
    return image


def adapted(probability: tf.Tensor, signs: tf.Tensor, due: tf.Tensor, target: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the next probability of augmentation, and the sums that it begins to count anew.

    Where the discriminator is surer of real images than the target it rises, otherwise it falls: by 1 in 500,000
    images. It stays in [0, 1]. Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020,
    arXiv:2006.06676, section 3.

    Args:
        probability: so far, a scalar.
        signs: of the logits of real images since the last change: their sum, and how many they were, (2,).
        due: whether this is a step of change; otherwise nothing does.
        target: mean of the signs that is aimed at, in [-1, 1].
    """
    way = tf.sign(signs[0] / tf.maximum(signs[1], 1.0) - target)
    moved = tf.clip_by_value(probability + way * signs[1] / IMAGES, 0.0, 1.0)
    return tf.where(due, moved, probability), tf.where(due, tf.zeros_like(signs), signs)


def _color(image, seed):
    image += _uniform(image, seed) - 0.5
    if image.shape[-1] > 1:
        gray = tf.reduce_mean(image, axis=-1, keepdims=True)
        image = gray + 2 * _uniform(image, seed) * (image - gray)
    mean = tf.reduce_mean(image, axis=(1, 2, 3), keepdims=True)
    return mean + (0.5 + _uniform(image, seed)) * (image - mean)


def _translation(image, seed):
    for axis in (1, 2):
        size = image.shape[axis]
        most = _rounded(SHIFT * size)
        source = tf.range(size) - _whole(image, -most, most, seed)  # (B, size): where each row (column) comes from
        moved = tf.gather(image, tf.clip_by_value(source, 0, size - 1), axis=axis, batch_dims=1)
        image = moved * _along(axis, (source >= 0) & (source < size))
    return image


def _cutout(image, seed):
    inside = []
    for axis in (1, 2):
        size = image.shape[axis]
        side = _rounded(CUT * size)
        # A box of an even side has its center between two pixels, of which there is one more.
        first = _whole(image, 0, size - side % 2, seed) - side // 2  # (B, 1)
        inside.append(_along(axis, (tf.range(size) >= first) & (tf.range(size) < first + side)))
    return image * (1 - inside[0] * inside[1])


_CHANGES = {"color": _color, "translation": _translation, "cutout": _cutout}
KINDS = tuple(_CHANGES)


def _rounded(length):
    return int(length + 0.5)


def _uniform(image, seed):
    """Returns a number in [0, 1) for each image, (B, 1, 1, 1)."""
    return keras.random.uniform((tf.shape(image)[0], 1, 1, 1), dtype="float32", seed=seed)


def _whole(image, least, most, seed):
    """Returns a whole number from `least` to `most`, both included, for each image, (B, 1)."""
    return keras.random.randint((tf.shape(image)[0], 1), least, most + 1, seed=seed)


def _along(axis, mask):
    """Lays a mask (B, size) along the rows or the columns of images, as 0 and 1."""
    return tf.cast(mask[:, :, None, None] if axis == 1 else mask[:, None, :, None], tf.float32)

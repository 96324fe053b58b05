"""A segmenter: it reads the classes of pixels back from images that a model has painted of them."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_gen.callbacks.progress import ProgressLine
from keras_gen.data.examples import Examples
from keras_gen.images import from_uint8

# Plain data: another recipe is another segmenter.
RECIPE = {
    "filters": 32,  # at half of the size; deeper maps have twice as many
    "batch_size": 16,
    "learning_rate": 2e-3,  # of Adam, falling to 0 along a cosine
    "steps": 600,
}
_BLOCK = 64  # images in a forward pass


class Segmenter:
    """A small convolutional network that tells the class of each pixel of an image.

    It learns of real images and their maps; how much it reads back from painted ones says how much of the maps is in
    them, as in the paper.

    Args:
        images: (n, H, W, C), uint8, or float32 in [-1, 1].
        maps: classes (n, H, W).
        seed: of the weights and of the order of the images.
        recipe: changes of `RECIPE`.

    Reference:
        Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2016,
        arXiv:1611.07004, section 3.4 (the FCN-score); Park et al., 2019, arXiv:1903.07291, section 4.
    """

    def __init__(self, images: np.ndarray, maps: np.ndarray, seed: int = 0, recipe: Mapping[str, Any] | None = None):
        recipe = {**RECIPE, **(recipe or {})}
        self.network = _network(images.shape[1:], int(maps.max()) + 1, recipe["filters"], seed)
        rate = keras.optimizers.schedules.CosineDecay(recipe["learning_rate"], recipe["steps"])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.network.compile(keras.optimizers.Adam(rate), loss)
        pairs = Examples({"image": images, "segmentation": maps.astype(np.int32)})
        stream = pairs.stream(min(recipe["batch_size"], len(images)), seed, drop_remainder=True)
        stream = stream.map(lambda batch: (batch["image"], batch["segmentation"]))
        progress = ProgressLine("training a segmenter")
        self.network.fit(stream, steps_per_epoch=recipe["steps"], shuffle=False, verbose=0, callbacks=[progress])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Returns the class of each pixel, (n, H, W), of images (n, H, W, C), uint8, or float32 in [-1, 1]."""
        parts = [from_uint8(images[at : at + _BLOCK]) for at in range(0, len(images), _BLOCK)]
        return np.concatenate([self.network(part, training=False).numpy().argmax(-1) for part in parts])


def mean_iou(maps: np.ndarray, seen: np.ndarray) -> float:
    """Returns the mean, over the classes that occur in `maps`, of intersection over union with the classes seen.

    Args:
        maps: classes (n, H, W).
        seen: the same.
    """
    shares = [((maps == one) & (seen == one)).sum() / ((maps == one) | (seen == one)).sum() for one in np.unique(maps)]
    return float(np.mean(shares))


def _network(shape, classes, filters, seed):
    """Convolutions at a half, a quarter and an eighth of the size, whose maps are summed at a half."""
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def convolved(x, count, stride):
        weights = keras.initializers.HeNormal(seed=next(seeds))
        x = layers.Conv2D(count, 3, stride, padding="same", use_bias=False, kernel_initializer=weights)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    x = image = keras.Input(shape)
    maps = []
    for count in (filters, 2 * filters, 2 * filters):
        x = convolved(convolved(x, count, 2), count, 1)
        maps.append(x)
    for finer in reversed(maps[:-1]):
        height, width = finer.shape[1:3]
        x = convolved(layers.Concatenate()([_sized(x, height, width), finer]), finer.shape[-1], 1)
    x = layers.Conv2D(classes, 1, kernel_initializer=keras.initializers.HeNormal(seed=next(seeds)))(x)
    return keras.Model(image, _sized(x, *shape[:2]))


def _sized(x, height, width):
    """Returns maps of another size, between whose places values go evenly."""
    return layers.Resizing(height, width, interpolation="bilinear")(x)

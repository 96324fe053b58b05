"""The 2048 features of InceptionV3, for photos and for users with a network."""

import numpy as np

from keras_gen.data import store
from keras_gen.errors import UsageError
from keras_gen.images import from_uint8, on_white, pixels

_SIDE = 299
_BLOCK = 64  # images in a forward pass


class Inception:
    """InceptionV3 without its last layer: (n, H, W, 1 or 3) images to (n, 2048) features.

    The weights (88 MB) are downloaded at the first use, and kept by Keras.

    Args:
        weights: `"imagenet"`, the path of a weights file, or None for random ones, which measure nothing.

    Raises:
        UsageError: the weights cannot be had.

    Deviations:
        Published FID values are on another set of weights (of 2015) and another resizing: these figures compare models
        with each other, and not with the literature.

    Reference:
        Szegedy et al. 2015, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500.
    """

    name = "inception"

    def __init__(self, weights: str | None = "imagenet"):
        import keras
        import tensorflow as tf

        try:
            network = keras.applications.InceptionV3(
                include_top=False, weights=weights, input_shape=(_SIDE, _SIDE, 3), pooling="avg"
            )
        except Exception as error:  # Keras raises a plain Exception where a download fails
            reason = " ".join(str(error).split())[:80]
            raise UsageError(
                f"InceptionV3's weights cannot be had: {reason}; connect to the network, or use metrics.Judge"
            ) from None
        self.digest = store.digest({f"{i:03d}": value for i, value in enumerate(network.get_weights())})[:16]

        # A fixed signature: with another number of channels traced, Keras would fall back on a path that needs XLA.
        spec = tf.TensorSpec((None, _SIDE, _SIDE, 3), tf.float32)
        self._run = tf.function(lambda image: network(image, training=False), input_signature=[spec])

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns (n, 2048) features of images (n, H, W, 1, 3, or 4 on white), uint8, or float32 in [-1, 1].

        Raises:
            UsageError: images of another shape or type.
        """
        import tensorflow as tf

        images = np.asarray(images)
        if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or not images.size:
            raise UsageError(f"images have shape {images.shape}; expected (n, H, W, 1, 3 or 4)")
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            raise UsageError(f"images are {images.dtype}; expected uint8, or floats in [-1, 1]")
        out = []
        for first in range(0, len(images), _BLOCK):
            block = images[first : first + _BLOCK]
            if block.shape[-1] == 4:
                block = on_white(block if block.dtype == np.uint8 else pixels(block))
            block = from_uint8(block)
            block = tf.image.resize(block, (_SIDE, _SIDE), antialias=True)
            out.append(self._run(tf.repeat(block, 3 // block.shape[-1], axis=-1)).numpy())
        return np.concatenate(out)

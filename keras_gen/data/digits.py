"""The default set, which needs no network: 1,797 real handwritten digits of 8x8 pixels, from scikit-learn."""

import numpy as np

from keras_gen.data import resize
from keras_gen.data.messages import choose_split

NAME = "digits"
_TRAIN = 1500  # as stored; the other 297 are the test split


def source(split: str, size: tuple[int, int] | None, channels: int | None) -> resize.Source:
    """Reads scikit-learn's digits: 17 levels of grey, here spread over 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    every = {"train": slice(0, _TRAIN), "test": slice(_TRAIN, None), "all": slice(0, None)}
    rows = every[choose_split(split, every, NAME)]
    image = np.round(digits.images[rows, ..., None] * (255 / 16)).astype(np.uint8)
    label = digits.target[rows].astype(np.int32)

    def chunks():
        yield {"image": resize.fit(image, size, channels), "label": label}

    shape = resize.final_shape(image.shape[1:], size, channels)
    key = {"source": NAME, "split": rows.start, "end": rows.stop, "size": size, "channels": channels}
    return resize.Source(NAME, tuple(map(str, digits.target_names)), len(image), shape, np.uint8, chunks, key)

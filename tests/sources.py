"""Images on disk, and how a source refuses what it cannot read."""

import numpy as np
import pytest
from PIL import Image
from tiny import SHARED

from keras_gen.data import examples

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder {SHARED}; set KERAS_GEN_TEST_DATA")


def refused(kind, *words, call=examples, args=(), **settings):
    """Calls, and checks that the error is of this kind, one line, and says these words."""
    with pytest.raises(kind) as caught:
        call(*args, **settings)
    text = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in text and len(text) <= 200, text
    for word in words:
        assert str(word) in text, text


def rng_images(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, *positional, **arrays):
    np.savez(path, *positional, **arrays)
    return path


def draw(path, size=(10, 12), color=(200, 30, 60), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], color).convert(mode).save(path)
    return path

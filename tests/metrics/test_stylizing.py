"""Figures of images in another's style: of features that are pixels themselves, all of them are known."""

import numpy as np
import pytest
import tensorflow as tf

from keras_gen.data import Unpaired
from keras_gen.metrics.stylizing import AT_ONCE, of_styles
from keras_gen.ops.style import adapted


def part():
    rng = np.random.default_rng(0)
    content, style = rng.integers(96, 160, (AT_ONCE + 9, 6, 5, 3)), rng.integers(120, 140, (7, 4, 9, 3))
    return Unpaired({"source": content.astype(np.uint8), "target": style.astype(np.uint8)})


def pixels(image):
    return [tf.convert_to_tensor(image), tf.reduce_mean(image, axis=-1, keepdims=True)]


def test_the_content_as_it_is_keeps_its_structure_and_matched_colors_have_the_moments():
    found = of_styles(lambda content, style: content, lambda image: [tf.convert_to_tensor(image)], part())
    assert found["transferred_structure"] == found["content_structure"] == 0
    assert found["transferred_moments"] == found["content_moments"] > 0.01
    assert found["matched_moments"] == pytest.approx(0, abs=1e-6)
    assert found["matched_structure"] == pytest.approx(0, abs=1e-5)


def test_images_without_anything_in_common_are_two_apart():
    noise = np.random.default_rng(1)

    def transfer(content, style):
        made = noise.normal(size=content.shape).astype(np.float32)
        return adapted(made, style).numpy()

    found = of_styles(transfer, pixels, part())
    assert found["transferred_structure"] == pytest.approx(2, abs=0.1)
    alone = of_styles(transfer, lambda image: pixels(image)[:1], part())
    assert alone["transferred_moments"] == pytest.approx(0, abs=1e-6)
    assert found["transferred_moments"] > 1e-6, "of all levels"

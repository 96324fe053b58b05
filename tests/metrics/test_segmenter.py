"""A segmenter reads classes back from images in which they are, and from others it does not."""

import numpy as np
import pytest

from keras_gen.metrics.segmenter import Segmenter, mean_iou


def test_intersection_over_union_by_hand():
    maps = np.array([[[0, 0], [1, 3]]])
    assert mean_iou(maps, maps) == 1
    assert mean_iou(maps, np.array([[[0, 1], [1, 2]]])) == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)  # none is of class 2


def test_classes_of_fixed_colors_are_read_back_and_of_other_maps_are_not():
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 3, (40, 4, 5)).repeat(4, 1).repeat(4, 2)  # 16x20
    images = np.uint8([[220, 30, 30], [30, 220, 30], [30, 30, 220]])[maps]
    segmenter = Segmenter(images[:32], maps[:32], recipe={"steps": 100, "filters": 8, "learning_rate": 1e-2})
    seen = segmenter(images[32:])
    assert seen.shape == (8, 16, 20)
    assert (seen == maps[32:]).mean() >= 0.95
    assert (segmenter(np.roll(images, 1, axis=0)[32:]) == maps[32:]).mean() <= 0.5
    np.testing.assert_array_equal(segmenter(images[32:] / np.float32(127.5) - 1), seen)

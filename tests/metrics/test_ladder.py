"""The ladder on small images: the blur is at least half a pixel."""

import numpy as np
import pytest
from tiny import real_digits

from keras_gen import data, metrics


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_GEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return metrics.NeighborJudge.for_data(data.examples("digits", "train"), data.examples("digits", "test"))


def distances(judge, **how):
    images, labels = real_digits(600)
    rungs = metrics.ladder(judge, images, labels, repeated=30, **how)
    return {rung.name: float(rung.figures["fd"]) for rung in rungs}


def test_the_blur_of_small_images_is_seen(judge):
    found = distances(judge)
    assert found["blurred"] > 1.02 * found["real"], "0.016 of 8 pixels would change nothing"
    assert found["blurred"] < found["noise"]


def test_the_blur_is_half_a_pixel_or_the_share_that_is_larger(judge):
    default, half, two = (distances(judge, **how) for how in ({}, {"blur": 0.5 / 8}, {"blur": 0.25}))
    assert default == half
    assert two["blurred"] > 1.2 * half["blurred"]
    np.testing.assert_equal({**two, "blurred": 0}, {**half, "blurred": 0})

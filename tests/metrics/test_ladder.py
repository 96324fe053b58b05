"""The ladder on small images: the blur is at least half a pixel."""

import pytest
from tiny import real_digits

from keras_gen import data, metrics


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_GEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        return metrics.NeighborJudge.for_data(data.examples("digits", "train"), data.examples("digits", "test"))


def test_the_blur_of_small_images_is_half_a_pixel_and_seen(judge):
    images, labels = real_digits(300)
    ladders = [
        metrics.ladder(judge, images, labels, repeated=30, **how) for how in ({}, {"blur": 0.5 / 8}, {"blur": 0.25})
    ]
    default, half, two = ({rung.name: float(rung.figures["fd"]) for rung in rungs} for rungs in ladders)
    assert default == half
    assert 1.02 * default["real"] < default["blurred"] < default["noise"], "0.016 of 8 pixels would change nothing"
    assert two["blurred"] > 1.2 * half["blurred"], "a larger share is taken as it is"
    assert {**two, "blurred": 0} == {**half, "blurred": 0}

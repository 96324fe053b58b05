"""How near translated images are to what they should be, beside what needs no learning."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gen.images import from_uint8
from keras_gen.metrics.samples import psnr

TRANSLATED = 1000  # test images at most


def of_pairs(translate: Callable[[np.ndarray], np.ndarray], train: Any, test: Any) -> dict[str, float]:
    """Returns the distances of translated test images from their targets.

    Args:
        translate: sources (n, H, W, C), float32 in [-1, 1], to images.
        train: examples with `source` and `target`.
        test: the same, of which the first 1,000 are measured.

    Returns:
        `translated_l1` (mean absolute difference in [-1, 1]) and `translated_psnr` (decibels, the mean over images);
        `l1_of_own`, that difference over the one from the next image's target: 1 where the source is not looked at; and
        of the same images the baselines `median_l1` and `median_psnr`, of the median of all training targets, and, of
        as many channels, `source_l1`, of the source itself.
    """
    source, target = (from_uint8(test.arrays[name][:TRANSLATED]) for name in ("source", "target"))
    made = translate(source)
    own, others = _distance(made, target), _distance(made, np.roll(target, 1, axis=0))
    median = from_uint8(np.median(train.arrays["target"], axis=0).astype(train.arrays["target"].dtype))
    median = np.broadcast_to(median, target.shape)
    found = {
        "translated_l1": own,
        "translated_psnr": float(psnr(made, target).mean()),
        "median_l1": _distance(median, target),
        "median_psnr": float(psnr(median, target).mean()),
    }
    found |= {"l1_of_own": own / others} if len(target) > 1 and others > 0 else {}
    return found | ({"source_l1": _distance(source, target)} if source.shape == target.shape else {})


def _distance(images, others):
    return float(np.abs(images - others).mean(dtype=np.float64))


def of_cycles(translate: Callable[..., np.ndarray], test: Any) -> dict[str, float]:
    """Returns what a translation there and back loses of test images.

    Args:
        translate: images (n, H, W, C), float32 in [-1, 1], and `to="a"` or `"b"`, to images.
        test: examples with `source` (a) and `target` (b), of which the first 1,000 are measured.

    Returns:
        Mean absolute differences in [-1, 1]: `cycle_a` and `cycle_b`, of images and their return; `changed_a` and
        `changed_b`, of images and their translation, where both kinds have as many channels.
    """
    found = {}
    for kind, other, name in (("a", "b", "source"), ("b", "a", "target")):
        images = from_uint8(test.arrays[name][:TRANSLATED])
        made = translate(images, to=other)
        found[f"cycle_{kind}"] = _distance(translate(made, to=kind), images)
        if made.shape == images.shape:
            found[f"changed_{kind}"] = _distance(made, images)
    return found

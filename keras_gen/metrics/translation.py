"""How near translated images are to what they should be, beside what needs no learning."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gen.images import from_uint8
from keras_gen.metrics.distance import frechet_distance
from keras_gen.metrics.judge import NeighborJudge
from keras_gen.metrics.samples import psnr

TRANSLATED = 1000  # test images at most
LEAST = 100  # test images, of Frechet distances
EQUAL = 100.0  # decibels of images without a difference, in a mean
REMEMBERED = 5000  # training images at most, of baselines that look at them


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


def of_maps(translate: Callable[[np.ndarray], np.ndarray], train: Any, test: Any, seed: int = 0) -> dict[str, float]:
    """Returns the distances of painted test maps from their images.

    Args:
        translate: maps of classes (n, H, W) to images (n, H, W, C), float32 in [-1, 1].
        train: examples with `segmentation` and `image`, of which the first 5,000 serve the baselines.
        test: the same, of which the first 1,000 are measured.
        seed: of the judge.

    Returns:
        `translated_l1` (mean absolute difference in [-1, 1]) and `translated_psnr` (decibels, the mean over images);
        `l1_of_own`, that difference over the one from the next map's image: 1 where the map is not looked at; and the
        same two figures of baselines: `median`, the median of all training images; `class_color`, each pixel in the
        median color of its class; and `nearest_map`, the training image whose map has most pixels in common. Of 100
        test images or more, `translated_fd` and those of the baselines are Frechet distances to the test images by a
        `NeighborJudge`: flat colors are far from images however near they are in the mean, and images of others are
        near.
    """
    maps, real = test.arrays["segmentation"][:TRANSLATED], from_uint8(test.arrays["image"][:TRANSLATED])
    known, images = train.arrays["segmentation"][:REMEMBERED], train.arrays["image"][:REMEMBERED]
    made = translate(maps)
    baselines = {
        "median": np.broadcast_to(from_uint8(np.median(images, axis=0).astype(images.dtype)), real.shape),
        "class_color": _class_colors(known, images, maps),
        "nearest_map": from_uint8(images[_nearest(known, maps)]),
    }
    found, judge = {}, NeighborJudge.train(train, test, seed) if len(real) >= LEAST else None
    for name, painted in {"translated": made, **baselines}.items():
        decibels = np.minimum(psnr(painted, real), EQUAL)
        found |= {f"{name}_l1": _distance(painted, real), f"{name}_psnr": float(decibels.mean())}
        if judge:
            found[f"{name}_fd"] = frechet_distance(judge.features(real), judge.features(painted))
    others = _distance(made, np.roll(real, 1, axis=0))
    return found | ({"l1_of_own": found["translated_l1"] / others} if len(real) > 1 and others > 0 else {})


def _class_colors(known, images, maps):
    """Returns maps in which each pixel has the median color of its class; of one never seen, that of all pixels."""
    palette = np.tile(np.median(from_uint8(images), axis=(0, 1, 2)), (int(max(known.max(), maps.max())) + 1, 1))
    for number in np.unique(known):
        palette[number] = np.median(from_uint8(images[known == number]), axis=0)
    return palette.astype(np.float32)[maps]


def _nearest(known, maps):
    """Returns which of the known maps has most pixels in common with each of others."""
    flat = known.reshape(len(known), -1)
    return np.array([(flat == one.reshape(-1)).sum(axis=1).argmax() for one in maps])

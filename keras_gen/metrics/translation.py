"""How near translated images are to what they should be, beside what needs no learning."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gen.data.examples import Examples
from keras_gen.images import from_uint8, to_uint8
from keras_gen.metrics.distance import frechet_distance
from keras_gen.metrics.judge import Judge, NeighborJudge
from keras_gen.metrics.samples import mean_psnr
from keras_gen.metrics.segmenter import Segmenter, mean_iou

TRANSLATED = 1000  # test images at most
REMEMBERED = 5000  # training images at most, of baselines that look at them
BORDER, FOREGROUND = 0.05, 0.2  # differences from the color of a kind's border, in [-1, 1]: of most of it, of a thing
JUDGED = 256  # training images, of each kind, at least, of which a classifier of kinds, or a segmenter, learns


def of_pairs(translate: Callable[[np.ndarray], np.ndarray], train: Any, test: Any, seed: int = 0) -> dict[str, float]:
    """Returns the distances of translated test images from their targets.

    Args:
        translate: sources (n, H, W, C), float32 in [-1, 1], to images.
        train: examples with `source` and `target`.
        test: the same, of which the first 1,000 are measured.
        seed: of the principal components.

    Returns:
        `translated_l1` (mean absolute difference in [-1, 1]), `translated_psnr` (decibels, the mean over images), and
        `translated_fd`, the Frechet distance to the test targets on whitened principal components of the training
        targets' pixels; `l1_of_own`, that difference over the one from the next image's target: 1 where the source is
        not looked at; and of the same images the baselines `median_l1`, `median_psnr` and `median_fd`, of the median of
        all training targets, and, of as many channels, `source_l1` and `source_fd`, of the source itself.
    """
    source, target = (from_uint8(test.arrays[name][:TRANSLATED]) for name in ("source", "target"))
    made = translate(source)
    own, others = _distance(made, target), _distance(made, np.roll(target, 1, axis=0))
    median = from_uint8(np.median(train.arrays["target"], axis=0).astype(train.arrays["target"].dtype))
    median = np.broadcast_to(median, target.shape)
    found = {
        "translated_l1": own,
        "translated_psnr": mean_psnr(made, target),
        "median_l1": _distance(median, target),
        "median_psnr": mean_psnr(median, target),
    }
    shown = {"translated": made, "median": median}
    if source.shape == target.shape:
        found["source_l1"], shown["source"] = _distance(source, target), source
    if len(target) > 1:
        found |= {"l1_of_own": own / others} if others > 0 else {}
        pixels = Examples({"image": train.arrays["target"]}, name=train.name)
        features = NeighborJudge.train(pixels, pixels, seed).features
        real = features(target)
        found |= {f"{name}_fd": frechet_distance(real, features(images)) for name, images in shown.items()}
    return found


def _distance(images, others):
    return float(np.abs(images - others).mean(dtype=np.float64))


def of_cycles(translate: Callable[..., np.ndarray], train: Any, test: Any, seed: int = 0) -> dict[str, float]:
    """Returns what a translation there and back loses of test images, and what it makes of them.

    Args:
        translate: images (n, H, W, C), float32 in [-1, 1], and `to="a"` or `"b"`, to images.
        train: examples with `source` (a) and `target` (b).
        test: the same, of which the first 1,000 are measured.
        seed: of the classifier.

    Returns:
        Mean absolute differences in [-1, 1]: `cycle_a` and `cycle_b`, of images and their return; `changed_a` and
        `changed_b`, of images and their translation, where both kinds have as many channels. There, of at least 256
        training images of each kind, a classifier that tells the kinds apart is asked, too: `kinds_accuracy`, its share
        of right answers on test images; `looks_a` and `looks_b`, the share of translations to this kind that it takes
        for it; `fd_a` and `fd_b`, the Frechet distance of translations to test images of this kind, on its features;
        and of two baselines the same with `source_` (images as they are) and `recolored_` (with each channel's
        distribution made that of the other kind's training images). Where nine tenths of the outermost pixels of each
        kind have one color, things stand before a plain ground: `outline_b` is the mean intersection over union of
        where the thing is in an image of a and in its translation to b, `outline_a` the other way.
    """
    found, made = {}, {}
    for kind, other, name in (("a", "b", "source"), ("b", "a", "target")):
        images = from_uint8(test.arrays[name][:TRANSLATED])
        made[other] = translate(images, to=other)
        found[f"cycle_{kind}"] = _distance(translate(made[other], to=kind), images)
        if made[other].shape == images.shape:
            found[f"changed_{kind}"] = _distance(made[other], images)
    grounds = {kind: _ground(train.arrays[name]) for kind, name in (("a", "source"), ("b", "target"))}
    if all(ground is not None for ground in grounds.values()):
        for kind, other, name in (("a", "b", "source"), ("b", "a", "target")):
            things = _things(from_uint8(test.arrays[name][:TRANSLATED]), grounds[kind])
            found[f"outline_{other}"] = _overlap(things, _things(made[other], grounds[other]))
    alike = len({train.arrays[name].shape[1:] for name in ("source", "target")}) == 1
    enough = min(len(train.arrays[name]) for name in ("source", "target")) >= JUDGED
    return found | (_of_kinds(made, train, test, seed) if alike and enough else {})


def _ground(images):
    """Returns the color (C,) that nine tenths of the outermost pixels have; `None` if they have many."""
    images = from_uint8(images[:REMEMBERED])
    edges = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    border = np.concatenate([edge.reshape(-1, images.shape[-1]) for edge in edges])
    color = np.median(border, axis=0)
    return color if (np.abs(border - color).max(axis=-1) <= BORDER).mean() >= 0.9 else None


def _things(images, ground):
    """Returns where images (n, H, W, C) are of another color than the ground, as (n, H, W)."""
    return np.abs(images - ground).max(axis=-1) > FOREGROUND


def _overlap(things, others):
    """Returns the mean intersection over union of where things are; of two images without any, 1."""
    both, either = ((op(things, others)).sum(axis=(1, 2)) for op in (np.logical_and, np.logical_or))
    return float(np.where(either > 0, both / np.maximum(either, 1), 1.0).mean())


def _of_kinds(made, train, test, seed):
    """Returns what a classifier of both kinds sees in translations, and in the baselines."""
    judge = Judge.for_data(_labelled(train), _labelled(test), seed)
    found = {"kinds_accuracy": judge.accuracy}
    for kind, label, name, other in (("a", 0, "source", "target"), ("b", 1, "target", "source")):
        real = judge.features(test.arrays[name][:TRANSLATED])
        images = test.arrays[other][:TRANSLATED]
        recolored = _recolored(images, train.arrays[other], train.arrays[name])
        for prefix, shown in (("", to_uint8(made[kind])), ("source_", images), ("recolored_", recolored)):
            features, labels = judge(shown)
            found[f"{prefix}looks_{kind}"] = float((labels == label).mean())
            if min(len(real), len(features)) > 1:
                found[f"{prefix}fd_{kind}"] = frechet_distance(real, features)
    return found


def _labelled(part):
    """Returns the images of both kinds, labelled by their kind."""
    sides = [part.arrays[name] for name in ("source", "target")]
    labels = np.repeat(np.int32([0, 1]), [len(side) for side in sides])
    return Examples({"image": np.concatenate(sides), "label": labels}, ("a", "b"), part.name)


def _recolored(images, own, others):
    """Returns uint8 images, each channel mapped so that the distribution of `own` becomes that of `others`."""
    made = np.empty_like(images)
    for channel in range(images.shape[-1]):
        here, there = (np.bincount(part[..., channel].ravel(), minlength=256).cumsum() for part in (own, others))
        table = np.searchsorted(there / there[-1], here / here[-1])
        made[..., channel] = table.clip(0, 255).astype(np.uint8)[images[..., channel]]
    return made


def of_maps(translate: Callable[[np.ndarray], np.ndarray], train: Any, test: Any, seed: int = 0) -> dict[str, float]:
    """Returns the distances of painted test maps from their images.

    Args:
        translate: maps of classes (n, H, W) to images (n, H, W, C), float32 in [-1, 1].
        train: examples with `segmentation` and `image`, of which the first 5,000 serve the baselines.
        test: the same, of which the first 1,000 are measured.
        seed: of the principal components.

    Returns:
        As `of_pairs`, `translated_l1`, `translated_psnr`, `translated_fd` and `l1_of_own`; and the first three of
        baselines: `median`, the median of all training images; `class_color`, each pixel in the median color of its
        class; and `nearest_map`, the training image whose map has most pixels in common. Of at least 256 training
        images a segmenter learns to tell the classes: `read_back` is the share of a painted map's pixels whose class it
        sees, `read_back_iou` the mean over classes of intersection over union; both of the same baselines, too, as
        `median_read_back`, and of the real test images, as `real_read_back`.
    """
    maps, real = test.arrays["segmentation"][:TRANSLATED], from_uint8(test.arrays["image"][:TRANSLATED])
    known, images = train.arrays["segmentation"][:REMEMBERED], train.arrays["image"][:REMEMBERED]
    made = translate(maps)
    baselines = {
        "median": np.broadcast_to(from_uint8(np.median(images, axis=0).astype(images.dtype)), real.shape),
        "class_color": _class_colors(known, images, maps),
        "nearest_map": from_uint8(images[_nearest(known, maps)]),
    }
    pixels, found = Examples({"image": train.arrays["image"]}, name=train.name), {}
    features = NeighborJudge.train(pixels, pixels, seed).features
    for name, painted in {"translated": made, **baselines}.items():
        found |= {f"{name}_l1": _distance(painted, real), f"{name}_psnr": mean_psnr(painted, real)}
        if len(real) > 1:
            found[f"{name}_fd"] = frechet_distance(features(real), features(painted))
    others = _distance(made, np.roll(real, 1, axis=0))
    found |= {"l1_of_own": found["translated_l1"] / others} if len(real) > 1 and others > 0 else {}
    if len(train.arrays["image"]) < JUDGED:
        return found
    segmenter = Segmenter(train.arrays["image"], train.arrays["segmentation"], seed)
    for name, painted in {"": made, "real_": real, **{f"{name}_": one for name, one in baselines.items()}}.items():
        seen = segmenter(painted)
        found |= {f"{name}read_back": float((seen == maps).mean()), f"{name}read_back_iou": mean_iou(maps, seen)}
    return found


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

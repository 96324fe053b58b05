"""How near images made larger are to what they were made of, beside filters that learn nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gen.images import from_uint8
from keras_gen.metrics.judge import Judge
from keras_gen.metrics.samples import mean_psnr
from keras_gen.ops.resample import resized, shrunk

UPSCALED = 1000  # test images at most
BASELINES = ("nearest", "bicubic", "lanczos")
JUDGED = 200  # images of a split below which there is no judge
_BLOCK = 2**22  # numbers that are held at a time of each kind


def of_images(
    upscale: Callable[[np.ndarray], np.ndarray], scale: int, train: Any, test: Any, seed: int = 0
) -> dict[str, float]:
    """Returns figures of test images that were made smaller, and then larger again.

    Args:
        upscale: images (n, h, w, C), float32 in [-1, 1], to images (n, scale * h, scale * w, C).
        scale: by which test images are made smaller, by `keras_gen.ops.resample.shrunk`, as in training.
        train: examples with `image`, and perhaps `label`.
        test: the same, of which the first 1,000 are measured.
        seed: of the judge.

    Returns:
        Of images made larger, `upscaled_...`, and of the baselines `nearest_...`, `bicubic_...` and `lanczos_...`:
        `psnr` (decibels, the mean over images); `l1` (mean absolute difference in [-1, 1]); `octave`, the energy of the
        upper half of their frequencies over that of the real images, 1 where they are as sharp; and, of labelled data,
        `distance`, the mean Euclidean distance from the real images in the features of the classifier that judges.
    """
    images, judge, sums = test.arrays["image"][:UPSCALED], _judge(train, test, seed), {}
    step = max(1, _BLOCK // images[0].size)
    for at in range(0, len(images), step):
        real = from_uint8(images[at : at + step])
        low = shrunk(real, scale)
        made = {"upscaled": upscale(low.numpy())}
        made |= {kind: np.clip(resized(low, real.shape[1:3], kind).numpy(), -1, 1) for kind in BASELINES}
        for name, values in made.items():
            found = {
                "psnr": mean_psnr(values, real) * len(real),
                "l1": np.abs(values - real).mean(axis=(1, 2, 3)).sum(dtype=np.float64),
                "octave": top_octave(values).sum(),
            }
            if judge:
                apart = judge.features(values) - judge.features(real)
                found["distance"] = np.linalg.norm(apart, axis=1).sum(dtype=np.float64)
            for key, value in found.items():
                sums[f"{name}_{key}"] = sums.get(f"{name}_{key}", 0.0) + value
        sums["real"] = sums.get("real", 0.0) + top_octave(real).sum()
    energy = sums.pop("real")
    whole = {"octave": energy if energy > 0 else np.nan}
    return {name: float(value / whole.get(name.rpartition("_")[2], len(images))) for name, value in sums.items()}


def top_octave(images: np.ndarray) -> np.ndarray:
    """Returns the energy of each image (n, H, W, C) in the upper half of its frequencies, along either axis.

    A window takes the edges away, where an image does not go on as it begins.
    """
    height, width = images.shape[1:3]
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]
    spectrum = np.fft.fft2(images * window[..., None], axes=(1, 2))
    fine = np.maximum(np.abs(np.fft.fftfreq(height))[:, None], np.abs(np.fft.fftfreq(width))) >= 0.25
    return (np.abs(spectrum[:, fine]) ** 2).sum(axis=(1, 2))


def _judge(train, test, seed):
    """Returns the classifier of labelled data, or nothing where there are no labels, one class, or few images."""
    for part in (train, test):
        if "label" not in part.arrays or len(part) < JUDGED or len(np.unique(part.arrays["label"])) < 2:
            return None
    return Judge.for_data(train, test, seed=seed)

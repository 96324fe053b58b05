"""What every source does to its images: one size, one number of channels, uint8 or float32 in [-1, 1]."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from keras_gen.data.messages import brief, notice
from keras_gen.errors import UsageError

MIXED_SIZE = (64, 64)  # for images of several sizes, when nobody asks for one
_LUMA = np.array([19595, 38470, 7471])  # ITU-R 601, in units of 2**-16


class Source(NamedTuple):
    """One split of a data set, about to be read.

    Its chunks are dicts of `image` (n, height, width, channels), already of the final shape and type, and `label` (n,).
    """

    name: str
    classes: tuple[str, ...]
    count: int
    shape: tuple[int, int, int]
    dtype: type
    chunks: Callable[[], Iterator[dict[str, np.ndarray]]]
    key: Mapping[str, object]  # what the content depends on: names the copy in the cache
    held: int = 0  # examples that are held out of it, since the set has no test split
    mixed: bool = False  # they had several sizes, and nobody said which they are to have


class Reading(NamedTuple):
    """What a caller says about how values and files are to be read."""

    range: tuple[float, float] | None = None  # what is black and what is white in the stored values
    skip_damaged: bool = False  # leave damaged files out


def request(
    image_size: int | tuple[int, int] | None, channels: int | None
) -> tuple[tuple[int, int] | None, int | None]:
    """Checks the size and the number of channels that a caller asks for.

    Args:
        image_size: side, or (height, width), in pixels; None keeps the data's own.
        channels: 1 (grey), 3 (RGB) or 4 (RGB and transparency); None keeps the data's own.

    Returns:
        (height, width) or None, and the channels.

    Raises:
        UsageError: neither of these.
    """
    if channels not in (None, 1, 3, 4):
        raise UsageError(
            f"channels is {brief(channels, 30)}; expected 1 (grey), 3 (RGB), 4 (RGBA) or None (as the data has)"
        )
    if image_size is None:
        return None, channels
    size = (image_size, image_size) if isinstance(image_size, (int, np.integer)) else image_size
    try:
        height, width = size
        if int(height) != height or int(width) != width or not (0 < height <= 2**14 and 0 < width <= 2**14):
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(
            f"image_size is {brief(image_size, 30)}; expected a side or (height, width) from 1 to {2**14:,}, or None"
        ) from None
    return (int(height), int(width)), channels


def final_shape(
    shape: tuple[int, int, int], size: tuple[int, int] | None, channels: int | None
) -> tuple[int, int, int]:
    """Returns the (height, width, channels) that `fit` gives to images of this shape."""
    return (*(size or shape[:2]), channels or shape[2])


def tell_clear(what: str) -> None:
    """Says that transparency is not kept, since nobody asked for it."""
    notice(f"{what}: transparent in part, laid on white; --channels 4 (in Python channels=4) keeps it")


def tell_channels(where: str, stored: int, channels: int | None) -> None:
    """Says so where arrays of 4 channels are taken for RGBA, and where there is no opacity in what is read with it."""
    if stored == 4 and channels is None:
        notice(f"{where} has 4 channels: read as RGBA, the fourth is opacity; --channels 3 lays it on white")
    elif stored < 4 and channels == 4:
        notice(f"{where} has {stored} channel{'s' if stored > 1 else ''}: the fourth is opaque throughout")


def fit(images: np.ndarray, size: tuple[int, int] | None, channels: int | None) -> np.ndarray:
    """Gives a stack of images the size and the channels asked for.

    A fourth channel is opacity. Without it, images are laid on white. With it, colors are not multiplied by it, and are
    white where nothing is seen: those that a file hides there are noise for a model. Resampling mixes what is seen.

    Args:
        images: (n, height, width, 1, 3 or 4), uint8, or float32 in [-1, 1].
        size: (height, width) or None.
        channels: 1, 3, 4 or None.

    Returns:
        The images, of the same type.
    """
    if channels in (1, 3) and images.shape[3] == 4:
        images = _on_white(images)
    if channels == 1 and images.shape[3] == 3:
        images = _grey(images)
    if size and images.shape[1:3] != size:
        images = np.stack([_resize(image, size) for image in images])
    if channels in (3, 4) and images.shape[3] == 1:
        images = np.repeat(images, 3, axis=3)
    if channels == 4 and images.shape[3] == 3:
        images = np.concatenate([images, np.full_like(images[..., :1], _white(images))], axis=3)
    if images.shape[3] == 4:
        unseen = images[..., 3:] <= (0 if images.dtype == np.uint8 else -1)
        images = np.where(unseen & (np.arange(4) < 3), _white(images), images)
    return images


def nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Gives classes (height, width) another size: cut out as `fit` does of images, and no class between two others."""
    scale, (left, top, *_) = _window(values.shape, size)
    rows, columns = (
        np.minimum((first + (np.arange(count) + 0.5) * scale).astype(int), side - 1)
        for first, count, side in zip((top, left), size, values.shape, strict=True)
    )
    return values[rows[:, None], columns]


def _window(shape, size):
    """Returns how many pixels become one, and the box of the middle with the aspect ratio asked for."""
    height, width = shape[:2]
    scale = min(height / size[0], width / size[1])
    tall, wide = size[0] * scale, size[1] * scale
    left, top = (width - wide) // 2, (height - tall) // 2
    return scale, (left, top, min(left + wide, width), min(top + tall, height))


def _white(images):
    return images.dtype.type(255 if images.dtype == np.uint8 else 1)


def _on_white(images):
    """Returns images without their fourth channel: as they are seen on a white page."""
    color, opacity = images[..., :3], images[..., 3:]
    if images.dtype == np.uint8:
        return (255 - ((255 - color.astype(np.uint32)) * opacity + 127) // 255).astype(np.uint8)
    return 1 + (color - 1) * (opacity + 1) / 2


def _grey(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return ((images @ _LUMA + 2**15) >> 16).astype(np.uint8)[..., None]
    return (images @ (_LUMA / 2**16).astype(np.float32))[..., None]


def _resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crops the center to the aspect ratio asked for, then resamples without aliasing."""
    from PIL import Image

    scale, box = _window(image.shape, size)
    # The mean over whole pixels is exact; between pixels, Pillow's bicubic filter widens as it shrinks.
    whole = scale >= 1 and scale == int(scale)
    filter_ = Image.Resampling.BOX if whole else Image.Resampling.BICUBIC

    def resample(plane):
        return np.asarray(Image.fromarray(plane).resize(size[::-1], filter_, box=box))

    if image.dtype == np.uint8:
        return resample(image[..., 0] if image.shape[2] == 1 else image).reshape(*size, image.shape[2])
    if image.shape[2] == 4:  # colors count as much as they are seen, as in Pillow's own RGBA
        opacity = (image[..., 3] + 1) / 2
        parts = np.stack(
            [resample(part) for part in (*np.moveaxis((image[..., :3] + 1) / 2 * opacity[..., None], 2, 0), opacity)]
        )
        opacity = np.clip(parts[3], 0, 1)
        color = parts[:3] / np.maximum(opacity, 1e-6)
        return np.clip(np.stack([*color, opacity], axis=-1) * 2 - 1, -1, 1).astype(image.dtype)
    planes = [resample(np.ascontiguousarray(image[..., channel])) for channel in range(image.shape[2])]
    return np.clip(np.stack(planes, axis=-1), -1.0, 1.0)  # bicubic overshoots at edges

"""Images for people: grids, PNG and GIF files."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_gen.files import writing


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Maps images in [-1, 1] to gray levels 0 to 255."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def from_uint8(images: np.ndarray) -> np.ndarray:
    """Maps gray levels 0 to 255 to float32 in [-1, 1]; images that are floats already stay as they are."""
    images = np.asarray(images)
    return images / np.float32(127.5) - np.float32(1) if images.dtype == np.uint8 else images.astype(np.float32)


def grid(images: np.ndarray, columns: int | None = None, padding: int = 1) -> np.ndarray:
    """Lays images out in rows.

    Args:
        images: (n, H, W, C) in [-1, 1], C = 1 or 3.
        columns: images in a row; a square by default.
        padding: black pixels between two images.

    Returns:
        uint8 (rows * (H + padding) - padding, columns * (W + padding) - padding, C).
    """
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * (height + padding) - padding, columns * (width + padding) - padding, channels), np.uint8)
    for index, image in enumerate(to_uint8(images)):
        top, left = index // columns * (height + padding), index % columns * (width + padding)
        sheet[top : top + height, left : left + width] = image
    return sheet


def enlarged(image: np.ndarray, smallest: int = 256) -> np.ndarray:
    """Repeats pixels until the longer side has at least `smallest` of them."""
    factor = max(1, -(-smallest // max(image.shape[:2])))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def save_gif(path: str | Path, frames: Sequence[np.ndarray], milliseconds: int = 80) -> None:
    """Writes uint8 images (H, W, C) of one size as a GIF that starts again at its end."""
    from PIL import Image

    first, *rest = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    with writing.beside(path) as temporary:
        first.save(temporary, format="GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Writes a uint8 image (H, W, C) as PNG."""
    from PIL import Image

    image = image[..., 0] if image.shape[-1] == 1 else image
    with writing.beside(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")

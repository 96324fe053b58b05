"""Pictures whose numbers do not end at 255, in the file's own units: Pillow gives their colors in 8 bits only."""

import re
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

_TOKEN = re.compile(rb"(?:\s|#[^\n]*\n)*(\d+)")
_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER = {"L": "B", "B": "L"}


class UnfitError(ValueError):
    """A sound picture whose values fit no range: it is no damage."""


def is_deep(image: Any) -> bool:
    """Returns whether a picture, opened and not decoded, has colors of 16 bits or a white of its own."""
    if not image.tile or image.mode == "F" or image.mode.startswith("I;16"):
        return False
    if image.format == "PPM":
        return _white(image) not in ((None, 255, 65535) if image.mode == "I" else (None, 255))
    if image.format == "TIFF" and image.mode != "I":
        return max(image.tag_v2.get(258, (8,))) > 8  # bits of a sample
    return image.format == "PNG" and ";16" in _raw_mode(image.tile[0])


def decode(image: Any, file: BinaryIO, opened: Callable, upright: Callable) -> tuple[np.ndarray, int]:
    """Returns (height, width, 1, 3 or 4) whole numbers and the one that is white.

    Args:
        image: for which `is_deep` holds.
        file: that it is read from.
        opened: opens the file anew.
        upright: turns an image by its orientation.

    Raises:
        UnfitError: 16 bits of what is no gray and no RGB.
    """
    if image.format == "PPM":
        return _portable(image, file)
    raw = _raw_mode(image.tile[0])
    if not re.fullmatch("(RGB[AX]?|LA);16[BLN]", raw) or image.mode not in ("RGB", "RGBA"):
        raise UnfitError(f"it has more than 8 bits of a color as {image.mode} {raw}, which is not read; save it in 8")
    swapped = "RGBA" if raw == "LA;16B" else raw[:-1] + _OTHER[raw[-1].replace("N", _NATIVE)]
    file.seek(0)
    with opened(file) as again:
        again.tile = [tile._replace(args=_with(tile.args, swapped)) for tile in again.tile]
        low = np.asarray(upright(again))
    if swapped == "RGBA":  # gray and opacity: the four bytes of a pixel
        bytes_ = low.astype(np.uint16)
        gray, opacity = (bytes_[..., at : at + 1] << 8 | bytes_[..., at + 1 : at + 2] for at in (0, 2))
        return np.concatenate([gray, gray, gray, opacity], axis=-1), 65535
    high = np.asarray(upright(image))
    values = high.astype(np.uint16) << 8 | low
    key = image.info.get("transparency")  # of PNG: one color that stands for what is transparent
    if image.mode == "RGB" and isinstance(key, tuple):
        seen = (values != np.array(key)).any(axis=-1, keepdims=True)
        values = np.concatenate([values, np.where(seen, 65535, 0).astype(np.uint16)], axis=-1)
    return values, 65535


def _raw_mode(tile):
    args = tile.args
    return str(args if isinstance(args, str) else args[0] if args else "")


def _with(args, raw):
    return raw if isinstance(args, str) else (raw, *args[1:])


def _white(image):
    """Returns what a PPM calls white, if it says so."""
    args = image.tile[0].args
    return args[1] if isinstance(args, tuple) and len(args) == 2 and image.tile[0].codec_name != "raw" else None


def _portable(image, file):
    """Reads a PPM or PGM, whose header names its white."""
    file.seek(0)
    data, place, numbers = file.read(), 2, []
    for _ in range(3):
        found = _TOKEN.match(data, place)
        place = found.end()
        numbers.append(int(found[1]))
    width, height, white = numbers
    channels = 3 if data[:2] in (b"P3", b"P6") else 1
    count = width * height * channels
    if data[:2] in (b"P2", b"P3"):
        text = re.sub(rb"#[^\n]*", b"", data[place:]).split()[:count]
        values = np.array([int(one) for one in text], np.uint16)
    else:
        values = np.frombuffer(data[place + 1 :], ">u2" if white > 255 else np.uint8)[:count].astype(np.uint16)
    if len(values) < count:
        raise OSError("image file is truncated")
    return values.reshape(height, width, channels), white

"""Images for people: grids, PNG and GIF files."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen.files import writing


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Maps images in [-1, 1] to gray levels 0 to 255."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def pixels(images: np.ndarray) -> np.ndarray:
    """Maps images (..., H, W, C) in [-1, 1] to levels 0 to 255; colors that nobody sees, of C = 4, become white."""
    out = to_uint8(images)
    if out.shape[-1] == 4:
        out[..., :3][out[..., 3] == 0] = 255
    return out


def on_white(image: np.ndarray) -> np.ndarray:
    """Returns uint8 (H, W, 3) of uint8 (H, W, 4) as it is seen on a white page; others as they are."""
    if image.shape[-1] != 4:
        return image
    dark = (255 - image[..., :3].astype(np.uint32)) * image[..., 3:]
    return (255 - (dark + 127) // 255).astype(np.uint8)


def from_uint8(images: np.ndarray) -> np.ndarray:
    """Maps gray levels 0 to 255 to float32 in [-1, 1]; images that are floats already stay as they are."""
    images = np.asarray(images)
    return images / np.float32(127.5) - np.float32(1) if images.dtype == np.uint8 else images.astype(np.float32)


def colored(classes: np.ndarray, names: Sequence[str] = ()) -> np.ndarray:
    """Shows each class in a color of its own.

    Args:
        classes: (n, H, W), whole numbers from 0 on.
        names: of the classes; those such as `"#0000ff"` are colors.

    Returns:
        float32 (n, H, W, 3) in [-1, 1].
    """
    numbers = np.arange(max(len(names), int(classes.max(initial=0)) + 1))
    # Hues by the golden ratio, so that neighbors differ, at alternating brightness.
    turns = (numbers[:, None] * 0.618034 + np.array([0.6, 0.267, 0.933])) % 1
    palette = (1 - 0.45 * (numbers % 3 == 1))[:, None] * np.clip(np.abs(6 * turns - 3) - 1, 0, 1) * 2 - 1
    for number, name in enumerate(names):
        if re.fullmatch("#[0-9a-f]{6}", name):
            palette[number] = np.array(list(bytes.fromhex(name[1:]))) / 127.5 - 1
    return palette.astype(np.float32)[classes]


def grid(images: np.ndarray, columns: int | None = None, padding: int = 1) -> np.ndarray:
    """Lays images out in rows.

    Args:
        images: (n, H, W, C) in [-1, 1], C = 1, 3, or 4 with opacity. One that is NaN throughout leaves its
            place empty.
        columns: images in a row; a square by default.
        padding: black pixels between two images.

    Returns:
        uint8 (rows * (H + padding) - padding, columns * (W + padding) - padding, C); white where there is no image, and
        with opacity transparent.
    """
    count, height, width, channels = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * (height + padding) - padding, columns * (width + padding) - padding, channels), np.uint8)
    sheet[..., 3:] = 255
    places = [
        (index // columns * (height + padding), index % columns * (width + padding)) for index in range(rows * columns)
    ]
    nothing_there = np.array([255, 255, 255, 0][:channels], np.uint8)
    empty = [*np.isnan(images).all(axis=(1, 2, 3)), *[True] * (rows * columns - count)]
    for (top, left), nothing in zip(places, empty, strict=True):
        if nothing:  # with the lines around it, so that nothing looks like an image that is white
            sheet[max(top - padding, 0) : top + height + padding, max(left - padding, 0) : left + width + padding] = (
                nothing_there
            )
    for (top, left), nothing, image in zip(places, empty, images, strict=False):
        if not nothing:
            sheet[top : top + height, left : left + width] = pixels(image)
    return sheet


def labelled(
    sheet: np.ndarray, rows: Sequence[str] = (), columns: Sequence[str] = (), padding: int = 0, size: int = 14
) -> np.ndarray:
    """Writes texts at the left of a sheet's rows and above its columns, in black on white.

    Args:
        sheet: uint8 (H, W, C) of rows and columns of equal size.
        rows: a text for each, empty where there is nothing to say; its lines that do not fit are left out.
        columns: likewise, of one line; those at the ends keep to the sheet.
        padding: pixels between two rows, and between two columns.
        size: of the letters in pixels.

    Returns:
        uint8, the sheet at its lower right.
    """
    from PIL import Image, ImageDraw, ImageFont

    font, line, gap = ImageFont.load_default(size), math.ceil(1.25 * size), size // 2
    height, width, channels = sheet.shape
    left = math.ceil(max((font.getlength(part) for text in rows for part in text.split("\n")), default=0))
    left += 2 * gap if left else 0
    top = line + gap if any(columns) else 0
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    picture = Image.new(mode, (left + width, top + height), "white")
    picture.paste(Image.fromarray(sheet if channels > 1 else sheet[..., 0]), (left, top))
    pen = ImageDraw.Draw(picture)
    for number, text in enumerate(rows):
        tall = (height + padding) / len(rows)
        lines = text.split("\n")[: max(1, int((tall - padding) // line))]
        middle = top + tall * number + (tall - padding) / 2
        for index, part in enumerate(lines):
            pen.text((gap, middle + line * (index - (len(lines) - 1) / 2)), part, "black", font, anchor="lm")
    for number, text in enumerate(columns):
        wide = (width + padding) / len(columns)
        at = left + wide * number + (wide - padding) / 2 - font.getlength(text) / 2
        at = min(max(at, left), left + width - font.getlength(text))
        pen.text((at, top / 2), text, "black", font, anchor="lm")
    return np.asarray(picture).reshape(top + height, left + width, channels)


def enlarged(image: np.ndarray, smallest: int = 256) -> np.ndarray:
    """Repeats pixels until the longer side has at least `smallest` of them."""
    factor = max(1, -(-smallest // max(image.shape[:2])))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def save_gif(path: str | Path, frames: Sequence[Any], milliseconds: int | Sequence[int] = 80) -> None:
    """Writes images of one size as a GIF that starts again at its end.

    Args:
        path: of the file.
        frames: uint8 (H, W, C), or Pillow's images; what is transparent, in part or not, becomes white.
        milliseconds: that each is shown; one number, or one for each.
    """
    from PIL import Image

    def picture(frame):
        if isinstance(frame, Image.Image):
            return frame
        return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else on_white(frame))

    first, *rest = map(picture, frames)
    pauses = milliseconds if isinstance(milliseconds, int) else list(milliseconds)
    with writing.beside(path) as temporary:
        first.save(temporary, format="GIF", save_all=True, append_images=rest, duration=pauses, loop=0)


def save_png(path: str | Path, image: np.ndarray) -> None:
    """Writes a uint8 image (H, W, C) as PNG."""
    from PIL import Image

    image = image[..., 0] if image.shape[-1] == 1 else image
    with writing.beside(path) as temporary:
        Image.fromarray(image).save(temporary, format="PNG")

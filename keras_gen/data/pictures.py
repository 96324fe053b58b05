"""One picture from its file: its size and whether it is colored, or its pixels."""

from typing import Any, BinaryIO, NamedTuple

import numpy as np

from keras_gen.data import deep, formats
from keras_gen.data.deep import UnfitError

_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width


class Picture(NamedTuple):
    """A decoded image, and what its values may be."""

    pixels: np.ndarray  # (height, width, 1, 3 or 4), uint8
    highest: float
    top: int  # 255, 65535 or what a file calls white: of the range that is assumed
    clear: bool  # some of it is transparent, at least in part


def header(file: BinaryIO) -> tuple[tuple[int, int], bool]:
    """Returns the (height, width) that decoding gives, and whether a picture is colored."""
    with opened(file) as image:
        color = _colored(image)
        width, height = image.size[::-1] if formats.orientation(image, file) in _TURNED else image.size
        return (height, width), color


def decode(file: BinaryIO, range_: tuple[float, float] | None, alpha: bool = False) -> Picture:
    """Decodes one image to uint8.

    Args:
        file: of the image.
        range_: which stored values become black and white; None leaves it to the type.
        alpha: keep transparency as a fourth channel, where there is some; otherwise what is transparent becomes white.

    Raises:
        UnfitError: values of no known range, or beyond the one given.
        Exception: whatever Pillow raises, `errors()`.
    """
    from PIL import Image, ImageOps

    with opened(file) as stored:
        if deep.is_deep(stored):
            return _of_units(*deep.decode(stored, file, opened, ImageOps.exif_transpose), range_, alpha)
        image = ImageOps.exif_transpose(stored)
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            return _deep(image, range_, alpha)
        color, clear = _colored(image), False
        light = 255 if range_ is None else int(min(255, max(0, range_[1])))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            clear = image.getchannel("A").getextrema()[0] < 255
            if alpha and clear:
                pixels = np.array(image)
                pixels[pixels[..., 3] == 0, :3] = light  # colors that nobody sees
                seen = pixels[..., :3][pixels[..., 3] > 0]
                if range_ is not None:
                    pixels[..., :3] = _eight_bits(pixels[..., :3], range_)
                return Picture(pixels, float(seen.max(initial=0)), 255, clear)
            white = Image.new("RGBA", image.size, (light, light, light, 255))
            image = Image.alpha_composite(white, image)
        pixels = np.asarray(image.convert("RGB" if color else "L"))
        high = float(pixels.max(initial=0))
        pixels = pixels if range_ is None else _eight_bits(pixels, range_)
        return Picture(pixels if color else pixels[..., None], high, 255, clear)


def _deep(image, range_, alpha):
    """Returns a picture of more than 8 bits."""
    values = np.asarray(image)
    if image.mode == "F" and range_ is None:
        raise UnfitError("it holds floats, whose range nobody knows; give --range LOW,HIGH")
    if range_ is None and values.size and (values.min() < 0 or values.max() >= 2**16):
        raise UnfitError("it holds 32 bits, whose range nobody knows; give --range LOW,HIGH")
    pixels = _eight_bits(values, range_ or (0, 65535))[..., None]
    key = image.info.get("transparency")  # of PNG: one value that stands for what is transparent
    clear = values == key if isinstance(key, int) else np.zeros(values.shape, bool)
    pixels[clear] = 255
    if alpha and clear.any():
        pixels = np.concatenate([*[pixels] * 3, np.where(clear, 0, 255).astype(np.uint8)[..., None]], axis=-1)
    return Picture(pixels, float(values.max(initial=0)), 65535, bool(clear.any()))


def _of_units(values, white, range_, alpha):
    """Returns a picture of whole numbers up to `white`, perhaps with opacity in a fourth channel."""
    colors = values[..., :3]
    seen = values[..., 3:] / white if values.shape[-1] == 4 else np.ones((*values.shape[:2], 1))
    visible = colors[np.broadcast_to(seen > 0, colors.shape)]
    pixels = _eight_bits(np.where(seen > 0, colors, (range_ or (0, 0))[0]), range_ or (0, white))
    clear = bool((seen < 1).any())
    if clear and alpha:
        pixels = np.where(seen > 0, pixels, 255)  # colors that nobody sees
        pixels = np.concatenate([pixels, np.round(255 * seen)], axis=-1)
    elif clear:
        pixels = np.round(pixels * seen + 255 * (1 - seen))
    return Picture(pixels.astype(np.uint8), float(visible.max(initial=0)), white, clear)


def _eight_bits(values, range_):
    """Returns the 256 levels of values of a range."""
    low, high = range_
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite values")
    if values.size and (values.min() < low or values.max() > high):
        odd = values.min() if values.min() < low else values.max()
        raise UnfitError(f"it holds {odd:.6g}; expected {low:.6g} to {high:.6g}, the range given: give a wider one")
    return np.floor((values.astype(np.float64) - low) * 255 / (high - low) + 0.5).astype(np.uint8)


def opened(file: BinaryIO) -> Any:
    """Opens a picture of one of our formats; of a file by its path, Pillow turns a plain TIFF twice."""
    from PIL import Image

    Image.preinit()
    if "AVIF" not in Image.OPEN:
        Image.init()
    return Image.open(file, formats=[name for name in formats.FORMATS if name in Image.OPEN])


def _colored(image):
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        used = np.unique(np.asarray(image.getchannel("P") if image.mode == "PA" else image))
        used = palette[used[used < len(palette)]]  # palettes hold colors that no pixel has
        return bool((used != used[:, :1]).any())
    return image.mode not in ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def errors() -> tuple[type[Exception], ...]:
    """Returns what a damaged picture raises: Pillow raises what its decoders meet, SyntaxError and struct's too."""
    from PIL import Image

    return (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, EOFError, Image.DecompressionBombError)

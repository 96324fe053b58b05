"""What the values or colors in a map of classes mean, and one map read by it: never by a guess."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gen.data import formats, pictures, tree
from keras_gen.data.messages import plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown

UNKNOWN, CALLED_UNKNOWN = 255, "unknown"  # the value of pixels that nobody has labeled, and its class
MOST = 256  # classes
_LOSSY = ("JPEG", "AVIF", "HEIC")


class Legend(NamedTuple):
    """What the values or colors that maps hold mean: the names of the classes tell it, and go into a model's file.

    Args:
        names: of the classes, in the order of their numbers. Names such as `"#0000ff"` are colors. Of `("0", "255")`,
            black and white masks, they are the values; of others, numbers are values, and 255 is the last class if that
            is called `"unknown"`.
        codes: of the classes: values, or colors as whole numbers.
        colored: whether they are colors.
    """

    names: tuple[str, ...]
    codes: np.ndarray
    colored: bool

    @classmethod
    def of(cls, names: Sequence[str], count: int | None = None) -> "Legend":
        """Returns the legend of a model's classes; of so many, where they have no names."""
        names = tuple(names) or tuple(map(str, range(count or 0)))
        if names and all(re.fullmatch("#[0-9a-f]{6}", name) for name in names):
            return cls(names, np.array([int(name[1:], 16) for name in names]), True)
        codes = np.arange(len(names))
        if names == ("0", str(UNKNOWN)) or names[-1:] == (CALLED_UNKNOWN,):
            codes[-1] = UNKNOWN
        return cls(names, codes, False)

    @classmethod
    def found(cls, codes: Sequence[int], colored: bool, names: Sequence[str] = (), count: int | None = None):
        """Returns the legend of a data set.

        Args:
            codes: that occur in its maps.
            colored: whether they are colors.
            names: of its classes, where it tells them, without the unknown one.
            count: of the classes that are wanted; by default as many as occur.
        """
        if colored:
            return cls.of([f"#{code:06x}" for code in sorted(codes)])
        unknown = UNKNOWN in codes
        if not names and unknown and set(codes) <= {0, UNKNOWN} and count in (None, 2):
            return cls.of(("0", str(UNKNOWN)))
        known = max([1 + code for code in codes if code != UNKNOWN], default=0)
        known = max(1, known, len(names)) if count is None else count - unknown
        names = tuple(names) if len(names) == known else tuple(map(str, range(known)))
        return cls.of((*names, CALLED_UNKNOWN) if unknown else names)

    def classes(self, codes: np.ndarray, where: str) -> np.ndarray:
        """Returns the classes, uint8, of codes.

        Args:
            codes: whole numbers of any shape.
            where: they are, for messages.

        Raises:
            UsageError: one means nothing.
        """
        order = np.argsort(self.codes)
        index = order[np.minimum(np.searchsorted(self.codes, codes, sorter=order), len(order) - 1)]
        strange = self.codes[index] != codes
        if strange.any():
            raise UsageError(f"{where} holds {self._strange(int(codes[strange][0]))}")
        return index.astype(np.uint8)

    def _strange(self, code):
        if self.colored:
            known = f"{len(self.names)} colors such as {self.names[0]}"
            return f"the color #{code:06x}; expected one of {known}: give a map of the same colors"
        last = "" if self.codes[-1] != UNKNOWN else f", or {UNKNOWN}"
        inside = len(self.codes) - bool(last)
        told = f"the value {code}" + (" (unknown)" if code == UNKNOWN else "")
        return f"{told}; expected classes 0 to {inside - 1}{last}, of num_classes {len(self.codes)}"


def read(path: Path, legend: Legend) -> np.ndarray:
    """Returns one map by the rules of the data that a model was trained on.

    Args:
        path: of the picture.
        legend: of the model's classes.

    Returns:
        uint8 (height, width).

    Raises:
        UsageError: it holds what is none of the classes, or is a JPEG.
        DamagedError: it cannot be read.
    """
    files = tree.Tree(path.parent, path.name)
    codes, colored = decoded(files, tree.Name(path.name))
    if colored != legend.colored:
        kinds = "one value a pixel", "colors"
        raise UsageError(f"{shown(path)} holds {kinds[colored]}; this model reads maps of {kinds[legend.colored]}")
    return legend.classes(codes, shown(path))


def decoded(files: tree.Tree, name: tree.Name) -> tuple[np.ndarray, bool]:
    """Returns the codes of one map, (height, width), and whether they are colors.

    Args:
        files: that it is one of.
        name: of the picture.

    Raises:
        UsageError: a format that keeps no values, or transparency.
        DamagedError: it cannot be read.
    """
    from PIL import ImageOps

    where = files.called(name, 80)
    kind = formats.format_of(files.head(name, formats.HEAD), name.suffix)
    if kind in _LOSSY:
        raise UsageError(f"{where} is a {kind}, in which values and colors of a map do not survive; expected a PNG")
    try:
        with files.open(name) as file, pictures.opened(file) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode in ("LA", "RGBA", "PA"):
                if image.getchannel("A").getextrema()[0] < 255:
                    raise UsageError(f"{where} is transparent in part; expected a class in each pixel")
                image = image.getchannel(0) if image.mode != "RGBA" else image.convert("RGB")
            if image.mode in ("RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"):
                red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(np.int32), 2, 0)
                return red << 16 | green << 8 | blue, True
            values = np.asarray(image.convert("L") if image.mode == "1" else image)  # of "P" the indices
    except (*pictures.errors(), *tree.ERRORS) as error:
        if isinstance(error, UsageError):
            raise
        reason = plain(getattr(error, "strerror", None) or "it is no picture that is known", 60)
        raise DamagedError(f"cannot read {where}: {reason}; repair or remove it") from None
    return values_of(values, where), False


def values_of(values: np.ndarray, where: str) -> np.ndarray:
    """Returns the values of gray maps as they are, uint8, if they can be classes.

    Args:
        values: of any shape.
        where: they are, for messages.

    Raises:
        UsageError: fractions, or values that are below 0 or above 255.
    """
    low, high = values.min(initial=0), values.max(initial=0)
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        raise UsageError(f"{where} holds fractions; expected classes, whole numbers from 0 to {MOST - 1}")
    if not 0 <= low <= high < MOST:
        raise UsageError(f"{where} holds the value {low if low < 0 else high}; expected classes 0 to {MOST - 1}")
    return values.astype(np.uint8)

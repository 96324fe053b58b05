"""What the named tensors of data are: the one table of their ranges, and of what counts their values."""

from typing import NamedTuple


class Kind(NamedTuple):
    """What a named tensor holds.

    Args:
        picture: whether it holds images: float32 in [-1, 1], held as bytes of 0 to 255 or served so.
        counted: the model's attribute that tells how many values there are, whole numbers from 0 on, held as bytes or
            wider, and served as int32; empty where any number is one.
        least: the least number that has a meaning.
        most: the largest one; `None` for no end above.
    """

    picture: bool = False
    counted: str = ""
    least: float | None = None
    most: float | None = None


PICTURE = Kind(picture=True)
NUMBERS = Kind()
KINDS = {
    "image": PICTURE,
    "source": PICTURE,
    "target": PICTURE,
    "content": PICTURE,
    "style": PICTURE,
    "segmentation": Kind(counted="num_classes"),
    "label": Kind(counted="num_classes"),
    "token": Kind(counted="vocabulary"),
    "truncation": Kind(least=0.0),
    "strength": Kind(least=0.0, most=1.0),
}


def kind_of(name: str) -> Kind:
    """Returns the kind of a named tensor; one that the table does not hold is of plain numbers."""
    return KINDS.get(name, NUMBERS)

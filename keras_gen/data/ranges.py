"""The range of stored values: which number is black and which is white, by an option or an assumption that is said."""

import math

from keras_gen.data.messages import brief, notice
from keras_gen.errors import UsageError

SLACK = 1e-3  # by which a float may leave its range: resampled images do
_SLIGHT = 0.01  # of the highest value: below 0 by less than this, and by SLACK, a float is black
_NEAR = 0.8  # what images of -1 to 1 reach below 0, all together
_FAR = 0.5  # of the range assumed: a set whose highest value is below this share of it is not of that range


def request(value: object) -> tuple[float, float] | None:
    """Checks the range that a caller gives.

    Args:
        value: (lowest, highest): what becomes black, and what becomes white; None leaves it to the data.

    Raises:
        UsageError: it is none.
    """
    if value is None:
        return None
    try:
        low, high = map(float, value)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(
            f"range is {brief(value, 40)}; expected (lowest, highest) of the stored values, such as (0, 16), or None"
        ) from None
    return low, high


def likely(high: float, low: float = 0.0, whole: bool = True) -> tuple[float, float]:
    """Returns the range that values up to this one likely have: of whole numbers beyond 255, that of their bits."""
    if low >= 0 and whole and high > 255:
        high = next((float(top) for top in (1023, 4095, 16383, 65535) if high <= top), high)
    return min(low, 0.0), high


def advice(low: float, high: float) -> str:
    """Returns the option that scales values of a range, on the command line and in Python."""
    return f"--range {low:.6g},{high:.6g} (in Python range=({low:.6g}, {high:.6g}))"


def tell(where: str, highest: float, low: float, high: float, lowest: float = 0.0, scalable: bool = True) -> None:
    """Says so where the values of a whole set stay far below the range that was assumed for them.

    Args:
        where: what messages call the set.
        highest: of all its values.
        low: of the range assumed.
        high: of the range assumed.
        lowest: of all its values.
        scalable: another range can be given.
    """
    if highest <= (lowest if low < 0 else low):
        return notice(f"{where} holds {highest:g} only, in every pixel of every image: is that what you mean?")
    if low < 0:
        return _tell_signed(where, lowest, highest)
    if highest >= _FAR * high:
        return None
    way_out = f"if that is white, give {advice(*likely(highest))}"
    way_out = way_out if scalable else "look at some, or scale them in an .npz file"
    told = f"its highest value is {highest:.6g}: dark or gray images"
    return notice(f"{where} is read as {low:g} to {high:g}, and {told}; {way_out}")


def _tell_signed(where, lowest, highest):
    """Says so where values that were taken for -1 to 1, since some are below 0, leave much of it out."""
    if lowest <= -_NEAR and highest > 0:
        return
    reach = max(highest, -lowest)
    even = reach < _NEAR and min(highest, -lowest) > _FAR * reach
    ends = (-reach, reach) if even else (lowest, highest)
    told = f"runs from {lowest:.3g} to {highest:.3g}: gray images"
    notice(f"{where} is read as -1 to 1, and {told}; if that is black to white, give {advice(*ends)}")


def none_below(low: float, high: float) -> bool:
    """Returns whether floats have no value below 0 but what resampling and rounding leave there."""
    return low >= 0 or (low >= -SLACK and -low <= _SLIGHT * high)

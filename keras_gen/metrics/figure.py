"""A number with what it takes to compare it: how many samples, of which split, on which features."""

from collections.abc import Iterable
from dataclasses import dataclass

from keras_gen.errors import UsageError


@dataclass(frozen=True)
class Figure:
    """One result of an evaluation.

    Figures on different features must not be compared: `<`, `>`, `-` and `/` raise.

    Args:
        value: the number.
        n_real: real examples behind it.
        n_fake: fakes behind it.
        split: of the real examples.
        features: what was measured on.
        digest: of the feature extractor: equal digests mean equal features.
    """

    value: float
    n_real: int
    n_fake: int
    split: str
    features: str
    digest: str

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        return (
            f"{self.value:.4g} ({self.n_real:,} real of {self.split}, {self.n_fake:,} fake, "
            f"{self.features} {self.digest[:8]})"
        )

    def __lt__(self, other: "Figure") -> bool:
        side_by_side((self, other))
        return self.value < other.value

    def __gt__(self, other: "Figure") -> bool:
        side_by_side((self, other))
        return self.value > other.value

    def __le__(self, other: "Figure") -> bool:
        side_by_side((self, other))
        return self.value <= other.value

    def __ge__(self, other: "Figure") -> bool:
        side_by_side((self, other))
        return self.value >= other.value

    def __sub__(self, other: "Figure") -> float:
        side_by_side((self, other))
        return self.value - other.value

    def __truediv__(self, other: "Figure") -> float:
        side_by_side((self, other))
        return self.value / other.value


def side_by_side(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Returns the figures, which may now be printed in one table.

    Args:
        figures: of several models, or several figures of one.

    Raises:
        UsageError: two of them are on different features.
    """
    figures = tuple(figures)
    for figure in figures:
        if not isinstance(figure, Figure):
            raise UsageError(f"{str(figure)[:40]!r} is no Figure; a bare number does not say what it was measured on")
    digests = {figure.digest: figure.features for figure in figures}
    if len(digests) > 1:
        (one, a), (other, b) = list(digests.items())[:2]
        raise UsageError(
            f"figures on {a[:30]} {one[:8]} and {b[:30]} {other[:8]} cannot be compared; evaluate both with one judge"
        )
    return figures

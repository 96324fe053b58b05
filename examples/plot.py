"""Figures with axes for the examples, by matplotlib."""

import sys
from typing import Any

import numpy as np

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
except ModuleNotFoundError:
    sys.exit("error: this example draws its plots with matplotlib: pip install -e '.[examples]'")

BLUE, ORANGE, GREEN, GRAY = "#1f57a5", "#dd6e14", "#1e8246", "#969696"


def figure(rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """Returns a figure that needs no screen, and its axes, of 600x390 pixels each.

    Args:
        rows: of axes.
        columns: of axes.
        **options: of `matplotlib.figure.Figure.subplots`.
    """
    found = Figure((6 * columns, 3.9 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(found)
    axes = found.subplots(rows, columns, **options)
    for one in np.ravel(axes):
        one.spines[["top", "right"]].set_visible(False)
        one.grid(axis="y", color="#e1e1e1")
        one.set_axisbelow(True)
    return found, axes


def pixels(drawn: Figure) -> np.ndarray:
    """Returns what a figure shows, uint8 (height, width, 3)."""
    drawn.canvas.draw()
    return np.array(drawn.canvas.buffer_rgba())[..., :3]

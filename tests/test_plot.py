"""Examples that plot say what they need; those that draw images alone need nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def without_matplotlib(code):
    code = f"import sys; sys.modules['matplotlib'] = None; sys.path.insert(0, {str(EXAMPLES)!r}); {code}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_a_missing_matplotlib_is_one_line():
    out = without_matplotlib("import plot")
    assert out.returncode == 1
    assert out.stderr.count("\n") == 1 and "pip install -e '.[examples]'" in out.stderr


def test_only_examples_with_axes_need_it():
    needing = {
        str(path.relative_to(EXAMPLES))
        for path in EXAMPLES.rglob("*.py")
        if "from plot import" in path.read_text(encoding="utf-8")
    }
    assert needing == {"bounds.py", "compression.py", "latent_gaps.py", "theory.py", "benchmarks/scaling.py"}
    assert [path.name for path in EXAMPLES.rglob("*.py") if "matplotlib" in path.read_text(encoding="utf-8")] == [
        "plot.py"
    ]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (1, 2)])
def test_a_figure_has_axes_of_600_by_390_pixels(rows, columns):
    import plot

    drawn, axes = plot.figure(rows, columns)
    assert np.size(axes) == rows * columns
    for one in np.ravel(axes):
        one.plot([0, 1], [0, 1], color=plot.BLUE)
    picture = plot.pixels(drawn)
    assert picture.shape == (390 * rows, 600 * columns, 3) and picture.dtype == np.uint8
    parts = [part for band in np.split(picture, rows) for part in np.split(band, columns, axis=1)]
    for part in parts:
        assert np.mean(np.abs(part.astype(int) - (31, 87, 165)).max(axis=-1) < 40) > 1e-3

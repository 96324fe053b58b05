"""The pictures of the theory are drawn, and their numbers are those of the theory."""

import math
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

EXAMPLE = Path(__file__).parents[2] / "examples" / "theory.py"


def run(folder, steps, capsys):
    """Runs the example; returns what it printed and the table of its GAN: rows of step, JSD, C(G) and |D - D*|."""
    runpy.run_path(str(EXAMPLE))["main"](["--output", str(folder), "--steps", str(steps)])
    text = capsys.readouterr().out
    rows = re.findall(r"^ +(\d+) +([\d.]+) +([-+][\d.]+) +([\d.]+)$", text, re.MULTILINE)
    return text, np.array(rows, float)


def colored(image, color, near=40):
    return np.mean(np.abs(np.asarray(image, int)[..., :3] - color).max(axis=-1) < near)


def test_every_picture_is_drawn_and_every_number_printed(tmp_path, capsys):
    text, rows = run(tmp_path, 4, capsys)
    value = {name: float(number) for name, number in re.findall(r"^  (.+?) {2,}(\d\.\d{4})", text, re.MULTILINE)}
    entropy, length = value["entropy H"], value["Huffman code"]
    assert entropy <= length < entropy + 1 and value["code of the reversed law"] > length
    assert value["ideal code of that law"] == pytest.approx(entropy + value["KL"], abs=2e-4)
    # Where D is sure that a fake is one (first column): no gradient in the minimax loss, all of it in the other.
    gradient = {
        name: float(first) for name, first in re.findall(r"^  ([a-z -]+?) +[-\d.]+ \( *([-\d.]+)\)", text, re.M)
    }
    assert gradient == {"minimax": -0.0025, "non-saturating": -0.9975, "maximum likelihood": -0.0025}
    assert list(rows[:, 0]) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(rows[:, 2], -math.log(4) + 2 * rows[:, 1], atol=2e-4)

    code, losses = Image.open(tmp_path / "code_lengths.png"), Image.open(tmp_path / "generator_losses.png")
    assert code.size == (600, 390) and losses.size == (1200, 390)
    for color in ((31, 87, 165), (221, 110, 20)):
        assert colored(code, color) > 0.05
        assert colored(losses, color) > 0.002
    with Image.open(tmp_path / "gan.gif") as gif:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(gif)]
        assert gif.info["loop"] == 0
    assert len(frames) == 5 and frames[0].size == (600, 780) == Image.open(tmp_path / "gan.png").size
    assert all(np.any(np.asarray(a) != np.asarray(b)) for a, b in zip(frames, frames[1:], strict=False))
    assert {path.name for path in tmp_path.iterdir()} == {
        "code_lengths.png",
        "generator_losses.png",
        "gan.gif",
        "gan.png",
    }


@pytest.mark.slow
def test_the_generator_s_law_approaches_that_of_the_data(tmp_path, capsys):
    _, rows = run(tmp_path, 1000, capsys)
    _, divergence, value, gap = rows[-1]
    assert rows[0, 1] > 0.3 and divergence < 0.01
    assert value == pytest.approx(-math.log(4), abs=0.02)
    assert gap < 0.03, "the discriminator ends at its optimum"

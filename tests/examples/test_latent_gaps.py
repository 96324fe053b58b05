"""The example of the gaps between codes prints its table, draws its picture, and shows what it says."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "latent_gaps.py"


def run(folder, steps, capsys):
    """Runs the example; returns its table by rows, as distances of the autoencoder and of the VAE."""
    runpy.run_path(str(EXAMPLE))["main"](["--output", str(folder / "gaps.png"), "--steps", str(steps)])
    rows = re.findall(r"^(\S.*?) {2,}([\d.]+)(?: +([\d.]+))?$", capsys.readouterr().out, re.MULTILINE)
    return {name: (float(first), float(second) if second else None) for name, first, second in rows}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_it_prints_four_rows_and_draws_both_models(tmp_path, capsys):
    found = run(tmp_path, 20, capsys)
    assert list(found) == [
        "other real images, as they are",
        "their codes",
        "N(0, I)",
        "the Gaussian that fits the codes",
    ]
    real = found["other real images, as they are"]
    assert real[0] == real[1] and found["the Gaussian that fits the codes"][1] is None
    assert all(value > 5 * real[0] for name in ("their codes", "N(0, I)") for value in found[name])
    with Image.open(tmp_path / "gaps.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (780, 1200, 3)
    for half in (pixels[:390], pixels[390:]):
        for color in ((31, 119, 180), (214, 39, 40), (23, 190, 207)):
            assert np.mean(np.abs(half - color).max(axis=-1) < 40) > 2e-5
        decoded = half[40:, 620:]
        assert np.ptp(decoded, axis=-1).max() == 0, "decoded digits are gray"
        assert np.mean(decoded < 100) > 0.1


@pytest.mark.slow
def test_gaps_are_the_autoencoder_s(tmp_path, capsys):
    """At N(0, I) the autoencoder is far off and the VAE is not; the fitted Gaussian closes most of the gap."""
    found = run(tmp_path, 1500, capsys)
    (codes, their_codes), (prior, their_prior) = found["their codes"], found["N(0, I)"]
    fitted, _ = found["the Gaussian that fits the codes"]
    assert prior > 10 * codes and prior > 2 * their_prior
    assert their_prior < 1.5 * their_codes
    assert codes < fitted < 0.2 * prior

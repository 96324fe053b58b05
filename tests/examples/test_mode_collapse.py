"""The example of mode collapse counts modes rightly, prints its table, draws its pictures, and shows what it says."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

EXAMPLE = Path(__file__).parents[2] / "examples" / "mode_collapse.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_the_data_have_all_modes_and_99_percent_are_good(example, name, modes):
    toy = example["TOYS"][name]
    data = example["draw"](toy, 200_000, seed=0)
    assert data.shape == (200_000, 1, 1, 2) and data.dtype == np.float32 and np.abs(data).max() < 0.8
    found, good = example["count"](data, toy)
    assert found == modes == len(toy.centers)
    assert good == pytest.approx(1 - np.exp(-9 / 2), abs=1e-3), "a round Gaussian within 3 standard deviations"


def test_the_laws_are_those_of_the_paper_up_to_their_scale(example):
    ring, grid = example["TOYS"]["ring"], example["TOYS"]["grid"]
    radius = np.linalg.norm(ring.centers, axis=1)
    np.testing.assert_allclose(radius, 100 * ring.scale)
    spacing = np.unique(grid.centers[:, 0])
    np.testing.assert_allclose(np.diff(spacing), 2 / 0.05 * grid.scale)


def test_a_collapsed_game_has_the_modes_that_it_hits(example):
    ring = example["TOYS"]["ring"]
    rng = np.random.default_rng(0)
    for hit in (1, 3):
        samples = ring.centers[rng.integers(hit, size=10_000)] + rng.normal(0, ring.scale, (10_000, 2))
        assert example["count"](samples, ring)[0] == hit
    assert example["count"](np.zeros((10_000, 2)), ring) == (0, 0.0)


def test_a_mode_counts_from_20_good_samples(example):
    ring = example["TOYS"]["ring"]
    samples = np.repeat(ring.centers, (20, 19, 20, 0, 0, 0, 0, 1000), axis=0)
    assert example["count"](samples, ring) == (3, 1.0)


def run(example, folder, capsys, *arguments):
    """Runs the example; returns what it printed, and its table as {(toy, row): (modes of each seed, median, good)}."""
    example["main"]([*map(str, arguments), "--output", str(folder)])
    text = capsys.readouterr().out
    rows, toy = {}, None
    for line in text.splitlines():
        if line.startswith(("ring", "grid")):
            toy = line.split()[0]
        if found := re.match(r"(\S.*?) {2,}([\d ]*\d) +(\d+) +([\d.]+)%", line):
            name, seeds, median, good = found.groups()
            rows[toy, name] = ([int(modes) for modes in seeds.split()], int(median), float(good) / 100)
    return text, rows


@pytest.mark.slow
def test_it_prints_its_table_and_draws_what_it_made(example, tmp_path, capsys):
    text, rows = run(
        example, tmp_path, capsys, "--models", "GAN", "WGAN-GP", "--toys", "ring", "--steps", 4, "--seeds", 1
    )
    assert list(rows) == [("ring", name) for name in ("the data", "GAN", "WGAN-GP")]
    assert rows["ring", "the data"][:2] == ([8], 8)
    assert all(seeds == [median] for seeds, median, _ in rows.values())
    assert "low diversity" in text, "an untrained generator draws nearly the same point always"
    with Image.open(tmp_path / "modes.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    for color in ((31, 87, 165), (221, 110, 20)):
        assert np.mean(np.abs(pixels - color).max(axis=-1) < 60) > 1e-4
    with Image.open(tmp_path / "collapse.gif") as gif:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)]
        assert gif.info["loop"] == 0
    assert len(frames) == 5 and any(np.any(frames[0] != frame) for frame in frames[1:])
    assert (tmp_path / "collapse.gif").stat().st_size < 300_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("toy", "name", "least"),
    [("ring", "GAN", 6), ("ring", "WGAN-GP", 8), ("ring", "SNGAN", 8), ("grid", "WGAN-GP", 24), ("grid", "SNGAN", 24)],
)
def test_modes_are_found(example, toy, name, least):
    toy = example["TOYS"][toy]
    result = example["play"](example["GAMES"][name], toy, toy.steps, seed=0)
    assert result.modes >= least
    assert not result.alarm


@pytest.mark.slow
def test_a_large_gan_collapses_and_the_callback_says_so(example):
    ring = example["TOYS"]["ring"]
    result = example["play"](example["GAMES"]["GAN 4x512"], ring, ring.steps, seed=0)
    assert result.modes <= 2
    assert "low diversity" in result.alarm

"""Decibels of equivariance: of a continuous image that is known exactly, and of errors that are."""

import numpy as np
import pytest
from planted import Bug
from tiny import refused

from keras_gen.metrics.equivariance import Equivariance, _turned, equivariance

N = 6


def exact(error=0.0, side=32, turns=True, moves=True, frequency=3.0, contrast=1.0):
    """Returns what samples waves of up to so many cycles an image at points that move and turn, plus an error."""
    rng = np.random.default_rng(0)
    direction, phase = rng.uniform(0, 2 * np.pi, (2, N, 1, 1))
    place = (np.arange(side) + 0.5) / side - 0.5

    def synthesize(shift, angle):
        angle = np.radians(angle)[:, None, None] * turns
        x, y = (place - shift[:, None, :1] * moves)[:, 0][:, None], (place - shift[:, 1:] * moves)[:, :, None]
        x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
        waves = np.cos(2 * np.pi * frequency * (np.cos(direction) * x + np.sin(direction) * y) + phase)
        moved = (shift.any(axis=1) | (angle != 0).any(axis=(1, 2)))[:, None, None]
        return contrast * (waves + error * moved)[..., None]

    return synthesize


def test_a_continuous_image_is_equivariant():
    found = equivariance(exact(), N)
    assert found.eq_t > 110 and found.eq_t_fractional > 45 and found.eq_r > 45, found
    assert found.eq_t_peak - found.eq_t == pytest.approx(10 * np.log10(4 / 0.5), abs=0.5)  # of waves of variance 1/2


def test_a_known_error_gives_its_decibels_whatever_the_contrast():
    """All filters leave a constant as it is."""
    for contrast in (1.0, 0.1):
        found = equivariance(exact(error=0.05, contrast=contrast), N)
        for name in ("eq_t", "eq_t_fractional", "eq_r"):
            of_paper = getattr(found, f"{name}_peak")
            assert of_paper == pytest.approx(20 * np.log10(2 / (0.05 * contrast)), abs=0.2), (name, found)
            assert getattr(found, name) == pytest.approx(10 * np.log10(0.5 / 0.05**2), abs=0.5)


def test_an_image_that_does_not_turn_or_move_is_found():
    assert equivariance(exact(turns=False), N).eq_r < 5 < 45 < equivariance(exact(turns=False), N).eq_t_fractional
    found = equivariance(exact(moves=False), N)
    assert found.eq_t < 10 and found.eq_t_fractional < 10 and found.eq_r > 45


def test_frequencies_that_a_turn_loses_are_not_counted_against_it():
    """Noise of single pixels is full of them: it loses as much power by being turned as by the filter of a turn."""
    noise = np.random.default_rng(0).normal(size=(64, 64, 1))
    for angle in (30, 45, -100):
        turned, mask, filtered = _turned(noise, angle, noise)
        power = [np.square(value)[mask].mean() for value in (turned, filtered)]
        assert power[0] == pytest.approx(power[1], rel=0.15) and max(power) < 0.9, (angle, power)


def test_angles_are_counterclockwise_and_shifts_to_the_right_and_down():
    def mirrored(shift, angle):
        return exact()(shift, -angle)

    assert equivariance(mirrored, N).eq_r < 5

    def swapped(shift, angle):
        return exact()(shift[:, ::-1], angle)

    assert equivariance(swapped, N).eq_t < 10


def test_images_too_small_to_be_turned_and_images_of_another_form():
    small = equivariance(exact(side=8, frequency=1.0), N)
    assert np.isnan(small.eq_r) and small.eq_t > 100 and isinstance(small, Equivariance)
    constant = equivariance(lambda shift, angle: np.ones((N, 16, 16, 1)), N)
    assert np.isfinite(constant.eq_t) and min(constant[3:]) > 150, "every filter leaves it as it is"
    says = rf"images have shape \({N}, 8, 9, 1\); expected \({N}, H, H, C\)"
    refused(lambda: equivariance(lambda shift, angle: np.zeros((N, 8, 9, 1)), N), says)


BUGS = (
    Bug(
        "equivariance: turned the other way",
        "metrics/equivariance.py",
        "source = np.stack([sin * x + cos * y, cos * x - sin * y])",
        "source = np.stack([cos * y - sin * x, cos * x + sin * y])",
        ("test_a_continuous_image_is_equivariant",),
    ),
    Bug(
        "equivariance: half a pixel between the grids",
        "metrics/equivariance.py",
        "source * FINER, order=3",
        "source * FINER + FINER / 2, order=3",
        ("test_a_continuous_image_is_equivariant",),
    ),
    Bug(
        "equivariance: the moved image keeps frequencies that the turned one has lost",
        "metrics/equivariance.py",
        'filtered = fftconvolve(moved, at_pixels[..., None], "same", axes=(0, 1))',
        "filtered = moved",
        ("test_frequencies_that_a_turn_loses_are_not_counted_against_it",),
    ),
    Bug(
        "equivariance: fractions by a filter whose sum is not 1",
        "metrics/equivariance.py",
        "return _lanczos(apart) / _lanczos(taps).sum(), full",
        "return _lanczos(apart), full",
        ("test_images_too_small_to_be_turned_and_images_of_another_form",),
    ),
    Bug(
        "equivariance: contrast counts",
        "metrics/equivariance.py",
        "variance = still.var(axis=(1, 2)).mean()",
        "variance = 0.5",
        ("test_a_known_error_gives_its_decibels_whatever_the_contrast",),
    ),
)

"""Low-pass filters and resampling by matrices: beside scipy's, and by what a signal must keep."""

import numpy as np
import pytest
import scipy.signal
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.layers.filters import downsampling, lowpass, margins, radial_lowpass, upsampling
from keras_gen.networks.alias_free import bands, factors

DESIGNS = [(12, 2, 6, 32), (12, 16, 3.6983, 64), (24, 4, 4, 64), (4, 2, 6, 32), (12, 2, 0.5, 32)]


@pytest.mark.parametrize("taps, cutoff, half_width, rate", DESIGNS)
def test_filter_is_that_of_scipy(taps, cutoff, half_width, rate):
    theirs = scipy.signal.firwin(taps, cutoff, width=2 * half_width, fs=rate)
    np.testing.assert_allclose(lowpass(taps, cutoff, half_width, rate), theirs, atol=1e-12)
    assert lowpass(1, cutoff, half_width, rate) == [1]


def test_filter_is_that_of_the_official_program():
    np.testing.assert_allclose(
        lowpass(12, 2, 6, 32)[:6], [0.000792, 0.010018, 0.038950, 0.092413, 0.156526, 0.201302], atol=1e-6
    )


def response(kernel, frequency, angle):
    """Returns how much of a plane wave of a frequency, in cycles per sample, passes a filter in a direction."""
    x = np.arange(len(kernel)) - (len(kernel) - 1) / 2
    across = x[:, None] * np.sin(angle) + x * np.cos(angle)
    return (kernel * np.cos(2 * np.pi * frequency * across)).sum()


def test_radial_filter_passes_the_same_in_all_directions_and_a_separable_one_does_not():
    """Of a cutoff of 8 cycles at a rate of 64, with nothing from 16 on: far below it, at it, and there."""
    radial, line = radial_lowpass(12, 8, 8, 64), lowpass(12, 8, 8, 64)
    for frequency, low, high in ((0.03, 0.95, 1.0), (0.125, 0.4, 0.5), (0.25, -0.01, 0.011)):
        found = [response(radial, frequency, angle) for angle in np.linspace(0, np.pi / 2, 7)]
        assert low < min(found) <= max(found) < high and np.ptp(found) < 0.01, (frequency, found)
    separable = np.outer(line, line)
    across = [response(separable, 0.18, angle) for angle in (0, np.pi / 4)]
    assert np.ptp(across) > 0.02 > np.ptp([response(radial, 0.18, angle) for angle in (0, np.pi / 4)])
    assert radial.sum() == pytest.approx(1) and np.allclose(radial, radial.T, atol=1e-15)


@pytest.mark.parametrize("up, down, padding", [(2, 2, (9, 8)), (4, 2, (-6, -9)), (2, 1, (3, 5))])
def test_matrices_filter_as_scipy_does(up, down, padding):
    signal = np.random.default_rng(0).normal(size=38)
    up_kernel, down_kernel = lowpass(6 * up, 2, 6, 16 * up), lowpass(6 * down if down > 1 else 1, 2, 6, 32)
    matrix = upsampling(38, up, up_kernel, padding)
    stretched = np.zeros(38 * up)
    stretched[::up] = signal
    before, after = padding
    padded = np.pad(stretched, (max(before, 0), max(after, 0)))
    padded = padded[max(-before, 0) : len(padded) - max(-after, 0)]
    finer = up * scipy.signal.correlate(padded, up_kernel, "valid")
    np.testing.assert_allclose(matrix @ signal, finer, atol=1e-12)
    coarser = scipy.signal.correlate(finer, down_kernel, "valid")[::down]
    np.testing.assert_allclose(downsampling(len(finer), down, down_kernel) @ finer, coarser, atol=1e-12)


@pytest.mark.parametrize("size, result, up, down", [(38, 36, 2, 2), (38, 52, 4, 2), (54, 32, 2, 2), (28, 36, 2, 1)])
def test_a_wave_stays_where_it_is(size, result, up, down):
    """Both grids have their middle in the middle of the image: a wave about it is the same function on either."""
    up_kernel, down_kernel = lowpass(6 * up, 2, 6, 16 * up), lowpass(6 * down if down > 1 else 1, 2, 6, 16 * up)
    padding = margins(size, result, up, down, len(up_kernel), len(down_kernel))
    matrix = upsampling(size, up, up_kernel, padding)
    matrix = downsampling(len(matrix), down, down_kernel) @ matrix
    assert matrix.shape == (result, size)
    coarse, fine = (np.arange(n) - (n - 1) / 2 for n in (size, result))
    made = matrix @ np.cos(0.1 * coarse + 0.7)
    inside = np.abs(fine) * down / up < size / 2 - 7
    np.testing.assert_allclose(made[inside], np.cos(0.1 * fine * down / up + 0.7)[inside], atol=0.02)
    middle = np.abs(fine) * down / up < 4
    np.testing.assert_allclose((matrix @ coarse)[middle], (fine * down / up)[middle], atol=0.01)  # a ramp, to a place


def test_bands_are_those_of_the_official_program():
    found = bands(32, 1, layers=8, base=2048, largest=64)
    assert [band.size for band in found] == [36, 36, 36, 52, 52, 52, 52, 32, 32]
    assert [band.rate for band in found] == [16] * 3 + [32] * 6
    cutoffs = [2, 2.8284, 4, 5.6569, 8, 11.3137, 16, 16, 16]
    np.testing.assert_allclose([band.cutoff for band in found], cutoffs, atol=1e-4)
    halves = [6, 5.1716, 4, 10.3431, 8, 4.6863, 3.6983, 3.6983, 3.6983]
    np.testing.assert_allclose([band.half_width for band in found], halves, atol=1e-4)
    assert [band.critical for band in found] == [False] * 6 + [True] * 3
    assert [band.channels for band in found] == [64] * 8 + [1]
    before = [found[0], *found[:-1]]
    pairs = [factors(a, b) for a, b in zip(before[:-1], found[:-1], strict=True)]  # the last one resamples nothing
    assert pairs == [(2, 2)] * 3 + [(4, 2)] + [(2, 2)] * 4
    paddings = [
        margins(a.size + 2, b.size, up, down, 6 * up, 6 * down)
        for a, b, (up, down) in zip(before[:-1], found[:-1], pairs, strict=True)
    ]
    assert paddings == [(9, 8)] * 3 + [(-6, -9)] + [(9, 8)] * 3 + [(-11, -12)]


@pytest.mark.parametrize("side", [8, 16, 32, 64, 128, 256, 512, 1024])
def test_bands_of_any_size_lie_below_half_of_their_rates(side):
    for layers in (6, 14):
        found = bands(side, 3, layers)
        assert len(found) == layers + 1 and found[-1].size == side and found[-1].channels == 3
        for band in found:
            assert band.cutoff <= band.rate / 2 and band.rate & (band.rate - 1) == 0
            assert band.cutoff + band.half_width >= band.rate / 2 and band.rate <= side
        assert found[0].channels == 512 and all(a.rate <= b.rate for a, b in zip(found, found[1:], strict=False))
    assert bands(1024, 3)[11].channels == 51 and bands(1024, 3)[7].size == 276


def test_sizes_that_have_no_bands_are_refused():
    for side in (4, 28, 48, 2048):
        with pytest.raises(UsageError, match=f"images have {side} pixels on a side; expected a power of two"):
            bands(side, 1)
    with pytest.raises(UsageError, match="layers is 2 and critical is 2; expected more layers"):
        bands(32, 1, layers=2)


BUGS = (
    Bug(
        "filters: upsampling without its gain",
        "layers/filters.py",
        "return factor * np.where",
        "return np.where",
        ("test_matrices_filter_as_scipy_does", "test_a_wave_stays_where_it_is"),
    ),
    Bug(
        "filters: half a sample aside",
        "layers/filters.py",
        "before = (total + up) // 2",
        "before = total // 2",
        ("test_a_wave_stays_where_it_is", "test_bands_are_those_of_the_official_program"),
    ),
    Bug(
        "filters: a window for half of the transition band",
        "layers/filters.py",
        "(4 * half_width / rate)",
        "(2 * half_width / rate)",
        ("test_filter_is_that_of_scipy", "test_filter_is_that_of_the_official_program"),
    ),
    Bug(
        "filters: R's is separable",
        "layers/filters.py",
        "radius = np.hypot(x[:, None], x)",
        "radius = np.maximum(np.abs(x[:, None]), np.abs(x))",
        ("test_radial_filter_passes_the_same_in_all_directions_and_a_separable_one_does_not",),
    ),
)

"""Low-pass filters of a chosen cutoff and transition band, and resampling by them as matrices: numpy alone."""

import numpy as np


def lowpass(taps: int, cutoff: float, half_width: float, rate: float) -> np.ndarray:
    """Returns a low-pass filter (taps,), a sinc under a Kaiser window, whose sum is 1.

    Args:
        taps: its length; of 1 it is the identity.
        cutoff: frequency at which half of the amplitude passes.
        half_width: of the transition band, from the cutoff to where nothing passes any more.
        rate: samples per unit, in which the frequencies are, too.
    """
    if taps == 1:
        return np.ones(1)
    share = 2 * cutoff / rate
    kernel = share * np.sinc(share * _places(taps)) * _window(taps, half_width, rate)
    return kernel / kernel.sum()


def radial_lowpass(taps: int, cutoff: float, half_width: float, rate: float) -> np.ndarray:
    """Returns a low-pass filter (taps, taps) that treats all directions alike: a jinc under a Kaiser window, of sum 1.

    Args:
        taps: its length on a side, even: the middle lies between samples.
        cutoff: as for `lowpass`, of frequencies in any direction.
        half_width: as for `lowpass`.
        rate: as for `lowpass`.
    """
    from scipy.special import j1

    x = _places(taps) / rate
    radius = np.hypot(x[:, None], x)
    window = _window(taps, half_width, rate)
    kernel = j1(2 * np.pi * cutoff * radius) / (np.pi * radius) * window[:, None] * window
    return kernel / kernel.sum()


def upsampling(size: int, factor: int, kernel: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """Returns the matrix (factor * size + sum(padding) - taps + 1, size) that filters between samples.

    It stands for `factor - 1` zeros after each sample, zeros at both ends, and a filter of which each sum is complete.

    Args:
        size: samples.
        factor: how many one becomes.
        kernel: (taps,), symmetric, of sum 1.
        padding: zeros before and after; negative numbers leave samples out.
    """
    taps, (before, after) = len(kernel), padding
    result = np.arange(size * factor + before + after - taps + 1)
    tap = np.arange(size) * factor + before - result[:, None]
    return factor * np.where((tap >= 0) & (tap < taps), kernel[np.clip(tap, 0, taps - 1)], 0.0)


def downsampling(size: int, factor: int, kernel: np.ndarray) -> np.ndarray:
    """Returns the matrix (ceil((size - taps + 1) / factor), size) that filters and takes each `factor`-th result.

    Args:
        size: samples.
        factor: how many become one.
        kernel: (taps,), symmetric, of sum 1.
    """
    taps = len(kernel)
    tap = np.arange(size) - factor * np.arange(-(-(size - taps + 1) // factor))[:, None]
    return np.where((tap >= 0) & (tap < taps), kernel[np.clip(tap, 0, taps - 1)], 0.0)


def margins(size: int, result: int, up: int, down: int, up_taps: int, down_taps: int) -> tuple[int, int]:
    """Returns the padding before and after for which `upsampling` and `downsampling` give so many samples.

    The middle of the samples stays where it is: each stands for the middle of its interval (the paper's appendix C.3).

    Args:
        size: samples that come in.
        result: samples that go out.
        up: factor of the upsampling.
        down: factor of the downsampling.
        up_taps: length of its filter.
        down_taps: length of its filter.
    """
    total = (result - 1) * down + 1 - size * up + up_taps + down_taps - 2
    before = (total + up) // 2
    return before, total - before


def _places(taps):
    """Returns the places of taps around their middle, in samples."""
    return np.arange(taps) - (taps - 1) / 2


def _window(taps, half_width, rate):
    """Returns Kaiser's window (taps,) for a transition band: by his formulas of 1974, as in scipy."""
    attenuation = 2.285 * (taps - 1) * np.pi * (4 * half_width / rate) + 7.95  # decibels
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    else:
        beta = 0.5842 * max(attenuation - 21, 0) ** 0.4 + 0.07886 * max(attenuation - 21, 0)
    return np.kaiser(taps, beta)

"""How exactly images move and turn with what a generator is asked for, in decibels."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError, positive

FARTHEST = 1 / 8  # of the side, to which images are shifted
REACH = 3  # lobes of Lanczos' filter
FINER = 4  # samples per pixel, between which a turned image is interpolated
_EXTENT = 64  # pixels over which the endless filters are computed
_LEAST = 1e-20  # a squared error or variance that is none: decibels stay finite


class Equivariance(NamedTuple):
    """Decibels of what images vary over what moved ones deviate; the peaks are of 2, the range of a pixel, instead.

    Args:
        eq_t: of shifts by whole pixels.
        eq_t_fractional: of any shifts, against an image that a Lanczos filter has shifted.
        eq_r: of any angles, against an image that was turned, both within the frequencies that turning leaves; NaN of
            images in which no pixel is far enough from the edges.
        eq_t_peak: the paper's EQ-T, which the images' contrast changes, too.
        eq_t_fractional_peak: the paper's EQ-T of fractions of pixels.
        eq_r_peak: the paper's EQ-R.
    """

    eq_t: float
    eq_t_fractional: float
    eq_r: float
    eq_t_peak: float
    eq_t_fractional_peak: float
    eq_r_peak: float


def equivariance(synthesize: Callable[[np.ndarray, np.ndarray], ArrayLike], n: int = 64, seed: int = 0) -> Equivariance:
    """Measures how exactly images move and turn as they are asked to.

    Images that are asked for at rest are moved here, and compared with those that are asked for in motion, where both
    show the same. Each image has a shift of its own, at most an eighth of the side either way, and an angle of its own.

    Args:
        synthesize: shifts (n, 2), right and down in sides of the image, and angles (n,) in degrees, counterclockwise,
            to images (n, H, H, C), each of a style that is the same in every call.
        n: images.
        seed: of shifts and angles.

    Raises:
        UsageError: images that are not square, or other ones than were asked for.

    Example:
        ```python
        def synthesize(shift, angle):  # an ideal one, of a wave that is 0 far away
            x, y = (np.arange(32) - 15.5)[None] - 32 * shift[:, :1], (np.arange(32) - 15.5)[None] - 32 * shift[:, 1:]
            return np.exp(-(x[:, None, :, None] ** 2 + y[:, :, None, None] ** 2) / 50)


        found = equivariance(synthesize, n=4)  # found.eq_t > 100
        ```

    Reference:
        Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv:2106.12423, section 2.2 and appendix E.
        In the authors' program a batch has one motion, turned images are interpolated by straight lines, here by cubic
        splines, and the filter of a moved image is made of samples at pixels alone, where its frequencies fold; here it
        is that of the turned one.
    """
    rng, n = np.random.default_rng(seed), positive("n", n)
    rest = np.zeros((n, 2))

    def made(shift, angle):
        images = np.asarray(synthesize(np.float32(shift), np.float32(angle)), np.float64)
        if images.ndim != 4 or len(images) != n or images.shape[1] != images.shape[2]:
            raise UsageError(f"images have shape {images.shape}; expected ({n}, H, H, C)")
        return images

    still = made(rest, rest[:, 0])
    side = still.shape[1]
    by = rng.uniform(-FARTHEST, FARTHEST, (n, 2))
    whole = np.round(by * side)
    angles = rng.uniform(-180, 180, n)
    motions = [(whole / side, rest[:, 0]), (by, rest[:, 0])]
    motions += [(rest, angles)] if side > 4 * REACH else []
    shifted, between, *turned = (zip(still, *motion, made(*motion), strict=True) for motion in motions)
    pairs = [
        [(*_shifted(image, *np.round(shift * side)), found) for image, shift, _, found in shifted],
        [(*_shifted(image, *shift * side), found) for image, shift, _, found in between],
        [_turned(image, angle, found) for rows in turned for image, _, angle, found in rows],
    ]
    errors = [_mean_square(found) for found in pairs]
    variance = still.var(axis=(1, 2)).mean()
    return Equivariance(*(_decibels(variance, error) for error in errors), *(_decibels(4.0, error) for error in errors))


def _decibels(signal, error):
    return float(10 * np.log10(max(signal, _LEAST) / np.maximum(error, _LEAST)))


def _mean_square(pairs):
    """Returns the mean square of the differences of (expected, mask, found), where masks are true."""
    total = sum(np.square(expected - found)[mask].sum() for expected, mask, found in pairs)
    count = sum(mask.sum() * expected.shape[-1] for expected, mask, _ in pairs)
    return total / count if count else np.nan


def _shifted(image, right, down):
    """Returns an image (H, H, C) shifted by pixels, and where that is of its own pixels alone, (H, H)."""
    (rows, high), (columns, wide) = (_shift(len(image), by) for by in (down, right))
    return np.einsum("yh,xw,hwc->yxc", rows, columns, image, optimize=True), high[:, None] & wide


def _shift(side, by):
    """Returns the matrix (side, side) that shifts by pixels, whole ones or by Lanczos' filter, and its full rows."""
    first = np.floor(by)
    apart = np.arange(side)[:, None] - np.arange(side) - by
    if first == by:
        return (apart == 0).astype(float), (apart == 0).any(axis=1)
    taps = np.arange(1 - REACH, 1 + REACH) - (by - first)
    source = np.arange(side) - first
    full = (source - REACH >= 0) & (source + REACH - 1 < side)
    return _lanczos(apart) / _lanczos(taps).sum(), full


def _lanczos(x):
    return np.where(np.abs(x) < REACH, np.sinc(x) * np.sinc(x / REACH), 0.0)


def _turned(image, angle, moved):
    """Returns an image (H, H, C) turned counterclockwise by degrees, where it is known, and another one as filtered."""
    from scipy.ndimage import map_coordinates
    from scipy.signal import fftconvolve

    side, angle = len(image), np.radians(angle)
    fine = np.zeros((side * FINER, side * FINER, image.shape[-1]))
    fine[::FINER, ::FINER] = image
    fine = fftconvolve(fine, _band(angle)[..., None], "same", axes=(0, 1))
    place = np.arange(side) - (side - 1) / 2
    y, x = place[:, None], place
    cos, sin = np.cos(angle), np.sin(angle)
    source = np.stack([sin * x + cos * y, cos * x - sin * y]) + (side - 1) / 2  # row and column of each pixel
    turned = [map_coordinates(channel, source * FINER, order=3) for channel in np.moveaxis(fine, -1, 0)]
    edge = 2 * REACH - 1 / FINER  # to where the filter is full
    mask = ((source >= edge) & (source <= side - 1 - edge)).all(axis=0)
    inside = np.abs(place) <= (side - 1) / 2 - (2 * REACH - 1)
    at_pixels = _band(-angle)[FINER - 1 :: FINER, FINER - 1 :: FINER]
    filtered = fftconvolve(moved, at_pixels[..., None], "same", axes=(0, 1))
    return np.stack(turned, -1), mask & inside[:, None] & inside, filtered


def _band(angle):
    """Returns the filter, with samples between pixels, of the frequencies that an image and a turned one both have.

    It is an ideal filter of each, one after the other, times their windows, one after the other. What of it meets
    pixels, whatever the place between them, has the sum 1.
    """
    from scipy.fft import irfft2, rfft2

    taps = np.arange(1 - _EXTENT * FINER, _EXTENT * FINER) / FINER
    y, x = taps[:, None], taps
    ways = [(x, y), (np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x)]

    def after_another(one):
        spectra = [rfft2(np.fft.ifftshift(one(x) * one(y))) for x, y in ways]
        return np.fft.fftshift(irfft2(spectra[0] * spectra[1], (len(taps), len(taps))))

    kernel = after_another(np.sinc) * after_another(_window)
    edge = (_EXTENT - 2 * REACH) * FINER
    kernel = np.pad(kernel[edge:-edge, edge:-edge], (0, 1))
    parts = kernel.reshape(4 * REACH, FINER, 4 * REACH, FINER)
    kernel = (parts / parts.sum(axis=(0, 2), keepdims=True)).reshape(kernel.shape)
    return kernel[:-1, :-1]


def _window(x):
    return np.where(np.abs(x) < REACH, np.sinc(x / REACH), 0.0)

"""Figures of images made larger: by closed forms, and the baselines on real images as others have measured them."""

import numpy as np
import pytest
from tiny import shared

from keras_gen.data import Examples
from keras_gen.metrics import psnr
from keras_gen.metrics.upscaling import of_images, top_octave
from keras_gen.ops.resample import resized


def test_ratio_of_signal_to_noise_of_a_shift():
    image = np.random.default_rng(0).uniform(-1, 0.5, (3, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(psnr(image, image + np.float32(0.25)), 20 * np.log10(2 / 0.25), rtol=1e-4)


@pytest.mark.parametrize(("period", "share"), [(2.5, 1.0), (8.0, 0.0)])
def test_waves_are_of_the_upper_octave_or_below_it(period, share):
    wave = np.sin(2 * np.pi * np.arange(40) / period).reshape(1, -1, 1, 1) * np.ones((1, 40, 32, 1))
    for image in (wave, wave.transpose(0, 2, 1, 3)):
        whole = (np.abs(image * np.hanning(image.shape[1] + 2)[None, 1:-1, None, None]) ** 2).sum()
        found = top_octave(image)[0] / image[0].size / (whole * 0.375 if share else whole)
        assert found == pytest.approx(share, abs=0.05)


def test_a_perfect_upscaler_and_a_filter_are_measured_alike():
    """Of images that are a smooth enlargement already, the filter itself loses next to nothing."""
    rng = np.random.default_rng(0)
    real = np.clip(resized(rng.uniform(-0.9, 0.9, (6, 4, 4, 3)), (16, 16), "bicubic").numpy(), -1, 1)
    part = Examples({"image": real})
    found = of_images(lambda low: resized(low, (16, 16), "bicubic").numpy().clip(-1, 1), 2, part, part)
    for name in ("psnr", "l1", "octave"):
        assert found[f"upscaled_{name}"] == pytest.approx(found[f"bicubic_{name}"], rel=1e-5)
    assert found["bicubic_psnr"] > found["nearest_psnr"] + 3 and found["nearest_octave"] > 1.5
    assert not any(name.endswith("distance") for name in found)


@pytest.mark.slow
def test_baselines_on_real_images():
    """The first 1,000 test images of CIFAR: x2 nearest 24.38 dB, bicubic 26.23, Lanczos 26.76; x4 bicubic 21.32."""
    with np.load(shared("cifar10_subset.npz")) as held:
        part = Examples({"image": held["x_test"]})
    found = {
        scale: of_images(lambda low, by=scale: low.repeat(by, 1).repeat(by, 2), scale, part, part) for scale in (2, 4)
    }
    assert found[2]["nearest_psnr"] == pytest.approx(24.38, abs=0.02)
    assert found[2]["bicubic_psnr"] == pytest.approx(26.23, abs=0.02)
    assert found[2]["lanczos_psnr"] == pytest.approx(26.76, abs=0.02)
    assert found[4]["bicubic_psnr"] == pytest.approx(21.32, abs=0.02)
    assert found[2]["upscaled_psnr"] == pytest.approx(found[2]["nearest_psnr"], abs=1e-4)

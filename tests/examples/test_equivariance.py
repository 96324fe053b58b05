"""The example of equivariance: what it shifts is shifted, and its table tells both models apart."""

import re

import equivariance
import numpy as np
import pytest
from PIL import Image
from tiny import make

from export import onnx


def test_maps_are_shifted_as_a_period_of_waves():
    maps = np.random.default_rng(0).normal(size=(4, 4, 3))
    np.testing.assert_allclose(
        equivariance.turned_phases(maps, (0.25, -0.5)), np.roll(maps, (-2, 1), axis=(0, 1)), atol=1e-12
    )
    wave = np.cos(2 * np.pi * (np.arange(4) / 4 + 0.1))[None, :, None] * np.ones((4, 1, 1))
    moved = np.cos(2 * np.pi * (np.arange(4) / 4 + 0.1 - 0.07))[None, :, None] * np.ones((4, 1, 1))
    np.testing.assert_allclose(equivariance.turned_phases(wave, (0.07, 0.3)), moved, atol=1e-12)


@pytest.mark.slow
def test_stylegan3_goes_with_the_image_and_its_file_alike(tmp_path, capsys):
    models = {name: tmp_path / name / "model.keras" for name in ("stylegan2", "stylegan3")}
    for name, path in models.items():
        model = make(name, compiled=False)
        model.save(path)
        if name == "stylegan3":
            onnx.export(model, tmp_path)
    output = tmp_path / "equivariance.png"
    given = ["--stylegan2", models["stylegan2"], "--stylegan3", models["stylegan3"], "--exported", tmp_path]
    equivariance.main([*map(str, given), "--count", "8", "--output", str(output)])
    rows = dict(re.findall(r"^(StyleGAN\S*|StyleGAN3, exported) +(-?\d+\.\d)", capsys.readouterr().out, re.MULTILINE))
    assert float(rows["StyleGAN3"]) > float(rows["StyleGAN2"]) + 15
    assert float(rows["StyleGAN3, exported"]) == pytest.approx(float(rows["StyleGAN3"]), abs=0.2)
    with Image.open(output) as image:
        columns, lines = 3, equivariance.SHOWN
        assert image.size[0] * lines // columns == pytest.approx(image.size[1], rel=0.05)

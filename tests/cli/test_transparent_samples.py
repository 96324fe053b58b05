"""Models of RGBA images: samples with transparency, from a run and from its exported file, which says what it holds."""

import numpy as np
from PIL import Image
from tiny import make

import export.onnx
from keras_gen import images
from keras_gen.cli.main import main
from keras_gen.signatures import exported


def test_samples_are_transparent_wherever_they_come_from(tmp_path, capsys):
    model = make("vae", image_shape=(8, 8, 4))
    model.save(tmp_path / "model.keras")
    source = str(tmp_path / "model.keras")
    export.onnx.export(model, tmp_path, signatures=["decode"])
    file = tmp_path / "decode.onnx"
    assert exported.open_file(file).meta("decode")["image.channels"] == "RGBA"
    expected = images.pixels(model.sample(3, seed=0))
    for name, one in (("keras", source), ("onnx", str(file))):
        assert main(["sample", one, "-n", "3", "-o", str(tmp_path / name)]) == 0
        assert main(["sample", one, "-n", "3", "-o", str(tmp_path / f"{name}.png")]) == 0
        with Image.open(tmp_path / f"{name}.png") as grid:
            assert grid.mode == "RGBA" and len(np.unique(np.asarray(grid)[..., 3])) > 2
        for index in range(3):
            with Image.open(tmp_path / name / f"{index:04}.png") as picture:
                assert np.abs(np.asarray(picture).astype(int) - expected[index]).max() <= 1
    capsys.readouterr()  # of what was written
    assert main(["sample", source, "-o", str(tmp_path / "x.jpg")]) == 2
    assert "x.png" in capsys.readouterr().err

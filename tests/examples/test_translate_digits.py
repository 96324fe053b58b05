"""The example of pix2pix: its table says what is true, and its picture shows it."""

import re

import numpy as np
import pytest
import translate_digits
from PIL import Image

import keras_gen


@pytest.mark.slow
def test_digits_are_drawn_of_their_edges_by_the_exported_file(tmp_path, capsys):
    translate_digits.main(["--output", str(tmp_path)])
    table = dict(re.findall(r"^(\S.*?) +(\d\.\d{3})$", capsys.readouterr().out, re.MULTILINE))
    found = {name: float(value) for name, value in table.items()}
    ours = found.pop("pix2pix, by its ONNX file")
    assert len(found) == 3 and ours < 0.06 and ours < min(found.values()) / 4
    edges, digits = translate_digits.both(keras_gen.data.pairs("digits", "test", **translate_digits.SIZE))
    assert found["the edges themselves"] == pytest.approx(np.abs(edges - digits).mean(), abs=6e-4)
    with Image.open(tmp_path / "translated.png") as picture:
        assert min(picture.size) >= 3 * 28 and len(picture.getcolors(256)) > 30

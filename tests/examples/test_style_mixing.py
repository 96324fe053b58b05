"""The example of mixed styles: rows and columns are what they say, from a run as from exported files."""

import numpy as np
import pytest
import style_mixing
from PIL import Image
from tiny import make

import export.onnx


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A StyleGAN of 8x8 pixels with large weights, as a file of Keras and exported."""
    folder = tmp_path_factory.mktemp("mixing")
    model = make("stylegan", compiled=False)
    for variable in model.ema_generator.get_layer("synthesis").variables:
        if "noise" not in variable.path and "alpha" not in variable.path:
            variable.assign(np.random.default_rng(len(variable.path)).normal(size=variable.shape))
    model.save(folder / "model.keras")
    export.onnx.export(model, folder)
    return folder, model


def tiles(path, rows, columns):
    """Returns a picture's tiles, (rows, columns, 8, 8)."""
    with Image.open(path) as opened:
        sheet = np.asarray(opened)
    factor = sheet.shape[1] // (columns * 9 - 1)
    sheet = np.pad(sheet[::factor, ::factor], ((0, 1), (0, 1)))
    return sheet.reshape(rows, 9, columns, 9).swapaxes(1, 2)[:, :, :8, :8]


def test_rows_and_columns_are_the_images_of_their_styles_and_files_draw_the_same(folder, tmp_path, capsys):
    folder, model = folder
    sheets = {}
    for name, coarse in (("model.keras", 1), ("model.keras", 4), ("model.keras", 0), ("map.onnx", 1)):
        out = tmp_path / "mixing.png"
        sizes = ["--rows", "2", "--columns", "3", "--coarse", str(coarse), "--seed", "4", "--truncation", "1"]
        style_mixing.main(["--model", str(folder / name), "--output", str(out), *sizes])
        sheets[name, coarse] = tiles(out, 3, 4)
        assert f"{coarse} of 4 layers follow the row" in capsys.readouterr().out
    of = sheets["model.keras", 1]
    assert np.ptp(of[1:, 1:], axis=(0, 1)).max() > 20
    all_row, all_column = sheets["model.keras", 4], sheets["model.keras", 0]
    for found, expected in (
        (all_row[1:, 1:], np.repeat(of[1:, :1], 3, axis=1)),
        (all_column[1:, 1:], np.repeat(of[:1, 1:], 2, axis=0)),
        (sheets["map.onnx", 1], of),
    ):
        assert np.abs(found.astype(int) - expected).max() <= 1, "but for rounding"


def test_what_it_cannot_do_is_said(folder, capsys):
    for wrong, words in ((["--coarse", "5"], "the model has 4 layers with a style"), (["--rows", "0"], "at least 1")):
        with pytest.raises(SystemExit):
            style_mixing.main(["--model", str(folder[0] / "model.keras"), *wrong])
        assert words in capsys.readouterr().err

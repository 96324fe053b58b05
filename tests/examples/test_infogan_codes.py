"""The example of InfoGAN's codes: its table and its picture, from a training, a file of Keras and an exported one."""

import math
import re

import infogan_codes
import numpy as np
import pytest
from PIL import Image
from tiny import real_digits

import export.onnx
import keras_gen

ROWS = 10 + 2 * infogan_codes.EXAMPLES


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(infogan_codes, "READ", 200)


def run(capsys, picture, *arguments):
    """Runs the example; returns what it printed, and the picture's tiles (rows, columns, 8, 8)."""
    infogan_codes.main(["--output", str(picture), *map(str, arguments)])
    with Image.open(picture) as opened:
        sheet = np.asarray(opened)
    factor = sheet.shape[1] // (infogan_codes.COLUMNS * 9 - 1)
    assert sheet.shape == (factor * (ROWS * 9 - 1), factor * (infogan_codes.COLUMNS * 9 - 1))
    sheet = np.pad(sheet[::factor, ::factor], ((0, 1), (0, 1)))
    return capsys.readouterr().out, sheet.reshape(ROWS, 9, infogan_codes.COLUMNS, 9).swapaxes(1, 2)[:, :, :8, :8]


def levels(made):
    return np.clip(np.rint((made[..., 0] + 1) * 127.5), 0, 255)


@pytest.mark.slow
def test_two_models_are_trained_and_measured(tmp_path, capsys):
    size = ("--image-size", 8, "--width", 4, "--steps", 3)
    text, tiles = run(capsys, tmp_path / "codes.png", *size)
    table = re.findall(r"^lambda = (\d) +(-?[\d.]+) +([\d.]+)% +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    assert [row[0] for row in table] == ["1", "0"]
    assert all(float(row[1]) < math.log(10) and 0 <= float(row[3]) <= 1 for row in table)
    assert re.search(r"^at most +2\.30$", text, re.MULTILINE)
    assert np.ptp(tiles, axis=(0, 1)).max() > 0


def test_a_run_and_an_exported_file_show_the_same(tmp_path, capsys):
    model = keras_gen.InfoGAN(image_shape=(8, 8, 1), width=4, seed=0)
    model.compile()
    model.fit(real_digits(64)[0], batch_size=32, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    export.onnx.export(model, tmp_path)
    text, tiles = run(capsys, tmp_path / "keras.png", "--model", tmp_path / "model.keras", "--seed", 3)
    other, again = run(capsys, tmp_path / "onnx.png", "--model", tmp_path / "generate.onnx", "--seed", 3)
    assert text.split("\n")[0] == other.split("\n")[0]
    assert re.match(r"-?\d\.\d\d nats of the category can be read, of 2\.30\n", text)
    assert np.abs(tiles - again.astype(float)).max() <= 1
    for category in (0, 7):
        assert np.abs(tiles[category] - levels(model.sample(10, seed=3, category=category))).max() <= 1
    # The second code in the first of its rows, from -1.5 to 1.5; the first code stays at 0.
    held = keras_gen.latent.decoder(model).draw(infogan_codes.EXAMPLES, 3)[0]
    codes = np.stack([np.zeros(10), np.linspace(-1.5, 1.5, 10)], axis=1)
    wanted = levels(model.sample(10, latent=held, category=1, code=codes))
    assert np.abs(tiles[10 + infogan_codes.EXAMPLES] - wanted).max() <= 1


def test_what_can_be_read_is_bounded_by_what_is_shown(monkeypatch):
    class Source:
        """Shows the category as a bright pixel, or not at all."""

        def __init__(self, shows):
            self.shows, self.model = shows, keras_gen.InfoGAN(image_shape=(8, 8, 1), width=4)

        def signatures(self):
            return self.model.signatures()

        def sample(self, n, seed):
            noise = np.random.default_rng(seed).normal(size=(n, 1, 10, 1))
            return noise + self.shows * np.eye(10)[np.arange(n) % 10].reshape(n, 1, 10, 1)

    monkeypatch.setattr(infogan_codes, "READ", 2000)
    assert infogan_codes.readable(Source(100), 0) == pytest.approx(math.log(10), abs=0.01)
    assert infogan_codes.readable(Source(0), 0) == pytest.approx(0, abs=0.1)


@pytest.mark.slow
def test_codes_are_readable_where_the_generator_is_asked_to_show_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(infogan_codes, "READ", 4000)
    infogan_codes.main(["--output", str(tmp_path / "codes.png")])
    rows = re.findall(r"^lambda = \d +(-?[\d.]+) +([\d.]+)%", capsys.readouterr().out, re.MULTILINE)
    (shown, accuracy), (hidden, chance) = [[float(word) for word in row] for row in rows]
    assert shown > 1.5 > hidden + 0.5 and accuracy > chance + 20

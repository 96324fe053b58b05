"""`upscale`: pictures of any kind and size, by a run and its files, whole and in pieces; what is wrong is one line."""

import contextlib
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from small_run import assert_one_line
from tiny import make

import keras_gen
from export import onnx, tflite
from keras_gen.cli import settings
from keras_gen.cli.main import main

SMALL = ["--steps", "2", "--batch-size", "8", "--samples", "12", "--learning-rate", "g=0.02,d=0.01"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with srgan's files, hardly trained, on images of one channel, and one of pix2pix."""
    folder = tmp_path_factory.mktemp("runs")
    sizes = [word for size in ("width=2", "scale=2", "blocks=1", "kernel=3") for word in ("--set", size)]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["train", "srgan", "--output", str(folder / "srgan"), *SMALL, *sizes]) == 0
    (folder / "out.txt").write_text(out.getvalue())
    make("pix2pix", compiled=False).save(folder / "pix2pix" / "model.keras")
    model = keras_gen.load(folder / "srgan")
    onnx.export(model, folder / "srgan")
    tflite.export(model, folder / "srgan")
    return folder


def upscale(source, image, output, *more):
    return main(["upscale", str(source), str(image), "-o", str(output), *map(str, more)])


def picture(*shape, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def test_a_run_and_all_of_its_files_make_the_same_of_a_picture_whole_and_in_pieces(run, tmp_path):
    picture(23, 37).save(tmp_path / "in.png")
    made = []
    for index, file in enumerate(["", "model.keras", "upscale.onnx", "model.tflite"]):
        for tile in ((), ("--tile", 9)):
            assert upscale(run / "srgan" / file, tmp_path / "in.png", tmp_path / f"{index}.png", *tile) == 0
            with Image.open(tmp_path / f"{index}.png") as found:
                made.append(np.asarray(found, int))
    assert made[0].shape == (46, 74) and all(np.abs(one - made[0]).max() <= 1 for one in made)
    smooth = np.asarray(Image.open(tmp_path / "in.png").resize((74, 46), Image.Resampling.BILINEAR), int)
    assert np.abs(made[0] - smooth).max() > 2, "nothing was learned"


def test_pictures_of_all_kinds_keep_their_shape_and_their_names(run, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(12, 20, 3).save(folder / "turned.jpg", exif=turned)
    picture(12, 20, 4).save(folder / "clear.png")
    picture(12, 20).convert("P").save(folder / "palette.gif")
    Image.new("L", (1, 40), 230).save(folder / "thin.png")  # bright, which is no mistake
    Image.new("RGB", (1, 1), "red").save(folder / "point.png")
    (folder / "notes.txt").write_text("no picture")
    assert upscale(run / "srgan" / "upscale.onnx", folder, tmp_path / "made", "--tile", 7) == 0
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "made").iterdir()}
    names = {"turned": (24, 40), "clear": (40, 24), "palette": (40, 24), "thin": (2, 80), "point": (2, 2)}
    assert sizes == {f"{name}.png": size for name, size in names.items()}
    clear = np.asarray(Image.open(tmp_path / "made" / "thin.png"), int)
    assert clear.shape == (80, 2)


def test_what_is_wrong_is_one_line_and_nothing_is_overwritten(run, tmp_path, capsys, monkeypatch):
    Image.new("L", (9, 5), 230).save(tmp_path / "in.png")
    (tmp_path / "none.png").write_text("no picture")
    before = (tmp_path / "in.png").read_bytes()
    source = run / "srgan" / "upscale.onnx"
    capsys.readouterr()
    assert upscale(source, tmp_path / "in.png", tmp_path / "y.png") == 0
    assert capsys.readouterr().err == ""
    for image, output, words in (
        ("in.png", "in.png", ["would overwrite", "another place"]),
        ("in.png", "x.jpg", ["ends in .jpg"]),
        ("absent.png", "x.png", ["does not exist"]),
        ("none.png", "x.png", ["cannot read", "none.png"]),
    ):
        assert upscale(source, tmp_path / image, tmp_path / output) in (1, 2)
        assert_one_line(capsys.readouterr().err, *words)
    assert upscale(source, tmp_path / "in.png", tmp_path / "x.png", "--tile", "0") == 2
    assert_one_line(capsys.readouterr().err, "--tile", "'0'")
    for file in ("upscale.onnx", ""):
        assert main(["sample", str(run / "srgan" / file), "-o", str(tmp_path / "grid.png")]) == 2
        assert_one_line(capsys.readouterr().err, "'source' was not given", "upscale")
        assert main(["translate", str(run / "srgan" / file), str(tmp_path / "in.png"), "-o", "x.png"]) == 2
        assert_one_line(capsys.readouterr().err, "makes images larger", "give it to upscale")
    assert upscale(run / "pix2pix" / "model.keras", tmp_path / "in.png", tmp_path / "x.png") == 2
    assert_one_line(capsys.readouterr().err, "makes no image larger", "give it to translate")
    assert (tmp_path / "in.png").read_bytes() == before and not (tmp_path / "x.png").exists()


def test_a_picture_too_large_for_memory_names_the_pieces_that_are_not(run, tmp_path, capsys, monkeypatch):
    picture(60, 90).save(tmp_path / "in.png")
    source = run / "srgan" / "upscale.onnx"
    capsys.readouterr()
    monkeypatch.setattr("keras_gen.cli.upscale.free", lambda: 4 * 50 * 50 * 1500)
    assert upscale(source, tmp_path / "in.png", tmp_path / "x.png") == 2
    error = capsys.readouterr().err
    assert_one_line(error, "60x90 pixels", "give --tile 2")
    assert upscale(source, tmp_path / "in.png", tmp_path / "x.png", "--tile", error.split()[-1]) == 0
    assert Image.open(tmp_path / "x.png").size == (180, 120)
    monkeypatch.setattr("keras_gen.cli.upscale.free", lambda: 1000)
    assert upscale(source, tmp_path / "in.png", tmp_path / "x.png", "--tile", 2) == 2
    assert_one_line(capsys.readouterr().err, "no --tile helps")


def test_training_shows_input_output_and_truth_and_names_the_command(run, tmp_path, capsys):
    with Image.open(run / "srgan" / "samples.png") as shown:
        # Four rows of three images of 8 pixels, with lines of 2 between them.
        assert shown.width / shown.height == pytest.approx((3 * 10 - 2) / (4 * 10 - 2), rel=0.01)
    out = (run / "out.txt").read_text()
    assert "stage adversarial (2 of 2)" in out and "small.png -o large.png" in out
    assert main(["train", "srgan", "--output", str(tmp_path / "other"), *SMALL, "--learning-rate", "e=0.1"]) == 2
    assert_one_line(capsys.readouterr().err, "names the player 'e'")


def test_rates_are_of_a_stage_s_own_players_and_one_that_is_left_out_has_some():
    job = SimpleNamespace(identity={"learning_rate": {"g": 0.25, "d": 0.5}})
    for more in ({}, {"adversarial": 0.0}):
        model = make("srgan", compiled=False, **more)
        for stage in model.stages:
            settings.prepare(job, model, stage, 3)
            assert float(model.g_optimizer.learning_rate) == 0.25
    assert not hasattr(model, "d_optimizer")


def test_a_run_is_measured_beside_filters(run, capsys):
    assert main(["evaluate", str(run / "srgan")]) == 0
    out = capsys.readouterr().out
    assert "upscaled_psnr" in out and "lanczos_psnr" in out and "upscaled_distance" in out
    found = json.loads((run / "srgan" / "evaluation.json").read_text())
    assert found["metrics"]["bicubic_psnr"] > found["metrics"]["nearest_psnr"] and found["protocol"]["n_real"] > 200

"""`explore`: what it draws, from runs and from files, and how it fails."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import make

import export.onnx
import export.tflite
import keras_gen
from keras_gen import images, latent
from keras_gen.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs as `train` leaves them: a VAE and a GAN of uniform latents, with their exports."""
    folder = tmp_path_factory.mktemp("explore")
    for row in ("vae", "gan"):
        model, run = make(row), folder / "saved_models" / row
        model.save(run / "model.keras")
        export.onnx.export(model, run)
        export.tflite.export(model, run)
    return folder


@pytest.fixture
def here(runs, monkeypatch):
    monkeypatch.chdir(runs)
    return Path("saved_models")


def explore(*arguments):
    return main(["explore", *map(str, arguments)])


def cells(path, rows, columns, side=8):
    """Takes a grid apart again, without the words beside it: gray levels (rows, columns, side, side)."""
    with Image.open(path) as picture:
        sheet = np.asarray(picture.convert("L"))
    height, width = rows * (side + 2) - 2, columns * (side + 2) - 2
    factor = -(-512 // max(height, width))
    sheet = sheet[-factor * height :: factor, -factor * width :: factor]
    assert sheet.shape == (rows * (side + 2) - 2, columns * (side + 2) - 2)
    sheet = np.pad(sheet, ((0, 2), (0, 2))).reshape(rows, side + 2, columns, side + 2)
    return sheet.swapaxes(1, 2)[:, :, :side, :side]


def levels(pictures):
    return images.to_uint8(pictures)[..., 0]


def test_interpolate_runs_between_samples(here, capfd):
    assert explore("vae", "interpolate", "-n", 3, "--steps", 5, "--seed", 2) == 0
    drawn = cells(here / "vae" / "interpolate.png", 3, 5)
    samples = levels(keras_gen.load("vae").sample(6, seed=2))
    np.testing.assert_allclose(drawn[:, 0], samples[:3], atol=1)
    np.testing.assert_allclose(drawn[:, -1], samples[3:], atol=1)
    decode = latent.decoder("vae")
    ends = decode.draw(6, seed=2)
    np.testing.assert_allclose(drawn[:, 2], levels(decode(latent.slerp(ends[:3], ends[3:], 0.5))), atol=1)
    out, err = capfd.readouterr()
    assert err == "" and out.count("\n") == 2 and str(here / "vae" / "interpolate.png") in out


def test_uniform_latents_are_joined_by_straight_lines(here, tmp_path):
    decode = latent.decoder("gan")
    ends = decode.draw(2, seed=0)
    for how, more in (("lerp", []), ("slerp", ["--how", "slerp"])):
        assert explore("gan", "interpolate", "-n", 1, "--steps", 3, *more, "-o", tmp_path / "x.png") == 0
        wanted = levels(decode(latent.interpolate(ends[0], ends[1], 3, how)))
        np.testing.assert_allclose(cells(tmp_path / "x.png", 1, 3)[0], wanted, atol=1)


def test_interpolate_between_real_images(here, tmp_path):
    assert explore("vae", "interpolate", "--data", "digits", "-n", 2, "--steps", 3, "-o", tmp_path / "x.png") == 0
    real = next(iter(keras_gen.data.examples("digits", "test").dataset(4, 0)))["image"].numpy()
    wanted = levels(latent.reconstruct("vae", real))
    drawn = cells(tmp_path / "x.png", 2, 3)
    np.testing.assert_allclose(drawn[:, [0, -1]].swapaxes(0, 1).reshape(4, 8, 8), wanted, atol=1)


def test_manifold_is_a_square_of_quantiles(here, tmp_path):
    assert explore("vae", "manifold", "--steps", 4, "--coordinates", "2,0", "-o", tmp_path / "x.png") == 0
    decode = latent.decoder("vae")
    wanted = decode(latent.manifold(4, "normal", decode.draw(1, 0)[0], (2, 0)))
    np.testing.assert_allclose(cells(tmp_path / "x.png", 4, 4), levels(wanted), atol=1)


def test_traverse_has_a_row_for_each_coordinate(here, tmp_path):
    command = ["--coordinates", "1,2", "--steps", 3, "--reach", 2, "-o", tmp_path / "x.png"]
    assert explore("vae", "traverse", *command) == 0
    decode = latent.decoder("vae")
    start = decode.draw(1, 0)[0]
    wanted = [levels(decode(latent.traverse(start, axis, [-2, 0, 2]))) for axis in (1, 2)]
    np.testing.assert_allclose(cells(tmp_path / "x.png", 2, 3), wanted, atol=1)
    assert explore("vae", "traverse") == 0
    assert cells(here / "vae" / "traverse.png", 3, 11).shape[:2] == (3, 11), "all three directions"


def test_arithmetic_shows_samples_means_and_the_result(here, tmp_path):
    for run in ("vae", "gan"):
        assert explore(run, "arithmetic", "--terms", "4,1-0+2,3", "-o", tmp_path / "x.png") == 0
        drawn = cells(tmp_path / "x.png", 4, 3)
        decode = latent.decoder(run)
        z = decode.draw(5, 0)
        for row, group in enumerate(([4, 1], [0], [2, 3])):
            np.testing.assert_allclose(drawn[row, : len(group)], levels(decode(z[group])), atol=1)
        assert (drawn[1, 1] == 255).all(), "the second group has one sample only"
        result = latent.arithmetic([z[[4, 1]], z[[2, 3]]], [z[[0]]])
        np.testing.assert_allclose(drawn[3, -1], levels(decode(result)), atol=1)
        np.testing.assert_array_equal(drawn[3, 0], drawn[0, -1])
        if run == "gan":
            np.testing.assert_allclose(drawn[0, -1], levels(decode(z[[4, 1]].mean(0))), atol=1)


def test_project_shows_images_and_what_comes_near_them(here, tmp_path, capfd):
    assert explore("vae", "project", "-n", 2, "--steps", 30, "-o", tmp_path / "x.png") == 0
    out, err = capfd.readouterr()
    assert err == "" and "mean squared error 0." in out
    real = next(iter(keras_gen.data.examples("digits", "test").dataset(2, 0)))["image"].numpy()
    found = latent.project("vae", real, steps=30)
    drawn = cells(tmp_path / "x.png", 2, 1 + found.way.shape[1])
    np.testing.assert_allclose(drawn[:, 0], levels(real), atol=1)
    np.testing.assert_allclose(drawn[:, -1], levels(latent.decoder("vae")(found.latents)), atol=1)
    assert f"{found.errors.mean():.4f}" in out


@pytest.mark.parametrize("action", ["interpolate", "manifold", "arithmetic", "traverse", "project"])
def test_gif_goes_there_and_back(here, tmp_path, action):
    assert explore("vae", action, "--steps", 6, "-o", tmp_path / "x.gif") == 0
    with Image.open(tmp_path / "x.gif") as film:
        frames = []
        for index in range(film.n_frames):
            film.seek(index)
            frames.append(np.asarray(film.convert("L")).copy())
        assert film.info["loop"] == 0 and max(film.size) >= 256
    assert len(frames) > 2
    for index in range(1, len(frames)):
        np.testing.assert_array_equal(frames[index], frames[-index])
    assert np.any(frames[0] != frames[1])


def test_files_give_the_same_pictures_without_tensorflow(here, tmp_path):
    assert explore("vae", "traverse", "-o", tmp_path / "keras.png") == 0
    wanted = cells(tmp_path / "keras.png", 3, 11)
    for name in ("decode.onnx", "model.tflite"):
        code = (
            "import sys; from keras_gen.cli.main import main\n"
            f"code = main(['explore', {str((here / 'vae' / name).resolve())!r}, 'traverse'])\n"
            "sys.exit(code or bool({'tensorflow', 'keras'} & set(sys.modules)))"
        )
        command = [sys.executable, "-c", code]
        environment = {"PYTHONPATH": str(ROOT)}
        out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
        assert out.returncode == 0 and out.stderr == "", out.stderr
        np.testing.assert_allclose(cells(tmp_path / "traverse.png", 3, 11), wanted, atol=1)
        (tmp_path / "traverse.png").unlink()


def test_a_tflite_file_holds_the_encoder_too(here, tmp_path):
    for name in ("keras.png", "tflite.png"):
        source = "vae" if name == "keras.png" else here / "vae" / "model.tflite"
        assert explore(source, "interpolate", "--data", "digits", "-n", 2, "-o", tmp_path / name) == 0
    ours, theirs = (cells(tmp_path / name, 2, 10).astype(int) for name in ("keras.png", "tflite.png"))
    assert abs(ours - theirs).max() <= 1


BAD = {
    "unknown action": (2, ["vae", "interpolat"], "interpolat"),
    "no action": (2, ["vae"], "ACTION"),
    "missing run": (2, ["vea", "manifold"], "did you mean 'vae'"),
    "option of another action": (2, ["vae", "manifold", "--terms", "0-1"], "--terms is not for manifold"),
    "one step": (2, ["vae", "interpolate", "--steps", "1"], "steps is 1"),
    "another suffix": (2, ["vae", "manifold", "-o", "x.jpg"], "x.jpg"),
    "axes": (2, ["vae", "manifold", "--coordinates", "1"], "0,1"),
    "coordinate out of range": (2, ["vae", "traverse", "--coordinates", "7"], "0 to 2"),
    "terms": (2, ["vae", "arithmetic", "--terms", "king-man"], "king-man"),
    "projection of a file": (2, ["saved_models/vae/decode.onnx", "project"], "no gradients"),
    "label of a model without": (2, ["vae", "traverse", "--label", "1"], "no labels; leave it out"),
    "input that is none": (2, ["vae", "traverse", "--input", "code"], "'code'"),
    "no encoder": (2, ["gan", "interpolate", "--data", "digits"], "no 'encode'"),
    "more images than there are": (2, ["vae", "project", "-n", "500"], "297"),
    "reach": (2, ["vae", "traverse", "--reach", "0"], "'0'"),
    "no permission": (1, ["vae", "traverse", "-o", "/proc/x.png"], "/proc/x.png"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(here, capfd, name):
    code, arguments, words = BAD[name]
    before = sorted(Path().rglob("*"))
    assert explore(*arguments) == code
    out, err = capfd.readouterr()
    assert err.startswith("error: ") and err.count("\n") == 1 and len(err) <= 201 and words in err, err
    assert out == "" and sorted(Path().rglob("*")) == before


def test_help_and_errors_need_no_tensorflow(tmp_path):
    code = (
        "import sys; from keras_gen.cli.main import main\n"
        "codes = [main(argv.split()) for argv in ('explore --help', 'explore x manifold', 'explore x.onnx manifold')]\n"
        "print(codes, sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=60)
    assert out.stdout.splitlines()[-1] == "[0, 2, 2] []", out.stderr
    assert len(out.stderr.splitlines()) == 2

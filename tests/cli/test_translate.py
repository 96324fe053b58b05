"""`translate`: pictures of any kind and size, by a run and by all of its files, and what is wrong in one line."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image
from small_run import assert_one_line

import keras_gen
from export import onnx, tflite
from keras_gen.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with cyclegan's and pix2pix's files, hardly trained, on images of one channel."""
    folder = tmp_path_factory.mktemp("runs")
    small = ["--set", "width=2", "--steps", "2", "--batch-size", "8", "--samples", "12"]
    for name, more in (("pix2pix", []), ("cyclegan", ["--set", "blocks=1"])):
        assert main(["train", name, "--output", str(folder / name), *small, *more]) == 0
        model = keras_gen.load(folder / name)
        onnx.export(model, folder / name)
        tflite.export(model, folder / name)
    return folder


def translate(source, image, output, *more):
    return main(["translate", str(source), str(image), "-o", str(output), *map(str, more)])


def test_a_run_and_all_of_its_files_make_the_same_of_a_picture(run, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (23, 37), np.uint8)).save(tmp_path / "in.png")
    files = ["", "model.keras", "translate.onnx", "model.tflite"]
    made = []
    for index, file in enumerate(files):
        assert translate(run / "pix2pix" / file, tmp_path / "in.png", tmp_path / f"{index}.png") == 0
        with Image.open(tmp_path / f"{index}.png") as picture:
            made.append(np.asarray(picture, int))
    assert made[0].shape == (23, 37) and all(np.abs(one - made[0]).max() <= 1 for one in made)


def test_both_ways(run, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 9), np.uint8)).save(tmp_path / "in.png")
    made = {}
    for to in ("a", "b"):
        assert translate(run / "cyclegan", tmp_path / "in.png", tmp_path / "k.png", "--to", to) == 0
        assert translate(run / "cyclegan" / "model.tflite", tmp_path / "in.png", tmp_path / "t.png", "--to", to) == 0
        made[to], other = (np.asarray(Image.open(tmp_path / name), int) for name in ("k.png", "t.png"))
        assert np.abs(made[to] - other).max() <= 1
    assert not np.array_equal(made["a"], made["b"])
    assert translate(run / "cyclegan" / "b_to_a.onnx", tmp_path / "in.png", tmp_path / "o.png") == 0
    assert np.abs(np.asarray(Image.open(tmp_path / "o.png"), int) - made["a"]).max() <= 1


def test_pictures_of_all_kinds_keep_their_size_and_their_names(run, tmp_path, capsys):
    folder, pixels = tmp_path / "photos", np.random.default_rng(0).integers(0, 256, (12, 20, 4), np.uint8)
    folder.mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels[..., :3]).save(folder / "turned.jpg", exif=turned)
    Image.fromarray(pixels).save(folder / "clear.png")
    Image.fromarray(pixels[..., 0]).convert("P").save(folder / "palette.gif")
    Image.new("L", (1, 40), 230).save(folder / "thin.png")  # bright, which is no mistake
    (folder / "notes.txt").write_text("no picture")
    capsys.readouterr()
    assert translate(run / "pix2pix" / "translate.onnx", folder, tmp_path / "made") == 0
    assert capsys.readouterr().err == ""
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "made").iterdir()}
    assert sizes == {"turned.png": (12, 20), "clear.png": (20, 12), "palette.png": (20, 12), "thin.png": (1, 40)}
    assert translate(run / "pix2pix", folder / "clear.png", tmp_path / "s.png", "--longest", 5) == 0
    assert Image.open(tmp_path / "s.png").size == (5, 3)


def test_what_is_wrong_is_one_line_and_nothing_is_overwritten(run, tmp_path, capsys, monkeypatch):
    Image.new("L", (9, 5), 99).save(tmp_path / "in.png")
    (tmp_path / "none.png").write_text("no picture")
    before = (tmp_path / "in.png").read_bytes()
    capsys.readouterr()
    source = run / "pix2pix" / "translate.onnx"
    for image, output, words in (
        ("in.png", "in.png", ["would overwrite", "another place"]),
        (".", ".", ["would overwrite"]),
        ("in.png", "x.jpg", ["ends in .jpg"]),
        ("absent.png", "x.png", ["does not exist"]),
        ("none.png", "x.png", ["cannot read", "none.png"]),
    ):
        assert translate(source, tmp_path / image, tmp_path / output) in (1, 2)
        assert_one_line(capsys.readouterr().err, *words)
    assert translate(source, tmp_path / "in.png", tmp_path / "x.png", "--to", "a") == 2
    assert_one_line(capsys.readouterr().err, "no way to 'a'; its ways: translate")
    assert main(["sample", str(source), "-o", str(tmp_path / "grid.png")]) == 2
    assert_one_line(capsys.readouterr().err, "'source' was not given", "translate")
    monkeypatch.setattr("keras_gen.cli.translate.NEEDED", 2**50)
    assert translate(source, tmp_path / "in.png", tmp_path / "x.png") == 2
    assert_one_line(capsys.readouterr().err, "5x9 pixels", "give --longest")
    assert (tmp_path / "in.png").read_bytes() == before and not (tmp_path / "x.png").exists()


def test_training_shows_input_output_and_truth(run):
    with Image.open(run / "pix2pix" / "samples.png") as picture:
        # Four rows of three images of 8 pixels, with lines of 2 between them.
        assert picture.width / picture.height == pytest.approx((3 * 10 - 2) / (4 * 10 - 2), rel=0.01)


def test_benchmark_reads_the_arrays_that_were_named_and_the_last_line_names_translate(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    np.savez("d.npz", drawn=255 - images, photo=images, split=np.repeat(["train", "test"], [8, 4]))
    small = ["--set", "width=2", "--steps", "1", "--batch-size", "4", "--seeds", "1", "--output", "runs"]
    assert main(["benchmark", "pix2pix", "--data", "d.npz", "--arrays", "source=drawn,target=photo", *small]) == 0
    out = capsys.readouterr().out
    assert "next: python -m keras_gen translate runs/seed-0 photo.jpg -o out.png" in out
    assert "translated_l1" in out and "median_l1" in out and '"n_real": 4' in out


def test_a_run_on_windows_is_evaluated_on_the_data_that_it_was_trained_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 1), np.uint8)
    np.savez("d.npz", train_A=images[:8], train_B=255 - images[:8], test_A=images[8:], test_B=255 - images[8:])
    small = ["--set", "width=2", "--steps", "1", "--batch-size", "4", "--image-size", "8", "--output", "run"]
    turned = ["--jitter", "--direction", "b_to_a"]
    assert main(["train", "pix2pix", "--data", "d.npz", *turned, *small]) == 0
    assert main(["evaluate", "run"]) == 0
    out = capsys.readouterr().out
    assert "images 8x8x1" in out and "translated_l1" in out and "trained on" not in out
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["settings"]["direction"] == "b_to_a"
    assert main(["train", "gan", "--direction", "b_to_a", "--steps", "1"]) == 2
    assert "--direction b_to_a is of models from one kind of images to another" in capsys.readouterr().err


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    """A folder with spade's files, hardly trained on colored maps of 8x8 pixels, and one of these maps."""
    folder = tmp_path_factory.mktemp("painter")
    rng = np.random.default_rng(0)
    for inner in ("images", "labels"):
        (folder / "data" / inner).mkdir(parents=True)
    for index in range(6):
        maps = COLORS[rng.integers(0, 2, (2, 2)).repeat(4, 0).repeat(4, 1)]
        Image.fromarray(maps).save(folder / "data" / "labels" / f"{index}.png")
        Image.fromarray(255 - maps).save(folder / "data" / "images" / f"{index}.jpg")
    small = ["width=2", "hidden=4", "latent_dim=3", "scales=1", "style=True"]
    small = [word for one in small for word in ("--set", one)] + ["--steps", "2", "--batch-size", "4", "--samples", "6"]
    assert main(["train", "spade", "--data", str(folder / "data"), "--output", str(folder / "run"), *small]) == 0
    model = keras_gen.load(folder / "run")
    onnx.export(model, folder / "run")
    tflite.export(model, folder / "run")
    return folder


COLORS = np.uint8([[0, 0, 250], [200, 10, 10]])


@pytest.mark.slow
def test_a_map_is_painted_by_a_run_and_all_of_its_files_by_seed_and_by_style(painter, tmp_path, capsys):
    source = painter / "data" / "labels" / "0.png"
    photos = [painter / "data" / "images" / f"{index}.jpg" for index in (0, 1)]
    made = {}
    for file in ("", "model.keras", "generate.onnx", "model.tflite"):
        for index, more in enumerate((["--seed", "3"], ["--seed", "4"], *(["--style", photo] for photo in photos))):
            assert translate(painter / "run" / file, source, tmp_path / "out.png", *more) == 0
            with Image.open(tmp_path / "out.png") as picture:
                made.setdefault(index, []).append(np.asarray(picture, int))
    for several in made.values():
        assert several[0].shape == (8, 8, 3) and all(np.abs(one - several[0]).max() <= 1 for one in several)
    assert not any(np.array_equal(made[a][0], made[b][0]) for a, b in ((0, 1), (0, 2), (2, 3)))
    folder = tmp_path / "maps"
    folder.mkdir()
    for name in "ab":
        Image.open(source).resize((16, 24), Image.Resampling.NEAREST).save(folder / f"{name}.png")
    capsys.readouterr()
    assert translate(painter / "run" / "generate.onnx", folder, tmp_path / "made") == 0
    told = capsys.readouterr().err
    assert (
        told.count("24x16: maps are cropped and resized to 8x8, the size of this model") == told.count("maps are") == 1
    )
    assert {Image.open(path).size for path in (tmp_path / "made").iterdir()} == {(8, 8)}


@pytest.fixture(scope="module")
def stylist(tmp_path_factory):
    """A folder with adain's files, hardly trained on digits, and two pictures of other sizes."""
    folder = tmp_path_factory.mktemp("stylist")
    small = ["--set", "width=2", "--steps", "2", "--batch-size", "8", "--samples", "12"]
    with contextlib.redirect_stdout(io.StringIO()) as told:
        assert main(["train", "adain", "--output", str(folder / "run"), *small]) == 0
    (folder / "out.txt").write_text(told.getvalue())
    model = keras_gen.load(folder / "run")
    onnx.export(model, folder / "run")
    tflite.export(model, folder / "run")
    for index, sides in enumerate(((23, 37), (9, 50))):
        pixels = np.random.default_rng(index).integers(100 * index, 256, (*sides, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_a_picture_gets_the_style_of_another_by_a_run_and_all_of_its_files(stylist, tmp_path):
    photo, painting = stylist / "0.png", stylist / "1.png"
    made = {}
    for file in ("", "model.keras", "transfer.onnx", "model.tflite"):
        for strength in ([], ["--set", "strength=0.5"], ["--set", "strength=0"]):
            more = ["--style", painting, *strength]
            assert translate(stylist / "run" / file, photo, tmp_path / "out.png", *more) == 0
            with Image.open(tmp_path / "out.png") as picture:
                made.setdefault(str(strength), []).append(np.asarray(picture, int))
    for several in made.values():
        assert several[0].shape == (23, 37) and all(np.abs(one - several[0]).max() <= 1 for one in several)
    whole, half, none = (several[0] for several in made.values())
    assert not np.array_equal(whole, half) and not np.array_equal(half, none)
    assert translate(stylist / "run" / "transfer.onnx", photo, tmp_path / "s.png", "--style", photo) == 0
    assert np.abs(np.asarray(Image.open(tmp_path / "s.png"), int) - none).max() <= 1
    more = ["--style", painting, "--longest", 10]
    assert translate(stylist / "run" / "transfer.onnx", photo, tmp_path / "s.png", *more) == 0
    assert Image.open(tmp_path / "s.png").size == (10, 6)


def test_a_styled_run_shows_both_pictures_tells_the_command_and_is_evaluated(stylist, capsys):
    with Image.open(stylist / "run" / "samples.png") as picture:
        # Four rows of three images of 8 pixels, with lines of 2 between them.
        assert picture.width / picture.height == pytest.approx((3 * 10 - 2) / (4 * 10 - 2), rel=0.01)
    out = (stylist / "out.txt").read_text()
    assert "stage style (2 of 2)" in out and "photo.jpg --style painting.jpg -o out.png" in out
    capsys.readouterr()
    assert main(["evaluate", str(stylist / "run")]) == 0
    out = capsys.readouterr().out
    for name in ("transferred_moments", "content_moments", "matched_structure"):
        assert name in out


def test_what_is_wrong_with_a_style_is_one_line(stylist, run, tmp_path, capsys, monkeypatch):
    photo, styled, plain = stylist / "0.png", stylist / "run" / "transfer.onnx", run / "pix2pix" / "translate.onnx"
    capsys.readouterr()
    for source, more, words in (
        (styled, [], ["takes the style of a picture; give --style painting.jpg"]),
        (styled, ["--style", tmp_path / "none.png"], ["none.png", "cannot read"]),
        (styled, ["--style", photo, "--set", "strength=1.5"], ["strength is 1.5; expected 0 to 1"]),
        (styled, ["--style", photo, "--set", "strenght=1"], ["did you mean", "strength"]),
        (styled, ["--set", "style=1"], ["--set style", "strength"]),
        (plain, ["--set", "strength=1"], ["--set strength", "it has none: leave it out"]),
    ):
        assert translate(source, photo, tmp_path / "x.png", *more) in (1, 2)
        assert_one_line(capsys.readouterr().err, *words)
    monkeypatch.setattr("keras_gen.cli.translate.NEEDED", 2**50)
    assert translate(styled, photo, tmp_path / "x.png", "--style", photo) == 2
    assert_one_line(capsys.readouterr().err, "23x37 pixels", "give --longest")
    assert not (tmp_path / "x.png").exists()


def test_what_is_wrong_with_a_map_is_one_line(painter, run, tmp_path, capsys):
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(tmp_path / "other.png")
    Image.new("L", (8, 8), 1).save(tmp_path / "gray.png")
    fine = painter / "data" / "labels" / "0.png"
    Image.open(fine).save(tmp_path / "map.jpg")
    capsys.readouterr()
    files = painter / "run"
    for source, image, more, words in (
        (files, tmp_path / "other.png", [], ["other.png", "#070707", "expected one of 2 colors such as #0000fa"]),
        (files, tmp_path / "gray.png", [], ["gray.png", "one value a pixel; this model reads maps of colors"]),
        (files, tmp_path / "map.jpg", [], ["map.jpg", "JPEG", "expected a PNG"]),
        (files, fine, ["--longest", "4"], ["--longest", "this one paints 8x8"]),
        (files, fine, ["--to", "a"], ["no way to 'a'; its ways: generate"]),
        (run / "pix2pix" / "translate.onnx", fine, ["--style", fine], ["--style is of models that paint maps"]),
    ):
        assert translate(source, image, tmp_path / "x.png", *more) == 2
        assert_one_line(capsys.readouterr().err, *words)
    (tmp_path / "generate.onnx").write_bytes((files / "generate.onnx").read_bytes())
    assert translate(tmp_path / "generate.onnx", fine, tmp_path / "x.png", "--style", fine) == 2
    assert_one_line(capsys.readouterr().err, "has no encoder of styles", "put its encode.onnx beside it")
    assert main(["sample", str(files), "-o", str(tmp_path / "grid.png")]) == 2
    assert_one_line(capsys.readouterr().err, "'segmentation' was not given", "translate")
    assert main(["explore", str(files), "interpolate", "-o", str(tmp_path / "walk.png")]) == 2
    assert_one_line(capsys.readouterr().err, "segmentation")
    assert main(["train", "spade", "--data", "digits", "--arrays", "source=a,target=b"]) == 2
    assert_one_line(capsys.readouterr().err, "--arrays")


def test_samples_show_map_output_and_truth_and_evaluate_its_baselines(painter, capsys):
    with Image.open(painter / "run" / "samples.png") as picture:
        pixels = np.asarray(picture)
    factor = pixels.shape[1] // 28  # 3 images of 8 pixels, with lines of 2 between them
    shown = pixels[::factor, ::factor][:8, :8]
    assert {tuple(color) for color in shown.reshape(-1, 3).tolist()} <= {(0, 0, 250), (200, 10, 10)}
    capsys.readouterr()
    assert main(["evaluate", str(painter / "run")]) == 0
    out = capsys.readouterr().out
    for name in ("translated_l1", "median_l1", "class_color_l1", "nearest_map_psnr"):
        assert name in out

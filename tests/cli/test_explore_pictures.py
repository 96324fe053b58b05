"""What `explore` moves when nobody says it, and how its pictures and lines say what is what."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import make

import export.onnx
import keras_gen
from keras_gen import images, latent
from keras_gen.cli.main import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of normal and of uniform latents, of two latents, and of classes."""
    folder = tmp_path_factory.mktemp("explore")
    rows = {"vae": ("vae", {}), "gan": ("gan", {}), "flat": ("vae", {"latent_dim": 2})}
    rows["cgan"] = ("cgan", {})
    for name, (row, more) in rows.items():
        model = make(row, **more)
        model.save(folder / "saved_models" / name / "model.keras")
        if name == "gan":
            export.onnx.export(model, folder / "saved_models" / name)
    return folder


@pytest.fixture
def here(runs, monkeypatch):
    monkeypatch.chdir(runs)
    return Path("saved_models")


def explore(capsys, *arguments):
    """Returns the lines that are printed."""
    assert main(["explore", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def opened(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("L"))


def cells(path, rows, columns, side=8):
    """Takes the lower right of a picture apart: gray levels (rows, columns, side, side), and what is left and above."""
    sheet = opened(path)
    height, width = rows * (side + 2) - 2, columns * (side + 2) - 2
    factor = max(-(-512 // max(height, width)), -(-18 // side) if sheet.shape[1] % width else 1)
    margin, above = sheet[-factor * height :, : -factor * width], sheet[: -factor * height]
    sheet = np.pad(sheet[-factor * height :: factor, -factor * width :: factor], ((0, 2), (0, 2)))
    sheet = sheet.reshape(rows, side + 2, columns, side + 2).swapaxes(1, 2)
    return sheet[:, :, :side, :side], margin, above


def levels(pictures):
    return images.to_uint8(pictures)[..., 0]


def written(margin, rows):
    """Returns in which rows of a margin there are dark letters."""
    return [bool((part < 128).any()) for part in np.array_split(margin, rows)]


def test_traverse_moves_the_directions_that_change_most(here, tmp_path, capsys):
    lines = explore(capsys, "vae", "traverse", "--steps", 5, "-o", tmp_path / "x.png")
    decode = latent.decoder("vae")
    found = latent.directions(decode, n=3)
    start = decode.draw(1, 0)[0]
    wanted = [decode(latent.along(start, [one], np.linspace(-3, 3, 5)[:, None])) for one in found.vectors]
    drawn, margin, above = cells(tmp_path / "x.png", 3, 5)
    np.testing.assert_allclose(drawn, levels(np.stack(wanted)), atol=1)
    assert written(margin, 3) == [True] * 3 and (above < 128).any()
    assert "rows from above: direction 1, direction 2, direction 3, each from -3 to 3" in lines[1]
    shares = ", ".join(f"{100 * share:.0f} %" for share in found.shares)
    assert f"directions that change the images most: {shares} of their variance" in lines[2]


def test_they_change_more_than_coordinates_do(here, tmp_path, capsys):
    explore(capsys, "gan", "traverse", "-o", tmp_path / "new.png")
    explore(capsys, "gan", "traverse", "--coordinates", "0,1,2,3,4,5", "-o", tmp_path / "old.png")
    new, old = (cells(tmp_path / name, 6, 11)[0].astype(float) for name in ("new.png", "old.png"))
    assert np.ptp(new, axis=1).mean(axis=(1, 2))[0] > 1.1 * np.ptp(old, axis=1).mean(axis=(1, 2)).max()


def test_manifold_is_a_square_of_two_directions(here, tmp_path, capsys):
    lines = explore(capsys, "vae", "manifold", "--steps", 4, "-o", tmp_path / "x.png")
    decode = latent.decoder("vae")
    found, origin, values = latent.directions(decode, n=2), decode.draw(1, 0)[0], latent.quantiles("normal", 4)
    drawn, margin, above = cells(tmp_path / "x.png", 4, 4)
    for row, column in itertools.product(range(4), range(4)):
        moved = latent.along(origin, found.vectors, [values[column], values[3 - row]])
        np.testing.assert_allclose(drawn[row, column], levels(decode(moved)), atol=1)
    assert "to the right direction 1, upward direction 2, each from -1.2 to 1.2" in lines[1]
    assert (margin < 128).any() and (above < 128).any()


def test_two_latents_and_given_coordinates_are_moved_as_they_are(here, tmp_path, capsys):
    for run, more in (("flat", []), ("vae", ["--coordinates", "0,1"])):
        lines = explore(capsys, run, "manifold", "--steps", 4, *more, "-o", tmp_path / "x.png")
        decode = latent.decoder(run)
        wanted = decode(latent.manifold(4, "normal", decode.draw(1, 0)[0]))
        np.testing.assert_allclose(cells(tmp_path / "x.png", 4, 4)[0], levels(wanted), atol=1)
        assert "coordinate 0, upward coordinate 1" in lines[1] and "direction" not in "".join(lines)


def test_uniform_latents_stay_in_range_unless_a_reach_is_asked_for(here, tmp_path, capsys):
    decode = latent.decoder("gan")
    found, start = latent.directions(decode, n=6), decode.draw(1, 0)[0]
    reach = latent.reach("uniform", found.vectors)
    assert 1 < reach < 3**0.5
    for asked, law in ((None, "uniform"), (2.5, None)):
        more = ["--reach", asked] if asked else []
        lines = explore(capsys, "gan", "traverse", "--steps", 3, *more, "-o", tmp_path / "x.png")
        values = np.array([-1, 0, 1])[:, None] * (asked or reach)
        wanted = np.stack([decode(latent.along(start, [one], values, law)) for one in found.vectors])
        np.testing.assert_allclose(cells(tmp_path / "x.png", 6, 3)[0], levels(wanted), atol=1)
        assert f"each from {-(asked or reach):.2g} to" in lines[1]


def test_files_move_the_same_directions(here, tmp_path, capsys):
    ours, theirs = (
        explore(capsys, source, "manifold", "--steps", 3, "-o", tmp_path / f"{number}.png")
        for number, source in enumerate(("gan", here / "gan" / "generate.onnx"))
    )
    assert ours[1:] == theirs[1:]
    ours, theirs = (cells(tmp_path / f"{number}.png", 3, 3)[0].astype(int) for number in (0, 1))
    assert abs(ours - theirs).max() <= 1


def test_directions_are_those_of_the_label(here, tmp_path, capsys):
    for label in (1, 4):
        explore(capsys, "cgan", "manifold", "--steps", 3, "--label", label, "-o", tmp_path / "x.png")
        decode = latent.decoder("cgan")
        found = latent.directions(decode, n=2, label=label)
        middle = latent.along(decode.draw(1, 0)[0], found.vectors, [0, 0])
        np.testing.assert_allclose(cells(tmp_path / "x.png", 3, 3)[0][1, 1], levels(decode(middle, label)), atol=1)


def test_arithmetic_says_what_its_rows_are_and_leaves_places_empty(here, tmp_path, capsys):
    lines = explore(capsys, "vae", "arithmetic", "--terms", "4,1,0-2+3,5", "-o", tmp_path / "x.png")
    assert lines[1:] == [
        "  samples 4, 1, 0; minus 2; plus 3, 5: a row each, their mean last",
        "  last row: from the mean of 4, 1, 0 to the result",
    ]
    drawn, margin, above = cells(tmp_path / "x.png", 4, 4)
    assert written(margin, 4) == [True] * 4
    assert [bool((part < 128).any()) for part in np.array_split(above[:, margin.shape[1] :], 4, axis=1)][3]
    empty = [(1, 1), (1, 2), (2, 2)]
    for place in itertools.product(range(4), range(4)):
        assert (drawn[place] == 255).all() == (place in empty), place


def test_interpolate_says_between_which_samples(here, tmp_path, capsys):
    lines = explore(capsys, "vae", "interpolate", "-n", 5, "-o", tmp_path / "x.png")
    assert lines[1] == "  rows from above, between samples (slerp): 0 to 5, 1 to 6, ..., 4 to 9"
    assert written(cells(tmp_path / "x.png", 5, 10)[1], 5) == [True] * 5
    lines = explore(capsys, "vae", "interpolate", "--data", "digits", "-n", 2, "-o", tmp_path / "x.png")
    assert lines[1] == "  rows from above, between reconstructions of real images (slerp): 0 to 2, 1 to 3"


def test_many_rows_are_high_enough_for_their_words(here, tmp_path, capsys):
    explore(capsys, "vae", "interpolate", "-n", 40, "--steps", 2, "-o", tmp_path / "x.png")
    drawn, margin, _ = cells(tmp_path / "x.png", 40, 2)
    assert written(margin, 40) == [True] * 40
    np.testing.assert_allclose(drawn[:, 0], levels(keras_gen.load("vae").sample(40, seed=0)), atol=1)


def test_a_sheet_of_samples_has_no_black_ninth_tile(here, tmp_path, capsys):
    assert main(["sample", "vae", "-n", "8", "-o", str(tmp_path / "x.png")]) == 0
    drawn = cells(tmp_path / "x.png", 3, 3)[0]
    np.testing.assert_allclose(drawn.reshape(9, 8, 8)[:8], levels(keras_gen.load("vae").sample(8, seed=0)), atol=1)
    assert (drawn[2, 2] == 255).all()


@pytest.mark.parametrize(("axes", "words"), [("1,1", "names 1 twice"), ("0,1,2", "names 3 of them"), ("0,9", "0 to 2")])
def test_axes_that_are_none_are_one_line(here, capsys, axes, words):
    assert main(["explore", "vae", "manifold", "--coordinates", axes]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and words in err and err.count("\n") == 1


MESSAGES = {
    "no latents": ("gpt", ["manifold"], "makes no images of an input 'latent'; it has no latents, only logits, step"),
    "another input": ("vae", ["manifold", "--input", "codes"], "makes no images of an input 'codes'; known: latent"),
    "a near miss": ("vae", ["manifold", "--input", "latents"], "did you mean 'latent'?"),
    "no labels": ("vae", ["manifold", "--label", "3"], "label 3 was given, but 'decode' has no labels; leave it out"),
    "another class": ("cgan", ["manifold", "--label", "99"], "label 99 is out of range; expected 0 to "),
    "option of another action": ("vae", ["manifold", "-n", "3"], "-n is not for manifold; it takes --coordinates"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_say_the_way_out(here, capfd, name):
    run, arguments, words = MESSAGES[name]
    if run == "gpt":
        make("gpt").save(here / "gpt" / "model.keras")
    assert main(["explore", run, *arguments]) == 2
    err = capfd.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1 and words in err, err

"""What the command line says of data, and hands on: ranges, damaged files, names of classes."""

import numpy as np
import pytest
from small_run import assert_one_line, card, train
from sources import draw

from keras_gen.cli import parser
from keras_gen.cli.main import main


@pytest.mark.parametrize("words", [["--range", "-3,3"], ["--range=-3,3"], ["--range", "-3.0,3"]])
@pytest.mark.parametrize(
    "command", [["train", "vae"], ["benchmark", "vae"], ["evaluate", "x"], ["explore", "x", "project"]]
)
def test_a_range_may_begin_below_zero(command, words):
    assert parser.parse([*command, *words]).range == (-3, 3)


@pytest.mark.parametrize("value", ["3", "3,1", "a,b", "0,inf", ""])
def test_a_range_that_is_none_is_refused(value, capsys):
    assert main(["train", "vae", f"--range={value}"]) == 2
    assert_one_line(capsys.readouterr().err, "--range", "0,16")


def test_a_range_is_kept_in_the_card_and_used_by_a_run_that_is_like_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("d.npz", x_train=rng.integers(0, 17, (40, 8, 8)).astype(float), x_test=rng.integers(0, 9, (9, 8, 8)) * 1.0)
    small = ("--set", "hidden=[4]", "--set", "latent_dim=2", "--batch-size", "20", "--steps", "1", "--samples", "4")
    assert train("--data", "d.npz", "--output", "a", name="vae", small=small) == 0
    assert "--range 0,16" in capsys.readouterr().err
    assert train("--data", "d.npz", "--output", "b", "--range", "0,16", name="vae", small=small) == 0
    assert train("--like", "b", "--output", "c", name="vae", small=small) == 0
    assert "--range" not in capsys.readouterr().err
    digests = [card(tmp_path / name)["data"]["digest"] for name in "abc"]
    assert digests[0] != digests[1] == digests[2] and card(tmp_path / "c")["settings"]["range"] == [0, 16]
    assert train("--data", "d.npz", "--output", "b", name="vae", small=small) == 2  # other data than those of the run


def test_damaged_files_are_left_out_when_asked(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index in range(12):
        draw(tmp_path / "d" / f"{index:02}.png", size=(8, 8))
    for index in (3, 7):
        (tmp_path / "d" / f"{index:02}.png").write_bytes(b"no image")
    small = ("--set", "hidden=[4]", "--set", "latent_dim=2", "--batch-size", "4", "--steps", "1", "--samples", "4")
    assert train("--data", "d", "--output", "a", name="vae", small=small) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert_one_line(error[0], "03.png", "07.png", "--skip-damaged")
    assert train("--data", "d", "--output", "a", "--skip-damaged", name="vae", small=small) == 0
    assert "left out 2 damaged files" in capsys.readouterr().err
    assert card(tmp_path / "a")["data"]["images"] == 9

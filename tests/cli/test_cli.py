"""The command line: what it writes, what it says, and how it fails."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted import Bug
from small_run import assert_one_line, card, history, python, train

import keras_gen
from keras_gen.cli import given
from keras_gen.cli.main import main
from keras_gen.files import writing

# --- without TensorFlow ----------------------------------------------------------------------------------------------


def test_help_list_and_errors_do_not_import_tensorflow():
    code = (
        "import sys; from keras_gen.cli.main import main\n"
        "codes = [main(argv.split()) for argv in ('list', 'train --help', 'sample --help', '--version', '', 'train x',"
        " 'train dcgan --steps 0', 'sample nothing')]\n"
        "print(codes, sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    out = python("-c", code)
    assert out.stdout.splitlines()[-1] == "[0, 0, 0, 0, 2, 2, 2, 2] []"
    assert out.stderr.startswith("usage: "), "no command: the help"
    assert sum(line.startswith("error: ") for line in out.stderr.splitlines()) == 4


def test_list_has_a_line_for_each_model_with_the_first_line_of_its_docstring(capsys):
    assert main(["list"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert sorted(line.split()[0] for line in lines) == list(keras_gen.names())
    for line in lines:
        cls = keras_gen.registry.model_class(line.split()[0])
        assert line.endswith(cls.__doc__.partition("\n")[0]) and line.split()[1] == cls.density
        assert len(cls.__doc__.partition("\n")[0]) <= 80, "fits a table"


def test_the_module_and_the_entry_point_are_the_same_command(tmp_path):
    out = python("-m", "keras_gen", "train", "vea", cwd=Path(__file__).parents[2])
    assert (out.returncode, out.stdout) == (2, "")
    assert out.stderr == "error: model 'vea' is not known; did you mean 'vae'?\n"


# --- train -----------------------------------------------------------------------------------------------------------


def test_the_folder_of_a_run(run, capfd):
    assert sorted(path.name for path in run.iterdir() if path.name != ".lock") == [
        *("card.json", "checkpoints", "history.csv", "model.keras", "samples.png"),
    ]
    found = card(run)
    assert (found["state"], found["steps"], found["target_steps"], found["epochs"]) == ("finished", 9, 9, 1.5)
    assert found["data"]["name"] == "digits" and found["data"]["images"] == 1500
    configuration = found["identity"]["configuration"]
    given = {"width": 4, "latent_dim": 6, "ema": 0.5, "image_shape": [8, 8, 1]}
    usual = {"latent": "uniform", "norm": "batch", "update": "simultaneous", "n_critic": 1, "augment": [], "r1": 0.0}
    assert {**configuration, **given, **usual} == configuration
    assert set(configuration) & {"generator", "architecture", "seed", "dtype"} == set(), "settled, or told elsewhere"
    assert found["optimizers"]["d_optimizer"]["learning_rate"] == pytest.approx(2e-4)
    assert set(found["versions"]) == {"python", "keras_gen", "keras", "tensorflow", "numpy"}
    rows = history(run)
    assert [(row["epoch"], row["steps"]) for row in rows] == [("1", "6"), ("2", "9")]
    assert list(rows[0])[2:] == ["d_loss", "g_loss", "loss", "seconds"]
    assert found["metrics"]["d_loss"] == pytest.approx(float(rows[1]["d_loss"]), rel=1e-4)
    model = keras_gen.load(run)
    assert model.seed == 3 and model.image_shape == (8, 8, 1)
    trained = sum(int(np.prod(v.shape)) for player in model.players() for v in player.variables)
    assert found["parameters"] == trained
    with Image.open(run / "samples.png") as picture:
        assert picture.mode == "L" and min(picture.size) >= 512
    assert capfd.readouterr() == ("", "")


def test_a_finished_run_says_so_and_more_steps_go_on_exactly(copied, tmp_path, capsys):
    command = ["--output", copied, "--seed", 3, "--set", "ema=0.5"]
    before = (copied / "model.keras").read_bytes()
    for more in ([], ["--steps", 9], ["--epochs", 1]):
        assert train(*command, *more) == 0
        assert "is finished at step 9" in capsys.readouterr().out
    assert (copied / "model.keras").read_bytes() == before
    assert train(*command, "--epochs", 3) == 0
    assert "going on from step 9" in capsys.readouterr().out
    other = tmp_path / "at_once"
    assert train("--output", other, "--seed", 3, "--set", "ema=0.5", "--epochs", 3) == 0
    for one, two in zip(keras_gen.load(copied).weights, keras_gen.load(other).weights, strict=True):
        np.testing.assert_array_equal(one, two)
    without = [[{k: v for k, v in row.items() if k != "seconds"} for row in history(run)] for run in (copied, other)]
    assert without[0] == without[1]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--set", "width=8"], ["width is 8", "has 4"]),
        (["--set", "latent_dim=7"], ["latent dim is 7", "has 6"]),
        (["--image-size", "16"], ["image shape is [16, 16, 1]", "has [8, 8, 1]"]),
        (["--split", "test"], ["split is test", "has train"]),
        (["--seed", "4"], ["seed is 4", "has 3"]),
        (["--precision", "mixed_bfloat16"], ["precision is mixed_bfloat16", "has float32"]),
        (["--batch-size", "100"], ["batch size is 100", "has 250"]),
        (["--learning-rate", "0.1"], ["learning rate is 0.1", "has None"]),
    ],
)
def test_another_setting_does_not_resume(run, capsys, more, words):
    before = (run / "card.json").read_bytes()
    assert train("--output", run, "--seed", 3, "--set", "ema=0.5", *more) == 2
    out, err = capsys.readouterr()
    assert_one_line(err, *words, "--no-resume")
    assert (run / "card.json").read_bytes() == before


def test_another_model_and_other_data_do_not_resume(copied, tmp_path, capsys):
    assert main(["train", "gan", "--output", str(copied)]) == 2
    assert_one_line(capsys.readouterr().err, "model is gan", "has dcgan")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", x_train=rng.integers(0, 256, (1500, 8, 8, 1), np.uint8))
    assert train("--output", copied, "--seed", 3, "--set", "ema=0.5", "--data", tmp_path / "noise.npz") == 2
    assert_one_line(capsys.readouterr().err, "data is", "noise.npz", "has digits")


def test_a_run_from_before_an_argument_had_its_former_value(copied, tmp_path, capsys):
    card = json.loads((copied / "card.json").read_text())
    assert card["identity"]["configuration"].pop("ema_statistics") == "averaged"
    (copied / "card.json").write_text(json.dumps(card))
    command = ["--output", copied, "--seed", 3, "--set", "ema=0.5"]
    assert train(*command) == 2
    assert_one_line(capsys.readouterr().err, "ema statistics is averaged", "has copied")
    assert train(*command, "--set", "ema_statistics=copied") == 0
    assert train("--output", tmp_path / "new", "--like", copied, "--steps", 1) == 0
    assert keras_gen.load(tmp_path / "new").ema_statistics == "copied"


def test_no_resume_moves_the_old_run_aside(copied, capsys):
    before = (copied / "model.keras").read_bytes()
    assert train("--output", copied, "--no-resume", "--steps", 1) == 0
    aside = copied.with_name("copy.1")
    assert f"{aside}"[-30:] in capsys.readouterr().out
    assert (aside / "model.keras").read_bytes() == before and card(aside)["steps"] == 9
    assert card(copied)["steps"] == 1 and len(history(copied)) == 1


def test_killed_between_the_last_checkpoint_and_the_model(copied, capsys):
    before = keras_gen.load(copied).get_weights()
    (copied / "model.keras").unlink()
    (copied / "card.json").write_text(json.dumps({**card(copied), "state": "training", "steps": 6}))
    assert train("--output", copied, "--seed", 3, "--set", "ema=0.5") == 0
    assert card(copied)["state"] == "finished" and card(copied)["steps"] == 9
    for one, two in zip(before, keras_gen.load(copied).get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_init_from_copies_weights_and_averages(run, tmp_path, capsys):
    command = ["--init-from", run, "--learning-rate", "0", "--steps", 1, "--output", tmp_path / "b", "--set", "ema=0.5"]
    assert train(*command) == 0
    old, new = keras_gen.load(run), keras_gen.load(tmp_path / "b")
    for player, other in zip(old.players(), new.players(), strict=True):
        for one, two in zip(player.variables, other.variables, strict=True):
            np.testing.assert_array_equal(one, two)
    assert train("--init-from", run, "--output", tmp_path / "c", "--set", "width=8") == 2
    assert_one_line(capsys.readouterr().err, "small", "other sizes", "discriminator")
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_precision_rates_and_validation(tmp_path):
    folder = tmp_path / "run"
    more = ("--precision", "mixed_float16", "--learning-rate", "d=1e-3,g=2e-3", "--validate", "--epochs", 1)
    assert train(*more, "--output", folder) == 0
    model = keras_gen.load(folder)
    assert model.dtype_policy.name == "mixed_float16"
    rates = [float(getattr(model, name).learning_rate) for name in ("d_optimizer", "g_optimizer")]
    np.testing.assert_allclose(rates, [1e-3, 2e-3])
    assert {"d_loss", "val_d_loss"} <= set(history(folder)[0])


def test_learning_rates_that_fall_reach_nothing_at_the_last_update_and_resume_exactly(tmp_path, capsys):
    falling = ("--decay-from", 0.5, "--lr", "d=1e-3,g=2e-3", "--set", "n_critic=2", "--batch-size", 300)
    whole, other = tmp_path / "whole", tmp_path / "other"
    assert train(*falling, "--steps", 4, "--output", whole) == 0
    capsys.readouterr()
    model = keras_gen.load(whole)
    for name, updates, rate in (("d", 8, 1e-3), ("g", 4, 2e-3)):
        schedule = getattr(model, f"{name}_optimizer")._learning_rate
        assert int(getattr(model, f"{name}_optimizer").iterations) == updates
        wanted = [1, 1, 1, 0.5, 0, 0]
        steps = [0, updates // 4, updates // 2, updates * 3 // 4, updates, updates + 9]
        np.testing.assert_allclose([schedule(step) for step in steps], np.multiply(wanted, rate), rtol=1e-6)
    assert train(*falling, "--steps", 8, "--output", whole) == 2
    assert_one_line(capsys.readouterr().err, "8 steps were asked for", "fall to 0 at step 4", "--no-resume")
    assert train(*falling[2:], "--output", whole) == 2
    assert_one_line(capsys.readouterr().err, "decay from is None", "has 0.5")
    assert train(*falling, "--output", whole) == 0
    assert "is finished at step 4; its learning rates have fallen to 0" in capsys.readouterr().out
    assert train("--like", whole, "--output", other, "--steps", 2, "--batch-size", 300) == 0
    assert keras_gen.load(other).g_optimizer._learning_rate.get_config()["hold"] == 1


def test_a_learning_rate_that_follows_a_schedule_already_does_not_fall_by_another(tmp_path, capsys):
    text = tmp_path / "a.txt"
    text.write_text("abcd" * 600)
    small = ["--set", "context=8", "--set", "width=8", "--set", "heads=1", "--set", "blocks=1", "--set", "decay=900"]
    command = ["train", "gpt", "--data", str(text), "--output", str(tmp_path / "run"), "--steps", "1", *small]
    assert main([*command, "--decay-from", "0"]) == 2
    assert_one_line(capsys.readouterr().err, "--decay-from 0", "follows a schedule already", "--learning-rate")
    assert main([*command, "--decay-from", "0", "--lr", "1e-3"]) == 0


def test_every_update_gets_a_batch_of_its_own(tmp_path, capsys):
    more = ("--set", "n_critic=5", "--batch-size", 50, "--epochs", 1, "--output", tmp_path / "run")
    assert train(*more) == 0
    assert card(tmp_path / "run")["steps"] == 1500 // 250
    assert train(*more[:2], "--batch-size", 301, "--output", tmp_path / "b") == 2
    assert_one_line(capsys.readouterr().err, "1505 images", "--batch-size 301", "at most --batch-size 300")


def test_a_vae_on_a_small_folder_of_images(tmp_path, capsys):
    """Without --batch-size, the recipe's is cut to the data."""
    rng = np.random.default_rng(0)
    for index in range(6):
        path = tmp_path / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 10, 3), np.uint8)).save(path)
    folder = tmp_path / "run"
    small = ("--set", "hidden=[5]", "--set", "latent_dim=2", "--set", "likelihood=gaussian")
    assert train("--data", tmp_path / "images", "--epochs", 2, "--output", folder, name="vae", small=small) == 0
    found = card(folder)
    images = found["data"]["images"]
    assert images < 10 and (found["identity"]["batch_size"], found["steps"]) == (images, 2)
    assert found["data"]["image_shape"] == [9, 10, 3] and found["data"]["classes"] == ["a", "b"]
    assert set(history(folder)[0]) == {"epoch", "steps", "loss", "kl", "reconstruction", "seconds"}


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_no_model(tmp_path, capsys):
    folder = tmp_path / "run"
    small = ("--set", "likelihood=gaussian", "--set", "hidden=[5]")
    assert train("--learning-rate", "1e30", "--epochs", 3, "--output", folder, name="vae", small=small) == 1
    assert_one_line([line for line in capsys.readouterr().err.splitlines() if "error" in line][0], "--learning-rate")
    assert not (folder / "model.keras").exists()


def test_a_second_run_in_the_folder_is_refused(copied, capsys):
    with writing.lock(copied):
        assert train("--output", copied, "--steps", 20) == 2
    assert_one_line(capsys.readouterr().err, "in use by process")


def test_a_foreign_folder_is_not_touched(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("mine")
    assert train("--output", tmp_path) == 2
    assert_one_line(capsys.readouterr().err, "thesis.tex", "--output")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, capsys, monkeypatch, ctrl_c):
    from keras_gen.cli import progress

    folder, seen = tmp_path / "run", []

    def interrupt(self, batch, logs=None):
        seen.append(batch)
        if len(seen) == 4:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.Line, "on_train_batch_begin", interrupt)
        assert train("--output", folder, "--steps", 9) == 130
    assert capsys.readouterr().err == "stopped at step 4 of 9; the same command goes on from there\n"
    assert card(folder)["state"] == "interrupted" and card(folder)["steps"] == 4
    assert keras_gen.load(folder) is not None, "what there is can be sampled"
    assert not (folder / "history.csv").exists(), "the epoch is not over"
    assert train("--output", folder, "--steps", 9) == 0
    assert "going on from step 4" in capsys.readouterr().out


def test_tensorboard_is_asked_for_by_name_when_it_is_missing(tmp_path, capsys, monkeypatch):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tensorboard" else found(name, *a)
    )
    assert train("--tensorboard", "--output", tmp_path / "run") == 2
    assert_one_line(capsys.readouterr().err, "pip install keras-gen[tensorboard]")
    assert not (tmp_path / "run").exists()


def test_set_values_are_read_as_python_and_otherwise_as_text():
    pairs = [("hidden", "(3, 4)"), ("beta", "1e-1"), ("likelihood", "gaussian"), ("ema", "None")]
    assert given.arguments("vae", pairs) == {"hidden": (3, 4), "beta": 0.1, "likelihood": "gaussian", "ema": None}


# --- sample ----------------------------------------------------------------------------------------------------------


def test_sample_writes_by_suffix(run, tmp_path, capsys, monkeypatch):
    assert main(["sample", str(run), "-n", "5", "--seed", "1", "-o", str(tmp_path / "x.npz")]) == 0
    with np.load(tmp_path / "x.npz") as held:
        assert held.files == ["image"]
        image = held["image"]
    assert image.shape == (5, 8, 8, 1) and image.dtype == np.float32 and abs(image).max() <= 1
    np.testing.assert_array_equal(image, keras_gen.load(run).sample(5, seed=1))
    assert (
        main(["sample", str(run), "-n", "5", "--seed", "1", "-o", str(tmp_path / "singles"), "--batch-size", "2"]) == 0
    )
    pictures = sorted((tmp_path / "singles").iterdir())
    assert [path.name for path in pictures] == [f"000{index}.png" for index in range(5)]
    with Image.open(pictures[3]) as picture:
        np.testing.assert_allclose(np.asarray(picture), (image[3, ..., 0] + 1) * 127.5, atol=0.51)
    monkeypatch.chdir(run.parents[1])
    assert main(["sample", "small", "-n", "6", "--columns", "6"]) == 0
    assert str(Path("saved_models/small/grid.png")) in capsys.readouterr().out
    with Image.open(run / "grid.png") as picture:
        assert (picture.width, picture.height) == (58 * 9, 8 * 9), "one row of six, two pixels apart"
    (run / "grid.png").unlink()


def test_exported_files_give_the_same_samples_without_tensorflow(run, tmp_path):
    import export.onnx
    import export.tflite

    wanted = keras_gen.load(run).sample(7, seed=2)
    for kind, name in ((export.onnx, "generate.onnx"), (export.tflite, "model.tflite")):
        assert kind.main([str(run), "--output", str(tmp_path)]) == 0
        code = (
            "import sys; from keras_gen.cli.main import main\n"
            f"code = main(['sample', {name!r}, '-n', '7', '--seed', '2', '-o', '{name}.npz'])\n"
            "sys.exit(code or bool({'tensorflow', 'keras'} & set(sys.modules)))"
        )
        out = python("-c", code, cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parents[2])})
        assert out.returncode == 0 and out.stderr == "", out.stderr
        with np.load(tmp_path / f"{name}.npz") as held:
            np.testing.assert_allclose(held["image"], wanted, atol=1e-4)


BUGS = (
    Bug(
        "learning rates: a critic's falls to 0 by the generator's steps",
        "cli/settings.py",
        'identity["decay_from"], steps * _updates(player))',
        'identity["decay_from"], steps)',
        ("test_learning_rates_that_fall_reach_nothing_at_the_last_update_and_resume_exactly",),
    ),
)

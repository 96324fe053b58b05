"""Recipes: a file makes a model known, says what `train` does, and can be copied and changed."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import keras_gen
from keras_gen import recipes, registry
from keras_gen.cli import given
from keras_gen.cli.main import main
from keras_gen.cli.parser import parse
from keras_gen.errors import DamagedError, UsageError
from keras_gen.game.config import KERAS_ARGUMENTS, constructor_arguments

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("name", keras_gen.names())


def test_a_recipe_that_exists_is_a_model():
    files = {path.stem for path in (ROOT / "keras_gen/recipes").glob("*.toml")}
    assert set(keras_gen.names()) == files
    assert {"gan", "vae", "gpt"} <= files


def test_importing_and_names_read_no_recipe():
    code = (
        "import sys\n"
        "sys.addaudithook(lambda event, given: sys.exit(f'read {given[0]}')"
        " if event == 'open' and str(given[0]).endswith('.toml') else None)\n"
        "import keras_gen; assert 'vae' in keras_gen.names()"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stderr


@EVERY
def test_a_recipe_names_its_class_and_family(name):
    module, cls = registry.class_path(name)
    assert module == f"keras_gen.models.{registry.family(name)}.{name}"
    assert getattr(keras_gen, cls) is registry.model_class(name)


@EVERY
def test_settings_are_arguments_and_thresholds_are_of_recipes(name):
    whole = recipes.read(name)
    known = set(constructor_arguments(registry.model_class(name))) - set(KERAS_ARGUMENTS)
    for part in (whole, *whole.get("data", {}).values()):
        assert {*part.get("settings", {}), *part.get("none", ())} <= known
    for data in {*whole.get("data", {}), *whole.get("thresholds", {}), "other"}:
        found = recipes.recipe(name, data)
        assert found["batch_size"] >= 1 and ("epochs" in found) != ("steps" in found)
    for data in whole.get("thresholds", {}):
        for sign, bound in recipes.thresholds(name, data).values():
            assert sign in recipes.COMPARE and isinstance(bound, float)


def test_a_data_set_takes_the_place_of_what_stands_above():
    assert recipes.recipe("dcgan", "digits")["epochs"] != recipes.recipe("dcgan", "mnist")["epochs"]
    paths = ("../data/mnist.npz", "mnist:3.*.*", "mnist")
    assert len({json.dumps(recipes.recipe("dcgan", path)) for path in paths}) == 1
    assert recipes.recipe("pixel_rnn", "mnist")["settings"] == {"num_classes": None, "blocks": 2}
    assert recipes.recipe("gan", "mnist")["optimizer"]["class_name"] == "SGD"
    assert recipes.thresholds("dcgan", "mnist")["fd"] == ("<=", 3.0)


def test_epochs_take_the_place_of_steps(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("steps = 7\n[data.digits]\nepochs = 2\n[data.mnist]\nbatch_size = 3\n")
    assert recipes.recipe("vae", "digits", mine) == {"batch_size": 64, "epochs": 2}
    assert recipes.recipe("vae", "mnist", mine) == {"batch_size": 3, "steps": 7}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("epochs = ", DamagedError, "is not TOML"),
        ("epoch = 3", UsageError, "did you mean 'epochs'"),
        ("[data.digits]\nclass = 'x'", UsageError, "has the key 'class'"),
        ("[data]\ndigits = 3", UsageError, "expected tables"),
        ("epochs = 0", UsageError, "at least 1"),
        ("batch_size = 1.5", UsageError, "at least 1"),
        ("accumulate = 0", UsageError, "accumulate = 0; expected a whole number, at least 1"),
        ("settings = 3", UsageError, "expected a table"),
        ("none = 'beta'", UsageError, "expected a list"),
        ("learning_rate = 'fast'", UsageError, "expected a number"),
        ("learning_rate = {d = -1}", UsageError, "expected a number"),
        ("[thresholds.digits]\nfd = 3", UsageError, "expected a bound"),
        ("class = 'keras_gen.models.adversarial.gan.GAN'", UsageError, "not of"),
        ("settings = {latent_dims = 3}", UsageError, "did you mean 'latent_dim'"),
        ("settings = {latent_dim = 'x'}", UsageError, "expected a number"),
    ],
)
def test_a_slip_in_a_recipe_is_one_line(text, error, words, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(text)
    options = parse(["train", "vae", "--data", "digits", "--recipe", str(mine)])
    with pytest.raises(error, match=words) as found:
        given.check(options)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(("n_critic", "kept"), [(5, False), (1, True)])
def test_like_a_run_whose_card_holds_the_default_of_a_rule_that_it_did_not_follow(tmp_path, n_critic, kept):
    configuration = {"n_critic": n_critic, "update": "simultaneous"}
    card = {"model": "wgan", "identity": {"configuration": configuration, "batch_size": 25}, "target_steps": 3}
    (tmp_path / "card.json").write_text(json.dumps({**card, "settings": {"data": "digits"}}))
    settings = given.usual(parse(["train", "wgan", "--like", str(tmp_path)]))["settings"]
    assert settings["n_critic"] == n_critic and ("update" in settings) == kept


def test_train_by_a_recipe_of_ones_own_and_like_another_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "keras_gen/recipes/vae.toml").read_text()
    mine = tmp_path / "mine.toml"
    sizes = "steps = 3\nbatch_size = 25\naccumulate = 2\nsettings = { latent_dim = 3, hidden = [9] }"
    mine.write_text(f"{text}\n[data.small]\n{sizes}\n")
    (tmp_path / "small.npz").symlink_to(_digits(tmp_path))
    assert main(["train", "vae", "--data", "small.npz", "--recipe", "mine.toml", "--output", "saved_models/old"]) == 0
    old = json.loads((tmp_path / "saved_models/old/card.json").read_text())
    assert (old["steps"], old["identity"]["batch_size"]) == (3, 25)
    assert old["identity"]["configuration"]["hidden"] == [9]
    # In another process nothing would be left of the recipe: the card tells all.
    mine.unlink()
    assert main(["train", "vae", "--like", "old", "--set", "beta=2", "--seed", "1"]) == 0
    new = json.loads((tmp_path / "saved_models/vae/card.json").read_text())
    assert new["identity"]["configuration"] == {**old["identity"]["configuration"], "beta": 2}
    assert (new["steps"], new["identity"]["batch_size"], new["identity"]["seed"]) == (3, 25, 1)
    assert old["identity"]["accumulate"] == new["identity"]["accumulate"] == 2
    assert keras_gen.load("vae").get_compile_config()["accumulate"] == 2
    assert new["identity"]["digest"] == old["identity"]["digest"], "the run's data, where none are given"
    capsys.readouterr()
    for more, words in (
        (["gan", "--like", "old"], "is a run of 'vae'"),
        (["vae", "--like", "odl"], "did you mean 'old'"),
        (["vae", "--like", "old", "--recipe", "x"], "give one of them"),
    ):
        assert main(["train", *more]) == 2
        assert words in capsys.readouterr().err


def _digits(folder):
    import numpy as np
    from tiny import real_digits

    images, labels = real_digits(100)
    np.savez(folder / "digits.npz", x_train=images, y_train=labels)
    return folder / "digits.npz"


def test_what_train_cannot_use_is_said_before_tensorflow_is_loaded(tmp_path):
    slips = ["vae --set btea=2", "vae --set beta=much", "vae --data mnsit", "vae --data ./nothing.npz", "vea"]
    slips += ["vae --precision float61", "vae --lr fast", "vae --recipe nothing.toml", "cgan --set truncation=0.7"]
    slips += ["vae --workers 2 --set btea=2", "vae --like nothing"]
    code = (
        "import sys; from keras_gen.cli.main import main\n"
        f"print([main(['train', *slip.split()]) for slip in {slips!r}], {{'tensorflow', 'keras'}} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=_environment())
    assert out.stdout.strip() == f"{[2] * len(slips)} set()", out.stdout + out.stderr
    lines = out.stderr.splitlines()
    assert len(lines) == len(slips) and all(line.startswith("error: ") and len(line) <= 200 for line in lines)
    assert "--help" not in lines[6].partition("; see")[0] and "sample" in lines[8]


def _environment():
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@EVERY
def test_the_source_tells_the_arguments_that_the_class_takes(name):
    from keras_gen.cli import declared

    one, cls = declared.of_model(name), registry.model_class(name)
    known = set(constructor_arguments(cls)) - set(KERAS_ARGUMENTS)
    assert set(one.arguments()) == known
    assert one.summary == cls.__doc__.partition("\n")[0]
    assert (one.variable("density"), one.variable("usual_data")) == (cls.density, cls.usual_data)


def test_the_catalog_is_that_of_the_library():
    import tensorflow_datasets

    from keras_gen.files import sets

    assert sets.catalog() == set(tensorflow_datasets.list_builders(with_community_datasets=False))


def test_the_wheel_holds_recipes_and_the_catalog(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    copy = tmp_path / "source"
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode:
        pytest.skip("a copy without its history does not say what belongs into it")
    for file in listed.stdout.splitlines():
        if file.startswith(("keras_gen/", "export/")) or "/" not in file:
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            (copy / file).write_bytes((ROOT / file).read_bytes())
    out = subprocess.run([*command, str(copy)], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr[-1000:]
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {f"keras_gen/recipes/{name}.toml" for name in keras_gen.names()} <= names
    assert {"keras_gen/files/sets.txt", "keras_gen/py.typed", "export/cli.py", "keras_gen/cli/train.py"} <= names

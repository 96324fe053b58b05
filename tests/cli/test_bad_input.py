"""How commands fail: one line that says what to do."""

import json
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image
from small_run import assert_one_line

from keras_gen.cli import given
from keras_gen.cli.main import main


@keras.saving.register_keras_serializable("elsewhere")
class Foreign(keras.layers.Layer):
    pass


def truncated(tmp, run):
    (tmp / "cut.keras").write_bytes((run / "model.keras").read_bytes()[:5000])
    return ["sample", str(tmp / "cut.keras")]


def holding(layer):
    def make(tmp, run):
        with zipfile.ZipFile(run / "model.keras") as old, zipfile.ZipFile(tmp / "evil.keras", "w") as new:
            for name in old.namelist():
                data = old.read(name)
                if name == "config.json":
                    config = json.loads(data)
                    config["config"]["generator"] = keras.saving.serialize_keras_object(layer)
                    data = json.dumps(config).encode()
                new.writestr(name, data)
        return ["sample", str(tmp / "evil.keras")]

    return make


def broken_picture(tmp, run):
    (tmp / "images").mkdir()
    Image.new("L", (8, 8)).save(tmp / "images" / "a.png")
    (tmp / "images" / "b.png").write_bytes((tmp / "images" / "a.png").read_bytes()[:40])
    return ["train", "dcgan", "--data", str(tmp / "images")]


def not_a_number(tmp, run):
    images = np.zeros((20, 8, 8), np.float32)
    images[7, 3, 2] = np.nan
    np.savez(tmp / "nan.npz", x_train=images)
    return ["train", "dcgan", "--data", str(tmp / "nan.npz")]


def file_as_folder(tmp, run):
    (tmp / "file").write_text("")
    return ["train", "dcgan", "--output", str(tmp / "file" / "run")]


def damaged_card(tmp, run):
    (tmp / "run").mkdir()
    (tmp / "run" / "card.json").write_text("{")
    return ["train", "dcgan", "--output", str(tmp / "run")]


def argv(*words):
    return lambda tmp, run: [str(word).replace("RUN", str(run)).replace("TMP", str(tmp)) for word in words]


BAD = {
    "unknown command": (2, argv("trian", "dcgan"), ["trian"]),
    "unknown model": (2, argv("train", "dcgam"), ["'dcgam'", "did you mean 'dcgan'"]),
    "unknown option": (2, argv("train", "dcgan", "--step", "3"), ["'--step'", "did you mean --steps"]),
    "epochs and steps": (2, argv("train", "dcgan", "--steps", 3, "--epochs", 3), ["--epochs", "--steps"]),
    "unknown setting": (2, argv("train", "dcgan", "--set", "widht=3"), ["'widht'", "did you mean 'width'"]),
    "seed as a setting": (2, argv("train", "dcgan", "--set", "seed=3"), ["--seed"]),
    "setting without value": (2, argv("train", "dcgan", "--set", "width"), ["'width'", "key=value"]),
    "setting of another type": (2, argv("train", "dcgan", "--set", "width=wide"), ["width=wide", "a number", "128"]),
    "setting neither true nor false": (
        2,
        argv("train", "pixel_cnn", "--set", "gated=no"),
        ["gated=no", "True or False"],
    ),
    "setting that is no list": (2, argv("train", "vae", "--set", "hidden=5"), ["hidden=5", "[400]"]),
    "setting that fails": (2, argv("train", "dcgan", "--set", "dropout=3"), ["dropout=3"]),
    "setting out of range": (2, argv("train", "gan", "--set", "adversarial=mean"), ["'mean'"]),
    "unknown player": (2, argv("train", "dcgan", "--learning-rate", "c=1"), ["'c'"]),
    "learning rate": (2, argv("train", "dcgan", "--learning-rate", "fast"), ["'fast'"]),
    "precision": (2, argv("train", "dcgan", "--precision", "int4"), ["int4"]),
    "unknown data": (2, argv("train", "dcgan", "--data", "TMP/none.npz"), ["none.npz"]),
    "unknown split": (2, argv("train", "dcgan", "--split", "tarin"), ["'tarin'"]),
    "size the model cannot make": (2, argv("train", "dcgan", "--image-size", "30x31"), ["(30, 31, 1)", "nearest"]),
    "size that is none": (2, argv("train", "dcgan", "--image-size", "big"), ["'big'"]),
    "set shape against the data": (2, argv("train", "gan", "--set", "image_shape=(9,9,1)"), ["9, 9, 1"]),
    "batch larger than the data": (2, argv("train", "dcgan", "--batch-size", 2000), ["2000", "1500"]),
    "broken picture": (1, broken_picture, ["b.png"]),
    "NaN in an npz": (1, not_a_number, ["nan", "(7, 3, 2"]),
    "folder that cannot be written": (1, argv("train", "dcgan", "--output", "/proc/run"), ["/proc/run"]),
    "folder below a file": (1, file_as_folder, ["file"]),
    "damaged card": (1, damaged_card, ["card.json", "--no-resume"]),
    "run to begin from": (2, argv("train", "dcgan", "--init-from", "nothing"), ["'nothing'"]),
    "missing run": (2, argv("sample", "nothing"), ["'nothing'"]),
    "missing file": (2, argv("sample", "TMP/x.onnx"), ["x.onnx"]),
    "truncated model": (1, truncated, ["cut.keras"]),
    "Lambda": (1, holding(keras.layers.Lambda(abs)), ["evil.keras", "Lambda"]),
    "foreign class": (1, holding(Foreign()), ["evil.keras", "Foreign"]),
    "no samples": (2, argv("sample", "RUN", "-n", 0), ["'0'"]),
    "unknown suffix": (2, argv("sample", "RUN", "-o", "x.gif"), [".gif"]),
    "label of a model without": (2, argv("sample", "RUN", "--label", 3), ["label 3"]),
    "samples into /proc": (1, argv("sample", "RUN", "-o", "/proc/x.png"), ["/proc/x.png"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(run, tmp_path, capfd, monkeypatch, name):
    code, make, words = BAD[name]
    monkeypatch.chdir(tmp_path)
    arguments = make(tmp_path, run)
    before = sorted(path for path in tmp_path.rglob("*"))
    assert main(arguments) == code
    out, err = capfd.readouterr()
    assert_one_line(err, *words)
    assert out == ""
    left = [
        path
        for path in sorted(tmp_path.rglob("*"))
        if path not in before and path.name not in (".lock", "saved_models")
    ]
    assert left == [], "nothing was written"


def test_a_recipe_may_name_the_optimizer_and_a_learning_rate_replaces_its_own():
    from tiny import make

    from keras_gen.cli.settings import _optimizers

    described = {"class_name": "SGD", "config": {"learning_rate": 0.05, "momentum": 0.5}}
    made = _optimizers(make("gan"), {"g": 0.1}, described)
    assert set(made) == {"d_optimizer", "g_optimizer"} and made["d_optimizer"] is not made["g_optimizer"]
    assert [float(made[f"{name}_optimizer"].learning_rate) for name in "dg"] == pytest.approx([0.05, 0.1])
    assert all(type(one).__name__ == "SGD" and one.momentum == 0.5 for one in made.values())
    assert described["config"] == {"learning_rate": 0.05, "momentum": 0.5}
    assert _optimizers(make("gan"), None, None) == {}


@pytest.mark.parametrize(
    "text, expected", [("truncation=0.7", 0.7), ("category=3", 3), ("code=0.5,-1", [0.5, -1]), ("code=[1, 2]", [1, 2])]
)
def test_inputs_of_a_sampler_are_numbers_or_vectors(text, expected):
    from keras_gen.cli.parser import parse

    assert parse(["sample", "mine", "--set", text]).inputs == [(text.partition("=")[0], expected)]


def test_samples_take_inputs_by_name(tmp_path, monkeypatch, capsys):
    from tiny import make

    from keras_gen.cli.main import main

    monkeypatch.chdir(tmp_path)
    model = make("infogan")
    model.save("saved_models/codes/model.keras")
    assert main(["sample", "codes", "-n", "3", "--set", "category=2", "--set", "truncation=0.5", "-o", "x.npz"]) == 0
    with np.load("x.npz") as found:
        np.testing.assert_allclose(found["image"], model.sample(3, category=2, truncation=0.5), atol=1e-6)
    assert main(["sample", "codes", "--set", "category=7"]) == 2
    assert "category 7 is out of range; expected 0 to 6" in capsys.readouterr().err


def test_true_and_false_are_understood_as_recipes_and_as_python_write_them():
    for text, value in {"false": False, "False": False, "0": False, "true": True, "True": True}.items():
        assert given.arguments("pixel_cnn", [("gated", text)]) == {"gated": value}

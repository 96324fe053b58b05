"""What the command line says of data, and hands on: ranges, damaged files, names of classes."""

import numpy as np
import pytest
from small_run import assert_one_line, card, train
from sources import draw

import keras_gen
from keras_gen.cli import parser
from keras_gen.cli.main import main
from keras_gen.cli.sample import folder_names
from keras_gen.errors import UsageError


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
    assert train("--data", "d.npz", "--output", "b", "--range", "0,16", name="vae", small=small) == 0
    assert train("--like", "b", "--output", "c", name="vae", small=small) == 0
    assert "--range" not in capsys.readouterr().err
    digests = [card(tmp_path / name)["data"]["digest"] for name in "bc"]
    assert keras_gen.data.examples("d.npz").digest != digests[0] == digests[1] and card(tmp_path / "c")["settings"][
        "range"
    ] == [0, 16]
    assert train("--data", "d.npz", "--output", "b", name="vae", small=small) == 2  # other data than those of the run
    assert "--range 0,16" in capsys.readouterr().err


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
    out, err = capsys.readouterr()
    assert "left out 2 damaged files" in err and "1 more images are held out as the test split; --split all" in out
    assert card(tmp_path / "a")["data"]["images"] == 9
    assert train("--data", "d", "--output", "a", "--skip-damaged", "--split", "all", name="vae", small=small) == 2
    assert_one_line(capsys.readouterr().err.splitlines()[-1], "split is all", "has train")
    more = ("--data", "d", "--output", "b", "--skip-damaged", "--split", "all", "--validate")
    assert train(*more, name="vae", small=small) == 0
    assert "validation is on images that are trained on" in capsys.readouterr().out
    assert card(tmp_path / "b")["data"]["images"] == 10


def test_a_picture_and_a_folder_of_a_few_are_projected(letters, tmp_path, capsys):
    for index in range(3):
        draw(tmp_path / "few" / f"{index}.png", size=(9, 8))
    words = ["explore", str(letters), "project", "--steps", "1", "-o", str(tmp_path / "x.png"), "--data"]
    assert main([*words, str(tmp_path / "few")]) == 0
    assert main([*words, str(tmp_path / "few" / "0.png")]) == 0
    assert main([*words, str(tmp_path / "few"), "-n", "10"]) == 2
    assert "has 3 images in all, and 10" in capsys.readouterr().err


# --- names of classes -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """A run on classes that are named 5, 7 and cat; the first line that it printed goes to a file."""
    folder = tmp_path_factory.mktemp("names")
    for index, name in enumerate(["5", "7", "cat, or dog"]):
        for number in range(4):
            draw(folder / "d" / name / f"{number}.png", size=(8, 8), color=(80 * index, 250, 0))
    small = ("--set", "width=4", "--set", "latent_dim=2", "--batch-size", "4", "--steps", "1", "--samples", "4")
    assert train("--data", folder / "d", "--output", folder / "run", "--channels", 1, name="cgan", small=small) == 0
    return folder / "run"


def test_names_of_classes_go_into_the_run_and_its_files(letters):
    names = ("5", "7", "cat, or dog")
    assert card(letters)["data"]["classes"] == list(names)
    assert "class_names" not in card(letters)["identity"]["configuration"]  # a run of before goes on
    model = keras_gen.load(letters)
    assert model.class_names == names and model.num_classes == 3
    meta = model.signatures()["generate"].meta
    assert meta["label.classes"] == '["5", "7", "cat, or dog"]' and meta["label.law"] == "classes 3"


def test_a_class_is_asked_for_by_its_name_and_the_answer_says_both(letters, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for text, index in (("5", 0), ("7", 1), ("cat, or dog", 2), ("cat; or dog", 2), ("1", 1)):
        assert main(["sample", str(letters), "-n", "3", "--label", text, "-o", "x.npz"]) == 0
        name = ("5", "7", "cat, or dog")[index]
        assert f"class {index} ({name!r})" in capsys.readouterr().out
        with np.load("x.npz") as found:
            assert found["label"].tolist() == [index] * 3 and found["class_names"].tolist() == ["5", "7", "cat, or dog"]
    assert main(["sample", str(letters), "-n", "3", "--label", "7,5", "-o", "x.npz"]) == 0
    assert "classes 1 ('7'), 0 ('5')" in capsys.readouterr().out
    for wrong, said in (("3", "out of range"), ("dog", "no class is named 'dog'"), ("7,", "a class such as 3")):
        assert main(["sample", str(letters), "--label", wrong]) == 2
        assert_one_line(capsys.readouterr().err, said)
    assert main(["explore", str(letters), "manifold", "--steps", "2", "--label", "7", "-o", "x.png"]) == 0
    assert "class 1 ('7')" in capsys.readouterr().out
    assert main(["explore", str(letters), "manifold", "--label", "rat", "-o", "x.png"]) == 2
    assert_one_line(capsys.readouterr().err, "'rat'")


def test_samples_are_written_into_a_folder_for_each_class_which_is_read_as_such_again(letters, tmp_path):
    assert main(["sample", str(letters), "-n", "6", "-o", str(tmp_path / "x")]) == 0
    found = keras_gen.data.examples(tmp_path / "x", "all")
    assert found.classes == ("5", "7", "cat, or dog") and found.arrays["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert main(["sample", str(letters), "-n", "6", "-o", str(tmp_path / "x.npz")]) == 0
    found = keras_gen.data.examples(tmp_path / "x.npz", "all")
    assert found.classes == ("5", "7", "cat, or dog") and found.arrays["label"].tolist() == [0, 1, 2] * 2


def test_names_that_are_no_folders_get_others():
    assert folder_names(["a/b", "..", "", ".x", "A", "a", "NUL:", "ok"]) == [
        *["a_b", "class 1", "class 2", "x", "A (4)", "a (5)", "NUL_", "ok"]
    ]


def test_train_says_the_classes_and_like_takes_those_of_the_data(letters, tmp_path, capsys):
    for name in ("ant", "bee"):
        for number in range(4):
            draw(tmp_path / "d" / name / f"{number}.png", size=(8, 8))
    more = ("--channels", 1, "--steps", 1, "--samples", 4)
    assert (
        train("--data", tmp_path / "d", "--output", tmp_path / "a", "--like", letters, *more, name="cgan", small=())
        == 0
    )
    assert "classes: 2: ant, bee\n" in capsys.readouterr().out
    assert keras_gen.load(tmp_path / "a").class_names == ("ant", "bee")
    small = ("--set", "width=4", "--set", "latent_dim=2", "--batch-size", "4", "--set", "num_classes=3")
    assert train("--data", tmp_path / "d", "--output", tmp_path / "b", *more, name="cgan", small=small) == 0
    assert keras_gen.load(tmp_path / "b").class_names == ()


def test_a_model_has_a_name_for_each_class_or_none():
    small = {"image_shape": (8, 8, 1), "width": 4, "latent_dim": 2}
    with pytest.raises(UsageError, match="holds 2 names, and num_classes is 3; give one for each class"):
        keras_gen.get("cgan", **small, num_classes=3, class_names=["a", "b"])
    with pytest.raises(UsageError, match="holds 1 names, and this model sees no labels"):
        keras_gen.get("dcgan", **small, class_names=["a"])
    assert "label.classes" not in keras_gen.get("cgan", **small, num_classes=3).signatures()["generate"].meta


@pytest.mark.slow
def test_weights_of_another_run_meet_other_data_by_the_names_of_classes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image, label = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 3
    for name, names in (("abc", "abc"), ("cba", "cba"), ("ca", "ca"), ("abd", "abd")):
        np.savez(name, x_train=image, y_train=label % len(names), class_names=np.array(list(names)))
    small = ("--set", "hidden=[4]", "--set", "latent_dim=2", "--batch-size", "20", "--steps", "1", "--samples", "1")

    def run(data, *more):
        return train("--data", f"{data}.npz", "--output", *more, name="conditional_vae", small=small)

    assert run("abc", "one") == 0
    capsys.readouterr()
    for name in ("cba", "ca"):
        assert run(name, name, "--init-from", "one") == 0
        out, err = capsys.readouterr()
        assert "classes: 3: a, b, c" in out and ("no image of 1 of the 3 classes of the run one: 'b'" in err) == (
            name == "ca"
        )
    model = keras_gen.load(tmp_path / "ca")
    assert model.class_names == tuple("abc")
    assert run("abd", "two", "--init-from", "one") == 2
    assert_one_line(capsys.readouterr().err, "the class 'd', which the run one does not know")
    assert run("abd", "two", "--set", "class_names=['a','b','c']") == 2
    assert_one_line(capsys.readouterr().err, "the class 'd', which --set class_names does not know")
    assert not (tmp_path / "two").exists()
    assert run("cba", "two", "--like", "one") == 0  # new weights: the classes are those of the data
    assert "classes: 3: c, b, a" in capsys.readouterr().out
    assert run("cba", "one") == 2  # the same pictures and labels, of other names
    assert_one_line(capsys.readouterr().err, "classes is c, b, a", "has a, b, c")


def test_data_without_labels_are_refused_in_the_words_of_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index in range(12):
        draw(tmp_path / "photos" / f"{index:02}.png", size=(8, 8))
    assert train("--data", "photos", name="conditional_vae", small=("--set", "hidden=[4]", "--batch-size", "4")) == 2
    error = capsys.readouterr().err
    assert_one_line(error, "photos has no labels", "conditional_vae", "folder for each class", "y_train")
    assert "fit" not in error

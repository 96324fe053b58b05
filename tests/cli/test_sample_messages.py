"""What `sample` says of an input that a model has not."""

import numpy as np
import pytest
from tiny import make

import export.onnx
from keras_gen.cli.main import main
from keras_gen.errors import UsageError
from keras_gen.signatures.draws import sample_inputs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, model = tmp_path_factory.mktemp("run"), make("dcgan")
    model.save(folder / "model.keras")
    export.onnx.export(model, folder)
    return folder


@pytest.mark.parametrize("name", ["model.keras", "generate.onnx"])
def test_a_label_is_no_misspelt_latent(run, name, tmp_path, capfd):
    assert main(["sample", str(run / name), "--label", "3", "-o", str(tmp_path / "x.png")]) == 2
    assert capfd.readouterr().err == "error: label 3 was given, but this model has no labels; leave it out\n"


def test_a_near_miss_is_offered_and_nothing_else():
    shapes, meta = {"latent": (None, 3), "category": (None,)}, {"latent.law": "normal", "category.law": "classes 3"}
    cases = {"categorie": "; did you mean 'category'?", "truncation": "; leave it out (known: latent, category)"}
    for name, end in cases.items():
        with pytest.raises(UsageError) as caught:
            sample_inputs(shapes, meta, 2, **{name: 1})
        assert str(caught.value) == f"{name} 1 was given to a sampler without {name}{end}"
    assert np.all(sample_inputs(shapes, meta, 2, category=1)["category"] == 1)


@pytest.mark.parametrize(("word", "flag"), [("label=2", "--label"), ("seed=2", "--seed"), ("n=2", "-n")])
def test_what_has_an_option_of_its_own_is_not_set(run, word, flag, capfd):
    assert main(["sample", str(run), "--set", word]) == 2
    err = capfd.readouterr().err
    assert err == f"error: --set {word.partition('=')[0]}=... is not how to choose it; give {flag}\n"

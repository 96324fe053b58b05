"""The laws of inputs: their text is a file format, and every draw in numpy follows from it."""

import dataclasses

import numpy as np
import pytest

from keras_gen import errors
from keras_gen.signatures.law import NORMAL, UNIFORM, Law, law_of, metadata

TEXTS = ("normal", "uniform", "classes 10", "classes 12345678", "constant -1", "constant 100", "constant 0.1")


@pytest.mark.parametrize("text", TEXTS)
def test_a_law_is_its_text(text):
    assert str(Law.parse(text)) == text and Law.parse(text) == Law.parse(Law.parse(text))


def test_what_numbers_are_written_as():
    assert str(Law("constant", 100.0)) == "constant 100" and str(Law("classes", np.int64(3))) == "classes 3"
    assert Law("constant", -1) == Law.parse("constant -1") and Law("normal") == NORMAL != UNIFORM
    with pytest.raises(dataclasses.FrozenInstanceError):
        NORMAL.kind = "uniform"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "poisson",
        "normal 3",
        "classes",
        "classes 0",
        "classes -2",
        "classes 2.5",
        "classes ten",
        "constant",
        "constant x",
    ],
)
def test_no_other_law_is_known(text):
    with pytest.raises(errors.UsageError, match="normal, uniform, classes K, constant X") as caught:
        Law.parse(text)
    assert repr(text) in str(caught.value) and "\n" not in str(caught.value)


def test_draws_are_those_of_numpy():
    ours, theirs = np.random.default_rng(3), np.random.default_rng(3)
    np.testing.assert_array_equal(NORMAL.draw((4, 2), ours), theirs.standard_normal((4, 2), np.float32))
    label = Law("classes", 3).draw((5,), ours)
    assert label.tolist() == [0, 1, 2, 0, 1] and label.dtype == np.int32
    assert Law("constant", 0.5).draw((2,), ours).tolist() == [0.5, 0.5]
    np.testing.assert_array_equal(UNIFORM.draw((9,), ours), theirs.random(9, np.float32) * 2 - 1)


def test_metadata_give_the_laws_back():
    laws = {"latent": NORMAL, "label": Law("classes", 7)}
    meta = metadata(laws)
    assert meta == {"latent.law": "normal", "label.law": "classes 7"}
    assert {name: law_of(meta, name) for name in (*laws, "image")} == {**laws, "image": None}


def test_networks_understand_the_text_of_a_law():
    from keras_gen.networks import mlp

    laws = {"latent": ((None, 4), "normal"), "label": ((None,), "classes 3")}
    named = {name: (shape, Law.parse(law)) for name, (shape, law) in laws.items()}
    shapes = [[weight.shape for weight in mlp.generator(given, (4, 4, 1), (8,)).weights] for given in (laws, named)]
    assert shapes[0] == shapes[1] and shapes[0][0] == (7, 8)

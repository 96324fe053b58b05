"""Classes by name, wherever Python asks for one: the name goes before the number."""

import warnings

import numpy as np
import pytest
from planted import Bug
from tiny import make

import keras_gen
from keras_gen import latent
from keras_gen.errors import UsageError
from keras_gen.signatures.classes import numbered

NAMES = ["cat", "dog", "1"]

BUGS = [
    Bug(
        "numbers-first",
        "signatures/classes.py",
        "    if text in number:\n        return number[text]\n    if text.isdecimal()",
        "    if text in number and not text.isdecimal():\n        return number[text]\n    if text.isdecimal()",
        ("test_a_name_goes_before_a_number_and_numbers_stay",),
    )
]


def test_a_name_goes_before_a_number_and_numbers_stay():
    assert numbered("dog", NAMES) == 1 and numbered("1", NAMES) == 2 and numbered("0", NAMES) == 0
    assert numbered(["dog", 1, b"1"], NAMES) == [1, 1, 2] and numbered(("cat", np.str_("dog")), NAMES) == [0, 1]
    for array in (np.array(["dog", "cat"]), np.array([b"dog", b"cat"]), np.array(["dog", "cat"], object)):
        assert numbered(array, NAMES).tolist() == [1, 0]
    assert numbered(np.array("dog"), NAMES) == 1 and numbered("a,b", ["x", "a,b"]) == 1
    for value in (3, None, [1, 2], np.arange(3), 0.5):
        assert numbered(value, NAMES) is value
    with pytest.raises(UsageError, match="no class is named 'dgo'; did you mean 'dog'"):
        numbered(["cat", "dgo"], NAMES)
    with pytest.raises(UsageError, match="have no names"):
        numbered("cat")


@pytest.fixture(scope="module")
def model():
    return make("conditional_vae", num_classes=3, class_names=NAMES)


def test_every_method_takes_names(model, tmp_path):
    images = model.sample(3, seed=0)
    same = np.testing.assert_array_equal
    same(model.sample(3, seed=0, label="1"), model.sample(3, seed=0, label=2))
    same(model.sample(3, seed=0, label=["dog", "cat", 1]), model.sample(3, seed=0, label=[1, 0, 1]))
    same(model.encode(images, label="dog"), model.encode(images, label=1))
    same(model.reconstruct(images, label=np.array(["dog", "cat", "1"])), model.reconstruct(images, label=[1, 0, 2]))
    same(model.log_prob(images, 2, label="1"), model.log_prob(images, 2, label=2))
    decode = latent.decoder(model)
    same(decode(decode.draw(2, 0), "1"), decode(decode.draw(2, 0), 2))
    for call in (
        lambda label: model.sample(3, label=label),
        lambda label: model.encode(images, label=label),
        lambda label: model.log_prob(images, 2, label=label),
        lambda label: decode(decode.draw(3, 0), label),
        lambda label: model.fit(images, [label] * 3, verbose=0),
    ):
        with pytest.raises(UsageError, match="no class is named 'dgo'; did you mean 'dog'") as caught:
            call("dgo")
        assert len(str(caught.value)) <= 200


def test_fit_takes_names_and_says_classes_without_a_row():
    images = np.full((4, 8, 8, 1), -0.25, np.float32)
    weights = []
    for labels in (["dog", "cat", "dog", "cat"], [1, 0, 1, 0]):
        model = make("conditional_vae", num_classes=3, class_names=NAMES)
        with pytest.warns(UserWarning, match="'label' has no row of class '1'; samples of what") as said:
            model.fit(images, labels, batch_size=4, epochs=2, verbose=0)
        assert len([one for one in said if "label" in str(one.message)]) == 1
        weights.append(model.get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*label")
        model.fit(images[:3], [0, 1, 2], batch_size=3, verbose=0)
    with pytest.raises(UsageError, match="0 to 2"):
        model.fit(images, [0, 1, 2, 3], verbose=0)


def test_text_is_drawn_by_the_name_of_its_class():
    model = keras_gen.get("gpt", vocabulary=5, context=4, num_classes=3, class_names=NAMES, seed=0, start=True)
    how = {"length": 4, "n": 2, "seed": 3}
    np.testing.assert_array_equal(model.generate(label="1", **how), model.generate(label=2, **how))
    with pytest.raises(UsageError, match="did you mean 'dog'"):
        model.generate(label="dgo", **how)

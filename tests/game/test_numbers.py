"""Arguments that count are whole numbers, seeds are not negative, names are text: otherwise one line."""

import numpy as np
import pytest
from tiny import make, real_digits, refused

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game import config

IMAGES, LABELS = real_digits(16)
COUNTS = {
    "batch_size": lambda m, v: m.fit(IMAGES, batch_size=v, verbose=0),
    "steps_per_epoch": lambda m, v: m.fit(IMAGES, steps_per_epoch=v, verbose=0),
    "validation_steps": lambda m, v: m.fit(IMAGES, validation_data=IMAGES, validation_steps=v, verbose=0),
    "validation_batch_size": lambda m, v: m.fit(IMAGES, validation_split=0.5, validation_batch_size=v, verbose=0),
    "validation_freq": lambda m, v: m.fit(IMAGES, validation_data=IMAGES, validation_freq=v, verbose=0),
    "steps": lambda m, v: m.evaluate(IMAGES, steps=v, verbose=0),
    "batch_size of evaluate": lambda m, v: m.evaluate(IMAGES, batch_size=v, verbose=0),
    "batch_size of predict": lambda m, v: m.predict(IMAGES, batch_size=v, verbose=0),
    "steps of predict": lambda m, v: m.predict(IMAGES, steps=v, verbose=0),
    "batch_size of encode": lambda m, v: m.encode(IMAGES, batch_size=v),
    "batch_size of log_prob": lambda m, v: m.log_prob(IMAGES, batch_size=v),
    "batch_size of sample": lambda m, v: m.sample(2, batch_size=v),
    "n": lambda m, v: m.sample(v),
}


@pytest.fixture(scope="module")
def vae():
    return make("vae")


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, 2.5, 2.0, "2", True, np.float32(2)], ids=repr)
def test_a_count_is_a_whole_number_from_1_on(vae, name, value):
    refused(lambda: COUNTS[name](vae, value), rf"^{name.split()[0]} is .*; expected a whole number, at least 1$")


def test_numbers_of_numpy_count_too(vae):
    two = np.int64(2)
    vae.fit(IMAGES, batch_size=two, epochs=two, steps_per_epoch=two, verbose=0)
    assert len(vae.sample(two, seed=two, batch_size=two)) == 2


@pytest.mark.parametrize("value", [-1, 2.5, "2", True], ids=repr)
def test_epochs_and_seeds_are_whole_numbers_from_0_on(vae, value):
    for name in ("epochs", "initial_epoch"):
        refused(lambda: vae.fit(IMAGES, verbose=0, **{name: value}), f"^{name} is .* whole number, at least 0$")  # noqa: B023
    for call in (lambda: vae.sample(2, seed=value), lambda: vae.log_prob(IMAGES, seed=value)):
        refused(call, "^seed is .* whole number, at least 0$")
    refused(lambda: make("vae", seed=value), "^seed is .* whole number, at least 0$")
    refused(lambda: vae.fit(IMAGES, validation_split="a", verbose=0), "validation_split is a")


def test_a_file_of_before_may_hold_a_negative_seed(vae):
    with config.reading():
        assert make("vae", seed=-1).seed == -1
    refused(lambda: make("vae", seed=2**70), "expected at most")


@pytest.mark.parametrize("value", [-1, float("nan"), [1, -0.1]], ids=repr)
def test_truncation_is_not_below_0(value):
    model = make("gan", latent="normal")
    refused(lambda: model.sample(2, truncation=value), "^truncation is .*; expected at least 0$")
    refused(lambda: model.sample(2, truncation="a"), "truncation is 'a'; expected a number")
    same = model.sample(2)
    for none in (None, np.inf, 100):
        np.testing.assert_array_equal(model.sample(2, truncation=none), same)


@pytest.mark.parametrize(
    "wrong",
    [{"top_k": 2.5}, {"top_k": "a"}, {"length": 5.0}, {"length": "a"}, {"seed": -1}, {"batch_size": 0}, {"top_p": "a"}],
    ids=str,
)
def test_arguments_of_generate(wrong):
    model = make("gpt", num_classes=None, class_names=None)
    refused(lambda: model.generate(np.array([0]), **{"length": 4, **wrong}), f"^{next(iter(wrong))} is ")


def test_a_model_is_named_by_text():
    for name in (None, 3, "", ["vae"]):
        refused(lambda: keras_gen.load(name), "is no name of a run")  # noqa: B023
        with pytest.raises(UsageError, match=r"^model .* is not known; [^\n]*$"):
            keras_gen.get(name)

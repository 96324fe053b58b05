"""A model is registered, tested and documented: rows stand in its own test module, and settle every argument."""

import inspect

import collect
import pytest

import keras_gen
from keras_gen.game.config import constructor_arguments
from keras_gen.registry import model_class

EACH = pytest.mark.parametrize("model", keras_gen.names())
# What a model settles for its parent.
SETTLED = {"stacked_autoencoder": {"architecture", "width"}}


def arguments_of(name):
    """Returns a constructor's arguments with their defaults; a GAN's only where it declares them itself, or resizes.

    What it passes on to `GAN` is tested in the rows of `GAN`.
    """
    cls = model_class(name)
    found, own = {}, {"ema", "seed"} if issubclass(cls, keras_gen.GAN) else None
    for base in reversed(cls.__mro__[:-1]):
        if issubclass(base, keras_gen.GenerativeModel):
            for parameter in inspect.signature(base.__init__).parameters.values():
                found[parameter.name] = parameter.default
                if own is not None and base not in (keras_gen.GAN, keras_gen.GenerativeModel):
                    own.add(parameter.name)
    named = set(constructor_arguments(cls)) - {"name", "dtype", "trainable"} - SETTLED.get(name, set())
    if "num_classes" not in named:
        named.discard("class_names")  # of a model that sees no labels
    if own is not None and cls is not keras_gen.GAN:
        named &= own - {"ema"}
    return {argument: found[argument] for argument in named}


def test_every_model_has_a_test_module_and_every_such_module_a_model():
    assert set(collect.modules_of_models()) == set(keras_gen.names())


@EACH
def test_the_test_module_stands_in_the_models_family_and_holds_its_rows(model):
    path = collect.modules_of_models()[model]
    assert path.parent.name == model_class(model).__module__.split(".")[-2]
    module = collect.load(path)
    assert model in module.ROWS, f"{path.name} has no row {model!r}, which represents the model where one row does"
    for row, (name, _) in {**module.ROWS, **getattr(module, "MORE", {})}.items():
        assert name == model and row.partition("-")[0] == model, row


@EACH
def test_rows_of_a_model_give_every_argument_a_value_other_than_the_default(model):
    given = {}
    for name, arguments in collect.rows().values():
        if name == model:
            given |= arguments()
    for argument, default in arguments_of(model).items():
        assert argument in given, argument
        assert given[argument] is not default, argument


@EACH
def test_docstring_tells_arguments_source_and_deviations(model):
    text = inspect.getdoc(model_class(model))
    assert len(text.splitlines()[0]) <= 100
    for section in ("Args:", "Raises:", "Example:", "Reference:", "arXiv:", "Deviations:"):
        assert section in text, section

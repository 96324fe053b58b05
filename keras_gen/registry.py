"""The table of models: name to class, known without importing TensorFlow."""

import importlib
from typing import Any

from keras_gen.errors import UsageError, near_misses

# name: (module, class). The class name is also what a saved file names, so a row is a file format.
MODELS = {
    "dcgan": ("keras_gen.models.dcgan", "DCGAN"),
    "gan": ("keras_gen.models.gan", "GAN"),
    "vae": ("keras_gen.models.vae", "VAE"),
}


def names() -> tuple[str, ...]:
    """Returns the names of all models, sorted."""
    return tuple(sorted(MODELS))


def model_class(name: str) -> type:
    """Returns the class of a model's name.

    Raises:
        UsageError: no model has this name; the message names the near misses.
    """
    if name not in MODELS:
        raise UsageError(f"model {name!r} is not known; {near_misses(name, names())}")
    module, attribute = MODELS[name]
    return getattr(importlib.import_module(module), attribute)


def get(name: str, /, **arguments: Any) -> Any:
    """Builds an untrained model by name.

    Args:
        name: one of `names()`.
        **arguments: of the model's constructor.

    Returns:
        The `keras_gen.GenerativeModel`, built and not compiled.

    Raises:
        UsageError: no model has this name, or its constructor no such argument.
    """
    return model_class(name)(**arguments)

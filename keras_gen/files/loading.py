"""Reads saved models: a file is data, checked before anything is built from it."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_gen import registry
from keras_gen.errors import DamagedError, check_backend
from keras_gen.files import archive, writing
from keras_gen.files.runs import find_model


def load(source: str | Path, custom_objects: Mapping[str, type] | None = None) -> Any:
    """Loads a trained model.

    Only models of this library, plain Keras layers and the classes in `custom_objects` are built; members, sizes and
    class names are checked first, and nothing in the file is executed.

    Args:
        source: the name of a run in `saved_models`, a run's folder, or a `.keras` file.
        custom_objects: name to class, for layers of your own. Only for files that you trust.

    Returns:
        The model, compiled as it was saved.

    Raises:
        UsageError: there is no such run or file, or Keras has another backend.
        DamagedError: the file is damaged, or holds a class that is not allowed.
    """
    check_backend()
    import keras

    path = find_model(source)
    config = archive.check(path, custom_objects=custom_objects)
    for module in {registry.classes().get(config["class_name"]), *archive.OPTIMIZERS.values()} - {None}:
        importlib.import_module(module)  # registers the class
    try:
        with archive.limited(path):
            return keras.saving.load_model(path, custom_objects=dict(custom_objects or {}), safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError) as error:
        reason = str(error).strip().splitlines()[0][:90] if str(error).strip() else type(error).__name__
        raise DamagedError(f"{writing.shown(path)} cannot be loaded: {reason}") from None

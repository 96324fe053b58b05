"""What `call` of a model takes, and so `predict`: brought to its form and checked as data of `fit` are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_gen.errors import UsageError
from keras_gen.game.forms import as_array, classes, numeric, with_channel
from keras_gen.signatures.classes import names_of, numbered
from keras_gen.signatures.law import check_classes, count_of
from keras_gen.signatures.values import check_values


class Called:
    """What `call` of a model, and so `predict`, takes: its values are checked as those of data.

    Args:
        model: a `GenerativeModel`.
    """

    def __init__(self, model: Any):
        self.first = "latent" if "latent" in model.accepts() else model.data_names[0]
        self.shapes = {**model.accepts(), **model.expects()}
        self.meta: dict[str, str] = {}
        for signature in model.signatures().values():
            self.meta |= {key: text for key, text in signature.meta.items() if key not in self.meta}

    def __call__(self, data: Any, number: int | None = None) -> Any:
        """Returns inputs in the form that the networks see, under their names where they came by name.

        Args:
            data: one plain array, or named ones.
            number: of the batch in a stream, from 0.

        Raises:
            UsageError: images of another range, classes that do not exist, or no rows.
            DamagedError: NaN or infinity.
        """
        named = dict(data) if isinstance(data, Mapping) else {self.first: data}
        of, found = "" if number is None else f" of batch {number}", {}
        for name, value in named.items():
            array, count, shape = as_array(name, value), count_of(self.meta, name), tuple(self.shapes.get(name, ()))
            if count and len(shape) == 1:
                array = classes(name, np.asarray(numbered(array, names_of(self.meta, name), name)))
            found[name] = with_channel(numeric(name, array), shape)
            if count:
                check_classes(name, found[name], count)
            if not np.size(array):
                raise UsageError(f"{name!r} has shape {np.shape(array)}; expected at least one row")
        check_values(found, of, warn=not number, meta=self.meta)
        return found if isinstance(data, Mapping) else found[self.first]

"""Imports TensorFlow and what needs it, without their start-up lines."""

import logging

from keras_gen import terminal


def start(debug: bool = False) -> None:
    """Imports everything that `train` and `sample` use.

    Args:
        debug: let the libraries' messages through.
    """
    with terminal.hold(debug):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        import keras_gen.data
        import keras_gen.files.loading  # noqa: F401
    if not debug:
        for name in ("tensorflow", "absl"):
            logging.getLogger(name).setLevel(logging.ERROR)

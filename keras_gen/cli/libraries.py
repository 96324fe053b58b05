"""Imports TensorFlow and what needs it, without their start-up lines."""

import logging
import sys

from keras_gen import terminal
from keras_gen.errors import check_backend

SAID = "loading TensorFlow ..."


def start(debug: bool = False, told: bool = False) -> None:
    """Imports everything that `train` and `sample` use, and says so on a terminal as long as it takes.

    Args:
        debug: let the libraries' messages through.
        told: say it elsewhere, too, as one line of a log.

    Raises:
        UsageError: Keras has another backend.
    """
    check_backend()
    there = "tensorflow" in sys.modules  # a program of its own has loaded it
    erased = sys.stderr.isatty() and not debug and not there
    if erased or told and not there:
        print(SAID, end="" if erased else "\n", file=sys.stderr, flush=True)
    with terminal.hold(debug):
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        import keras_gen.data
        import keras_gen.files.loading  # noqa: F401
    if erased:
        print(f"\r{' ' * len(SAID)}\r", end="", file=sys.stderr, flush=True)
    if not debug:
        for name in ("tensorflow", "absl"):
            logging.getLogger(name).setLevel(logging.ERROR)

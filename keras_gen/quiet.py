"""Keeps the start-up lines of TensorFlow and Keras off the terminal."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def hold(debug: bool = False) -> Iterator[None]:
    """Holds file descriptor 2 back for the length of a block.

    C++ libraries write to the descriptor itself, before any log level is read, so that nothing less will do.

    Args:
        debug: let everything through.
    """
    if debug:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)

"""What a person sees on standard error: the start-up lines of libraries held back, and a line for long work."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator

_QUIET = 2.0  # seconds of silence: what is done by then needs no line
_EVERY_TERMINAL = 0.2  # seconds between two lines
_EVERY_LOG = 30.0  # where lines are kept (a file, a pipe), few of them


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


class Progress:
    """Counts what is done, and tells on standard error once it takes long.

    Args:
        what: what is being done ("reading celeb_a").
        total: how many there are, or None where nobody knows.
        unit: what is counted.
    """

    def __init__(self, what: str, total: int | None = None, unit: str = "images"):
        self.what, self.total, self.unit = what, total, unit
        self.done = 0
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._next = self._began + _QUIET
        self._width = 0

    def __enter__(self) -> "Progress":
        """Starts; the line is closed on leaving."""
        return self

    def __exit__(self, *_):
        """Ends the line."""
        self.close()

    def close(self):
        """Leaves the cursor on a line of its own, if one was written."""
        if self._terminal and self._width:
            print(file=sys.stderr, flush=True)

    def add(self, count: int):
        """Counts some more as done."""
        self.tell(self.done + count)

    def tell(self, done: int):
        """Says how many are done by now."""
        self.done = done
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (_EVERY_TERMINAL if self._terminal else _EVERY_LOG)
        text = f"{self.what}: {done:,} {self.unit}"
        if self.total:
            left = (now - self._began) * (self.total - done) / max(done, 1)
            text = f"{self.what}: {done:,} of {self.total:,} {self.unit}, {left:.0f} s left"
        padding = " " * (self._width - len(text))
        self._width = len(text)
        print(f"\r{text}{padding}" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

"""A line on standard error for work that takes more than a moment: counted by hand, or by a callback of `fit`."""

import sys
import time
from typing import Any

import keras

_QUIET = 2.0  # seconds of silence: what is done by then needs no line
_EVERY_TERMINAL = 0.2  # seconds between two lines
_EVERY_LOG = 30.0  # where lines are kept (a file, a pipe), few of them


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


class ProgressLine(keras.callbacks.Callback):
    """Tells on standard error how far a training is and how long it takes, and leaves standard output to its caller.

    With `verbose=0`, for programs that print tables. The line comes after two seconds; it is renewed on a terminal, and
    elsewhere a new one is written each half minute. A resumed training is counted from the beginning of the epoch in
    which it goes on. There is no line where nobody knows how many steps an epoch has.

    Args:
        what: what is being done.

    Example:
        >>> model.fit(images, epochs=5, verbose=0, callbacks=[keras_gen.callbacks.ProgressLine("training the prior")])
    """

    def __init__(self, what: str = "training"):
        super().__init__()
        self.what = what
        self._line: Progress | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets an earlier training."""
        self._line = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes which epoch it is."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Starts the line at the first step."""
        steps = self.params["steps"]
        if self._line is None and steps:
            self._before = self._epoch * steps
            self._line = Progress(self.what, self.params["epochs"] * steps - self._before, "steps")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells the line, when it is time."""
        if self._line is not None:
            steps = self.params["steps"]  # the last of several steps at once may be counted past the end of the epoch
            self._line.tell(self._epoch * steps + min(batch + 1, steps) - self._before)

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the line."""
        if self._line is not None:
            self._line.close()

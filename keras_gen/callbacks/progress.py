"""A line of progress for trainings inside programs that print something else."""

from typing import Any

import keras

from keras_gen.terminal import Progress


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

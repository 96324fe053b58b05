"""What the terminal shows of a training, and what is written of it at the end of each epoch."""

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_gen.errors import DamagedError
from keras_gen.terminal import Progress

SHARE = 10  # of the time, writing the model between epochs may take one part in so many
_AT_FIRST = 0.2  # seconds to the first line on a terminal
_EVERY = 10.0  # and between two lines elsewhere


def check_loss(logs: Mapping[str, Any] | None, step: int) -> None:
    """Looks at the losses.

    Raises:
        DamagedError: one is NaN or infinite.
    """
    for name, value in (logs or {}).items():
        if not math.isfinite(float(value)):
            raise DamagedError(
                f"{name} is {float(value)} by step {step}; the last sound checkpoint was kept: "
                "give a lower --learning-rate and --no-resume"
            )


class Line(keras.callbacks.Callback):
    """Ends training at a step, and shows how far it is: a bar on a terminal, a line now and then elsewhere.

    It comes after the checkpoint callback, which counts the steps.

    Args:
        keeper: the checkpoint callback.
        target: the total of steps.
        steps_per_epoch: for the number of the epoch.
    """

    def __init__(self, keeper: Any, target: int, steps_per_epoch: int):
        super().__init__()
        self.keeper, self.target, self.steps_per_epoch = keeper, target, steps_per_epoch
        self._progress: Progress | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Leaves the sum over the players out: their own losses tell more."""
        self._totals = ("loss",) if len(self.model.players()) > 1 else ()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Shows the line when it is time."""
        done = self.keeper.steps_done
        if done >= self.target:
            self.model.stop_training = True
        if self._progress is None:  # the first step compiles: it says nothing about the others
            quiet = _AT_FIRST if sys.stdout.isatty() else _EVERY
            self._progress = Progress("", self.target, "steps", done, sys.stdout, quiet, _EVERY)
        self._progress.done = done
        if self._progress.due():
            check_loss(logs, done)
            self._progress.tell(done, self._more(logs))

    def _more(self, logs):
        epochs = math.ceil(self.target / self.steps_per_epoch)
        losses = [f"{name} {float(value):.4g}" for name, value in (logs or {}).items() if name not in self._totals]
        return ", ".join([*losses, f"epoch {min(self.keeper.epoch + 1, epochs)}/{epochs}"])

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the line."""
        self.close()

    def close(self) -> None:
        """Leaves the cursor on a line of its own."""
        if self._progress is not None:
            self._progress.close()


class Record(keras.callbacks.Callback):
    """Writes what an epoch leaves behind.

    It comes before the checkpoint callback: a checkpoint that says an epoch is over must not be older than its row.

    Args:
        keeper: the checkpoint callback.
        target: the total of steps.
        row: takes the epoch (from 1), the steps done, the metrics and the seconds, and writes them down.
        save: writes the model and its samples.
    """

    def __init__(self, keeper: Any, target: int, row: Callable[..., None], save: Callable[[], None]):
        super().__init__()
        self.keeper, self.target, self.row, self.save = keeper, target, row, save
        self._next_save = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of the epoch."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the row of an epoch, and the model when it has been long enough."""
        done = self.keeper.steps_done
        check_loss(logs, done)
        ended = self.keeper.step >= self.params["steps"] or done >= self.target
        if not ended:
            return  # interrupted: the epoch goes on later
        self.row(epoch + 1, done, {name: float(value) for name, value in logs.items()}, time.monotonic() - self._began)
        now = time.monotonic()
        if now >= self._next_save and done < self.target:  # at the target, it is written when training has ended
            self.save()
            took = time.monotonic() - now
            self._next_save = now + SHARE * took

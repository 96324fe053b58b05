"""Exact resumption: the callback that saves the state of a training, and puts it back."""

import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gen import distribution
from keras_gen.callbacks.state import checkpoints, completed, difference, optimizer_names, packed, read, state_of
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import writing
from keras_gen.game.keeper import Keeper

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ASK_EVERY = 0.5  # seconds between two questions among workers


class Checkpoint(Keeper, keras.callbacks.Callback):
    """Saves the state of a model in training, and resumes it bit for bit, in the middle of an epoch too.

    One file holds the weights, every optimizer, moving averages, random states, running metrics and the place in the
    data. It is written beside and renamed, the newest two are kept, and one that holds NaN or infinity is never
    written. Ctrl-C and SIGTERM end the running step, save, and are then raised again. Of several workers the chief
    writes, all read (the folder must be one that they share), and they agree once in half a second on whether a signal
    has come to any of them. Arrays and `keras_gen.data` sets
    resume exactly; any other data set is drawn again from the start of the epoch, and is exact if its order does not
    change. Other callbacks (`EarlyStopping`, ...) begin anew, and of batch normalization that is not synchronized the
    moving statistics of the first replica are kept.

    Args:
        folder: where the checkpoints are; made if missing. One run at a time may use it.
        every: seconds between two saves, at the ends of steps; `None` saves only at the end and by `every_steps`.
        every_steps: train steps between two saves.
        keep: how many checkpoints stay.

    Raises:
        UsageError: another process uses the folder, or its checkpoints are of another model.

    Example:
        >>> model.fit(images, epochs=5, callbacks=[keras_gen.callbacks.Checkpoint("backup")])
    """

    def __init__(self, folder: str | Path, every: float | None = 60.0, every_steps: int | None = None, keep: int = 2):
        super().__init__()
        self.folder, self.every, self.every_steps, self.keep = Path(folder), every, every_steps, keep
        self.epoch, self.step, self.steps_done = 0, 0, 0
        self.order = 0  # of the data: which pass the first epoch is, counted over all calls of `fit`
        self.interrupted: int | None = None  # the signal that ends training, agreed by all workers
        self._means: dict[str, Any] = {}
        self._means_before_test: dict[str, Any] = {}
        self._resumed_at = (-1, 0)
        self._handlers: dict[int, Any] = {}
        self._lock: Any = None
        self._signal: int | None = None  # that came to this process
        self._workers: Any = None
        self._asked_at, self._asked_step, self._next_asked = 0.0, 0, 0
        self._steps_in_epoch: int | None = None

    # --- resume ------------------------------------------------------------------------------------------------------

    def restore(self, model: keras.Model) -> tuple[int, int] | None:
        """Restores a model from the newest intact checkpoint; `fit` calls this before it begins.

        Returns:
            The epoch and the step in it to go on from, or `None` if there is no checkpoint.
        """
        self.release()
        self._workers = distribution.Workers(model.distribute_strategy)
        if self._workers.chief:
            self._lock = writing.lock(self.folder)
            self._lock.__enter__()
            writing.clean(self.folder)
        self._catch_signals()
        self._workers.wait()  # for the chief, who may have moved an older run out of this folder
        with model.distribute_strategy.scope():
            place = self._restore(model)
        if not self._workers.same(self.steps_done if place else -1):
            raise UsageError(
                f"the workers do not see the same checkpoints in {writing.shown(self.folder)}; give a folder they share"
            )
        return place

    def _restore(self, model):
        for path in reversed(checkpoints(self.folder)):
            try:
                state, arrays = read(path)
            except DamagedError as error:
                warnings.warn(f"{error}; going on from the one before it", stacklevel=2)
                continue
            self._assign(model, path, state, arrays)
            return self.epoch, self.step
        return None

    def _assign(self, model, path, state, arrays):
        variables = state_of(model)
        arrays = completed(arrays, variables)
        wrong = difference(state, arrays, model, variables)
        if wrong:
            raise UsageError(f"{writing.shown(path)} holds {wrong}; train the same model, or give another folder")
        for name, variable in variables.items():
            dtype = np.dtype(keras.backend.standardize_dtype(variable.dtype))
            variable.assign(arrays[name] if arrays[name].dtype == dtype else arrays[name].view(dtype))
        self._means = {name: arrays[name] for name in variables if name.startswith("metric/")}
        self.epoch, self.step, self.steps_done = state["epoch"], state["step"], state["steps_done"]
        self.order, self._steps_in_epoch = state["order"], state["steps_in_epoch"]
        self._resumed_at = (self.epoch, self.step)
        model.__dict__["_epochs_served"] = self.order + self.epoch + bool(self.step)

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock.

        Raises:
            UsageError: the checkpoint stands in the middle of an epoch of another length.
        """
        self._saved_at = self._asked_at = time.monotonic()
        self._steps_saved = self._asked_step = self.steps_done
        self._next_asked = 0
        before, now = self._steps_in_epoch, (self.params or {}).get("steps")
        if self.step and None not in (before, now) and before != now:
            raise UsageError(
                f"the checkpoint stands in an epoch of {before} steps, this data makes {now}; "
                "give the same data and batch size, or another folder"
            )
        self._steps_in_epoch = now

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Puts the running metrics of an interrupted epoch back, which Keras has just reset."""
        if (epoch, 0) != self._resumed_at and epoch == self._resumed_at[0]:
            for name, variable in state_of(self.model).items():
                if name in self._means:
                    variable.assign(self._means[name])
        else:
            self.step = 0
        self.epoch = epoch

    # --- save --------------------------------------------------------------------------------------------------------

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves when it is time, or when a signal has come."""
        if self.epoch == self._resumed_at[0] and batch < self._resumed_at[1]:
            return  # a step that was taken before the interruption and is only counted now
        step = min(batch + 1, self._steps_in_epoch or batch + 1)  # Keras counts a shorter last call as a full one
        self.steps_done += step - self.step
        self.step = step
        self._means_before_test = {}
        late = self._agree()
        if self.interrupted is not None:
            self.model.stop_training = True
            self.save()  # before anything else happens at the end of an epoch
            return
        self._save_if_due(late)

    def on_test_begin(self, logs: Any = None) -> None:
        """Keeps the running metrics of the epoch, which a validation is about to overwrite."""
        self._means_before_test = {
            name: np.asarray(value).copy() for name, value in state_of(self.model).items() if name.startswith("metric/")
        }

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Advances to the next epoch, unless this one was left early."""
        steps = (self.params or {}).get("steps")
        if not self.model.stop_training or (steps is not None and self.step >= steps):
            self.epoch, self.step = epoch + 1, 0
        if not self.model.stop_training:
            self._save_if_due(self._agree())

    def on_train_end(self, logs: Any = None) -> None:
        """Saves where training ended."""
        self._agree(now=True)
        first = self._workers.count == 1 and not checkpoints(self.folder)
        if self._steps_saved != self.steps_done or first:
            self.save()

    def _agree(self, now=False):
        """Returns whether it is time to save, by the chief's clock, and learns of signals to other workers.

        Several workers ask each other once in half a second, counted in steps, so that all ask at the same one.
        """
        clock = time.monotonic()
        late = self.every is not None and clock - self._saved_at >= self.every
        if self._workers.count == 1:
            self.interrupted = self._signal
            return late
        if self.steps_done < self._next_asked and not now:
            return False
        steps, seconds = self.steps_done - self._asked_step, clock - self._asked_at
        numbers = [self._signal == number for number in SIGNALS]
        *signals, late, seconds = self._workers.sum([*numbers, late and self._workers.chief, seconds])
        came = [number for number, count in zip(SIGNALS, signals, strict=True) if count]
        if came:
            self.interrupted = came[0]
        pace = seconds / self._workers.count / max(steps, 1)
        self._asked_at, self._asked_step = clock, self.steps_done
        self._next_asked = self.steps_done + max(1, int(ASK_EVERY / max(pace, 1e-4)))
        return bool(late)

    def _save_if_due(self, late):
        far = self.every_steps is not None and self.steps_done - self._steps_saved >= self.every_steps
        if late or far:
            self.save()

    def save(self) -> Path | None:
        """Writes a checkpoint now.

        Returns:
            Its path, or `None` if the state holds NaN or infinity, which is said in a warning, or if another worker
            writes.
        """
        self._saved_at = time.monotonic()
        # Running metrics are summed over the workers when they are read: every one of them must come here.
        arrays = {name: np.asarray(variable) for name, variable in state_of(self.model).items()}
        arrays.update(self._means_before_test)
        for name, array in arrays.items():
            if not np.isfinite(array.astype(np.float32) if array.dtype.kind not in "iub" else array).all():
                warnings.warn(
                    f"step {self.steps_done}: {name} is not finite, no checkpoint was written; lower the learning rate",
                    stacklevel=2,
                )
                return None
        if not distribution.is_chief(self.model.distribute_strategy):
            self._steps_saved = self.steps_done
            return None
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "steps_done": self.steps_done,
            "order": self.order,
            "steps_in_epoch": self._steps_in_epoch,
            "optimizers": optimizer_names(self.model),
            **({"stage": self.model.stage} if self.model.stages else {}),
        }
        path = self.folder / f"step-{self.steps_done:09d}.npz"
        writing.write(path, packed(state, arrays))
        self._steps_saved = self.steps_done
        for old in checkpoints(self.folder)[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    # --- signals -----------------------------------------------------------------------------------------------------

    def _catch_signals(self):
        self.interrupted = self._signal = None
        if threading.current_thread() is not threading.main_thread():
            return

        def remember(number, frame):
            if self._signal is not None:  # asked twice: at once
                self.release()
                signal.raise_signal(number)
            self._signal = number
            if self._workers.count == 1:
                self.interrupted = number

        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:
                continue  # as a shell does for background jobs: then Ctrl-C is meant for another program
            self._handlers[number] = signal.signal(number, remember)

    def release(self) -> None:
        """Gives signals and the folder back; `fit` calls this however it ends."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
            self._lock = None

    def raise_again(self) -> None:
        """Raises the signal that ended training, if one did."""
        if self.interrupted is not None:
            signal.raise_signal(self.interrupted)

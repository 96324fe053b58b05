"""`fit` and `evaluate`: any data that Keras takes, resumed at the very step, one order of batches for each pass."""

from collections.abc import Callable
from typing import Any

import keras

from keras_gen import distribution
from keras_gen.errors import UsageError, positive, whole
from keras_gen.game import intake
from keras_gen.game.inherited import refuse_callbacks
from keras_gen.game.keeper import keeper_among


class Schedule:
    """What each call of a compiled training function does, where that is not one full call after the other.

    Args:
        steps: steps in an epoch, where the data never end by themselves; otherwise `None`.
        together: steps in one call.
        passed: steps of the first epoch that were taken before an interruption: their calls only pass the time.
        discard: batches to draw and leave before the first step.
    """

    def __init__(self, steps: int | None, together: int, passed: int, discard: int):
        self.calls = -(-steps // together) if steps else None
        self.rest = steps % together if steps else 0
        self.together, self.passed, self.discard = together, passed, discard
        self.call = 0

    @property
    def needed(self) -> bool:
        """Whether any call is out of the ordinary."""
        return bool(self.rest or self.passed or self.discard)

    def play(self, step: Callable, rest: Callable, logs: Callable[[], Any]) -> Callable:
        """Returns the function that Keras calls.

        Args:
            step: takes the full number of steps.
            rest: takes those that remain at the end of an epoch.
            logs: gives the running metrics, for a call that takes no step.
        """

        def call(iterator):
            for _ in range(self.discard):
                next(iterator)
            self.discard = 0
            self.call += 1
            if self.passed > 0:
                self.passed -= self.together
                return logs()
            last = self.rest and self.call % self.calls == 0
            return (rest if last else step)(iterator)

        call.step = step
        return call


def _check_counts(**counts):
    """Refuses what is none of Keras' counts: whole numbers from 1 on, or nothing."""
    for name, value in counts.items():
        if value is not None:
            positive(name, value)


class Fit:
    """Methods of a `GenerativeModel` that train and evaluate it."""

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does.

        Args:
            x: images (float32 NHWC in [-1, 1]; one channel may be left out), a dict of named arrays, a
                `tf.data.Dataset` of dicts, tensors or tuples, a `keras.utils.PyDataset` or a generator. Arrays are
                checked whole before the first step, other data batch by batch.
            y: beside arrays, one class a row: (n,), (n, 1) or one-hot. Or what `Autoencoder` is to make of `x`.
                Classes of `keras_gen.data.load` meet those of `class_names` by name.
            batch_size: examples in a step, for arrays; 32 by default. A model that takes several steps of one player
                in a round splits them.
            epochs: the epoch to stop after.
            verbose: as in Keras.
            callbacks: Keras callbacks; `keras_gen.callbacks.Checkpoint` resumes exactly, in the middle of an epoch too.
            validation_split: the last part of the arrays, in [0, 1), kept for validation.
            validation_data: anything that `x`, or `(x, y)`, may be.
            shuffle: arrays are put in a new order each epoch, by the model's seed.
            class_weight: not supported.
            sample_weight: not supported.
            initial_epoch: the epoch to begin with.
            steps_per_epoch: steps that make an epoch; by default one pass.
            validation_steps: as in Keras.
            validation_batch_size: as `batch_size`.
            validation_freq: as in Keras.

        Raises:
            UsageError: data that this model cannot be trained on, said before the first step.
            DamagedError: NaN in the data.
        """
        intake.refuse(class_weight=class_weight, sample_weight=sample_weight)
        if not self.compiled:
            raise UsageError("the model is not compiled; call compile() first")
        counts = {"batch_size": batch_size, "steps_per_epoch": steps_per_epoch, "validation_steps": validation_steps}
        _check_counts(**counts, validation_batch_size=validation_batch_size)
        epochs, initial_epoch = whole("epochs", epochs), whole("initial_epoch", initial_epoch)
        if not isinstance(validation_freq, (list, tuple, set)):
            validation_freq = positive("validation_freq", validation_freq)
        refuse_callbacks(callbacks, self.players())
        x, y = intake.pair(x, y, self)
        if validation_split and validation_data is None:
            x, validation_data = intake.split(self, x, y, validation_split)
            y = None
        feed = intake.training(self, x, y, batch_size, shuffle, steps_per_epoch)
        if validation_data is not None:
            size = validation_batch_size or batch_size
            given = (validation_data, None, size, feed, validation_steps, "validation_steps")
            validation_data, steps_of_all = intake.evaluation(self, *given)
            validation_steps = validation_steps or steps_of_all
        keeper = self.__dict__["_keeper"] = keeper_among(callbacks)
        try:
            with distribution.lost_worker(self.distribute_strategy):
                place = keeper.restore(self) if keeper else None
            epoch, step = place or (initial_epoch, 0)
            # Each pass has an order of its own, in one `fit` of many epochs as in many of one.
            order = keeper.order if place else self._epochs_served - epoch
            if keeper:
                keeper.order = order
            self.__dict__["_schedule"] = Schedule(
                feed.steps if feed.exact else None, self.steps_per_execution, step, feed.discard(epoch, step, place)
            )
            with feed.errors(), distribution.lost_worker(self.distribute_strategy):
                history = super().fit(
                    feed.at(order + epoch, step),
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=callbacks,
                    validation_data=validation_data,
                    shuffle=shuffle and isinstance(x, keras.utils.PyDataset),
                    initial_epoch=epoch,
                    steps_per_epoch=feed.steps,
                    validation_steps=validation_steps,
                    validation_freq=validation_freq,
                )
            if history.epoch:
                self.__dict__["_epochs_served"] = order + history.epoch[-1] + 1
        finally:
            if keeper:
                keeper.release()
        if keeper:
            keeper.raise_again()
        if epochs > epoch and not history.history and not self.stop_training:
            raise UsageError("the data set is empty: 0 batches; expected at least 1")
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Returns the mean losses on a data set, with the same random draws in every call; arguments as in `fit`."""
        intake.refuse(sample_weight=sample_weight)
        settings = {"verbose": verbose, "steps": steps, "callbacks": callbacks, "return_dict": return_dict, **kwargs}
        self.test_seed_generator.state.assign([0, 0])
        if kwargs.get("_use_cached_eval_dataset"):  # Keras' own call, at the end of an epoch
            interrupted = self._keeper is not None and self._keeper.interrupted is not None
            return {} if interrupted else super().evaluate(x, y, **settings)
        _check_counts(batch_size=batch_size, steps=steps)
        feed = intake.Feed.empty()
        data, steps_of_all = intake.evaluation(self, x, y, batch_size, feed, steps)
        settings["steps"] = steps or steps_of_all
        with feed.errors(), distribution.lost_worker(self.distribute_strategy):
            return super().evaluate(data, **settings)

    def order_seed(self) -> int:
        """Returns the seed of the order of arrays in `fit`, which a resumed model shares."""
        return self.seed or 0

    def make_train_function(self, force: bool = False) -> Any:
        """Compiles the step, and plays it by the schedule of this `fit`."""
        self.train_function = getattr(self.train_function, "step", self.train_function)
        super().make_train_function(force)
        schedule = self.__dict__.pop("_schedule", None)
        if schedule is None or not schedule.needed:
            return
        rest, together = self._make_function(self.train_step), self.steps_per_execution

        def take_rest(iterator):
            self.steps_per_execution = schedule.rest  # Keras reads it in the call
            try:
                return rest(iterator)
            finally:
                self.steps_per_execution = together

        self.train_function = schedule.play(self.train_function, take_rest, self.get_metrics_result)

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Does nothing: the networks are built by the constructor, and a trial step would draw random numbers."""

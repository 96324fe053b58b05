"""What models inherit from `keras.Model` beside `fit` and `evaluate`: it works, or says what to call instead."""

import contextlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import DamagedError, UsageError, positive
from keras_gen.game import intake
from keras_gen.game.called import Called
from keras_gen.game.forms import Wanted


def refuse_callbacks(callbacks: Any, players: Any) -> None:
    """Refuses callbacks of Keras that work on the one optimizer of a model, where a game has several.

    Raises:
        UsageError: there is one; the message names the way.
    """
    if len(players) < 2:
        return
    listed = getattr(callbacks, "callbacks", callbacks) or ()
    for callback in listed if isinstance(listed, (list, tuple)) else (listed,):
        own = type(callback).set_model is not keras.callbacks.Callback.set_model  # shows itself another model
        names = ", ".join(repr(player.name) for player in players)
        if isinstance(callback, keras.callbacks.SwapEMAWeights):
            raise UsageError("SwapEMAWeights works on the one optimizer of a model; set ema=0.999 of the model instead")
        if isinstance(callback, keras.callbacks.TensorBoard) and callback.write_steps_per_second:
            raise UsageError("write_steps_per_second of TensorBoard reads the one optimizer of a model; leave it out")
        for kind in (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau):
            if isinstance(callback, kind) and not own:
                raise UsageError(
                    f"{kind.__name__} of Keras works on one optimizer, and this game has one for each of {names}: use "
                    f"keras_gen.callbacks.{kind.__name__}(..., player={players[-1].name!r})"
                )


class Inherited:
    """Methods of `keras.Model` of which a `GenerativeModel` has another understanding."""

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Plays one round on one batch, which is checked as in `fit`; returns as `keras.Model.train_on_batch`."""
        intake.refuse(class_weight=class_weight, sample_weight=sample_weight)
        batch = self._checked_batch(x, y, max(player.steps for player in self.players()))
        return super().train_on_batch(batch, return_dict=return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Computes the losses on one batch, which is checked as in `fit`; returns as `keras.Model.test_on_batch`."""
        intake.refuse(sample_weight=sample_weight)
        return super().test_on_batch(self._checked_batch(x, y, 1), return_dict=return_dict)

    def _checked_batch(self, x, y, splits):
        if not self.compiled:
            raise UsageError("the model is not compiled; call compile() first")
        wanted = Wanted(self, splits)
        batch = wanted.take((x, y) if y is not None or not isinstance(x, Mapping) else x)
        wanted.check(batch)
        wanted.check_rows(len(next(iter(batch.values()))))
        return batch

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Returns what `call` makes of data: images of latents, reconstructions of images; as `keras.Model.predict`.

        Raises:
            UsageError: data that `call` does not take, or of another range; the message names what to do instead.
            DamagedError: NaN in the data.
        """
        for name, value in {"batch_size": batch_size, "steps": steps}.items():
            positive(name, 1 if value is None else value)
        data, feed = intake.calling(self, x, steps)
        with self._taken("predict", x), feed.errors():
            return super().predict(data, batch_size, verbose, steps, callbacks)

    def predict_on_batch(self, x: Any) -> Any:
        """Returns what `call` makes of one batch; as `predict`."""
        x = Called(self)(x)
        with self._taken("predict_on_batch", x):
            return super().predict_on_batch(x)

    def predict_step(self, data: Any) -> Any:
        """Returns what `call` makes of one batch of a data set; as `predict`."""
        with self._taken("predict_step", data):
            return super().predict_step(data)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what `call` makes of inputs."""
        if args and tf.executing_eagerly() and all(isinstance(one, np.ndarray) for one in tf.nest.flatten(args[0])):
            Called(self)(args[0])
        with self._taken("call", (args, kwargs)):
            return super().__call__(*args, **kwargs)

    def stateless_call(self, *args: Any, **kwargs: Any) -> Any:
        """Returns what `call` makes of inputs with weights that are given; as `keras.Model.stateless_call`."""
        with self._taken("stateless_call", (args[2:], kwargs)):
            return super().stateless_call(*args, **kwargs)

    @contextlib.contextmanager
    def _taken(self, method, given):
        """Says in one line that `call` does not take what was given."""
        ours = (UsageError, DamagedError)
        try:
            yield
        except (ValueError, TypeError, KeyError, AttributeError, tf.errors.OpError) as error:
            # Inside a function that is traced, TensorFlow adds lines to every error: outside it is said.
            if not tf.executing_eagerly() or (isinstance(error, ours) and "\n" not in str(error)):
                raise
            spec = getattr(given, "element_spec", None)
            shapes = ", ".join(str(part.shape) for part in tf.nest.flatten(spec or given) if hasattr(part, "shape"))
            others = ["sample(n)", *(f"run({name!r}, ...)" for name in self.signatures())]
            raise UsageError(
                f"{method}() does what call() of {type(self).__name__} does, which does not take inputs of shapes "
                f"{shapes[:50] or type(given).__name__}; use {', '.join(others)}"
            ) from error

    def export(self, *args: Any, **kwargs: Any) -> None:
        """Names what writes files of inference functions.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "export() of Keras writes one call, and a generative model has several functions; save it, and use "
            "`keras-gen export`, or export.onnx.export(model, folder)"
        )

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Names what makes small files.

        Raises:
            UsageError: always.
        """
        raise UsageError("quantize() of Keras would take layers out of training; quantize a file of `keras-gen export`")

    def compute_loss(self, *args: Any, **kwargs: Any) -> None:
        """Names what computes losses.

        Raises:
            UsageError: always.
        """
        raise UsageError("compute_loss() knows no players; use evaluate(), or the loss of one of players()")

    def stateless_compute_loss(self, *args: Any, **kwargs: Any) -> None:
        """Names what computes losses.

        Raises:
            UsageError: always.
        """
        self.compute_loss()

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> None:
        """Names what tells shapes.

        Raises:
            UsageError: always.
        """
        raise UsageError("compute_output_shape() is not known of a game; see signatures(), or call run() on one row")

    compute_output_shape._is_default = True  # so that Keras traces `call` where it asks itself

    def get_state_tree(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Returns the state of a model with one optimizer; as `keras.Model.get_state_tree`."""
        self._one_optimizer("get_state_tree")
        return super().get_state_tree(*args, **kwargs)

    def set_state_tree(self, *args: Any, **kwargs: Any) -> None:
        """Sets the state of a model with one optimizer; as `keras.Model.set_state_tree`."""
        self._one_optimizer("set_state_tree")
        super().set_state_tree(*args, **kwargs)

    def _one_optimizer(self, method):
        if self.optimizer is None:
            raise UsageError(f"{method}() takes a model with one optimizer; use save() and keras_gen.load()")

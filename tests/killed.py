"""A training that dies between two checkpoints, and another that goes on from there, beside one that nobody stopped."""

import keras
import pytest
from tiny import batch_for, difference, everything

from keras_gen.callbacks import Checkpoint


class Crash(keras.callbacks.Callback):
    """Ends `fit` by an error after so many of its steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise RuntimeError("crash")


def resumed(make, folder, steps, every=4, rows=20, batch_size=4, epochs=2, stages=(None,)):
    """Trains a model to the end, and others of which one dies in the last stage and the next resumes: all is equal.

    Returns both models, and the last histories of both.
    """

    def fit(model, stage, *callbacks):
        if stage:
            model.compile(stage=stage)
        shown = {"batch_size": batch_size, "epochs": epochs, "verbose": 0, "callbacks": list(callbacks)}
        return model.fit(batch_for(model, rows), **shown).history

    def kept(stage):
        return Checkpoint(folder / (stage or "run"), every=None, every_steps=every)

    assert steps % every and steps > every, "between two checkpoints"
    *before, last = stages
    whole, broken, again = make(), make(), make()
    expected = [fit(whole, stage) for stage in stages][-1]
    for stage in before:
        fit(broken, stage, kept(stage))
    with pytest.raises(RuntimeError, match="crash"):
        fit(broken, last, kept(last), Crash(steps))
    found = fit(again, last, kept(last))
    assert difference(everything(whole), everything(again)) == 0
    return whole, again, expected, found

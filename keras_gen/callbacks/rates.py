"""Keras' learning-rate callbacks for one player of a game."""

import types
from typing import Any

import keras

from keras_gen.errors import UsageError


class _OfPlayer:
    """Lets one of Keras' learning-rate callbacks move the optimizer of one player."""

    def __init__(self, *args: Any, player: str = "", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.player = player

    def set_model(self, model: keras.Model) -> None:
        """Shows the callback this player's optimizer as the model's only one."""
        name = f"{self.player}_optimizer" if self.player else "optimizer"
        if getattr(model, name, None) is None:
            known = ", ".join(repr(player.name) for player in model.players())
            raise UsageError(f"player {self.player!r} is not in this game; its players: {known}")
        super().set_model(types.SimpleNamespace(optimizer=getattr(model, name)))


class LearningRateScheduler(_OfPlayer, keras.callbacks.LearningRateScheduler):
    """`keras.callbacks.LearningRateScheduler` for one player of a game.

    Args:
        *args: as in Keras.
        player: `"d"` or `"g"`; of a model with one player nothing.
        **kwargs: as in Keras.
    """


class ReduceLROnPlateau(_OfPlayer, keras.callbacks.ReduceLROnPlateau):
    """`keras.callbacks.ReduceLROnPlateau` for one player of a game.

    Args:
        *args: as in Keras.
        player: `"d"` or `"g"`; of a model with one player nothing.
        **kwargs: as in Keras.
    """

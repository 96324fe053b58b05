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
        **kwargs: as in Keras; where `mode` is left out, less of what is called a loss is better.

    Raises:
        UsageError: `mode` is left out, and what is watched is not called a loss.
    """

    def __init__(self, *args: Any, player: str = "", **kwargs: Any):
        super().__init__(*args, player=player, **kwargs)
        if self.mode == "auto":
            if not self.monitor.endswith("loss"):
                raise UsageError(f"of monitor {self.monitor!r} nothing says what is better; give mode='min' or 'max'")
            self.mode = "min"

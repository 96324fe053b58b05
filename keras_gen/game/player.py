"""A player of the game: the networks that one optimizer may move, and the loss that it moves them down."""

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, near_misses
from keras_gen.game.batch import Batch

ADDS = "adds a loss of its own (add_loss, activity_regularizer), which no player has; regularize its weights instead"


class Player(NamedTuple):
    """The networks that one optimizer may move, and the loss that it moves them down.

    The regularizers of its variables, as of `Dense(8, kernel_regularizer="l2")`, are added to its loss.

    Args:
        name: `"d"` gives `d_optimizer` and `d_loss`; `""` gives `optimizer` and `loss`.
        networks: what this player may move, and nothing else.
        loss: `(batch, training)` to a dict of scalars, each a mean over this replica's batch; their weighted sum is
            minimized.
        optimizer: makes the paper's optimizer, for a `compile()` without one; it may take the name as `player`.
        terms: the terms of the loss that get a metric of their own, without their weight.
        weights: the weight of a term in the sum, where it is not 1.
        steps: updates in a round of the alternating rule, each on rows of its own.
        replays: updates in each of those steps, all on its rows; they share the batch's `carried`.
    """

    name: str
    networks: tuple
    loss: Callable[[Batch, bool], dict[str, tf.Tensor]]
    optimizer: Callable[..., keras.optimizers.Optimizer]
    terms: tuple[str, ...] = ()
    weights: Mapping[str, float] = types.MappingProxyType({})
    steps: int = 1
    replays: int = 1

    def prefixed(self, word: str) -> str:
        """Returns `d_word`, or `word` for the player without a name."""
        return f"{self.name}_{word}" if self.name else word

    def losses(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the terms of the loss on a batch, and that of the regularizers where there are some.

        Raises:
            UsageError: a layer adds a loss of its own, which knows neither players nor parts of a batch.
        """
        terms = self.loss(batch, training)
        for layer in (layer for network in self.networks for layer in network._flatten_layers()):
            if layer._losses:
                raise UsageError(f"the layer {layer.name!r} {ADDS}")
        kept = [variable.regularizer(variable) for variable in self.variables if variable.regularizer is not None]
        if not kept:
            return terms
        return {**terms, "regularization": tf.add_n([tf.cast(value, tf.float32) for value in kept])}

    def total(self, terms: Mapping[str, Any]) -> Any:
        """Returns the weighted sum of terms of the loss."""
        return tf.add_n([self.weights.get(name, 1.0) * value for name, value in terms.items()])

    def paper_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns the paper's optimizer of this player: a function that takes `player` is called with its name."""
        told = "player" in inspect.signature(self.optimizer).parameters
        return self.optimizer(player=self.name) if told else self.optimizer()

    @property
    def variables(self) -> list:
        """The trainable variables of the player's networks, each once."""
        found = {id(v): v for network in self.networks for v in network.trainable_variables}
        return list(found.values())


def optimizers(
    players: Sequence[Player], given: Mapping[str, Any], auto_scale_loss: bool
) -> dict[str, keras.optimizers.Optimizer]:
    """Returns the optimizer of each player, by the name of `compile`'s argument for it.

    Args:
        players: of the game.
        given: what `compile` was given, by these names: an instance, a name, a configuration, or nothing.
        auto_scale_loss: whether a player in `mixed_float16` scales its loss.

    Raises:
        UsageError: an argument that no player has, no optimizer, or one instance for two players.
    """
    known = [player.prefixed("optimizer") for player in players]
    for word in given:
        if word not in known:
            raise UsageError(f"compile() has no argument {word!r} here; {near_misses(word, known)}")
    instances = [id(choice) for choice in given.values() if isinstance(choice, keras.optimizers.Optimizer)]
    if len(set(instances)) < len(instances):
        raise UsageError("two players were given one optimizer instance; give each its own")
    return {
        name: _optimizer(player, given.get(name), auto_scale_loss) for name, player in zip(known, players, strict=True)
    }


def _optimizer(player, choice, auto_scale_loss):
    try:
        made = player.paper_optimizer() if choice is None else keras.optimizers.get(choice)
    except (ValueError, TypeError):
        known = [name for name in dir(keras.optimizers) if name[0].isupper() and name != "Optimizer"]
        raise UsageError(
            f"{player.prefixed('optimizer')}={choice!r} is not an optimizer; {near_misses(str(choice), known)}"
        ) from None
    half = any(
        layer.dtype_policy.name == "mixed_float16" for network in player.networks for layer in network._flatten_layers()
    )
    if half and auto_scale_loss and not isinstance(made, keras.optimizers.LossScaleOptimizer):
        made = keras.optimizers.LossScaleOptimizer(made)
    return made

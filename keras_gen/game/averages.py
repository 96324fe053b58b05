"""Exponential moving averages of networks."""

import keras
import tensorflow as tf

from keras_gen.errors import UsageError

STATISTICS = ("averaged", "copied")


def count() -> keras.Variable:
    """Returns a variable that counts steps, one for all replicas."""
    return keras.Variable(0, dtype="int32", trainable=False, aggregation="only_first_replica", name="ema_steps")


def twin(network: keras.Model, name: str) -> keras.Model:
    """Returns a network of the same layers and weights, which is to hold the average.

    Args:
        network: functional or sequential.
        name: what messages call it.

    Raises:
        UsageError: it is neither.
    """
    try:
        copy = keras.models.clone_model(network)
    except (ValueError, TypeError):
        raise UsageError(
            f"ema needs a functional or sequential {name}, not {type(network).__name__}; leave ema out"
        ) from None
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy


def follow(average: keras.Model, network: keras.Model, decay: tf.Tensor, statistics: str) -> None:
    """Moves an average by one step of the network that it follows.

    Args:
        average: a `twin` of the network.
        network: which has just moved.
        decay: share of the average that stays, a float32 scalar in [0, 1).
        statistics: `"averaged"` follows the running statistics of batch normalization, too; `"copied"` takes them as
            they are. They lag a step behind the weights of the network, and remember few: among averaged weights, which
            change slowly, those of the last ten batches of other weights do not fit.
    """
    followed = _statistics(network) if statistics == "averaged" else set()
    for weight, mean in zip(network.weights, average.weights, strict=True):
        if weight.trainable or id(weight) in followed:
            kept = tf.cast(decay, weight.dtype)
            mean.assign(kept * mean + (1 - kept) * weight)
        else:
            mean.assign(weight)  # a state, such as the `u` of spectral normalization


def _statistics(network):
    """Returns which weights of a network are running statistics of batches, by identity."""
    layers = [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    return {id(weight) for layer in layers for weight in layer.non_trainable_weights}

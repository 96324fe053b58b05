"""Averages of networks over steps of training, and of the statistics of their batches."""

from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError
from keras_gen.layers.spectral import resting

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


def follow(average: keras.Model, network: keras.Model, decay: tf.Tensor, kind: str) -> None:
    """Moves an average by one step of the network that it follows.

    Args:
        average: a `twin` of the network.
        network: which has just moved.
        decay: share of the average that stays, a float32 scalar in [0, 1).
        kind: of running statistics, one of `STATISTICS`: `"averaged"` follows those of batch normalization, too;
            `"copied"` takes them as they are. They lag a step behind the weights of the network, and remember few:
            among averaged weights, which change slowly, those of the last ten batches of other weights do not fit.
    """
    followed = set(map(id, statistics(network))) if kind == "averaged" else set()
    for weight, mean in zip(network.weights, average.weights, strict=True):
        if weight.trainable or id(weight) in followed:
            kept = tf.cast(decay, weight.dtype)
            mean.assign(kept * mean + (1 - kept) * weight)
        else:
            mean.assign(weight)  # a state, such as the `u` of spectral normalization


def statistics(network: keras.Model) -> list[keras.Variable]:
    """Returns the running statistics of a network's batch normalization: means and variances, layer by layer."""
    return [weight for layer in _normalizations(network) for weight in (layer.moving_mean, layer.moving_variance)]


def standing(
    network: keras.Model, sampled: keras.Model, batches: Iterable[Mapping[str, np.ndarray]]
) -> list[np.ndarray]:
    """Returns means over batches of the batches' own means and variances, in the order of `statistics`.

    Each normalization sees what the others make of the same batch, as in training; kernels are those of inference, and
    nothing is moved.

    Args:
        network: of named inputs.
        sampled: the same, or its `twin`, whose weights count. A twin cannot be trained, and a normalization that cannot
            is never by its batch.
        batches: inputs of the network, of one number of rows.
    """
    of = {id(one): other for one, other in zip(network.weights, sampled.weights, strict=True)}
    wanted = {id(weight) for weight in statistics(network)}
    # From zero a running statistic moves to its share of the batch's own.
    trainable, others = (
        [tf.convert_to_tensor(of.get(id(w), w)) * (0 if id(w) in wanted else 1) for w in weights]
        for weights in (network.trainable_variables, network.non_trainable_variables)
    )
    found = []
    for batch in batches:
        with resting(network):
            _, moved = network.stateless_call(trainable, others, batch, training=True)
        moved = dict(zip(map(id, network.non_trainable_variables), moved, strict=True))
        found.append([np.asarray(moved[id(weight)]) for weight in statistics(network)])
    shares = [1 - layer.momentum for layer in _normalizations(network) for _ in "mv"]
    return [np.mean(values, axis=0) / share for values, share in zip(zip(*found, strict=True), shares, strict=True)]


def _normalizations(network):
    return [layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]

"""From the logits of the next token to tokens: sampling one, or rows of any length, and beam search."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def chosen(
    logits: tf.Tensor, share: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """Samples tokens: the one below which, from the likeliest on, lies a share of the probability that is left.

    Args:
        logits: (B, V).
        share: (B,), uniform on [0, 1): the only randomness.
        temperature: scalar by which logits are divided; 0 takes the likeliest token.
        top_k: scalar, the likeliest tokens that are left.
        top_p: scalar in (0, 1]: of the likeliest tokens so many are left that those before the last have less than this
            probability together (nucleus sampling: Holtzman et al., 2019, arXiv:1904.09751).

    Returns:
        int32 (B,).
    """
    order = tf.argsort(logits, direction="DESCENDING", stable=True)
    sharpened = tf.gather(logits, order, batch_dims=1) / tf.maximum(temperature, 1e-6)
    probability = tf.nn.softmax(sharpened)
    left = (tf.cumsum(probability, axis=1, exclusive=True) < top_p) & (tf.range(tf.shape(logits)[1])[None] < top_k)
    below = tf.cumsum(tf.where(left, probability, 0.0), axis=1)
    rank = tf.reduce_sum(tf.cast(below <= share[:, None] * below[:, -1:], tf.int32), axis=1)
    rank = tf.minimum(rank, tf.reduce_sum(tf.cast(left, tf.int32), axis=1) - 1)  # a share that rounds up to 1
    rank = tf.where(temperature > 0, rank, 0)
    return tf.gather(order, rank, batch_dims=1)


def sampled_rows(
    step: Callable[[tf.Tensor, tf.Tensor, Any], tuple[tf.Tensor, Any]],
    state: Any,
    seen: tf.Tensor,
    place: tf.Tensor,
    given: tf.Tensor,
    shares: tf.Tensor,
    how: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
) -> tf.Tensor:
    """Samples rows token by token, in the graph.

    Args:
        step: (place, rows, state) to the logits (B, V) of what follows the place, and the state after it.
        state: tensors whose first axis is B, nested.
        seen: int32 (B, T), rows of which the first `given` columns are known.
        place: int32, where the loop begins.
        given: int32.
        shares: (B, T), that of each column.
        how: temperature, top_k and top_p of `chosen`.

    Returns:
        int32 (B, T).
    """

    def one_place(place, seen, state):
        logits, state = step(place, seen, state)
        column = place + 1
        token = chosen(logits, shares[:, column], *how)
        token = tf.where(column < given, seen[:, column], token)
        return column, tf.where(tf.range(tf.shape(seen)[1])[None] == column, token[:, None], seen), state

    last = tf.shape(seen)[1] - 1
    shapes = tf.nest.map_structure(lambda part: tf.TensorShape([None, *part.shape[1:]]), state)
    shapes = [tf.TensorShape([]), tf.TensorShape([None, None]), shapes]
    return tf.while_loop(lambda place, *_: place < last, one_place, [place, seen, state], shapes)[1]


def in_windows(
    tokens: np.ndarray, length: int, places: int, fill: Callable[[np.ndarray, int, int], np.ndarray]
) -> np.ndarray:
    """Continues rows beyond the context of a network, which forgets: it goes on from the last half of it.

    Args:
        tokens: int32 (n, P), which may be longer than the context.
        length: of the rows in the end.
        places: positions that the network sees and predicts.
        fill: (window (n, at most `places`), how many of its columns are known, its first column) to the whole window.

    Returns:
        int32 (n, length).
    """
    done, known, first = np.zeros((len(tokens), length), np.int32), tokens.shape[1], 0
    done[:, :known] = tokens
    while True:
        while known - first > places - 1 and first + places < length or known - first > places:
            first += (places + 1) // 2
        window = done[:, first : first + places]
        if window.shape[1] > known - first:
            done[:, first : first + window.shape[1]] = fill(window, known - first, first)
            known = first + window.shape[1]
        if known >= length:
            return done


def likeliest(
    step: Callable[[np.ndarray, int, Any], tuple[tf.Tensor, Any]],
    state: Any,
    seen: np.ndarray,
    length: int,
) -> np.ndarray:
    """Finds the likeliest rows by a beam search, all different: fewer than beams where there are no more.

    Args:
        step: (tokens int32 (B,), place, state) to the logits (B, V) of what follows, and the state after them.
        state: tensors whose first axis is B, nested.
        seen: int32 (B, P), the same known beginning in each of B beams, P at least 1.
        length: of the rows in the end.

    Returns:
        int32 (at most B, length), the likeliest first.
    """
    given, beams = seen.shape[1], len(seen)
    score = np.where(np.arange(beams) > 0, -np.inf, 0.0)  # they are one at first
    for place in range(length - 1):
        logits, state = step(seen[:, place], place, state)
        if place + 1 < given:
            continue
        total = score[:, None] + tf.nn.log_softmax(logits).numpy().astype(np.float64)
        best = np.argsort(-total, axis=None, kind="stable")[:beams]
        parent, token = np.unravel_index(best, total.shape)
        score, seen = total[parent, token], np.concatenate([seen[parent], token[:, None].astype(np.int32)], axis=1)
        state = tf.nest.map_structure(lambda part, parent=parent: tf.gather(part, parent), state)
    return seen[np.isfinite(score)]  # the rest are repetitions

"""Adversarial attacks on a classifier: small changes of an image, found by gradients or by search, that mislead it."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Shares of all queries after each of which the squares of `search` halve their area, as in the paper.
HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def pgd(
    loss: Callable[[tf.Tensor], tf.Tensor],
    image: tf.Tensor,
    epsilon: float,
    step: float,
    steps: int,
    start: tf.Tensor | None = None,
) -> tf.Tensor:
    """Projected gradient descent (PGD): maximizes a loss within a bound of the max-norm.

    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2017, arXiv:1706.06083.

    Args:
        loss: images (B, H, W, C) to one number for each, or to their sum. It must judge each image by itself.
        image: float32 (B, H, W, C) in [-1, 1].
        epsilon: the largest change of a value, in units of [-1, 1]: twice of what it is for images in [0, 1].
        step: change of a value in a step, in the same units.
        steps: number of steps.
        start: images (B, H, W, C) to start from, if not from `image`; they are projected first.

    Returns:
        float32 (B, H, W, C) in [-1, 1] and within `epsilon` of `image`. No gradient passes to whatever made it.
    """
    image = tf.convert_to_tensor(image)
    low, high = tf.maximum(image - epsilon, -1.0), tf.minimum(image + epsilon, 1.0)
    changed = image if start is None else tf.clip_by_value(start, low, high)
    for _ in range(steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(changed)
            value = loss(changed)
        changed = tf.clip_by_value(changed + step * tf.sign(tape.gradient(value, changed)), low, high)
    return tf.stop_gradient(changed)


def search(
    classify: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    label: np.ndarray,
    epsilon: float,
    queries: int,
    seed: int = 0,
    share: float = 0.8,
) -> np.ndarray:
    """Square Attack: lowers the margin of the right class by random squares, without gradients, which can be masked.

    It starts from vertical stripes. Then each query moves all values of a square to the border of what is allowed, and
    stays if the margin falls. An image is left alone once it is taken for another class. Andriushchenko et al., "Square
    Attack: a query-efficient black-box adversarial attack via random search", 2019, arXiv:1912.00049.

    Args:
        classify: images (B, H, W, C), for any B, to logits (B, K).
        image: float32 (n, H, W, C) in [-1, 1].
        label: the right class of each, int (n,).
        epsilon: the largest change of a value, in units of [-1, 1].
        queries: calls of `classify`, on images that still resist.
        seed: of the draws.
        share: of the image, area of the first squares.

    Returns:
        float32 (n, H, W, C), in [-1, 1] and within `epsilon` of `image`.
    """
    draws = np.random.default_rng(seed)
    (height, width, channels), best = image.shape[1:], image.copy()
    low, high = np.maximum(image - np.float32(epsilon), -1), np.minimum(image + np.float32(epsilon), 1)
    margins = _margin(classify(image), label)
    for query in range(queries):
        alive = np.flatnonzero(margins > 0)
        if not len(alive):
            break
        if query == 0:
            upward = draws.integers(0, 2, (len(alive), 1, width, channels)) > 0
            inside = np.ones((len(alive), height, width, 1), bool)
        else:
            area = share * height * width / 2 ** sum(query > mark * queries for mark in HALVINGS)
            side = int(np.clip(round(area**0.5), 1, min(height, width)))
            upward = draws.integers(0, 2, (len(alive), 1, 1, channels)) > 0
            rows, columns = (
                np.arange(size) - draws.integers(0, size - side + 1, (len(alive), 1)) for size in (height, width)
            )
            rows, columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
            inside = (rows[:, :, None] & columns[:, None, :])[..., None]  # (B, H, W, 1)
        tried = np.where(inside, np.where(upward, high[alive], low[alive]), best[alive])
        found = _margin(classify(tried), label[alive])
        better = found < margins[alive]
        best[alive[better]], margins[alive[better]] = tried[better], found[better]
    return best


def _margin(logits, label):
    """Returns by how much the right class leads: not above 0 where another one is preferred."""
    logits = np.array(logits, np.float32)
    rows = np.arange(len(label))
    right = logits[rows, label]
    logits[rows, label] = -np.inf
    return right - logits.max(axis=1)


def robustness(
    classify: Callable[[tf.Tensor], tf.Tensor],
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float = 0.4,
    steps: int = 20,
    queries: int = 300,
    searched: int = 500,
    seed: int = 0,
    batch_size: int = 250,
) -> dict[str, float]:
    """Returns the accuracy of a classifier on clean images, and under two attacks.

    Where the attack without gradients does more harm than the one with them, gradients are masked: the second figure
    then says nothing of robustness.

    Args:
        classify: images (B, H, W, C) to logits (B, K), in inference mode, made of TensorFlow operations.
        images: float32 (n, H, W, C) in [-1, 1].
        labels: the right classes, int (n,).
        epsilon: the largest change of a value, in units of [-1, 1]: 0.4 is 0.2 for images in [0, 1].
        steps: of projected gradient ascent of the cross-entropy, from a random start, each of 2.5 `epsilon / steps`.
        queries: of `search`.
        searched: images that `search` is given, the first ones.
        seed: of the random starts and of the search.
        batch_size: images at once.

    Returns:
        Shares in [0, 1]: `clean_accuracy`, `robust_accuracy` (right both before and after the attack) and
        `robust_accuracy_search`.
    """
    images, labels = np.asarray(images, np.float32), np.asarray(labels, np.int64)
    specification = tf.TensorSpec((None, *images.shape[1:]), tf.float32)

    @tf.function(input_signature=[specification])
    def logits(image):
        return tf.cast(classify(image), tf.float32)

    @tf.function(input_signature=[specification, tf.TensorSpec((None,), tf.int64), specification])
    def attacked(image, label, start):
        def loss(changed):
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits(changed))

        return pgd(loss, image, epsilon, 2.5 * epsilon / steps, steps, start)

    def in_parts(function, *arrays):
        parts = [slice(at, at + batch_size) for at in range(0, len(arrays[0]), batch_size)]
        return np.concatenate([np.asarray(function(*(array[part] for array in arrays))) for part in parts])

    def right(changed):
        return _margin(in_parts(logits, changed), labels[: len(changed)]) > 0

    noise = np.random.default_rng(seed).uniform(-epsilon, epsilon, images.shape).astype(np.float32)
    clean = right(images)
    changed = in_parts(attacked, images, labels, images + noise)
    found = search(lambda x: in_parts(logits, x), images[:searched], labels[:searched], epsilon, queries, seed)
    return {
        "clean_accuracy": float(clean.mean()),
        "robust_accuracy": float((clean & right(changed)).mean()),
        "robust_accuracy_search": float(right(found).mean()),
    }

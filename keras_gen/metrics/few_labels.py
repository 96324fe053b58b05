"""What a network that has learned without labels is worth once a few are there."""

from typing import Any

import numpy as np

from keras_gen.errors import UsageError

LARGEST_BATCH = 50


def few_labels(
    classifier: Any,
    images: np.ndarray,
    labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    per_class: int,
    seed: int = 0,
    from_random: bool = False,
    steps: int = 600,
) -> float:
    """Fine-tunes a classifier with few labels of each class, and returns its accuracy on test images.

    Batches hold at most 50 images, in an order that the seed fixes.

    Args:
        classifier: a compiled `keras.Model` of dense layers from images to logits, with the metric `accuracy`; it is
            changed.
        images: to choose from, (n, H, W, C).
        labels: (n,) classes.
        test_images: (m, H, W, C).
        test_labels: (m,).
        per_class: labelled images of each class.
        seed: of the choice, of the last layer's weights and of random weights.
        from_random: begin with random weights (Glorot and Bengio, 2010) in all layers, not only in the last.
        steps: of the fine-tuning.

    Returns:
        The share of right answers, in [0, 1].

    Raises:
        UsageError: a class has fewer images.
    """
    rng = np.random.default_rng(seed)
    chosen = []
    for found in np.unique(labels):
        members = np.flatnonzero(labels == found)
        if len(members) < per_class:
            raise UsageError(f"class {found} has {len(members)} images; expected at least {per_class}")
        chosen.append(rng.choice(members, per_class, replace=False))
    order = rng.permutation(np.concatenate(chosen))
    for layer in [layer for layer in classifier.layers if layer.weights][-1:] if not from_random else classifier.layers:
        layer.set_weights([_glorot(weight.shape, rng) for weight in layer.weights])
    batch = min(LARGEST_BATCH, max(1, len(order) // 5))
    epochs = steps // (len(order) // batch)
    classifier.fit(images[order], labels[order], batch_size=batch, epochs=epochs, shuffle=False, verbose=0)
    return float(classifier.evaluate(test_images, test_labels, batch_size=500, verbose=0, return_dict=True)["accuracy"])


def _glorot(shape, rng):
    """Returns random weights of a dense layer: its kernel, or its bias."""
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    reach = np.sqrt(6 / sum(shape))
    return rng.uniform(-reach, reach, shape).astype(np.float32)

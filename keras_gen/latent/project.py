"""Latents of given images, by gradient descent: only Keras models have gradients."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError
from keras_gen.latent.moves import at_least
from keras_gen.latent.sources import FILES, called, decoder, output_of
from keras_gen.signatures.exported import Exported
from keras_gen.signatures.law import UNIFORM
from keras_gen.signatures.values import check_values


class Projection(NamedTuple):
    """What `project` found: a latent for each image.

    Args:
        latents: (n, d).
        errors: (n,) mean squared errors per pixel, in the units of [-1, 1].
        way: (n, k, d) where the best start was, from its first latent to its last.
    """

    latents: np.ndarray
    errors: np.ndarray
    way: np.ndarray


def project(
    model: Any,
    images: ArrayLike,
    steps: int = 300,
    starts: int = 4,
    learning_rate: float = 0.1,
    label: ArrayLike | None = None,
    seed: int = 0,
    batch_size: int = 64,
    record: int = 8,
    name: str = "latent",
) -> Projection:
    """Finds the latents whose images are nearest to given ones, by gradient descent (Adam, cosine decay).

    Args:
        model: a `keras_gen` model, a run or a `.keras` file; exported files have no gradients.
        images: (n, H, W, C) in [-1, 1].
        steps: of the descent.
        starts: draws that each image begins with; the best one at the end is kept.
        learning_rate: of the first step, in units of the latents.
        label: of a conditional model: one class or one for each image.
        seed: of the starts.
        batch_size: images at once; the result of an image does not depend on it, but for rounding.
        record: latents that `Projection.way` holds, at least 2.
        name: of the input that is sought.

    Raises:
        UsageError: an exported file, or images of another shape or range.
        DamagedError: NaN in the images.

    Reference:
        Creswell and Bharath, "Inverting the Generator of a Generative Adversarial Network", 2016, arXiv:1611.05644;
        uniform latents are cut at the ends of their range; Lipton and Tripathi, 2017, arXiv:1702.04782, draw them anew.
    """
    if isinstance(model, Exported) or (isinstance(model, (str, Path)) and Path(model).suffix in FILES):
        raise UsageError(f"{called(model)} has no gradients to project with; give the run or its .keras file")
    decode = decoder(model, name)
    images = np.asarray(images)
    shape = decode(np.zeros((1, decode.dim), np.float32)).shape[1:]
    if images.ndim != 1 + len(shape) or images.shape[1:] != shape or not len(images):
        raise UsageError(f"images have shape {images.shape}; expected {('n', *shape)}")
    check_values({"image": images}, meta=decode.function.meta)
    images = images.astype(np.float32)
    at_least("steps", steps), at_least("starts", starts), at_least("batch_size", batch_size)
    recorded = np.unique(np.rint(np.geomspace(1, steps + 1, at_least("record", record, 2))) - 1)
    # Every image begins with the same draws, so that neither its place nor the batch changes what it finds.
    first = decode.draw(starts, seed)
    labels = None if label is None else np.broadcast_to(label, len(images))
    parts = []
    for at in range(0, len(images), batch_size):
        part = slice(at, at + batch_size)
        some = None if labels is None else labels[part]
        parts.append(_descend(decode, images[part], first, steps, learning_rate, some, recorded))
    return Projection(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _descend(decode, images, first, steps, learning_rate, labels, recorded):
    """Returns latents, errors and way of a batch of images."""
    import keras
    import tensorflow as tf

    n, starts = len(images), len(first)
    target = tf.repeat(tf.constant(images), starts, axis=0)  # (n * starts, H, W, C)
    rows = None if labels is None else np.repeat(labels, starts)
    inputs = decode.inputs(np.tile(first, (n, 1)), rows)
    latents = tf.Variable(inputs.pop(decode.name))
    fixed = {key: tf.constant(value) for key, value in inputs.items()}
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))
    optimizer.build([latents])

    def errors():
        made = output_of(decode.function, decode.function.signature.fn(**{decode.name: latents, **fixed}))
        return tf.reduce_mean(tf.square(made - target), axis=range(1, len(images.shape)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(errors())  # a sum, as the rows know nothing of each other
        optimizer.apply([tape.gradient(loss, latents)], [latents])
        if decode.law == str(UNIFORM):
            latents.assign(tf.clip_by_value(latents, -1.0, 1.0))

    way = []
    for index in range(steps + 1):
        if index in recorded:
            way.append(latents.numpy().reshape(n, starts, -1))
        if index < steps:
            step()
    found = errors().numpy().reshape(n, starts)
    best = found.argmin(1)
    every = np.arange(n)
    return way[-1][every, best], found[every, best], np.stack(way, axis=2)[every, best]

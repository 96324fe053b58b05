"""Draws a sampler's inputs after their laws, in numpy alone: Keras, ONNX and TFLite then sample the same images."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_gen.errors import UsageError


def draw(law: str, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draws one input.

    Args:
        law: `"normal"` (standard normal), `"uniform"` (on [-1, 1)) or `"classes K"` (the K classes in turn).
        shape: the shape, batch first.
        rng: the source of randomness; `"classes K"` takes nothing from it.

    Returns:
        A float32 array, or int32 for classes.
    """
    kind, _, count = law.partition(" ")
    if kind == "normal":
        return rng.standard_normal(shape, dtype=np.float32)
    if kind == "uniform":
        return rng.random(shape, dtype=np.float32) * np.float32(2) - np.float32(1)
    if kind == "classes":
        return (np.arange(shape[0]) % int(count)).astype(np.int32)
    raise UsageError(f"law {law!r} is not known; known: normal, uniform, classes K")


def sample_inputs(
    shapes: Mapping[str, Sequence[int | None]],
    meta: Mapping[str, str],
    n: int,
    seed: int = 0,
    label: int | Sequence[int] | None = None,
) -> dict[str, np.ndarray]:
    """Draws every input of a sampler from one seed, in the order of their names.

    Args:
        shapes: input name to shape, batch first (its size is not read).
        meta: the signature's `meta`, with a `"<input>.law"` for each input.
        n: number of samples, at least 1.
        seed: of `numpy.random.default_rng`.
        label: class of all samples, or one for each; without it the classes in turn.

    Raises:
        UsageError: `n` is not positive, a law is missing, or a label is out of range or not used by this sampler.
    """
    if n < 1:
        raise UsageError(f"n is {n}; expected at least 1 sample")
    if label is not None and "label" not in shapes:
        raise UsageError(f"label {label} was given to a sampler without labels; leave it out")
    rng = np.random.default_rng(seed)
    inputs = {}
    for name in sorted(shapes):
        law = meta.get(f"{name}.law")
        if law is None:
            raise UsageError(f"input {name!r} has no law to draw from; this signature is not a sampler")
        inputs[name] = draw(law, (n, *shapes[name][1:]), rng)
    if label is not None:
        classes = int(meta["label.law"].partition(" ")[2])
        labels = np.broadcast_to(np.asarray(label, np.int64), (n,))
        if labels.min() < 0 or labels.max() >= classes:
            raise UsageError(f"label {label} is out of range; expected 0 to {classes - 1}")
        inputs["label"] = labels.astype(np.int32)
    return inputs


def example_inputs(
    shapes: Mapping[str, Sequence[int | None]], meta: Mapping[str, str], n: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Draws inputs for any signature: by their laws, and uniformly on [-1, 1] what has none, as images.

    Args:
        shapes: as for `sample_inputs`.
        meta: the signature's `meta`.
        n: number of rows.
        seed: of `numpy.random.default_rng`.
    """
    lawful = {name: shape for name, shape in shapes.items() if f"{name}.law" in meta}
    rng = np.random.default_rng(seed)
    free = {name: rng.uniform(-1, 1, (n, *shapes[name][1:])) for name in sorted(shapes) if name not in lawful}
    return {name: value.astype(np.float32) for name, value in free.items()} | sample_inputs(lawful, meta, n, seed)

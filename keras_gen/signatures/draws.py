"""Draws a sampler's inputs from their distributions, in numpy alone: the same for Keras, ONNX and TFLite."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError, near_misses, positive, seeded
from keras_gen.signatures.classes import Classes, names_of, numbered
from keras_gen.signatures.law import Law, check_classes, count_of, law_of

__all__ = ["Classes", "Law", "example_inputs", "sample_inputs"]
SIDES = ((20, 21), (33, 47), (37, 32), (32, 40))  # of images of any size in examples of n rows, by n modulo 4


def sample_inputs(
    shapes: Mapping[str, Sequence[int | None]],
    meta: Mapping[str, str],
    n: int,
    seed: int = 0,
    label: Classes = None,
    **given: ArrayLike,
) -> dict[str, np.ndarray]:
    """Draws every input of a sampler from one seed, in the order of their names; what has no distribution is given.

    Args:
        shapes: input name to shape, batch first (its size is not read).
        meta: the signature's `meta`, with a `"<input>.law"` for each input that is drawn.
        n: number of samples, at least 1; as many as there are rows of what is given without a law, such as images.
        seed: of `numpy.random.default_rng`.
        label: class of all samples, or one for each, by number or name; without it the classes in turn.
        **given: other inputs that are not drawn, such as `truncation`: one value for all samples, or one for each.

    Raises:
        UsageError: `n` is not positive, a law is missing, or a value is out of range, of another shape, or not used by
            this sampler.
    """
    n, seed = positive("n", n), seeded(seed)
    given = {name: value for name, value in {**given, "label": label}.items() if value is not None}
    for name, value in given.items():
        if name not in shapes:
            raise UsageError(_unused(name, value, shapes))
    rng = np.random.default_rng(seed)
    inputs, way_out = {}, "upscale" if "scale" in meta else "translate"
    for name in sorted(shapes):
        if law_of(meta, name) is None:
            inputs[name] = _whole(name, given, shapes[name], count_of(meta, name), way_out)
    rows = {name: len(value) for name, value in inputs.items()}
    if len({*rows.values(), *([n] if n > 1 else [])}) > 1:
        raise UsageError(f"rows differ: {rows}" + (f" and n {n}" if n > 1 else "") + "; expected one number")
    n = next(iter(rows.values()), n)
    for name in sorted(shapes):
        law = law_of(meta, name)
        if law is None:
            continue
        inputs[name] = law.draw((n, *shapes[name][1:]), rng)
        if name in given:
            inputs[name] = _given(name, given[name], inputs[name], law.classes, names_of(meta, name))
    return inputs


def _whole(name, given, shape, classes, way_out):
    """Returns what must be given, for no law draws it: numbers, or so many classes."""
    if name not in given:
        size = ", ".join("any" if side is None else str(side) for side in shape)
        raise UsageError(f"{name!r} was not given, and no law draws it; give an array ({size}): {way_out}")
    array = np.asarray(given[name])
    fits = array.ndim == len(shape) and all(b in (None, a) for a, b in zip(array.shape[1:], shape[1:], strict=True))
    if not fits or not len(array):
        size = ", ".join("any" if side is None else str(side) for side in shape)
        raise UsageError(f"{name} has shape {array.shape}; expected ({size}), at least 1 row")
    if classes:
        check_classes(name, array, classes)
    return array.astype(np.int32 if classes else np.float32, copy=False)


def _given(name, value, drawn, classes, names):
    """Returns a value in the place, the shape and the type of one that was drawn."""
    array = np.asarray(numbered(value, names, name) if classes else value)
    if classes:
        check_classes(name, array, classes)
    elif array.dtype.kind not in "buif":
        raise UsageError(f"{name} is {str(value)[:30]!r}; expected a number, or one for each")
    try:
        return np.broadcast_to(array.astype(drawn.dtype), drawn.shape).copy()
    except ValueError:
        raise UsageError(f"{name} has shape {array.shape}; expected what fits {drawn.shape}") from None


def _unused(name, value, shapes):
    """Returns what to say of an input that this sampler has not."""
    if name == "label":  # which resembles "latent", and is never meant by it
        return f"label {value} was given, but this model has no labels; leave it out"
    known = near_misses(name, shapes) if shapes else "it has no inputs"
    text = f"{name} {value} was given to a sampler without {name}"
    return f"{text}; {known}" if known.startswith("did you mean") else f"{text}; leave it out ({known})"


def _sized(shape, n):
    """Returns the shape of an example: sides that may be any differ by a number, and few numbers divide them."""
    sides = iter(SIDES[n % len(SIDES)])
    return tuple(next(sides) if side is None else side for side in shape)


def example_inputs(
    shapes: Mapping[str, Sequence[int | None]], meta: Mapping[str, str], n: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Draws inputs for any signature: from their distributions, and what has none uniformly: on [-1, 1], or of classes.

    Sides that may be any are others for another n and for another input, and few numbers divide them: what a network
    cuts wrongly shows.

    Args:
        shapes: as for `sample_inputs`.
        meta: the signature's `meta`.
        n: number of rows.
        seed: of `numpy.random.default_rng`.
    """
    lawful = {name: shape for name, shape in shapes.items() if f"{name}.law" in meta}
    rng = np.random.default_rng(seed)
    free = {}
    for number, name in enumerate(sorted(set(shapes) - set(lawful))):
        size, count = (n, *_sized(shapes[name][1:], n + number)), count_of(meta, name)
        drawn = rng.integers(count, size=size) if count else rng.uniform(-1, 1, size)
        free[name] = drawn.astype(np.int32 if count else np.float32)
    return free | sample_inputs(lawful, meta, n, seed)

"""Walks through a latent space: the same on Keras models and on exported `.onnx` and `.tflite` files.

Latents are arrays (..., d). The functions on them are plain numpy; `decoder` and `encoder` turn latents into images and
images into latents, whatever holds the networks. Only Keras models have gradients, so that only they can `project`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen import draws, files
from keras_gen.errors import UsageError, near_misses
from keras_gen.exported import Exported, open_file

FILES = (".onnx", ".tflite")
REACH = {"normal": 3.0, "uniform": 1.0}  # how far from 0 a traversal goes: almost all of each law


# --- between two latents ---------------------------------------------------------------------------------------------


def lerp(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> np.ndarray:
    """Interpolates on the straight line.

    Args:
        start: latents (..., d).
        end: latents (..., d).
        fraction: of the way, 0 at `start` and 1 at `end`; one number, or an array that broadcasts against (...).

    Returns:
        float32 latents (..., d); float32 ends come out exactly.
    """
    start, end, fraction = _ends(start, end, fraction)
    return ((1 - fraction) * start + fraction * end).astype(np.float32)


def slerp(start: ArrayLike, end: ArrayLike, fraction: ArrayLike) -> np.ndarray:
    """Interpolates on the great circle: the direction turns at constant speed, the norm changes linearly.

    Latents of a normal law lie near a sphere; the straight line between two of them passes far inside it, where the
    network was never trained. Opposite latents have no shortest arc, so a fixed one is taken.

    Args:
        start: latents (..., d).
        end: latents (..., d).
        fraction: as for `lerp`.

    Returns:
        float32 latents (..., d); float32 ends come out exactly.

    Reference:
        Shoemake, "Animating rotation with quaternion curves", 1985; for latents: White, "Sampling Generative
        Networks", 2016, arXiv:1609.04468.
    """
    start, end, fraction = _ends(start, end, fraction)
    one, other = _unit(start), _unit(end)
    # Zero has no direction: it takes the other's.
    one, other = (np.where(_norm(a) > 0, a, b) for a, b in ((one, other), (other, one)))
    cosine = (one * other).sum(-1, keepdims=True)
    across = other - cosine * one  # what `other` has that `one` has not
    angle = np.arctan2(_norm(across), cosine)  # exact for small angles, unlike the arc cosine
    across = np.where(_norm(across) > 1e-9, _unit(across), _perpendicular(one))
    direction = np.cos(fraction * angle) * one + np.sin(fraction * angle) * across
    norm = (1 - fraction) * _norm(start) + fraction * _norm(end)
    return (norm * direction).astype(np.float32)


INTERPOLATIONS: Mapping[str, Callable[..., np.ndarray]] = {"lerp": lerp, "slerp": slerp}


def interpolate(start: ArrayLike, end: ArrayLike, steps: int = 10, how: str = "slerp") -> np.ndarray:
    """Returns the way from one latent to another, both included.

    Args:
        start: latents (..., d).
        end: latents (..., d).
        steps: latents on each way, at least 2.
        how: `"slerp"` (for normal latents) or `"lerp"` (for uniform ones).

    Returns:
        float32 (..., steps, d).
    """
    if how not in INTERPOLATIONS:
        raise UsageError(f"interpolation {how!r} is not known; {near_misses(how, INTERPOLATIONS)}")
    start, end = np.asarray(start), np.asarray(end)
    fractions = np.linspace(0, 1, _at_least("steps", steps, 2))
    return INTERPOLATIONS[how](start[..., None, :], end[..., None, :], fractions)


# --- grids -----------------------------------------------------------------------------------------------------------


def span(law: str, steps: int, reach: float | None = None) -> np.ndarray:
    """Returns evenly spaced values for a traversal.

    Args:
        law: `"normal"` (-3 to 3) or `"uniform"` (-1 to 1).
        steps: how many.
        reach: another largest value.
    """
    reach = REACH[_law(law)] if reach is None else reach
    return np.linspace(-reach, reach, _at_least("steps", steps)).astype(np.float32)


def traverse(latents: ArrayLike, coordinate: int, values: ArrayLike) -> np.ndarray:
    """Gives one coordinate one value after the other; everything else stays.

    Args:
        latents: (..., d).
        coordinate: which.
        values: (k,).

    Returns:
        float32 (..., k, d).

    Reference:
        Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework", ICLR 2017.
    """
    latents, values = _latents(latents), np.asarray(values, np.float32)
    _check_coordinates([coordinate], latents.shape[-1])
    moved = np.repeat(latents[..., None, :], len(values), axis=-2)
    moved[..., coordinate] = values
    return moved


def quantiles(law: str, steps: int) -> np.ndarray:
    """Returns the quantiles of a law at `(i + 1/2) / steps`: values that are equally probable.

    Args:
        law: `"normal"` or `"uniform"` on [-1, 1).
        steps: how many.
    """
    probabilities = (np.arange(_at_least("steps", steps)) + 0.5) / steps
    if _law(law) == "uniform":
        return (2 * probabilities - 1).astype(np.float32)
    return np.array([NormalDist().inv_cdf(p) for p in probabilities], np.float32)


def manifold(steps: int, law: str, origin: ArrayLike, axes: Sequence[int] = (0, 1)) -> np.ndarray:
    """Returns a square of latents, spaced so that each has the same probability.

    Args:
        steps: latents on a side.
        law: `"normal"` or `"uniform"`.
        origin: (d,) what the other coordinates are.
        axes: the coordinate that rises to the right, and the one that rises upward.

    Returns:
        float32 (steps, steps, d), the top row first.

    Reference:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, figure 4.
    """
    origin = _latents(origin)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise UsageError(f"a manifold has two different axes, not {list(axes)}")
    _check_coordinates(axes, origin.shape[-1])
    values = quantiles(law, steps)
    square = np.tile(origin, (steps, steps, 1))
    square[..., axes[0]], square[..., axes[1]] = values, values[::-1, None]
    return square


def style_grid(rows: ArrayLike, columns: ArrayLike, coordinates: Sequence[int]) -> np.ndarray:
    """Crosses latents: each cell has some coordinates from its column, and the others from its row.

    Args:
        rows: (r, d) latents, or (r, layers, d) styles of one latent for each layer.
        columns: (c, ...) alike.
        coordinates: along axis 1, what comes from the column: coordinates of a latent, or layers of a style.

    Returns:
        float32 (r, c, ...).

    Reference:
        Karras, Laine and Aila, "A Style-Based Generator Architecture", 2019, arXiv:1812.04948, figure 3.
    """
    rows, columns = _latents(rows), _latents(columns)
    if rows.ndim < 2 or rows.shape[1:] != columns.shape[1:]:
        raise UsageError(f"rows are {rows.shape} and columns {columns.shape}; expected (r, ...) and (c, ...) alike")
    _check_coordinates(coordinates, rows.shape[1])
    crossed = np.repeat(rows[:, None], len(columns), axis=1)
    crossed[:, :, list(coordinates)] = columns[None][:, :, list(coordinates)]
    return crossed


# --- arithmetic and attributes ---------------------------------------------------------------------------------------


def arithmetic(plus: Sequence[ArrayLike], minus: Sequence[ArrayLike] = ()) -> np.ndarray:
    """Adds and subtracts means of samples: king - man + woman.

    Args:
        plus: groups of latents, each (k, d); the mean of each is added.
        minus: groups of latents; the mean of each is subtracted.

    Returns:
        float32 (d,).

    Reference:
        Radford, Metz and Chintala, "DCGAN", 2015, arXiv:1511.06434, figure 7: three samples for each concept, as single
        ones are not stable.
    """
    if not plus:
        raise UsageError("plus holds no group; expected at least one")
    groups = [(1, group) for group in plus] + [(-1, group) for group in minus]
    return np.sum([sign * np.atleast_2d(_latents(group)).mean(0) for sign, group in groups], 0).astype(np.float32)


def attribute_direction(latents: ArrayLike, labels: ArrayLike, method: str = "means") -> np.ndarray:
    """Finds the direction of an attribute, from latents with and without it.

    Args:
        latents: (n, d).
        labels: (n,) true where the attribute is there.
        method: `"means"` (difference of the two class means) or `"logistic"` (normal of the plane that a logistic
            regression puts between the classes, which leaves correlated coordinates alone).

    Returns:
        float32 (d,). Its length is the distance of the class means along it: moving by 1 goes from one to the other.

    Reference:
        Larsen et al., "Autoencoding beyond pixels", 2016, arXiv:1512.09300 (means); Shen et al., "InterFaceGAN", 2020,
        arXiv:1907.10786 (the plane's normal; theirs is of a support vector machine).
    """
    latents, labels = np.asarray(latents, np.float64), np.asarray(labels)
    if latents.ndim != 2 or labels.shape != latents.shape[:1]:
        raise UsageError(f"latents are {latents.shape} and labels {labels.shape}; expected (n, d) and (n,)")
    labels = labels.astype(bool)
    if labels.all() or not labels.any():
        raise UsageError(f"all {len(labels)} labels are {labels[:1]}; expected samples with and without the attribute")
    difference = latents[labels].mean(0) - latents[~labels].mean(0)
    if method == "means":
        return difference.astype(np.float32)
    if method != "logistic":
        raise UsageError(f"method {method!r} is not known; {near_misses(method, ('means', 'logistic'))}")
    from sklearn.linear_model import LogisticRegression

    normal = _unit(LogisticRegression(max_iter=1000).fit(latents, labels).coef_[0])
    return ((difference @ normal) * normal).astype(np.float32)


def move(latents: ArrayLike, direction: ArrayLike, amounts: ArrayLike) -> np.ndarray:
    """Moves latents along a direction.

    Args:
        latents: (..., d).
        direction: (d,).
        amounts: (k,) multiples of the direction.

    Returns:
        float32 (..., k, d).
    """
    amounts = np.asarray(amounts, np.float32)
    return _latents(latents)[..., None, :] + amounts[:, None] * _latents(direction)


# --- latents to images, images to latents ----------------------------------------------------------------------------


class _Function(NamedTuple):
    """One signature, of a model or of a file."""

    name: str
    shapes: dict[str, tuple[int | None, ...]]
    floats: tuple[str, ...]  # the inputs that are not whole numbers
    meta: Mapping[str, str]
    run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
    signature: Any = None  # of a Keras model: what can be differentiated


class Decoder:
    """Latents to images. Made by `decoder`.

    Attributes:
        dim: number of latent coordinates.
        law: of the latents, `"normal"` or `"uniform"`; empty where the model has none.
        name: of the input that latents are given to.
    """

    def __init__(self, function: _Function, name: str, seed: int):
        self.function, self.name = function, name
        self.dim = int(function.shapes[name][-1])
        self.law = function.meta.get(f"{name}.law", "")
        rest = {key: shape for key, shape in function.shapes.items() if key != name}
        self._held = draws.sample_inputs(rest, function.meta, 1, seed) if rest else {}

    def draw(self, n: int, seed: int = 0) -> np.ndarray:
        """Returns the latents (n, d) of `sample(n, seed)`.

        Raises:
            UsageError: the model has no law to draw from.
        """
        if not self.law:
            raise UsageError(f"{self.function.name!r} has no law to draw latents from; give latents of its encoder")
        return draws.sample_inputs(self.function.shapes, self.function.meta, n, seed)[self.name]

    def inputs(self, latents: ArrayLike, label: ArrayLike | None = None) -> dict[str, np.ndarray]:
        """Returns all inputs of the signature for flat latents (n, d): what does not move is one draw, repeated."""
        latents = _latents(latents)
        given = {name: np.repeat(value, len(latents), axis=0) for name, value in self._held.items()}
        return {self.name: latents, **given, **_labels(self.function, label, len(latents))}

    def __call__(self, latents: ArrayLike, label: ArrayLike | None = None, batch_size: int = 64) -> np.ndarray:
        """Decodes.

        Args:
            latents: (..., d).
            label: of a conditional model: one class, or an array that broadcasts to (...); class 0 by default.
            batch_size: images computed at once.

        Returns:
            float32 images (..., H, W, C) in [-1, 1].
        """
        latents = _latents(latents)
        if latents.shape[-1:] != (self.dim,):
            raise UsageError(f"latents have shape {latents.shape}; expected (..., {self.dim})")
        lead = latents.shape[:-1]
        label = None if label is None else np.broadcast_to(label, lead).ravel()
        images = _batched(self.function, self.inputs(latents.reshape(-1, self.dim), label), batch_size)
        return images.reshape(*lead, *images.shape[1:])


class Encoder:
    """Images to latents. Made by `encoder`."""

    def __init__(self, function: _Function):
        self.function = function

    def __call__(self, images: ArrayLike, label: ArrayLike | None = None, batch_size: int = 64) -> np.ndarray:
        """Encodes.

        Args:
            images: (n, H, W, C) in [-1, 1].
            label: of a conditional model: one class or one for each image; class 0 by default.
            batch_size: images computed at once.

        Returns:
            float32 latents (n, d): the means of a stochastic encoder.
        """
        images = np.asarray(images, np.float32)
        want = self.function.shapes["image"]
        if images.ndim != len(want) or any(a not in (None, b) for a, b in zip(want[1:], images.shape[1:], strict=True)):
            raise UsageError(f"images have shape {images.shape}; expected {('n', *want[1:])}")
        inputs = {"image": images, **_labels(self.function, label, len(images))}
        return _batched(self.function, inputs, batch_size, ("mean", "latent", "code"))


def decoder(source: Any, name: str = "latent", signature: str | None = None, seed: int = 0) -> Decoder:
    """Returns what makes images of latents.

    Args:
        source: a `keras_gen` model, a run, a `.keras`, `.onnx` or `.tflite` file, or an open `Exported`.
        name: of the input that moves. All others are held at one draw.
        signature: which to take; by default the one that samples are drawn with, otherwise `decode`.
        seed: of the inputs that are held.

    Raises:
        UsageError: nothing here makes images of latents.

    Example:
        ```python
        decode = keras_gen.latent.decoder("dcgan")
        start, end = decode.draw(2, seed=0)
        images = decode(keras_gen.latent.interpolate(start, end, steps=10))
        ```
    """

    def fits(function):
        wanted = function.name == signature if signature else "sample" in function.meta or function.name == "decode"
        return wanted and name in function.floats and len(function.shapes[name]) == 2

    # A sampler comes first: an autoencoder may have both.
    found, known = _find(source, fits, prefer=lambda function: "sample" in function.meta)
    if found is None:
        what = f"signature {signature!r} with an input {name!r}" if signature else f"sampler with an input {name!r}"
        raise UsageError(f"{called(source)} has no {what} of latents; it has {known}")
    return Decoder(found, name, seed)


def encoder(source: Any) -> Encoder:
    """Returns what makes latents of images: the signature `encode`.

    Args:
        source: as for `decoder`. For an `.onnx` file, the files of the same model beside it are looked at, too.

    Raises:
        UsageError: there is none.
    """
    found, known = _find(source, lambda function: function.name == "encode" and "image" in function.shapes)
    if found is None:
        raise UsageError(f"{called(source)} has no 'encode', only {known}; project() finds latents without it")
    return Encoder(found)


def autoencoder(source: Any) -> tuple[Encoder, Decoder]:
    """Returns an encoder, and the decoder that understands its latents.

    Args:
        source: as for `encoder`.

    Raises:
        UsageError: one of them is missing.
    """
    functions = _siblings(_functions(source))
    encode = encoder(functions)
    # What samples are drawn with may begin with another latent, which a law maps to the encoder's.
    names = [function.name for function in functions]
    return encode, decoder(functions, signature="decode" if "decode" in names else None)


def reconstruct(source: Any, images: ArrayLike, label: ArrayLike | None = None, batch_size: int = 64) -> np.ndarray:
    """Encodes images and decodes their latents.

    Args:
        source: as for `decoder`.
        images: (n, H, W, C) in [-1, 1].
        label: of a conditional model.
        batch_size: images computed at once.

    Raises:
        UsageError: the model has no encoder.
    """
    encode, decode = autoencoder(source)
    return decode(encode(images, label, batch_size), label, batch_size)


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
        UsageError: an exported file, or images of another shape.

    Reference:
        Creswell and Bharath, "Inverting the Generator of a Generative Adversarial Network", 2016, arXiv:1611.05644;
        uniform latents are cut at the ends of their range; Lipton and Tripathi, 2017, arXiv:1702.04782, draw them anew.
    """
    if isinstance(model, Exported) or (isinstance(model, (str, Path)) and Path(model).suffix in FILES):
        raise UsageError(f"{called(model)} has no gradients to project with; give the run or its .keras file")
    decode = decoder(model, name)
    images = np.asarray(images, np.float32)
    shape = decode(np.zeros((1, decode.dim), np.float32)).shape[1:]
    if images.ndim != 1 + len(shape) or images.shape[1:] != shape or not len(images):
        raise UsageError(f"images have shape {images.shape}; expected {('n', *shape)}")
    _at_least("steps", steps), _at_least("starts", starts), _at_least("batch_size", batch_size)
    recorded = np.unique(np.rint(np.geomspace(1, steps + 1, _at_least("record", record, 2))) - 1)
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
        made = _output(decode.function, decode.function.signature.fn(**{decode.name: latents, **fixed}))
        return tf.reduce_mean(tf.square(made - target), axis=range(1, len(images.shape)))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(errors())  # a sum, as the rows know nothing of each other
        optimizer.apply([tape.gradient(loss, latents)], [latents])
        if decode.law == "uniform":
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


# --- what holds the networks -----------------------------------------------------------------------------------------


def opened(source: Any) -> Any:
    """Returns the model or the `Exported` of a run's name, a folder or a file; anything else as it is."""
    if not isinstance(source, (str, Path)):
        return source
    if Path(source).suffix in FILES:
        return open_file(source)
    from keras_gen.saving import load

    return load(source)


def called(source: Any) -> str:
    """Returns what an error line calls a source."""
    if isinstance(source, _Functions):
        source = source.source
    if isinstance(source, Exported):
        return files.shown(source.path)
    return files.shown(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__}"


class _Functions(list):
    """The signatures of an opened source, so that it is opened once."""

    def __init__(self, functions, source):
        super().__init__(functions)
        self.source = source


def _functions(source) -> _Functions:
    if isinstance(source, _Functions):
        return source
    source = opened(source)
    if isinstance(source, Exported):
        return _Functions([_of_file(source, name) for name in source.signatures], source)
    if not callable(getattr(source, "signatures", None)):
        raise UsageError(f"{type(source).__name__} has no signatures; expected a keras_gen model, a run or a file")
    return _Functions([_of_model(name, found) for name, found in source.signatures().items()], source)


def _of_file(source, name):
    inputs = source.inputs(name)
    return _Function(
        name,
        {key: shape for key, (shape, _) in inputs.items()},
        tuple(key for key, (_, dtype) in inputs.items() if dtype.kind == "f"),
        source.meta(name),
        lambda arrays: source.run(name, **arrays),
    )


def _of_model(name, signature):
    import tensorflow as tf

    compiled = tf.function(lambda inputs: signature.fn(**inputs), input_signature=[dict(signature.inputs)])
    return _Function(
        name,
        {key: tuple(spec.shape.as_list()) for key, spec in signature.inputs.items()},
        tuple(key for key, spec in signature.inputs.items() if spec.dtype.is_floating),
        signature.meta,
        lambda arrays: {key: value.numpy() for key, value in compiled(arrays).items()},
        signature,
    )


def _find(source, fits, prefer=lambda function: False):
    """Returns the signature that fits, if there is one, and the names of all."""
    functions = _functions(source)
    found = [function for function in functions if fits(function)]
    if not found:
        functions = _siblings(functions)
        found = [function for function in functions if fits(function)]
    found.sort(key=prefer, reverse=True)
    return (found[0] if found else None), ", ".join(function.name for function in functions)


def _siblings(functions):
    """Returns the signatures in the `.onnx` files beside one, too: there each signature has a file of its own."""
    source = functions.source
    if not isinstance(source, Exported) or source.path.suffix != ".onnx":
        return functions
    model, more = functions[0].meta.get("model"), []
    for path in sorted(source.path.parent.glob("*.onnx")):
        if path != source.path and model:
            other = _functions(path)
            more += [function for function in other if function.meta.get("model") == model]
    return _Functions([*functions, *more], source)


def _batched(function, inputs, batch_size, outputs=("image",)):
    count = len(next(iter(inputs.values())))
    parts = [
        _output(function, function.run({key: value[at : at + batch_size] for key, value in inputs.items()}), outputs)
        for at in range(0, count, _at_least("batch_size", batch_size))
    ]
    if not parts:
        raise UsageError("there is nothing to compute: 0 rows; expected at least 1")
    return np.concatenate(parts)


def _output(function, tensors, names=("image",)):
    for name in (function.meta.get("sample"), *names):
        if name in tensors:
            return tensors[name]
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    raise UsageError(f"{function.name!r} gives {', '.join(tensors)}; expected {' or '.join(names)}")


def _labels(function, label, rows):
    if "label" not in function.shapes:
        if label is not None:
            raise UsageError(f"a label was given to {function.name!r}, which takes none; leave it out")
        return {}
    labels = np.broadcast_to(np.asarray(0 if label is None else label), rows).astype(np.int32)
    law = function.meta.get("label.law", "")
    if law.startswith("classes ") and (labels.min() < 0 or labels.max() >= int(law.split()[1])):
        raise UsageError(f"label {int(labels.max())} is out of range; expected 0 to {int(law.split()[1]) - 1}")
    return {"label": labels}


# --- small mathematics -----------------------------------------------------------------------------------------------


def _latents(value):
    return np.array(value, np.float32)


def _ends(start, end, fraction):
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    if start.shape[-1:] != end.shape[-1:] or not start.ndim:
        raise UsageError(f"latents have shapes {start.shape} and {end.shape}; expected (..., d) for both")
    return start, end, np.asarray(fraction, np.float64)[..., None]


def _norm(vectors):
    return np.linalg.norm(vectors, axis=-1, keepdims=True)


def _unit(vectors):
    norm = _norm(vectors)
    return vectors / np.where(norm > 0, norm, 1.0)


def _perpendicular(unit):
    """Returns unit vectors at right angles: the axis that is farthest from each, made perpendicular."""
    axis = np.eye(unit.shape[-1])[np.abs(unit).argmin(-1)]
    return _unit(axis - (axis * unit).sum(-1, keepdims=True) * unit)


def _law(law):
    if law not in REACH:
        raise UsageError(f"law {law!r} has no quantiles here; known: {', '.join(REACH)}")
    return law


def _at_least(name, value, least=1):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise UsageError(f"{name} is {value!r}; expected a whole number of at least {least}")
    return int(value)


def _check_coordinates(coordinates, dim):
    for coordinate in coordinates:
        if not 0 <= coordinate < dim:
            raise UsageError(f"coordinate {coordinate} does not exist; expected 0 to {dim - 1}")

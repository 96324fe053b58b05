"""Latents to images and images to latents, whatever holds the networks: a model, a run, or an exported file."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError, near_misses
from keras_gen.files import writing
from keras_gen.latent.moves import as_latents, at_least
from keras_gen.signatures import draws
from keras_gen.signatures.classes import names_of, numbered
from keras_gen.signatures.exported import Exported, open_file
from keras_gen.signatures.law import law_of
from keras_gen.signatures.values import check_values

FILES = (".onnx", ".tflite")


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
        law: of the latents, as text, `"normal"` or `"uniform"`; empty where the model has none.
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
            raise UsageError(f"{self.function.name!r} has no prior to draw latents from; give latents of its encoder")
        return draws.sample_inputs(self.function.shapes, self.function.meta, n, seed)[self.name]

    def inputs(self, latents: ArrayLike, label: ArrayLike | None = None) -> dict[str, np.ndarray]:
        """Returns all inputs of the signature for flat latents (n, d): what does not move is one draw, repeated."""
        latents = as_latents(latents)
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
        latents = as_latents(latents)
        if latents.shape[-1:] != (self.dim,):
            raise UsageError(f"latents have shape {latents.shape}; expected (..., {self.dim})")
        lead = latents.shape[:-1]
        label = None if label is None else np.broadcast_to(label, lead).ravel()
        images = _batched(self.function, self.inputs(latents.reshape(-1, self.dim), label), batch_size)
        return images.reshape(*lead, *images.shape[1:])


class StyleDecoder(Decoder):
    """Styles w, (n, d), to images. Made by `decoder` of the input `"style"`.

    Attributes:
        dim: number of coordinates of w.
        layers: how many take a style.
        law: empty: w is what a mapping makes of latents.
    """

    def __init__(self, mapping: _Function, synthesis: _Function, seed: int):
        self.mapping, self.synthesis = mapping, synthesis
        self.layers = int(synthesis.shapes["style"][1])
        super().__init__(_for_all_layers(synthesis, self.layers), "style", seed)

    def draw(self, n: int, seed: int = 0, label: ArrayLike | None = None) -> np.ndarray:
        """Returns the styles (n, d) of `sample(n, seed)`, without truncation."""
        drawn = draws.sample_inputs(self.mapping.shapes, self.mapping.meta, n, seed, label)
        return _batched(self.mapping, drawn, 256, ("style",))[:, 0]

    def painted(self, styles: ArrayLike, batch_size: int = 64) -> np.ndarray:
        """Decodes styles of one w for each layer.

        Args:
            styles: (..., layers, d).
            batch_size: images computed at once.

        Returns:
            float32 images (..., H, W, C) in [-1, 1].
        """
        styles = as_latents(styles)
        flat = styles.reshape(-1, *styles.shape[-2:])
        held = {name: np.repeat(value, len(flat), axis=0) for name, value in self._held.items()}
        images = _batched(self.synthesis, {"style": flat, **held}, batch_size)
        return images.reshape(*styles.shape[:-2], *images.shape[1:])


def _for_all_layers(function, layers):
    """Returns a synthesis that takes one w, (B, d), for all of its layers."""

    def signature_fn(style, **more):
        import tensorflow as tf

        return function.signature.fn(style=tf.tile(style[:, None], (1, layers, 1)), **more)

    def run(arrays):
        return function.run({**arrays, "style": np.repeat(arrays["style"][:, None], layers, axis=1)})

    signature = function.signature and function.signature._replace(fn=signature_fn)
    shape = (None, function.shapes["style"][-1])
    return function._replace(shapes={**function.shapes, "style": shape}, run=run, signature=signature)


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
        images = np.asarray(images)
        want = self.function.shapes["image"]
        if images.ndim != len(want) or any(a not in (None, b) for a, b in zip(want[1:], images.shape[1:], strict=True)):
            raise UsageError(f"images have shape {images.shape}; expected {('n', *want[1:])}")
        inputs = {"image": images, **_labels(self.function, label, len(images))}
        return _batched(self.function, inputs, batch_size, ("mean", "latent", "code"))


def decoder(source: Any, name: str = "latent", signature: str | None = None, seed: int = 0) -> Decoder:
    """Returns what makes images of latents.

    Args:
        source: a `keras_gen` model, a run, a `.keras`, `.onnx` or `.tflite` file, or an open `Exported`.
        name: of the input that moves; `"style"` of a model with `map` and `synthesize` is w, of all layers at once. All
            others are held at one draw.
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
    if name == "style" and not signature:
        parts = [_find(source, lambda one, key=key: one.name == key)[0] for key in ("map", "synthesize")]
        if all(parts):
            return StyleDecoder(*parts, seed)

    def wanted(function):
        return function.name == signature if signature else "sample" in function.meta or function.name == "decode"

    def fits(function):
        return wanted(function) and name in _movable(function)

    # A sampler comes first: an autoencoder may have both.
    found, functions = _find(source, fits, prefer=lambda function: "sample" in function.meta)
    if found is None:
        if signature and signature not in [function.name for function in functions]:
            raise UsageError(f"{called(source)} has no signature {signature!r}; it has {_names(functions)}")
        others = sorted({key for function in functions if wanted(function) for key in _movable(function)})
        there = near_misses(name, others) if others else f"it has no latents, only {_names(functions)}"
        raise UsageError(f"{called(source)} makes no images of an input {name!r}; {there}")
    return Decoder(found, name, seed)


def encoder(source: Any) -> Encoder:
    """Returns what makes latents of images: the signature `encode`.

    Args:
        source: as for `decoder`. For an `.onnx` file, the files of the same model beside it are looked at, too.

    Raises:
        UsageError: there is none.
    """
    found, functions = _find(source, lambda function: function.name == "encode" and "image" in function.shapes)
    if found is None:
        raise UsageError(
            f"{called(source)} has no 'encode', only {_names(functions)}; project() finds latents without it"
        )
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


# --- what holds the networks -----------------------------------------------------------------------------------------


def opened(source: Any) -> Any:
    """Returns the model or the `Exported` of a run's name, a folder or a file; anything else as it is."""
    if not isinstance(source, (str, Path)):
        return source
    if Path(source).suffix in FILES:
        return open_file(source)
    from keras_gen.files.loading import load

    return load(source)


def called(source: Any) -> str:
    """Returns what an error line calls a source."""
    if isinstance(source, _Functions):
        source = source.source
    if isinstance(source, Exported):
        return writing.shown(source.path)
    return writing.shown(source) if isinstance(source, (str, Path)) else f"the {type(source).__name__}"


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
    """Returns the signature that fits, if there is one, and all that there are."""
    functions = _functions(source)
    found = [function for function in functions if fits(function)]
    if not found:
        functions = _siblings(functions)
        found = [function for function in functions if fits(function)]
    found.sort(key=prefer, reverse=True)
    return (found[0] if found else None), functions


def _movable(function):
    """Returns the inputs of a signature that are vectors of numbers."""
    return [key for key in function.floats if len(function.shapes[key]) == 2]


def _names(functions):
    return ", ".join(function.name for function in functions)


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
    check_values(inputs, meta=function.meta)
    inputs = {key: value.astype(np.float32) if key in function.floats else value for key, value in inputs.items()}
    parts = [
        output_of(function, function.run({key: value[at : at + batch_size] for key, value in inputs.items()}), outputs)
        for at in range(0, count, at_least("batch_size", batch_size))
    ]
    if not parts:
        raise UsageError("there is nothing to compute: 0 rows; expected at least 1")
    return np.concatenate(parts)


def output_of(function: Any, tensors: Mapping[str, Any], names: Sequence[str] = ("image",)) -> Any:
    """Returns the sample among the outputs of a signature, or the first of these names, or the only output."""
    for name in (function.meta.get("sample"), *names):
        if name in tensors:
            return tensors[name]
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    raise UsageError(f"{function.name!r} gives {', '.join(tensors)}; expected {' or '.join(names)}")


def _labels(function, label, rows):
    if "label" not in function.shapes:
        if label is not None:
            given = np.asarray(label).ravel()[0]
            raise UsageError(f"label {given} was given, but {function.name!r} has no labels; leave it out")
        return {}
    label = 0 if label is None else numbered(label, names_of(function.meta))
    labels = np.broadcast_to(np.asarray(label), rows).astype(np.int32)
    law = law_of(function.meta, "label")
    wrong = labels[(labels < 0) | (labels >= law.classes)] if law and law.classes else ()
    if len(wrong):
        raise UsageError(f"label {wrong[0]} is out of range; expected 0 to {law.classes - 1}")
    return {"label": labels}

"""What a trained model offers to the outside world: the only thing that the exporter knows of a model."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from keras_gen.errors import UsageError
from keras_gen.signatures.draws import example_inputs
from keras_gen.signatures.law import OUT_OF_RANGE, count_of

# What metadata say of a signature from images of any size, `source`, to images of the same size, `image`.
TRANSLATES: Mapping[str, str] = {
    "given": "source",
    "sample": "image",
    "source.range": "[-1, 1]",
    "source.layout": "NHWC",
    "image.range": "[-1, 1]",
    "image.layout": "NHWC",
}


class Signature(NamedTuple):
    """One inference function with named inputs and outputs.

    No random operation is inside: latents, noise and labels are inputs, drawn by the caller from their distributions.

    Args:
        fn: takes the inputs as keyword arguments and returns a dict of named tensors. Inference only.
        inputs: name to `tf.TensorSpec` (float32 or int32; `None` is a dynamic dimension). Disjoint from the outputs'
            names.
        example: batch size to valid inputs, as a dict of arrays: for parity checks and int8 calibration.
        meta: string to string. `"<input>.law"` says how an input is drawn (`keras_gen.draws`): `"normal"`,
            `"uniform"`, `"classes 10"` or `"constant 1"`. `"sample"` names the output that is a sample; a signature
            without it is not a sampler, and one with `"given"` makes it of that input, which no law draws, and of
            further ones that it names after a space; `"scale"` and `"reach"` are of one that makes images larger, as
            `enlarges` tells.
            `"<tensor>.range"`, `"<tensor>.layout"` and `"<tensor>.classes"` (names, comma separated, or a JSON list
            where a name holds a comma) describe tensors; files add `"<tensor>.channels"`, `"RGBA"`, of images with
            opacity.
            `"<input>.out_of_range"` is `"clamped"` where a class that does not exist is taken for the nearest that
            does; `sample` and `run` refuse it.
        static_batch: the batch dimension is fixed when the file is made (recurrent networks on TFLite).
        atol: largest absolute difference from Keras that an exported file may show.
    """

    fn: Callable[..., dict[str, Any]]
    inputs: dict[str, Any]
    example: Callable[[int], dict[str, Any]]
    meta: Mapping[str, str] = {}
    static_batch: bool = False
    atol: float = 1e-4


def signature(
    fn: Callable[..., dict[str, Any]], shapes: Mapping[str, Sequence[int | None]], meta: Mapping[str, str], **more: Any
) -> Signature:
    """Makes a signature whose types and examples follow from the distributions in its `meta`.

    Inputs of classes, tokens or positions are clamped to those that exist: without, each runtime would do something
    else. The metadata say so.

    Args:
        fn: as for `Signature`.
        shapes: input name to shape, batch first. An input of classes, or of the range `"0 to N"`, is int32, all others
            are float32.
        meta: as for `Signature`. Examples of an input without a law, an image, are uniform on [-1, 1].
        **more: of `Signature`.
    """
    import tensorflow as tf

    counts = {name: count_of(meta, name) for name in shapes}
    counts = {name: count for name, count in counts.items() if count}
    types = {name: tf.int32 if name in counts else tf.float32 for name in shapes}
    inputs = {name: tf.TensorSpec(shape, types[name]) for name, shape in shapes.items()}
    if counts:
        fn, meta = partial(_clamped, fn, counts), {**meta, **{f"{name}.out_of_range": OUT_OF_RANGE for name in counts}}
    return Signature(fn, inputs, partial(example_inputs, shapes, meta), meta, **more)


def enlarges(scale: int, reach: int) -> dict[str, str]:
    """Returns what metadata say of a signature that makes images of any size, `source`, larger, to `image`.

    Args:
        scale: by which height and width grow.
        reach: pixels of the source around its own one that a pixel depends on: large images are made in pieces.
    """
    return {**TRANSLATES, "scale": str(scale), "reach": str(reach)}


def upscaler_of(metas: Mapping[str, Mapping[str, str]], what: str) -> tuple[str, int, int]:
    """Returns the name of the signature that makes images larger, its scale and its reach.

    Args:
        metas: name of each signature, of a model or of a file, to its metadata.
        what: the model or file, for messages.

    Raises:
        UsageError: there is none.
    """
    for name, meta in metas.items():
        if meta.get("scale", "").isdecimal() and meta.get("reach", "").isdecimal():
            return name, int(meta["scale"]), int(meta["reach"])
    other = any("sample" in meta and meta.get("given") for meta in metas.values())
    way_out = "give it to translate" if other else "give a model such as srgan"
    raise UsageError(f"{what} makes no image larger, it has only {', '.join(metas) or 'nothing'}; {way_out}")


def translator_of(metas: Mapping[str, Mapping[str, str]], to: str | None, what: str) -> str:
    """Returns the name of the signature that makes an image of an image.

    Args:
        metas: name of each signature, of a model or of a file, to its metadata.
        to: `"a"` or `"b"`, where there are both ways; by default `"b"`, or the only way that there is.
        what: the model or file, for messages.

    Raises:
        UsageError: there is none, or none that leads there.
    """
    ways = [name for name, meta in metas.items() if "sample" in meta and meta.get("given") and "scale" not in meta]
    if not ways and any("scale" in meta for meta in metas.values()):
        raise UsageError(f"{what} makes images larger, and translates none; give it to upscale")
    if not ways:
        raise UsageError(f"{what} makes no image of an image, only {', '.join(metas) or 'nothing'}; give a translator")
    if to is None:
        return next((name for name in ways if name.endswith("_to_b")), ways[0])
    found = next((name for name in ways if name.endswith(f"_to_{to}")), None)
    if found is None:
        raise UsageError(f"{what} has no way to {to!r}; its ways: {', '.join(ways)}")
    return found


def _clamped(fn, counts, **inputs):
    """Calls a function with whole numbers that exist."""
    import tensorflow as tf

    for name, value in inputs.items():  # all of them: Keras takes no tensors and arrays together
        if name in counts:
            number = value if tf.is_tensor(value) and value.dtype == tf.int32 else tf.cast(value, tf.int64)
            # Not clipped: of 7 numbers, TFLite takes it for a Relu6, which it has for floats alone.
            last = tf.cast(counts[name] - 1, number.dtype)
            number = tf.where(number < 0, tf.zeros_like(number), tf.where(number > last, last, number))
            inputs[name] = tf.cast(number, tf.int32)
        elif not tf.is_tensor(value):
            inputs[name] = tf.convert_to_tensor(value, tf.float32)
    return fn(**inputs)

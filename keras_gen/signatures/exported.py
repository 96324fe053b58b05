"""Reads `.onnx` and `.tflite` files back with numpy and their own runtime alone: TensorFlow and Keras stay out."""

import hashlib
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import DamagedError, UsageError, near_misses, positive
from keras_gen.files import writing
from keras_gen.signatures import draws, runtimes, tiles
from keras_gen.signatures.classes import Classes, names_of, numbered
from keras_gen.signatures.law import check_classes, count_of, given_of
from keras_gen.signatures.runtimes import Graph, Specs, Tensors
from keras_gen.signatures.signature import translator_of, upscaler_of
from keras_gen.signatures.values import check_values

# What the exporter adds to a signature's own `meta`. The last two are there only where the batch is fixed.
RESERVED = ("model", "library", "signature", "batch", "batched")

# A file's description ends with the digest of all its other bytes. Without it a flipped bit in a weight passes as
# another weight, and one in an index ends the process inside the TFLite runtime.
_SEAL = b"content-sha256:"
UNSEALED = _SEAL.decode() + "0" * 64


class Exported:
    """An exported model: its signatures, and how to run them. Made by `open_file`.

    Args:
        path: of the file.
        graphs: name to signature.

    Example:
        ```python
        exported = keras_gen.exported.open_file("saved_models/dcgan/generate.onnx")
        images = exported.sample(16, seed=0)["image"]
        ```
    """

    def __init__(self, path: Path, graphs: Mapping[str, Graph]):
        self.path = path
        self._graphs = dict(graphs)

    @property
    def signatures(self) -> tuple[str, ...]:
        """The names of the signatures, sorted."""
        return tuple(sorted(self._graphs))

    def inputs(self, signature: str) -> Specs:
        """Returns the inputs: name to shape (`None` is a dynamic dimension) and numpy dtype."""
        return dict(self._graph(signature).inputs)

    def outputs(self, signature: str) -> Specs:
        """Returns the outputs: name to shape (`None` is a dynamic dimension) and numpy dtype."""
        return dict(self._graph(signature).outputs)

    def meta(self, signature: str) -> dict[str, str]:
        """Returns the metadata: the signature's own, and `model`, `library`, `signature`."""
        return dict(self._graph(signature).meta)

    def run(self, signature: str, **inputs: Any) -> Tensors:
        """Runs a signature on a batch of any size; a file with a fixed batch is fed piece by piece.

        Args:
            signature: one of `signatures`.
            **inputs: arrays by name, batch first.

        Returns:
            Output name to array.

        Raises:
            UsageError: an input is missing, not known, of another shape, type or range, or a class that there is not.
            DamagedError: the runtime cannot run the file, or an input holds NaN.
        """
        graph = self._graph(signature)
        for name, (_, dtype) in graph.inputs.items():
            count = count_of(graph.meta, name) if dtype.kind in "iu" else 0
            if count and name in inputs:
                inputs[name] = numbered(inputs[name], names_of(graph.meta, name), name)
                check_classes(name, inputs[name], count)
        check_values({name: value for name, value in inputs.items() if name in graph.inputs}, meta=graph.meta)
        return self.unchecked(signature, **inputs)

    def unchecked(self, signature: str, **inputs: Any) -> Tensors:
        """Runs a signature as `run`, and as any other program would: nothing of their values is refused.

        Args:
            signature: one of `signatures`.
            **inputs: arrays by name, batch first.
        """
        graph = self._graph(signature)
        arrays = self._checked(signature, graph, inputs)
        batched = _batched(graph)
        sizes = {len(arrays[name]) for name in batched}
        if len(sizes) > 1 or 0 in sizes:
            shapes = ", ".join(f"{name!r} {arrays[name].shape}" for name in batched)
            raise UsageError(f"the batch of {shapes} must be one size, at least 1")
        fixed = _fixed_batch(graph)
        if fixed is None or not batched:
            return self._call(signature, graph, arrays)
        (n,) = sizes
        pieces = []
        for start in range(0, n, fixed):
            piece = {name: array[start : start + fixed] for name, array in arrays.items() if name in batched}
            short = fixed - min(fixed, n - start)
            if short:  # repeating a row keeps every value valid (labels, masks), which zeros would not
                piece = {name: np.concatenate([array, array[-1:].repeat(short, 0)]) for name, array in piece.items()}
            outputs = self._call(signature, graph, {**arrays, **piece})
            pieces.append({name: array[: fixed - short] for name, array in outputs.items()})
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}

    def sampler(self) -> str:
        """Returns the name of the signature that draws samples.

        Raises:
            UsageError: this file holds none.
        """
        for name in self.signatures:
            if "sample" in self._graphs[name].meta:
                return name
        way_out = "examples/run_gpt_onnx.py draws text from it" if "step" in self.signatures else "give another file"
        raise UsageError(f"{_shown(self.path)} holds no sampler, only {', '.join(self.signatures)}; {way_out}")

    def sample(
        self, n: int = 1, seed: int = 0, label: Classes = None, batch_size: int = 64, **inputs: ArrayLike
    ) -> dict[str, np.ndarray]:
        """Draws samples: the same as `model.sample` with the same seed.

        Args:
            n: number of samples; as many as there are rows of what is given.
            seed: of the inputs, which are drawn for all samples at once: `batch_size` changes nothing.
            label: class of all samples, or one for each, by number or name; without it the classes in turn.
            batch_size: samples per call of the runtime.
            **inputs: other inputs that are not to be drawn, as for `model.sample`.

        Returns:
            The sample under its name (`"image"`), and `"label"` if the sampler takes labels.
        """
        signature, batch_size, n = self.sampler(), positive("batch_size", batch_size), positive("n", n)
        graph = self._graphs[signature]
        output = graph.meta["sample"]
        if output not in graph.outputs:
            raise DamagedError(f"{_shown(self.path)} names the sample {output!r}, which is not an output")
        shapes = {name: shape for name, (shape, _) in graph.inputs.items()}
        inputs = draws.sample_inputs(shapes, graph.meta, n, seed, label, **inputs)
        n = max(n, *map(len, inputs.values()), 1)
        parts = [
            self.run(signature, **{name: array[start : start + batch_size] for name, array in inputs.items()})[output]
            for start in range(0, n, batch_size)
        ]
        samples = {output: np.concatenate(parts)}
        if "label" in inputs:
            samples["label"] = inputs["label"]
        return samples

    def translate(
        self, images: ArrayLike, to: str | None = None, seed: int = 0, batch_size: int = 16, **inputs: ArrayLike
    ) -> np.ndarray:
        """Makes images of images: the same as `model.translate`.

        Args:
            images: float32 (n, H, W, C) in [-1, 1].
            to: `"a"` or `"b"`, in a file with both ways.
            seed: of whatever else is drawn.
            batch_size: images per call of the runtime.
            **inputs: other inputs that are not to be drawn.
        """
        name = self.translator(to)
        meta = self._graphs[name].meta
        shapes = {key: shape for key, (shape, _) in self._graphs[name].inputs.items()}
        given = given_of(meta)[0]
        inputs = draws.sample_inputs(shapes, meta, max(1, len(images)), seed, **{given: images}, **inputs)
        parts = [
            self.run(name, **{key: array[start : start + batch_size] for key, array in inputs.items()})
            for start in range(0, len(images), batch_size)
        ]
        return np.concatenate([part[meta["sample"]] for part in parts])

    def upscale(self, images: ArrayLike, tile: int | None = None, batch_size: int = 16) -> np.ndarray:
        """Makes images larger: the same as `model.upscale`.

        Args:
            images: float32 (n, H, W, C) in [-1, 1].
            tile: side of the pieces in which they are computed; `None` computes them whole.
            batch_size: images per call of the runtime.
        """
        name, scale, reach = self.upscaler()
        output = self._graphs[name].meta["sample"]

        def make(part):
            starts = range(0, len(part), batch_size)
            return np.concatenate([self.run(name, source=part[at : at + batch_size])[output] for at in starts])

        check_values({"source": images}, meta=self._graphs[name].meta)
        return tiles.enlarged(make, images, scale, reach, tile)

    def upscaler(self) -> tuple[str, int, int]:
        """Returns the name of the signature that makes images larger, its scale, and its reach in pixels.

        Raises:
            UsageError: this file holds none.
        """
        return upscaler_of({name: graph.meta for name, graph in self._graphs.items()}, _shown(self.path))

    def translator(self, to: str | None = None) -> str:
        """Returns the name of the signature that makes an image of an image.

        Args:
            to: as for `translate`.

        Raises:
            UsageError: this file holds none.
        """
        return translator_of({name: graph.meta for name, graph in self._graphs.items()}, to, _shown(self.path))

    def _graph(self, signature):
        if signature not in self._graphs:
            raise UsageError(
                f"{_shown(self.path)} has no signature {signature!r}; {near_misses(signature, self.signatures)}"
            )
        return self._graphs[signature]

    def _checked(self, signature, graph, inputs):
        for name in inputs:
            if name not in graph.inputs:
                raise UsageError(f"signature {signature!r} has no input {name!r}; {near_misses(name, graph.inputs)}")
        arrays = {}
        for name, (shape, dtype) in graph.inputs.items():
            if name not in inputs:
                raise UsageError(f"signature {signature!r} needs the input {name!r}, of shape {_dims(shape)}")
            array = np.asarray(inputs[name])
            if not np.can_cast(array.dtype, dtype, "same_kind"):
                raise UsageError(f"input {name!r} is {array.dtype}; expected {np.dtype(dtype)}")
            # A fixed batch is met by padding, so that any first dimension fits there.
            free = [size is None for size in shape]
            if free and name in _batched(graph):
                free[0] = True
            fits = array.ndim == len(shape) and all(
                any_size or size == have for any_size, size, have in zip(free, shape, array.shape, strict=True)
            )
            if not fits:
                raise UsageError(f"input {name!r} has shape {array.shape}; expected {_dims(shape)}")
            arrays[name] = np.require(array, dtype, "C")
        return arrays

    def _call(self, signature, graph, arrays):
        try:
            return graph.call(arrays)
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise DamagedError(f"{_shown(self.path)} cannot run {signature!r}: {_first_line(error)}") from error


def open_file(path: str | Path) -> Exported:
    """Opens an exported file.

    Args:
        path: of a `.onnx` file (one signature) or a `.tflite` file (all signatures of a model).

    Raises:
        UsageError: there is no such file, it has another suffix, or its runtime is not installed.
        DamagedError: the file cannot be read.
    """
    path = Path(path)
    readers = {".onnx": runtimes.onnx, ".tflite": runtimes.tflite}
    if path.suffix not in readers:
        raise UsageError(f"{_shown(path)} is neither a .onnx nor a .tflite file; give one of those")
    if not path.is_file():
        raise UsageError(f"{_shown(path)} does not exist; write it with: python -m keras_gen export RUN")
    try:
        _check_seal(path)
        return Exported(path, readers[path.suffix](path))
    except ImportError as error:
        package = {".onnx": "onnxruntime", ".tflite": "ai-edge-litert"}[path.suffix]
        raise UsageError(f"reading a {path.suffix} file needs {package}: pip install {package}") from error
    except OSError:
        raise
    except DamagedError:
        raise
    except Exception as error:  # neither runtime has one base class for what it finds wrong with a file
        raise DamagedError(f"{_shown(path)} is damaged: {_first_line(error)}") from error


def seal(content: bytes) -> bytes:
    """Returns a file's content with its digest in place of `UNSEALED`, by which damage is known.

    Args:
        content: complete, and with `UNSEALED` in it once.
    """
    start = content.index(_SEAL) + len(_SEAL)
    return content[:start] + _digest(content, start) + content[start + 64 :]


def _check_seal(path):
    """Finds damage before any runtime sees the file. A file that another program wrote has no seal and passes."""
    if not path.stat().st_size:
        raise DamagedError(f"{_shown(path)} is damaged: it is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_SEAL) + len(_SEAL)
        if start >= len(_SEAL) and content[start : start + 64] != _digest(content, start):
            raise DamagedError(f"{_shown(path)} is damaged: its content does not match its digest; export it again")


def _digest(content, start):
    digest = hashlib.sha256()
    with memoryview(content) as view:
        for first, last in ((0, start), (start + 64, len(view))):
            with view[first:last] as part:  # released at once, as a map with a view of it cannot be closed
                digest.update(part)
    return digest.hexdigest().encode()


def _fixed_batch(graph):
    size = graph.meta.get("batch", "")
    return int(size) if size.isdecimal() and int(size) > 0 else None


def _batched(graph):
    """Returns the inputs whose first dimension is the batch."""
    if _fixed_batch(graph) is not None:
        return [name for name in graph.meta.get("batched", "").split() if name in graph.inputs]
    return [name for name, (shape, _) in graph.inputs.items() if shape and shape[0] is None]


def _dims(shape):
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _shown(path):
    return writing.shown(path)

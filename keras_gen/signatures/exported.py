"""Reads `.onnx` and `.tflite` files back with numpy and their own runtime alone: TensorFlow and Keras stay out."""

import hashlib
import json
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import DamagedError, UsageError, near_misses, positive
from keras_gen.files import writing
from keras_gen.signatures import draws
from keras_gen.signatures.classes import Classes, names_of, numbered
from keras_gen.signatures.law import check_classes, count_of
from keras_gen.signatures.values import check_values

Tensors = dict[str, np.ndarray]
Specs = dict[str, tuple[tuple[int | None, ...], np.dtype]]

METADATA = "keras_gen"  # name of the entry that holds the metadata in a .tflite file

# What the exporter adds to a signature's own `meta`. The last two are there only where the batch is fixed.
RESERVED = ("model", "library", "signature", "batch", "batched")

# A file's description ends with the digest of all its other bytes. Without it a flipped bit in a weight passes as
# another weight, and one in an index ends the process inside the TFLite runtime.
_SEAL = b"content-sha256:"
UNSEALED = _SEAL.decode() + "0" * 64

_ONNX_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class _Graph(NamedTuple):
    """One signature of a file."""

    inputs: Specs
    outputs: Specs
    meta: dict[str, str]
    call: Callable[[Tensors], Tensors]


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

    def __init__(self, path: Path, graphs: Mapping[str, _Graph]):
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
        self, n: int, seed: int = 0, label: Classes = None, batch_size: int = 64, **inputs: ArrayLike
    ) -> dict[str, np.ndarray]:
        """Draws samples: the same as `model.sample` with the same seed.

        Args:
            n: number of samples.
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
        parts = [
            self.run(signature, **{name: array[start : start + batch_size] for name, array in inputs.items()})[output]
            for start in range(0, n, batch_size)
        ]
        samples = {output: np.concatenate(parts)}
        if "label" in inputs:
            samples["label"] = inputs["label"]
        return samples

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
    readers = {".onnx": _open_onnx, ".tflite": _open_tflite}
    if path.suffix not in readers:
        raise UsageError(f"{_shown(path)} is neither a .onnx nor a .tflite file; give one of those")
    if not path.is_file():
        raise UsageError(f"{_shown(path)} does not exist; write it with: python -m keras_gen export RUN")
    try:
        _check_seal(path)
        return readers[path.suffix](path)
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


def _open_onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised; the same text on the terminal would be a second message
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    meta = dict(session.get_modelmeta().custom_metadata_map)
    outputs = [value.name for value in session.get_outputs()]

    def specs(values):
        return {
            value.name: (
                tuple(size if isinstance(size, int) else None for size in value.shape),
                np.dtype(_ONNX_TYPES[value.type]),
            )
            for value in values
        }

    def call(arrays):
        return dict(zip(outputs, session.run(outputs, arrays), strict=True))

    graph = _Graph(specs(session.get_inputs()), specs(session.get_outputs()), meta, call)
    return Exported(path, {meta.get("signature", path.stem): graph})


def _open_tflite(path):
    from ai_edge_litert.interpreter import Interpreter

    # The runtime verifies every offset in the file. Only after that is the metadata safe to read.
    interpreter = Interpreter(model_path=str(path))
    names = list(interpreter.get_signature_list())
    if not names:
        raise DamagedError(f"{_shown(path)} holds no signature; write it again with: python -m keras_gen export RUN")
    metas = _tflite_meta(path)

    def specs(details):
        return {
            name: (
                tuple(None if size < 0 else int(size) for size in detail["shape_signature"]),
                np.dtype(detail["dtype"]),
            )
            for name, detail in details.items()
        }

    graphs = {}
    for name in names:
        runner = interpreter.get_signature_runner(name)

        # The runner itself leaves the tensors as they are when no shape has changed.
        def call(arrays, runner=runner):
            return runner(**arrays)

        inputs, outputs = specs(runner.get_input_details()), specs(runner.get_output_details())
        graphs[name] = _Graph(inputs, outputs, metas.get(name, {}), call)
    return Exported(path, graphs)


def _tflite_meta(path):
    """Returns signature name to metadata, or nothing for a file that some other program wrote."""
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAsModel(path.read_bytes(), 0)
    if any(_astray(model, model.SignatureDefs(index)) for index in range(model.SignatureDefsLength())):
        raise DamagedError(f"{_shown(path)} is damaged: a signature names a tensor that is not there")
    for index in range(model.MetadataLength()):
        entry = model.Metadata(index)
        if entry.Name() == METADATA.encode():
            metas = json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
            return {name: {key: str(value) for key, value in meta.items()} for name, meta in metas.items()}
    return {}


def _astray(model, signature):
    """Tells whether a signature points outside the file, which the runtime does not ask before it goes there."""
    if signature.SubgraphIndex() >= model.SubgraphsLength():
        return True
    count = model.Subgraphs(signature.SubgraphIndex()).TensorsLength()
    values = [signature.Inputs(index) for index in range(signature.InputsLength())]
    values += [signature.Outputs(index) for index in range(signature.OutputsLength())]
    return any(value.TensorIndex() >= count for value in values)


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

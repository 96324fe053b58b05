"""The runtimes of exported files: what a file holds, and how its signatures are called."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gen.errors import DamagedError
from keras_gen.files.writing import shown

Tensors = dict[str, np.ndarray]
Specs = dict[str, tuple[tuple[int | None, ...], np.dtype]]

METADATA = "keras_gen"  # name of the entry that holds the metadata in a .tflite file

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


class Graph(NamedTuple):
    """One signature of a file."""

    inputs: Specs
    outputs: Specs
    meta: dict[str, str]
    call: Callable[[Tensors], Tensors]


def onnx(path: Path) -> dict[str, Graph]:
    """Opens an `.onnx` file: the one signature that it holds, by its name."""
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

    graph = Graph(specs(session.get_inputs()), specs(session.get_outputs()), meta, call)
    return {meta.get("signature", path.stem): graph}


def tflite(path: Path) -> dict[str, Graph]:
    """Opens a `.tflite` file: its signatures by their names.

    Raises:
        DamagedError: it holds none, or one points outside of the file.
    """
    from ai_edge_litert.interpreter import Interpreter

    # The runtime verifies every offset in the file. Only after that is the metadata safe to read.
    interpreter = Interpreter(model_path=str(path))
    names = list(interpreter.get_signature_list())
    if not names:
        raise DamagedError(f"{shown(path)} holds no signature; write it again with: python -m keras_gen export RUN")
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
        graphs[name] = Graph(inputs, outputs, metas.get(name, {}), call)
    return graphs


def _tflite_meta(path):
    """Returns signature name to metadata, or nothing for a file that some other program wrote."""
    from ai_edge_litert.schema_py_generated import Model

    model = Model.GetRootAsModel(path.read_bytes(), 0)
    if any(_astray(model, model.SignatureDefs(index)) for index in range(model.SignatureDefsLength())):
        raise DamagedError(f"{shown(path)} is damaged: a signature names a tensor that is not there")
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

"""TFLite: one file with all signatures, which share their weights, written only after the runtime agreed with Keras.

`python -m export.tflite RUN`, or `export.tflite.export(model, folder)`.
"""

import collections
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export import cli, report, trace, verify
from keras_gen import terminal
from keras_gen.errors import DamagedError
from keras_gen.files import writing
from keras_gen.signatures.exported import UNSEALED, seal
from keras_gen.signatures.runtimes import METADATA

FILE = "model.tflite"
_ALIGNMENT = 16  # of weights, as the format's schema has it
_STATE = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
_RANDOM = {"RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"}


def export(
    model: Any,
    folder: str | Path,
    *,
    batch: int | None = None,
    atol: float | None = None,
    signatures: Sequence[str] | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Writes `model.tflite` and `export.json`, once every signature agreed with Keras.

    Args:
        model: a `keras_gen.GenerativeModel`, or anything with its `signatures()` and `float32()`.
        folder: where to write; made if missing.
        batch: a fixed batch size; `None` leaves it dynamic where the signature does.
        atol: largest absolute difference from Keras; `None` takes the signature's own.
        signatures: names; all when `None`.
        debug: let the libraries' messages through.

    Returns:
        The report: `model`, and `signatures` (name to file, errors, tolerance, op types, size, sha256, versions).

    Raises:
        UsageError: an argument is out of range.
        DamagedError: the file did not pass; it was not written and an older one is as it was.
    """
    trace.check_options(batch, atol)
    folder = Path(folder)
    with terminal.hold(debug):
        traces = trace.trace_all(model, batch=batch, atol=atol, signatures=signatures)
        versions = report.versions("ai_edge_litert")
        content, op_types = _finished(_convert(traces), traces)
        with writing.beside(folder / FILE, needed=len(content)) as temporary:
            temporary.write_bytes(content)
            figures = verify.verify(temporary, traces)
            facts = report.file_facts(temporary)
    entries = {
        name: {"file": FILE, **figures[name], **facts, "op_types": op_types[name], "versions": versions}
        for name in figures
    }
    found = {"model": report.model_name(model), "signatures": entries}
    report.write_report(folder, "tflite", found, everything=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return cli.main(argv, ("tflite",), "export.tflite")


def _convert(traces) -> bytes:
    import tensorflow as tf

    module = tf.Module()
    # A graph does not hold its variables. If the module does not either, the file has no weights and answers NaN.
    module.captured = list({id(v): v for t in traces for v in t.concrete.graph.variables}.values())
    with tempfile.TemporaryDirectory() as folder:
        saved = os.path.join(folder, "saved")
        try:
            tf.saved_model.save(module, saved, signatures={t.name: t.concrete for t in traces})
            converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=[t.name for t in traces])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            return converter.convert()
        except OSError:
            raise
        except Exception as error:  # the converter's own class is not public
            names = ", ".join(t.name for t in traces)
            raise DamagedError(f"signature {names} cannot be converted to TFLite: {_cause(error)}") from error


def _cause(error):
    """Returns the line of the converter's page-long message that says what is wrong."""
    for start in ("TF Select ops:", "Custom ops:", "error:"):
        for line in str(error).splitlines():
            if start in line:
                return line[line.index(start) :]
    return report.first_line(error)


def _finished(content, traces):
    """Checks the ops, names everything after its place, and adds the metadata."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    op_types = _op_types(model, schema)
    names = {t.name for t in traces}
    if set(op_types) != names:
        raise DamagedError(f"the TFLite file holds the signatures {sorted(op_types)}; expected {sorted(names)}")
    _rename(model)
    # The converter's own entries name the machine's versions; the reader needs only the first and ours.
    entries = [entry for entry in model.metadata or [] if entry.name == b"min_runtime_version"]
    kept = [(b"min_runtime_version", bytes(model.buffers[entry.buffer].data)) for entry in entries]
    for entry in model.metadata or []:
        model.buffers[entry.buffer].data = None
    metas = {t.name: t.meta for t in traces}
    kept.append((METADATA.encode(), json.dumps(metas, sort_keys=True).encode()))
    model.metadata = []
    for name, data in kept:
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = list(data)
        model.buffers.append(buffer)
        entry.name, entry.buffer = name, len(model.buffers) - 1
        model.metadata.append(entry)
    model.description = f"{traces[0].meta['model']}, {traces[0].meta['library']}, {UNSEALED}".encode()

    class Builder(flatbuffers.Builder):
        def StartVector(self, elemSize, numElems, alignment):
            return super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)

    builder = Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return seal(bytes(builder.Output())), op_types


def _rename(model):
    """Names tensors by their place: Keras numbers layers by a counter of the process."""
    for number, graph in enumerate(model.subgraphs):
        graph.name = str(number).encode()
        for index, tensor in enumerate(graph.tensors):
            tensor.name = str(index).encode()
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        graph.name = signature.signatureKey
        for value in (*signature.inputs, *signature.outputs):
            graph.tensors[value.tensorIndex].name = value.name


def _op_types(model, schema):
    """Returns signature to op type to count, and refuses what no plain runtime can run."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    found = {}
    for signature in model.signatureDefs or []:
        count, waiting, seen = collections.Counter(), [signature.subgraphIndex], set()
        while waiting:
            graph = waiting.pop()
            if graph in seen:
                continue
            seen.add(graph)
            for op in model.subgraphs[graph].operators:
                count[codes[op.opcodeIndex]] += 1
                # Loops and branches name the graphs of their bodies.
                options = vars(op.builtinOptions) if op.builtinOptions is not None else {}
                waiting += [index for key, index in options.items() if key.lower().endswith("subgraphindex")]
        name = signature.signatureKey.decode()
        for ops, problem in (
            ({"CUSTOM"}, "is not a builtin op"),
            (_STATE, "keeps weights outside the graph"),
            (_RANDOM, "draws random numbers; make the noise an input"),
        ):
            if ops & set(count):
                raise DamagedError(f"signature {name!r}: {', '.join(sorted(ops & set(count)))} {problem}")
        found[name] = dict(sorted(count.items()))
    return found


if __name__ == "__main__":
    sys.exit(main())

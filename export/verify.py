"""Reads an exported file back and compares it with Keras. A file that fails never gets its name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.trace import Trace
from keras_gen.errors import DamagedError, UsageError
from keras_gen.signatures import exported
from keras_gen.signatures.law import OUT_OF_RANGE, count_of

BATCHES = (1, 3, 8)


def verify(path: Path, traces: Sequence[Trace]) -> dict[str, dict[str, Any]]:
    """Compares a file with Keras on every signature's own examples.

    Args:
        path: of a `.onnx` or `.tflite` file.
        traces: of the signatures that the file must hold.

    Returns:
        Signature name to its figures: `max_error`, `mean_error`, `tolerance`, `batches`, `samples`.

    Raises:
        DamagedError: names, types or values differ, or an output is not finite or constant.
    """
    read = exported.open_file(path)
    if list(read.signatures) != sorted(trace.name for trace in traces):
        raise DamagedError(f"the file holds the signatures {read.signatures}, not those that were asked for")
    return {trace.name: _compare(read, trace) for trace in traces}


def _compare(read, trace):
    name = trace.name
    wanted = {
        "inputs": {key: spec.dtype.as_numpy_dtype for key, spec in trace.signature.inputs.items()},
        "outputs": {key: tensor.dtype.as_numpy_dtype for key, tensor in trace.outputs.items()},
    }
    for kind, want in wanted.items():
        have = {key: dtype.type for key, (_, dtype) in getattr(read, kind)(name).items()}
        if have != want:
            raise DamagedError(
                f"signature {name!r} has the {kind} {_listed(have)} in the file; expected {_listed(want)}"
            )
    batches = BATCHES if trace.batch is None else (trace.batch,)
    values = {key: [] for key in trace.outputs}
    largest, total, count = 0.0, 0.0, 0
    cases = [(f"signature {name!r} at batch {batch}", trace.signature.example(batch)) for batch in batches]
    beyond, nearest = _beyond(trace, cases[len(cases) // 2][1])
    if beyond:
        cases.append((f"signature {name!r} beyond its classes, which it is to clamp", beyond))
    for where, example in cases:
        expected = _keras(trace, nearest if example is beyond else example)
        try:
            found = read.unchecked(name, **example)
        except (UsageError, DamagedError) as error:
            raise DamagedError(f"{where}: {error}") from error
        for key, want in expected.items():
            have = found[key]
            if not np.isfinite(want).all():
                raise DamagedError(f"{where}: output {key!r} is not finite in Keras; train the model again")
            if not np.isfinite(have).all():
                raise DamagedError(f"{where}: output {key!r} is not finite in the file")
            if have.shape != want.shape:
                raise DamagedError(f"{where}: output {key!r} has shape {have.shape}; Keras gives {want.shape}")
            error = np.abs(have.astype(np.float64) - want.astype(np.float64))
            worst = float(error.max(initial=0.0))
            if worst > trace.atol:
                raise DamagedError(
                    f"{where}: output {key!r} differs from Keras by {worst:.1e}; the tolerance is {trace.atol:.1e}"
                )
            if example is beyond:
                continue  # the figures are of what people will ask for
            largest, total, count = max(largest, worst), total + float(error.sum()), count + error.size
            values[key].append(have.ravel())
    for key, parts in values.items():
        flat = np.concatenate(parts)
        if flat.size > 1 and (flat == flat[0]).all():
            raise DamagedError(f"signature {name!r}: output {key!r} is {flat[0]:g} everywhere; train the model again")
    return {
        "max_error": largest,
        "mean_error": total / max(count, 1),
        "tolerance": trace.atol,
        "batches": list(batches),
        "samples": sum(batches),
    }


def _beyond(trace, example):
    """Returns an example with whole numbers that a clamped input does not have, and the one that it is taken for."""
    counts = {
        key: count_of(trace.meta, key) for key in example if trace.meta.get(f"{key}.out_of_range") == OUT_OF_RANGE
    }
    beyond = {key: np.array(example[key]) for key in counts}
    for key, value in beyond.items():
        value[::2] -= np.int32(counts[key])
        value[1::2] += np.int32(counts[key])
    nearest = {key: np.clip(value, 0, counts[key] - 1) for key, value in beyond.items()}
    return ({**example, **beyond}, {**example, **nearest}) if counts else (None, None)


def _keras(trace, example):
    """Runs the signature eagerly, so that a fault of the tracing shows as well."""
    import tensorflow as tf

    specs = trace.signature.inputs
    outputs = trace.signature.fn(**{key: tf.constant(value, specs[key].dtype) for key, value in example.items()})
    return {key: np.asarray(value) for key, value in outputs.items()}


def _listed(types):
    return ", ".join(f"{key} {np.dtype(dtype).name}" for key, dtype in sorted(types.items()))

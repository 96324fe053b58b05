"""From a signature to one traced graph, which both formats are made from, and to what the file says about itself."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from export.report import model_name
from keras_gen.errors import DamagedError, UsageError, near_misses
from keras_gen.signatures.exported import RESERVED
from keras_gen.signatures.signature import Signature

# Neither format can draw these as Keras does, and ONNX would repeat the same draws in every session.
_RANDOM = re.compile(r"Random|Multinomial|TruncatedNormal|^Rng|^Stateful(Uniform|StandardNormal)|StatelessSample")

OPSETS = (13, 18)

_AXES = {"N": "batch", "D": "depth", "H": "height", "W": "width", "C": "channels", "T": "time"}


class Trace(NamedTuple):
    """A signature as a graph.

    Args:
        name: of the signature.
        signature: whose `inputs` have the shapes that the file will have.
        function: the `tf.function`: positional tensors named as the inputs, a dict of outputs.
        concrete: its only concrete function.
        batch: the fixed batch size, or `None` if it is dynamic.
        atol: largest absolute difference from Keras that the file may show.
        meta: what the file says about this signature.
    """

    name: str
    signature: Signature
    function: Any
    concrete: Any
    batch: int | None
    atol: float
    meta: dict[str, str]

    @property
    def outputs(self) -> dict[str, Any]:
        """Name to symbolic tensor."""
        return dict(self.concrete.structured_outputs)

    def axes(self, tensor: str, shape: Sequence[int | None]) -> list[int | str]:
        """Returns the sizes of a tensor, with names in place of the dynamic ones (`batch`, `time`, ...)."""
        layout = self.meta.get(f"{tensor}.layout", "")
        letters = layout if len(layout) == len(shape) else ""
        larger = "scale" in self.meta and tensor not in self.signature.inputs  # with sides of its own
        names = {letter: f"{tensor}_{axis}" if larger else axis for letter, axis in _AXES.items()}
        return [
            size if size is not None else "batch" if k == 0 else names.get(letters[k : k + 1], f"{tensor}_{k}")
            for k, size in enumerate(shape)
        ]


def check_options(batch: int | None, atol: float | None, opset: int | None = None) -> None:
    """Checks what can be checked without a model, so that a slip of the hand costs no waiting.

    Raises:
        UsageError: an option is out of range.
    """
    if opset is not None and not OPSETS[0] <= opset <= OPSETS[1]:
        raise UsageError(f"opset is {opset}; expected {OPSETS[0]} to {OPSETS[1]}")
    if batch is not None and batch < 1:
        raise UsageError(f"batch is {batch}; expected at least 1, or none for a dynamic batch")
    if atol is not None and not 0 < atol < float("inf"):
        raise UsageError(f"atol is {atol}; expected a positive number, such as 1e-4")


def trace_all(
    model: Any,
    *,
    batch: int | None = None,
    atol: float | None = None,
    signatures: Sequence[str] | None = None,
) -> list[Trace]:
    """Traces the signatures of a model's float32 twin, sorted by name.

    Args:
        model: with `signatures()` and `float32()`.
        batch: a fixed batch size for all signatures; `None` leaves it dynamic where the signature does.
        atol: in place of the signatures' own.
        signatures: names; all when `None`.

    Raises:
        UsageError: an argument is out of range, or the model has no such signature.
        DamagedError: a signature cannot be exported.
    """
    check_options(batch, atol)
    twin = model.float32()
    known = dict(twin.signatures())
    for name in signatures or ():
        if name not in known:
            raise UsageError(f"signature {name!r} is not known; {near_misses(name, known)}")
    if not known:
        raise UsageError(f"{model_name(model)} offers no signature; there is nothing to export")
    chosen = sorted(known if signatures is None else set(signatures))
    label = model_name(model)
    return [_trace(label, name, known[name], batch, atol) for name in chosen]


def _trace(model, name, signature, batch, atol):
    import tensorflow as tf

    from keras_gen import __version__

    if batch is None and signature.static_batch:
        batch = 1
    names = list(signature.inputs)
    specs, batched = [], []
    for key, spec in signature.inputs.items():
        if spec.dtype not in (tf.float32, tf.int32):
            raise DamagedError(f"signature {name!r}: input {key!r} is {spec.dtype.name}; expected float32 or int32")
        shape = spec.shape.as_list()
        if shape and shape[0] is None:
            batched.append(key)
            shape[0] = batch
        specs.append(tf.TensorSpec(shape, spec.dtype, name=key))

    # Signatures spell their loops out themselves: autograph would only rewrite what needs no rewriting.
    @tf.function(input_signature=specs, autograph=False)
    def function(*tensors):
        return dict(signature.fn(**dict(zip(names, tensors, strict=True))))

    concrete = function.get_concrete_function()
    outputs = concrete.structured_outputs
    _check(name, signature, outputs, concrete)
    for key, tensor in outputs.items():
        if tensor.dtype not in (tf.float32, tf.int32):
            raise DamagedError(f"signature {name!r}: output {key!r} is {tensor.dtype.name}; expected float32 or int32")
    meta = {
        "model": model,
        "library": f"keras_gen {__version__}",
        "signature": name,
        **({} if batch is None else {"batch": str(batch), "batched": " ".join(batched)}),
        **{str(key): str(value) for key, value in signature.meta.items()},
        **_opacity(signature.meta, {**dict(zip(names, specs, strict=True)), **outputs}),
    }
    resolved = signature._replace(inputs=dict(zip(names, specs, strict=True)))
    return Trace(name, resolved, function, concrete, batch, signature.atol if atol is None else atol, meta)


def _opacity(meta, tensors):
    """Says of images with a fourth channel what it is; colors are not multiplied by it."""
    images = [name for name, tensor in tensors.items() if meta.get(f"{name}.layout") == "NHWC"]
    return {f"{name}.channels": "RGBA" for name in images if tensors[name].shape[-1] == 4}


def _check(name, signature, outputs: Mapping[str, Any], concrete):
    both = sorted(set(signature.inputs) & set(outputs))
    if both:
        raise DamagedError(f"signature {name!r}: {', '.join(both)} is an input and an output; rename one of them")
    taken = sorted(set(RESERVED) & set(signature.meta))
    if taken:
        raise DamagedError(f"signature {name!r}: meta may not hold {', '.join(taken)}: the exporter writes it")
    sample = signature.meta.get("sample")
    if sample is not None and sample not in outputs:
        raise DamagedError(f"signature {name!r}: meta names the sample {sample!r}; outputs are {', '.join(outputs)}")
    graph = concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    random = sorted({node.op for node in nodes if _RANDOM.search(node.op)})
    if random:
        raise DamagedError(
            f"signature {name!r} draws random numbers ({', '.join(random)}); make the noise an input with a law"
        )

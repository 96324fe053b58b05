"""ONNX: one file per signature, written only after onnxruntime agreed with Keras.

`python -m export.onnx RUN`, or `export.onnx.export(model, folder)`.
"""

import collections
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from export import cli, report, trace, verify
from keras_gen import terminal
from keras_gen.errors import DamagedError
from keras_gen.files import writing
from keras_gen.signatures import exported

ATTEMPTS = 5  # at a graph that the checker takes
IR_VERSION = 8  # read by every onnxruntime since 1.10
_RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}


def export(
    model: Any,
    folder: str | Path,
    *,
    opset: int = cli.OPSET,
    batch: int | None = None,
    atol: float | None = None,
    signatures: Sequence[str] | None = None,
    debug: bool = False,
) -> dict[str, Any]:
    """Writes `<signature>.onnx` for every signature and `export.json`, once all of them agreed with Keras.

    Args:
        model: a `keras_gen.GenerativeModel`, or anything with its `signatures()` and `float32()`.
        folder: where to write; made if missing.
        opset: 13 to 18.
        batch: a fixed batch size; `None` leaves it dynamic.
        atol: largest absolute difference from Keras; `None` takes the signature's own.
        signatures: names; all when `None`.
        debug: let the libraries' messages through.

    Returns:
        The report: `model`, and `signatures` (name to file, errors, tolerance, op types, size, sha256, versions).

    Raises:
        UsageError: an argument is out of range.
        DamagedError: a file did not pass; none was written and older ones are as they were.
    """
    trace.check_options(batch, atol, opset)
    folder = Path(folder)
    entries = {}
    with terminal.hold(debug), contextlib.ExitStack() as waiting:
        traces = trace.trace_all(model, batch=batch, atol=atol, signatures=signatures)
        versions = report.versions("tf2onnx", "onnx", "onnxruntime")
        for one in traces:
            proto = _convert(one, opset)
            name = f"{one.name}.onnx"
            # All files get their names together, when the last of them has passed.
            temporary = waiting.enter_context(writing.beside(folder / name, needed=proto.ByteSize()))
            temporary.write_bytes(exported.seal(proto.SerializeToString(deterministic=True)))
            entries[one.name] = {
                "file": name,
                "opset": opset,
                **verify.verify(temporary, [one])[one.name],
                **report.file_facts(temporary),
                "op_types": _op_types(proto.graph),
                "versions": versions,
            }
    found = {"model": report.model_name(model), "signatures": entries}
    report.write_report(folder, "onnx", found, everything=signatures is None)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return cli.main(argv, ("onnx",), "export.onnx")


def _convert(traced, opset):
    """Converts a graph; of images of one channel and any size tf2onnx makes a wrong one now and then.

    Its optimizer goes through sets of names, in an order that their hashes decide: names of another number, which the
    next attempt gives them, have another.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _converted(traced, opset)
        except DamagedError as error:
            if attempt == ATTEMPTS or "ShapeInferenceError" not in str(error):
                raise


def _converted(traced, opset):
    import onnx
    import tf2onnx

    specs = list(traced.signature.inputs.values())
    try:
        proto, _ = tf2onnx.convert.from_function(traced.function, input_signature=specs, opset=opset)
    except Exception as error:  # tf2onnx raises whatever its handlers stumble over
        raise DamagedError(
            f"signature {traced.name!r} cannot be converted to ONNX: {report.first_line(error)}"
        ) from error
    _check_ops(traced.name, proto.graph, opset)
    proto = canonical(proto, traced, opset)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except Exception as error:
        raise DamagedError(
            f"signature {traced.name!r} makes an invalid ONNX file: {report.first_line(error)}"
        ) from error
    return proto


def _check_ops(name, graph, opset):
    """Refuses what tf2onnx lets pass: it logs an op it cannot map, and writes it nevertheless."""
    import onnx

    nodes = list(_nodes(graph))
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in ("", "ai.onnx")})
    unknown = sorted({node.op_type for node in nodes if not node.domain and not onnx.defs.has(node.op_type)})
    random = sorted({node.op_type for node in nodes if node.op_type in _RANDOM})
    for ops, problem in (
        (foreign, "are no standard ops"),
        (unknown, "cannot be mapped to ONNX"),
        (random, "draw random numbers; make the noise an input"),
    ):
        if ops:
            raise DamagedError(f"signature {name!r}: {', '.join(ops)} {problem}")


def canonical(proto: Any, traced: trace.Trace, opset: int) -> Any:
    """Rewrites a model so that nothing but its weights and its structure decides its bytes.

    tf2onnx numbers names by a counter of the process and orders nodes by its own history. Here nodes stand in the
    order in which the outputs need them, and everything inside is named after that order.

    Args:
        proto: the `ModelProto`, as tf2onnx made it.
        traced: of the signature.
        opset: of the standard domain.

    Returns:
        The `ModelProto`, with metadata.
    """
    import onnx

    graph = proto.graph
    _sort(graph)
    kept = [*traced.signature.inputs, *traced.outputs]
    _rename(graph, {name: name for name in kept}, "")
    shapes = {name: spec.shape for name, spec in traced.signature.inputs.items()}
    shapes |= {name: tensor.shape for name, tensor in traced.outputs.items()}
    for values, order in ((graph.input, list(traced.signature.inputs)), (graph.output, list(traced.outputs))):
        found = {value.name: value for value in values}
        if sorted(found) != sorted(order):
            raise DamagedError(f"signature {traced.name!r}: ONNX has {', '.join(found)} in place of {', '.join(order)}")
        ordered = [
            onnx.helper.make_tensor_value_info(
                name,
                found[name].type.tensor_type.elem_type,
                None if shapes[name].rank is None else traced.axes(name, shapes[name].as_list()),
            )
            for name in order
        ]
        del values[:]
        values.extend(ordered)
    graph.name = traced.name
    library, _, version = traced.meta["library"].partition(" ")
    made = onnx.helper.make_model(
        graph,
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        producer_name=library,
        producer_version=version,
        doc_string=f"{traced.meta['model']}: {traced.name}, {exported.UNSEALED}",
    )
    onnx.helper.set_model_props(made, dict(sorted(traced.meta.items())))
    return made


def _nodes(graph) -> Iterator[Any]:
    """Yields the nodes of a graph and of all graphs inside."""
    for node in graph.node:
        yield node
        for inner in _subgraphs(node):
            yield from _nodes(inner)


def _subgraphs(node):
    import onnx

    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def _needs(node):
    """Returns the values a node reads, those that its subgraphs take from around them included."""
    names = list(node.input)
    for inner in _subgraphs(node):
        for inside in inner.node:
            names.extend(_needs(inside))
        names.extend(value.name for value in inner.output)
    return names


def _sort(graph):
    """Puts the nodes in the order in which the outputs need them; what nothing needs goes."""
    for node in graph.node:
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
        for inner in _subgraphs(node):
            _sort(inner)
    nodes = list(graph.node)
    producer = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    needs = [[producer[name] for name in _needs(node) if name in producer] for node in nodes]
    order, done = [], set()
    # A stack of our own, because an unrolled network is deeper than Python's.
    stack = [producer[value.name] for value in reversed(graph.output) if value.name in producer]
    while stack:
        missing = [index for index in needs[stack[-1]] if index not in done]
        if stack[-1] in done:
            stack.pop()
        elif missing:
            stack.extend(reversed(missing))
        else:
            done.add(stack[-1])
            order.append(stack.pop())
    ordered = [nodes[index] for index in order]
    used = list(dict.fromkeys(name for node in ordered for name in _needs(node)))
    used += [value.name for value in graph.output if value.name not in used]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    weights = [weights[name] for name in used if name in weights]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(ordered)
    graph.initializer.extend(weights)


def _rename(graph, names, scope):
    """Names everything in a graph after its place; `names` holds what is visible from outside, and the fixed names."""
    graph.ClearField("doc_string")
    for index, tensor in enumerate(graph.initializer):
        tensor.name = names.setdefault(tensor.name, f"{scope}weight:{index}")
        tensor.ClearField("doc_string")
    if scope:  # the arguments and results of a loop's body; those of the whole model are named by the signature
        for index, value in enumerate(graph.input):
            value.name = names.setdefault(value.name, f"{scope}argument:{index}")
    for index, node in enumerate(graph.node):
        node.name = f"{scope}{node.op_type}:{index}"
        node.ClearField("doc_string")
        if not node.domain:  # written or not, the same to every reader, but not the same bytes
            node.ClearField("domain")
        for position, value in enumerate(node.input):
            node.input[position] = names[value] if value else ""
        for position, value in enumerate(node.output):
            if value:
                node.output[position] = names.setdefault(value, f"{node.name}:{position}")
        for attribute in node.attribute:
            if attribute.HasField("t"):  # asking for the field of another type would make one
                attribute.t.ClearField("name")
            attribute.ClearField("doc_string")
        for number, inner in enumerate(_subgraphs(node)):
            inner.name = f"{node.name}/{number}"
            _rename(inner, dict(names), f"{inner.name}/")
    if scope:
        for value in graph.output:
            value.name = names[value.name]
        for value in (*graph.input, *graph.output):
            value.ClearField("doc_string")
            for dimension in value.type.tensor_type.shape.dim:
                if dimension.dim_param:  # a counter's number too
                    dimension.ClearField("dim_param")


def _op_types(graph):
    return dict(sorted(collections.Counter(node.op_type for node in _nodes(graph)).items()))


if __name__ == "__main__":
    sys.exit(main())

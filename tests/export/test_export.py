"""What the exporters promise: named and verified files, nothing left after a failure, same weights, same bytes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from exportable import FORMATS, META, Stub, constant, one

import export.cli
import export.onnx
import export.tflite
from keras_gen.errors import DamagedError, UsageError
from keras_gen.signatures import exported
from keras_gen.signatures.signature import Signature, signature

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import export.onnx, export.tflite, exportable, keras
for _ in range(int(sys.argv[3])):
    keras.layers.Dense(2)
keras.utils.set_random_seed(1)
model = exportable.Conditional()
export.onnx.export(model, sys.argv[2])
export.tflite.export(model, sys.argv[2])
"""


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    export.onnx.export(model, folder)
    export.tflite.export(model, folder)
    return folder


def test_all_files_appear_and_nothing_else(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["encode.onnx", "export.json", "generate.onnx", "model.tflite"]


def test_report_holds_both_formats(folder):
    report = json.loads((folder / "export.json").read_text())
    assert report["model"] == "Conditional"
    for kind in ("onnx", "tflite"):
        for name in ("encode", "generate"):
            entry = report[kind]["signatures"][name]
            content = (folder / entry["file"]).read_bytes()
            assert entry["sha256"] == hashlib.sha256(content).hexdigest()
            assert entry["size"] == len(content)
            assert 0 <= entry["mean_error"] <= entry["max_error"] <= 1e-5 < entry["tolerance"] == 1e-4
            assert entry["batches"] == [1, 3, 8] and entry["samples"] == 12
            assert {"keras", "tensorflow", "keras_gen"} < set(entry["versions"])
    assert report["onnx"]["signatures"]["generate"]["op_types"]["ConvTranspose"] == 1
    assert report["onnx"]["signatures"]["generate"]["opset"] == 17
    assert report["tflite"]["signatures"]["generate"]["op_types"]["TRANSPOSE_CONV"] == 1
    assert "TRANSPOSE_CONV" not in report["tflite"]["signatures"]["encode"]["op_types"]


def test_onnx_names_and_metadata(folder):
    import onnx

    proto = onnx.load(folder / "generate.onnx")

    def shape(value):
        return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]

    assert {value.name: shape(value) for value in proto.graph.input} == {"latent": ["batch", 4], "label": ["batch"]}
    assert {value.name: shape(value) for value in proto.graph.output} == {"image": ["batch", 8, 8, 1]}
    meta = {entry.key: entry.value for entry in proto.metadata_props}
    assert meta.items() >= META.items()
    assert (meta["model"], meta["signature"]) == ("Conditional", "generate")
    assert proto.ir_version == 8 and proto.opset_import[0].version == 17 and proto.producer_name == "keras_gen"


def test_files_describe_themselves(folder):
    for file in ("generate.onnx", "model.tflite"):
        read = exported.open_file(folder / file)
        assert read.meta("generate").items() >= META.items()
        assert read.sampler() == "generate"
        assert read.inputs("generate") == {"latent": ((None, 4), np.float32), "label": ((None,), np.int32)}
    assert read.signatures == ("encode", "generate")


def test_the_same_seed_samples_the_same_images(model, folder):
    for label in (None, 2):
        expected = model.sample(11, seed=3, label=label)
        for file in ("generate.onnx", "model.tflite"):
            drawn = exported.open_file(folder / file).sample(11, seed=3, label=label, batch_size=4)
            assert np.abs(drawn["image"] - expected).max() < 1e-4
            assert drawn["label"].tolist() == ([2] * 11 if label == 2 else [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])


@pytest.mark.slow
def test_same_weights_same_bytes_in_two_processes(folder, tmp_path):
    contents = []
    processes = []
    for run in (0, 1):
        # Another hash seed and other layer numbers: neither may reach the file.
        environment = {**os.environ, "PYTHONHASHSEED": str(run)}
        command = [sys.executable, "-c", WRITER, str(ROOT / "tests"), str(tmp_path / str(run)), str(run)]
        processes.append(subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    for run in (0, 1):
        contents.append({path.name: path.read_bytes() for path in (tmp_path / str(run)).iterdir()})
    assert contents[0].keys() == contents[1].keys() and len(contents[0]) == 4
    for name in contents[0]:
        assert contents[0][name] == contents[1][name], name
        # The model of this process has the same weights too, whatever was built before it.
        assert contents[0][name] == (folder / name).read_bytes(), name


def test_canonical_form_depends_on_structure_alone(folder):
    """The same graph with its nodes, attributes, weights and names in disorder becomes the same bytes."""
    import onnx

    good = onnx.load(folder / "generate.onnx")
    proto = onnx.ModelProto.FromString(good.SerializeToString())
    graph = proto.graph
    kept = {"latent", "label", "image"}

    def renamed(name):
        return name if name in kept else f"other/{name}"

    for values in (graph.node, graph.initializer):
        values.sort(key=lambda value: value.name, reverse=True)
    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name)
    for node in graph.node:
        node.name = f"was {node.name}"
        node.input[:], node.output[:] = map(renamed, node.input), map(renamed, node.output)
        node.attribute.sort(key=lambda attribute: attribute.name, reverse=True)
    graph.node.add(op_type="Neg", input=["latent"], output=["unused"])
    kept_types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.output)}
    trace = SimpleNamespace(
        name="generate",
        signature=SimpleNamespace(inputs={name: Shaped(kept_types[name]) for name in ("latent", "label")}),
        outputs={"image": Shaped(kept_types["image"])},
        meta=exported.open_file(folder / "generate.onnx").meta("generate"),
        axes=lambda name, shape: ["batch" if size is None else size for size in shape],
    )
    again = export.onnx.canonical(proto, trace, 17)
    assert exported.seal(again.SerializeToString(deterministic=True)) == (folder / "generate.onnx").read_bytes()


class Shaped:
    """A tensor's shape as TensorFlow tells it, from an ONNX type."""

    def __init__(self, tensor_type):
        self.shape = self
        self.sizes = [None if dim.dim_param else dim.dim_value for dim in tensor_type.shape.dim]
        self.rank = len(self.sizes)

    def as_list(self):
        return self.sizes


def test_tflite_weights_are_aligned(folder):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAsModel((folder / "model.tflite").read_bytes(), 0)
    buffers = [model.Buffers(index) for index in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 5 and all(start % 16 == 0 for start in starts)


@pytest.mark.parametrize("kind", FORMATS)
def test_static_batch_is_fed_in_pieces(kind, model, folder, tmp_path):
    write, file = FORMATS[kind]
    report = write(model, tmp_path, batch=4, signatures=["generate"])
    assert report["signatures"]["generate"]["batches"] == [4]
    fixed, free = exported.open_file(tmp_path / file), exported.open_file(folder / file)
    assert fixed.inputs("generate")["latent"][0] == (4, 4)
    for n in (1, 4, 6):
        a, b = fixed.sample(n, seed=1)["image"], free.sample(n, seed=1)["image"]
        assert a.shape == b.shape == (n, 8, 8, 1)
        assert np.abs(a - b).max() < 1e-5


@pytest.mark.parametrize("kind", FORMATS)
def test_a_signature_may_ask_for_a_static_batch_and_scalars_are_shared(kind, tmp_path):
    import tensorflow as tf

    signature = Signature(
        lambda latent, power: {"image": latent * power, "total": tf.reduce_sum(latent * latent, 1)},
        {"latent": tf.TensorSpec((None, 4), tf.float32), "power": tf.TensorSpec((), tf.float32)},
        lambda n: {"latent": np.arange(4 * n, dtype=np.float32).reshape(n, 4), "power": np.float32(0.5)},
        static_batch=True,
    )
    write, file = FORMATS[kind]
    write(Stub(generate=signature), tmp_path)
    read = exported.open_file(tmp_path / file)
    assert read.inputs("generate")["latent"][0] == (1, 4)
    latent = np.ones((3, 4), np.float32)
    outputs = read.run("generate", latent=latent, power=2.0)
    assert np.array_equal(outputs["image"], 2 * latent)
    assert outputs["total"].tolist() == [4, 4, 4]


@pytest.mark.parametrize("count", [1, 2, 3, 7])  # TFLite has an activation of its own from 0 to 1, and from 0 to 6
@pytest.mark.parametrize("kind", FORMATS)
def test_a_class_that_does_not_exist_is_clamped_alike_everywhere_and_refused_in_python(kind, count, tmp_path):
    import tensorflow as tf

    table = np.arange(2.0 * count, dtype=np.float32).reshape(count, 2)

    def of_class(label, latent):
        return {"image": tf.gather(tf.constant(table), label) + tf.one_hot(label, 2) + latent}

    meta = {"sample": "image", "label.law": f"classes {count}", "latent.law": "normal"}
    made = signature(of_class, {"label": (None,), "latent": (None, 2)}, meta)
    export, file = FORMATS[kind]
    export(Stub(generate=made), tmp_path)
    read = exported.open_file(tmp_path / file)
    assert read.meta("generate")["label.out_of_range"] == "clamped"
    asked, latent = np.int32([-(2**31), -1, count, 2**31 - 1]), np.zeros((4, 2), np.float32)
    there = of_class(np.int32([0, 0, count - 1, count - 1]), latent)["image"]
    np.testing.assert_array_equal(made.fn(label=asked, latent=latent)["image"], there)
    np.testing.assert_array_equal(read.unchecked("generate", label=asked, latent=latent)["image"], there)
    for wrong in (asked, asked[2:], np.int64([0, 2**32])):
        with pytest.raises(UsageError, match=f"label -?[0-9]+ is out of range; expected 0 to {count - 1}"):
            read.run("generate", label=wrong, latent=latent[: len(wrong)])
    with pytest.raises(UsageError, match=f"label {count} is out of range; expected 0 to {count - 1}"):
        read.sample(2, label=count)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_does_not_clamp_as_it_says_does_not_pass(kind, tmp_path):
    import tensorflow as tf

    def of_class(label):
        return {"image": tf.one_hot(label, 3)}

    plain = signature(of_class, {"label": (None,)}, {"label.law": "classes 3"})._replace(fn=of_class)
    with pytest.raises(DamagedError, match="beyond its classes, which it is to clamp: output 'image' differs"):
        FORMATS[kind][0](Stub(generate=plain), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_loop_is_exact(kind, tmp_path):
    import tensorflow as tf

    weight = tf.Variable(np.random.default_rng(0).normal(size=(4, 4)), dtype=tf.float32)

    def fn(latent):
        def step(i, x):
            return i + 1, tf.tanh(tf.matmul(x, weight)) + 0.1 * tf.cast(i, tf.float32)

        return {"image": tf.while_loop(lambda i, x: i < 5, step, (0, latent))[1]}

    write, file = FORMATS[kind]
    report = write(one(fn), tmp_path)["signatures"]["generate"]
    assert report["max_error"] < 1e-5
    assert {"Loop", "WHILE"} & set(report["op_types"]) and {"Tanh", "TANH"} & set(report["op_types"])


def random_op(latent):
    import tensorflow as tf

    return {"image": latent + tf.random.normal(tf.shape(latent))}


def traced_otherwise(latent):
    import tensorflow as tf

    return {"image": latent * (2.0 if tf.executing_eagerly() else 2.001)}


def nan(latent):
    import tensorflow as tf

    return {"image": tf.math.log(-tf.abs(latent) - 1.0)}


def unknown_op(latent):
    import tensorflow as tf

    return {"image": tf.math.bessel_i0(latent)}


def same_name(latent):
    return {"latent": latent * 2.0}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (random_op, "draws random numbers"),
        (traced_otherwise, "differs from Keras by"),
        (constant, "everywhere"),
        (nan, "not finite"),
        (unknown_op, "BesselI0 cannot be mapped|cannot be converted to TFLite.*BesselI0"),
        (same_name, "is an input and an output"),
    ],
)
def test_what_does_not_pass_leaves_the_old_file(kind, fn, words, tmp_path):
    write, file = FORMATS[kind]
    (tmp_path / file).write_bytes(b"an older good file")
    with pytest.raises(DamagedError, match=words) as error:
        write(one(fn), tmp_path)
    assert "generate" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_bytes() == b"an older good file"


def test_onnx_files_appear_together_or_not_at_all(model, tmp_path):
    # "encode" passes first; "generate" fails after it.
    both = Stub(encode=model.signatures()["encode"], generate=one(constant).signatures()["generate"])
    with pytest.raises(DamagedError, match="everywhere"):
        export.onnx.export(both, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tolerance_is_the_signatures_own_unless_given(tmp_path):
    with pytest.raises(DamagedError, match="tolerance is 1.0e-04"):
        export.onnx.export(one(traced_otherwise), tmp_path)
    report = export.onnx.export(one(traced_otherwise), tmp_path, atol=0.1)
    assert 1e-4 < report["signatures"]["generate"]["max_error"] < 0.1
    export.onnx.export(one(traced_otherwise, atol=0.1), tmp_path)


def test_no_weight_gets_lost_where_only_a_variable_holds_it(tmp_path):
    import tensorflow as tf

    weight = tf.Variable(np.arange(4000, dtype=np.float32).reshape(4, 1000) / 4000)
    report = export.tflite.export(one(lambda latent: {"image": tf.matmul(latent, weight)}), tmp_path)
    assert report["signatures"]["generate"]["size"] > weight.numpy().nbytes


def test_exporting_one_signature_keeps_the_reports_of_the_others(model, tmp_path):
    export.onnx.export(model, tmp_path)
    export.onnx.export(model, tmp_path, signatures=["encode"], opset=13)
    entries = json.loads((tmp_path / "export.json").read_text())["onnx"]["signatures"]
    assert (entries["encode"]["opset"], entries["generate"]["opset"]) == (13, 17)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"opset": 12}, "opset is 12; expected 13 to 18"),
        ({"opset": 19}, "opset is 19"),
        ({"batch": 0}, "batch is 0"),
        ({"atol": -1.0}, "atol is -1.0"),
        ({"signatures": ["generat"]}, "did you mean 'generate'"),
    ],
)
def test_wrong_arguments_are_named(model, options, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        export.onnx.export(model, tmp_path, **options)


def test_opset_18(model, tmp_path):
    export.onnx.export(model, tmp_path, opset=18, signatures=["generate"])
    assert exported.open_file(tmp_path / "generate.onnx").sample(2)["image"].shape == (2, 8, 8, 1)

"""A `.keras` file from others is data: ours pass, anything strange is refused in one line before it is built."""

import copy
import io
import json
import re
import struct
import time
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_gen
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import archive

LAYERS = keras.layers


def networks():
    """Returns a generator and a discriminator that hold a bit of everything Keras serializes."""
    latent = keras.Input((4,), name="latent")
    x = LAYERS.Dense(8 * 4 * 4, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=2**40))(latent)
    x = LAYERS.Reshape((4, 4, 8))(x)
    x = LAYERS.BatchNormalization(dtype="mixed_bfloat16")(x)
    x = LAYERS.Activation(keras.activations.gelu)(x)
    x = LAYERS.Conv2DTranspose(4, 4, strides=2, padding="same", kernel_regularizer=keras.regularizers.L2(1e-4))(x)
    x = keras.ops.tanh(LAYERS.Conv2D(1, 3, padding="same", kernel_constraint=keras.constraints.MaxNorm(2.0))(x) * 2 + 1)
    generator = keras.Model({"latent": latent}, x)

    image = keras.Input((8, 8, 1), name="image")
    x = keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Conv2D(4, 3, dtype="bfloat16"), LAYERS.LeakyReLU(0.2)])(image)
    x = LAYERS.Dropout(0.3, seed=3)(keras.ops.reshape(x[:, ::2], (-1, 3 * 6 * 4)))
    x = LAYERS.Concatenate()([x, LAYERS.Flatten()(LAYERS.Embedding(16, 3)(LAYERS.Flatten()(image)))])
    x = LAYERS.SpectralNormalization(LAYERS.Dense(4))(x)
    discriminator = keras.Model({"image": image}, LAYERS.Dense(1, dtype="float32")(x))
    discriminator.compile(keras.optimizers.AdamW(1e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    return generator, discriminator


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Returns a saved model: the real thing, from which every hostile file is made by one change."""
    generator, discriminator = networks()
    model = keras_gen.get("gan", generator=generator, discriminator=discriminator, seed=2**40)
    schedules = keras.optimizers.schedules
    model.compile(
        d_optimizer=keras.optimizers.Adam(schedules.CosineDecay(1e-3, 3_000_000), beta_1=0.5, clipnorm=1.0),
        g_optimizer=keras.optimizers.RMSprop(schedules.PiecewiseConstantDecay([100, 200], [1e-3, 5e-4, 1e-4])),
    )
    path = tmp_path_factory.mktemp("archive") / "gan.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def members(saved):
    """Returns the saved model's members."""
    with zipfile.ZipFile(saved) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items() if isinstance(members, dict) else members:
            file.writestr(name, data)
    return path


def refused(path, words, **arguments):
    """Asserts that a file is refused in one short line that holds some words, and without a long search."""
    start = time.perf_counter()
    with pytest.raises(DamagedError) as caught:
        archive.check(path, **arguments)
    line = str(caught.value)
    assert time.perf_counter() - start < 10.0
    assert re.search(words, line), line
    assert len(line) <= 200
    assert line.isprintable()
    assert str(path)[-8:] in line
    assert "use another copy" in line or "only if you trust" in line
    return line


# --- files of ours pass ----------------------------------------------------------------------------------------------


def save(model, path):
    model.compile()
    model.save(path)


@pytest.mark.parametrize("name", keras_gen.names())
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
def test_every_model_passes_and_loads(tmp_path, name, compiled):
    size = {"context": 8} if name == "gpt" else {"image_shape": (8, 8, 1)}
    model, path = keras_gen.get(name, **size), tmp_path / "a.keras"
    if compiled:
        model.compile()
    model.save(path)
    assert archive.check(path)["class_name"] == type(model).__name__
    with archive.limited(path):
        keras.saving.load_model(path)


def test_injected_networks_schedules_and_policies_pass_and_load(saved):
    config = archive.check(saved)
    text = json.dumps(config)
    for part in ("Functional", "Sequential", "CosineDecay", "mixed_bfloat16", "SpectralNormalization", "__slice__"):
        assert part in text
    with archive.limited(saved):
        model = keras.saving.load_model(saved)
    assert model.sample(2, seed=0).shape == (2, 8, 8, 1)


def test_the_callers_classes_pass_and_only_those(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Scale(keras.layers.Layer):
        def call(self, x):
            return x * 2

    class Plain(Scale):
        pass

    generator = keras.Sequential([keras.Input((4,)), LAYERS.Dense(64), Scale(), Plain(), LAYERS.Reshape((8, 8, 1))])
    path = tmp_path / "a.keras"
    save(keras_gen.get("gan", generator=generator, latent_dim=4), path)
    for custom_objects in ({"mine>Scale": Scale, "Plain": Plain}, {"Scale": Scale, "Plain": Plain}):
        archive.check(path, custom_objects=custom_objects)
    line = refused(path, "holds class 'mine>Scale', which is not a keras_gen model or a plain Keras layer")
    assert "pass custom_objects={'mine>Scale': ...} only if you trust the file" in line
    refused(path, "holds class 'Plain'", custom_objects={"Scale": Scale})
    refused(
        path, "holds class 'mine>Scale'", custom_objects={"Scale": Plain, "Plain": Plain}
    )  # not the one Keras finds


def test_a_callers_model_passes_as_the_outermost_class(tmp_path):
    class Mine(keras_gen.GAN):
        pass

    save(Mine(image_shape=(4, 4, 1), hidden=(4,)), tmp_path / "a.keras")
    archive.check(tmp_path / "a.keras", custom_objects={"Mine": Mine})
    refused(tmp_path / "a.keras", "holds class 'Mine'")


def test_a_plain_keras_model_is_no_model_of_ours(tmp_path):
    networks()[0].save(tmp_path / "a.keras")
    refused(tmp_path / "a.keras", "holds class 'Functional'")


def test_a_missing_file_is_a_usage_error(tmp_path):
    for path, words in ((tmp_path / "a.keras", "does not exist"), (tmp_path, "is not a file")):
        with pytest.raises(UsageError, match=words):
            archive.check(path)


# --- configurations --------------------------------------------------------------------------------------------------


def thing(module, name, config=None, registered=None, **more):
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": registered, **more}


def tensor(shape=(None, 4)):
    config = {"shape": list(shape), "dtype": "float32", "keras_history": ["dense", 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


CALL = {"args": [tensor()], "kwargs": {}}
PICKLE = "gASVHAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjARleGl0lIWUUpQu"
FOREIGN = {
    "a Lambda layer": (thing("keras.layers", "Lambda", {"function": thing("builtins", "function")}), "Lambda"),
    "a torch module": (thing("keras.layers", "TorchModuleWrapper", {"module": PICKLE}), "TorchModuleWrapper"),
    "a JAX layer": (thing("keras.layers", "JaxLayer"), "JaxLayer"),
    "a Flax layer": (thing("keras.layers", "FlaxLayer"), "FlaxLayer"),
    "a saved model": (thing("keras.layers", "TFSMLayer", {"filepath": "canary"}), "TFSMLayer"),
    "a vocabulary file": (thing("keras.layers", "StringLookup", {"vocabulary": "canary"}), "StringLookup"),
    "another vocabulary": (thing("keras.layers", "IntegerLookup", {"vocabulary": "canary"}), "IntegerLookup"),
    "a text vectorizer": (thing("keras.layers", "TextVectorization", {"vocabulary": "canary"}), "TextVectorization"),
    "a squared metric": (thing("keras.metrics", "MeanIoU", {"num_classes": 2**20}), "MeanIoU"),
    "a system call": (thing("os", "system", {"command": "touch canary"}), "system"),
    "a subprocess": (thing("subprocess", "Popen", {"args": ["touch", "canary"]}, "Popen"), "Popen"),
    "a builtin": (thing("builtins", "eval", {"source": "open('canary', 'w')"}), "eval"),
    "a foreign package": (thing("evil.layers", "Dense"), "Dense"),
    "no module": (thing(None, "Dense"), "Dense"),
    "a private Keras module": (thing("keras.src.layers.core.lambda_layer", "Lambda"), "Lambda"),
    "a private Keras class": (thing("keras.src.layers.core.dense", "Dense"), "Dense"),
    "an operation that takes a function": (thing("keras.src.ops.core", "Map", {}, "Map"), "Map"),
    "something that an operation imports": (thing("keras.src.ops.numpy", "np"), "np"),
    "a downloader as a class": (thing("keras.utils", "get_file", {"origin": "file://canary"}), "get_file"),
    "a loader as a class": (thing("keras.models", "load_model", {"filepath": "canary"}), "load_model"),
    "a function of a public namespace": (thing("keras.layers", "deserialize", {}), "deserialize"),
    "no layer of a public namespace": (thing("keras.layers", "InputSpec"), "InputSpec"),
    "a sister package": (thing("keras_hub.models", "Backbone"), "Backbone"),
    "another registered name": (thing("keras.layers", "Dense", {}, "evil>Dense"), "evil>Dense"),
    "our name on another module": (thing("os", "GAN", {}, "keras_gen>GAN"), "GAN"),
    "an unknown class of ours": (thing("keras_gen.files", "write", {}, "keras_gen>write"), "write"),
    "our package, not registered": (thing("keras_gen.files", "write", {}, "write"), "write"),
    "a function of Keras": (thing("keras.utils", "function", "get_file", "get_file"), "get_file"),
    "a function that reads a file": (thing("builtins", "function", "load_model", "load_model"), "load_model"),
    "a function that makes anything": (thing("keras.activations", "function", "get", "get"), "get"),
    "a function of another module": (thing("os", "function", "relu", "relu"), "relu"),
    "a function by two names": (thing("keras.activations", "function", "relu", "evil>relu"), "evil>relu"),
    "a lambda": ({"class_name": "__lambda__", "config": {"value": PICKLE}}, "__lambda__"),
    "bytes": ({"class_name": "__bytes__", "config": {"value": PICKLE}}, "__bytes__"),
    "a type": (thing("os", "__typespec__", [], spec_name="system"), "__typespec__"),
    "a class in a constant": ({**tensor(), "module": "os"}, "__keras_tensor__"),
}
DENSE = {"units": 3}
STRANGE = {
    "giant units": (thing("keras.layers", "Dense", {"units": 2**20 + 1}), "units 1048577 is too large"),
    "giant negative units": (thing("keras.layers", "Dense", {"units": -(2**40)}), "too large"),
    "a giant kernel": (thing("keras.layers", "Conv2D", {"filters": 1, "kernel_size": [2**30, 1]}), "kernel_size"),
    "a giant step": (thing("keras.optimizers.schedules", "CosineDecay", {"decay_steps": 2**40}), "decay_steps"),
    "a giant seed": (thing("keras.layers", "Dropout", {"seed": 2**64}), "seed 18446744073709551616 is too large"),
    "a giant shape": (thing("keras.layers", "InputLayer", {"batch_shape": [None, 2**16, 2**16]}), "batch_shape"),
    "a giant build": (thing("keras.layers", "Dense", DENSE, build_config={"input_shape": [1, 2**32]}), "input_shape"),
    "a constant of objects": ({"class_name": "__numpy__", "config": {"value": [1], "dtype": "O"}}, "constant of type"),
    "a constant of many": ({"class_name": "__tensor__", "config": {"value": [0] * 9999, "dtype": "int8"}}, "constant"),
    "a structured constant": (
        {"class_name": "__numpy__", "config": {"value": [1], "dtype": "f4,(999999999,)f4"}},
        "constant of type",
    ),
    "a function with a body": (thing("builtins", "function", {"code": PICKLE}), "a function .* has a body"),
    "unknown parts": (thing("keras.layers", "Dense", DENSE, loader="os.system"), "unknown or missing parts"),
    "no module at all": ({"class_name": "Dense", "config": DENSE}, "unknown or missing parts"),
    "no configuration": ({"class_name": "Dense", "module": "keras.layers"}, "no proper name"),
    "a name that is no text": (thing("keras.layers", ["Dense"]), "no proper name"),
    "a module that is no text": (thing(["keras.layers"], "Dense"), "no proper name"),
    "a call on no input": (
        thing("keras.layers", "UpSampling2D", {"size": 9}, inbound_nodes=[{"args": [[1.0]], "kwargs": {}}]),
        "called on no input",
    ),
    "a call on a text": (
        thing("keras.layers", "Dense", DENSE, inbound_nodes=[{"args": ["__keras_tensor__"], "kwargs": {}}]),
        "called on no input",
    ),
    "a call of the old kind": (thing("keras.layers", "Dense", DENSE, inbound_nodes=[[["dense", 0, 0]]]), "damaged"),
    "a name that Keras replaces": ("keras_gen>GAN", "holds name 'keras_gen>GAN'"),
}
CASES = {**{name: (node, f"holds \\w+ ['\"].*{word}") for name, (node, word) in FOREIGN.items()}, **STRANGE}


def hide(config, node, place):
    """Puts a node where Keras would build it."""
    networks = config["config"]
    if place == "a layer":
        networks["generator"]["config"]["layers"].append(node)
    elif place == "an argument of ours":
        networks["hidden"] = [4, {"deep": [node]}]
    elif place == "a layer's argument":
        networks["discriminator"]["config"]["layers"][1]["config"]["layers"][1]["config"]["bias_initializer"] = node
    elif place == "an optimizer's argument":
        config["compile_config"]["d_optimizer"]["config"]["learning_rate"] = node
    else:
        networks["generator"]["build_config"] = {"input_shape": [node]}


def test_the_hiding_places_are_harmless_by_themselves(members, tmp_path):
    for place in ("a layer", "an argument of ours", "a layer's argument", "an optimizer's argument", "a build"):
        for node in (thing("keras.layers", "Dense", DENSE, inbound_nodes=[CALL]), float("inf"), 2**20):
            config = json.loads(members["config.json"])
            hide(config, copy.deepcopy(node), place)
            archive.check(pack(tmp_path / "a.keras", {**members, "config.json": json.dumps(config)}))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", ["a layer", "an argument of ours", "a layer's argument", "an optimizer's argument"])
def test_a_strange_object_is_refused_wherever_it_hides(members, tmp_path, monkeypatch, case, place):
    monkeypatch.chdir(tmp_path)
    node, words = CASES[case]
    config = json.loads(members["config.json"])
    hide(config, node, place)
    refused(pack(tmp_path / "a.keras", {**members, "config.json": json.dumps(config)}), words)
    assert [p.name for p in tmp_path.iterdir()] == ["a.keras"]  # the canary: nothing was executed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_name": "Lambda"}, "holds class 'Lambda'"),
        ({"class_name": "DCGAN"}, "holds class"),
        ({"module": "os"}, "holds class 'GAN'"),
        ({"module": None}, "holds class 'GAN'"),
        ({"registered_name": "evil>GAN"}, "holds class 'evil>GAN'"),
        ({"registered_name": None}, "holds class 'GAN'"),
        ({"class_name": 3}, "names no class"),
        ({"class_name": "Evil" * 50}, "holds class 'Evil.*\\.\\.\\.'"),
        ({"class_name": "a\nb"}, r"holds class 'a\?b'"),
    ],
)
def test_the_outermost_class_is_one_of_ours_in_every_respect(members, tmp_path, change, words):
    config = {**json.loads(members["config.json"]), **change}
    refused(pack(tmp_path / "a.keras", {**members, "config.json": json.dumps(config)}), words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[]", "names no class"),
        (b"null", "names no class"),
        (b'{"config": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" + b"[]," * 1_000_000 + b"[]]", "too many parts"),
        (b" " * ((1 << 24) + 1), "claims 16777217 bytes"),
    ],
)
def test_a_configuration_is_small_flat_text(members, tmp_path, text, words):
    path = pack(tmp_path / "a.keras", {**members, "config.json": text})
    tracemalloc.start()
    try:
        refused(path, words)
        assert tracemalloc.get_traced_memory()[1] < 27 << 20
    finally:
        tracemalloc.stop()


def test_a_configuration_is_not_deep(members, tmp_path):
    config = json.loads(members["config.json"])
    deep = []
    for _ in range(70):
        deep = [deep]
    config["config"]["hidden"] = deep
    refused(pack(tmp_path / "a.keras", {**members, "config.json": json.dumps(config)}), "nested deeper than 64")


def test_further_layers_of_ours_pass_when_named(members, tmp_path):
    path, config = tmp_path / "a.keras", json.loads(members["config.json"])
    hide(config, thing("keras_gen.layers", "Mixer", {"units": 3}, "keras_gen>Mixer"), "an argument of ours")
    pack(path, {**members, "config.json": json.dumps(config)})
    archive.check(path, classes=["Mixer"])
    refused(path, "holds class 'Mixer'")
    refused(path, "holds class 'Mixer'", classes=["Other"])
    for module in ("os", None):
        config["config"]["hidden"][1]["deep"][0]["module"] = module
        pack(path, {**members, "config.json": json.dumps(config)})
        refused(path, "holds class 'Mixer'", classes=["Mixer"])


# --- archives --------------------------------------------------------------------------------------------------------


def test_every_truncation_is_refused(saved, tmp_path):
    data, path = saved.read_bytes(), tmp_path / "a.keras"
    for length in [*range(40), *np.linspace(40, len(data) - 1, 60).astype(int)]:
        path.write_bytes(data[:length])
        refused(path, "is damaged: truncated, changed or not a .keras file")


def test_flipped_bits_are_refused_or_harmless(saved, members, tmp_path):
    data, path = saved.read_bytes(), tmp_path / "a.keras"
    found = 0
    for place in np.random.default_rng(0).integers(0, len(data), 150):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            archive.check(path)
        except DamagedError as error:
            assert len(str(error)) <= 200
            found += 1
        else:  # a date or a mode of the directory: not a byte of content
            with zipfile.ZipFile(path) as file:
                assert {name: file.read(name) for name in file.namelist()} == members
    assert found > 140


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: {**m, "extra.py": b"x"}, "unexpected member 'extra.py'"),
        (lambda m: {**m, "assets/vocabulary.txt": b"x"}, "unexpected member 'assets/vocabulary.txt'"),
        (lambda m: {**m, "/etc/canary": b"x"}, "unexpected member '/etc/canary'"),
        (lambda m: {**m, "../canary": b"x"}, "unexpected member '../canary'"),
        (lambda m: {**m, "a\nb" * 99: b"x"}, "unexpected member 'a\\\\nba"),
        (lambda m: {n: d for n, d in m.items() if n != "config.json"}, "no member 'config.json'"),
        (lambda m: {n: d for n, d in m.items() if n != "metadata.json"}, "no member 'metadata.json'"),
        (lambda m: {n: d for n, d in m.items() if n != "model.weights.h5"}, "no member 'model.weights.h5'"),
        (lambda m: {**m, "model.weights.npz": m["model.weights.h5"]}, "unexpected member 'model.weights.npz'"),
        (lambda m: {**m, "metadata.json": b" " * 70_000}, "'metadata.json' claims 70000 bytes"),
        (lambda m: {**m, "metadata.json": b"no"}, "not JSON"),
        (lambda m: {**m, "model.weights.h5": b""}, "cannot be read"),
        (lambda m: {**m, "model.weights.h5": b"no HDF5" * 100}, "cannot be read"),
        (lambda m: {**m, "model.weights.h5": m["model.weights.h5"][:-100]}, "cannot be read"),
    ],
)
def test_the_members_are_three(members, tmp_path, change, words):
    refused(pack(tmp_path / "a.keras", change(members)), words)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_comes_once(members, tmp_path):
    twice = [*members.items(), ("config.json", members["config.json"])]
    refused(pack(tmp_path / "a.keras", twice), "unexpected member 'config.json'")


def test_a_member_is_not_compressed(members, tmp_path):
    bomb = {**members, "model.weights.h5": bytes(1 << 24)}
    refused(pack(tmp_path / "a.keras", bomb, zipfile.ZIP_DEFLATED), "'metadata.json' is compressed")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as file:
        for name, data in bomb.items():
            file.writestr(name, data, zipfile.ZIP_LZMA if name.endswith("h5") else zipfile.ZIP_STORED)
    refused(tmp_path / "b.keras", "'model.weights.h5' is compressed")


def test_a_member_is_no_larger_than_the_file(members, tmp_path):
    path = pack(tmp_path / "a.keras", members)
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")  # of the last member in the directory: its two sizes
    path.write_bytes(data[: entry + 20] + struct.pack("<II", 1 << 30, 1 << 30) + data[entry + 28 :])
    refused(path, "'model.weights.h5' claims 1073741824 bytes")


def test_a_member_has_one_size(members, tmp_path):
    path = pack(tmp_path / "a.keras", members)
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")
    size = len(members["model.weights.h5"]) + 1
    path.write_bytes(data[: entry + 20] + struct.pack("<I", size) + data[entry + 24 :])
    refused(path, "'model.weights.h5' is compressed")


@pytest.mark.parametrize(("number", "words"), [(15_000, "unexpected member"), (300_000, "a part of it is too large")])
def test_a_directory_of_many_members_takes_neither_time_nor_memory(members, tmp_path, number, words):
    path = pack(tmp_path / "a.keras", members)
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    directory = data[start : data.index(b"PK\x01\x02", start + 4)] * number
    count = min(number, 65535)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
    path.write_bytes(data[:start] + directory + tail)
    tracemalloc.start()
    try:
        refused(path, words)
        assert tracemalloc.get_traced_memory()[1] < 27 << 20
    finally:
        tracemalloc.stop()


# --- weights ---------------------------------------------------------------------------------------------------------


def link_outside(file):
    file["generator/evil"] = h5py.ExternalLink("/etc/passwd", "/")


def link_inside(file):
    file["generator/evil"] = h5py.SoftLink("/discriminator")


def link_hard(file):
    file["generator/evil"] = file["generator"]


def link_root(file):
    file["generator/evil"] = file["/"]


def external_bytes(file):
    file.create_dataset("evil", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
    file.create_virtual_dataset("evil", layout)


def packed(file):
    file.create_dataset("evil", data=np.zeros(1 << 20), compression="gzip", chunks=(1 << 20,))


def chunked(file):
    file.create_dataset("evil", data=np.zeros(64), chunks=(64,))


def absent(file):
    file.create_dataset("evil", (1 << 40,), "f8", chunks=(1 << 20,))


def never_written(file):
    file.create_dataset("evil", (1 << 40,), "f8")


def objects(file):
    file.create_dataset("evil", data=np.array(["a", "b"], dtype=object), dtype=h5py.string_dtype())


def references(file):
    file.create_dataset("evil", data=file["generator"].ref, dtype=h5py.ref_dtype)


def records(file):
    file.create_dataset("evil", data=np.zeros(2, [("a", "f4"), ("b", "i4")]))


def text(file):
    file.create_dataset("evil", data=np.bytes_(b"text"))


def null(file):
    file.create_dataset("evil", data=h5py.Empty("f4"))


def named_type(file):
    file["evil"] = np.dtype("f8")


def attribute(file):
    file["generator"].attrs["evil"] = "x"


def long_attribute(file):
    file["generator"].attrs["name"] = np.bytes_(b"x" * 60_000)


def attribute_of_array(file):
    file["optimizer_of_evil/vars/0"] = np.zeros(2)
    file["optimizer_of_evil/vars/0"].attrs["evil"] = np.zeros(3)


def too_deep(file):
    file["/".join("x" * 80)] = np.zeros(1)


WEIGHTS = {
    link_outside: "link, 'evil', to elsewhere",
    link_inside: "link, 'evil', to elsewhere",
    link_hard: "'evil' twice",
    link_root: "'evil' twice",
    external_bytes: "'evil'.*another file",
    virtual: "'evil'.*another file",
    packed: "'evil'.*packed",
    chunked: "'evil'.*packed",
    absent: "'evil'.*packed",
    never_written: "claims 8796093022208 bytes",
    objects: "'evil', which is no array of numbers",
    references: "'evil', which is no array of numbers",
    records: "'evil', which is no array of numbers",
    text: "'evil', which is no array of numbers",
    null: "'evil', which is no array of numbers",
    named_type: "'evil', which is no array of numbers",
    attribute: "unknown attribute 'evil'",
    long_attribute: "unknown attribute 'name'",
    attribute_of_array: "unknown attribute 'evil'",
    too_deep: "too deep",
}


def with_weights(path, members, change):
    file = io.BytesIO(members["model.weights.h5"])
    with h5py.File(file, "r+") as weights:
        change(weights)
    return pack(path, {**members, "model.weights.h5": file.getvalue()})


@pytest.mark.parametrize("change", WEIGHTS, ids=lambda change: change.__name__)
def test_weights_are_plain_arrays(members, tmp_path, change):
    refused(with_weights(tmp_path / "a.keras", members, change), WEIGHTS[change])


def test_weights_may_be_empty_or_scalar(members, tmp_path):
    def change(file):
        file["more/vars/0"], file["more/vars/1"] = np.float32(1), np.zeros((0, 3))
        file["more/vars/2"], file["more/vars/3"] = np.array([True]), np.uint8([1])

    archive.check(with_weights(tmp_path / "a.keras", members, change))


def test_arrays_that_share_their_bytes_are_counted(members, tmp_path):
    size, offset = 1 << 20, []

    def change(file):
        file["more/vars/0"] = np.ones(size, "u1")
        offset.append(file["more/vars/0"].id.get_offset())
        for number in range(1, 8):
            file.create_dataset(f"more/vars/{number}", (size,), "u1")  # no bytes, no address

    path = with_weights(tmp_path / "a.keras", members, change)
    with zipfile.ZipFile(path) as file:
        data = file.read("model.weights.h5")
    empty, shared = (struct.pack("<QQ", address, size) for address in (2**64 - 1, offset[0]))
    assert data.count(empty) == 7
    pack(path, {**members, "model.weights.h5": data.replace(empty, shared)})
    refused(path, r"its weights claim 8\d{6} bytes and store fewer")


def test_changed_weights_with_a_true_checksum_never_crash(members, tmp_path):
    data, random, path = members["model.weights.h5"], np.random.default_rng(1), tmp_path / "a.keras"
    for _ in range(100):
        place = random.integers(0, 4096)
        changed = data[:place] + random.bytes(4) + data[place + 4 :]
        try:
            archive.check(pack(path, {**members, "model.weights.h5": changed}))
        except DamagedError as error:
            assert len(str(error)) <= 200


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["functional", "ours"])
def test_networks_larger_than_their_weights_are_refused_before_memory_is_taken(members, tmp_path, kind):
    if kind == "ours":  # numbers that pass one by one
        config = thing("keras_gen.models.gan", "GAN", {"latent_dim": 2**20, "hidden": [2**20]}, "keras_gen>GAN")
    else:
        config = json.loads(members["config.json"])
        dense = config["config"]["generator"]["config"]["layers"][1]
        dense["config"]["units"] = 2**20
        config["config"]["generator"]["config"]["layers"][0]["config"]["batch_shape"] = [None, 2**20]
        dense.pop("build_config")
    path = pack(tmp_path / "a.keras", {**members, "config.json": json.dumps(config)})
    archive.check(path)
    with pytest.raises(DamagedError, match="much larger than the weights it stores") as caught, archive.limited(path):
        keras.saving.load_model(path)
    assert len(str(caught.value)) <= 200

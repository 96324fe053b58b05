"""A `.keras` file from others is data: ours pass, anything strange is refused in one line before it is built."""

import copy
import json
import tracemalloc

import keras
import pytest
from archives import LAYERS, networks, pack, refused, thing

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.files import archive

# --- files of ours pass ----------------------------------------------------------------------------------------------


def save(model, path):
    model.compile()
    model.save(path)


@pytest.mark.slow  # the contract loads a file of each, as small and compiled
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

"""A `.keras` file from others: an archive of three plain members with plain arrays, or refused."""

import io
import json
import struct
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from archives import pack, refused, thing

from keras_gen.errors import DamagedError
from keras_gen.files import archive

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

"""A `.keras` file from others is data: what it holds, names and sizes, is checked before anything is built."""

import contextlib
import functools
import importlib
import io
import json
import math
import operator
import os
import re
import struct
import threading
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from keras_gen import registry
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown

_WEIGHTS = "model.weights.h5"
_MEMBERS = {"metadata.json": 1 << 16, "config.json": 1 << 24, _WEIGHTS: 1 << 50}  # member: most bytes
_DEPTH, _TOKENS, _CONSTANTS = 64, 1 << 20, 1 << 12  # a tokenizer of 100,000 pairs has half a million parts
_SIZE, _COUNT, _VOLUME, _IDENTITY = 1 << 20, 1 << 31, 1 << 30, 1 << 63

_OBJECT_KEYS = {"module", "class_name", "config", "registered_name"}
_MORE_KEYS = {"build_config", "compile_config", "name", "inbound_nodes", "shared_object_id"}
_PUBLIC = ("layers", "initializers", "regularizers", "constraints", "optimizers", "optimizers.schedules")
_PUBLIC += ("dtype_policies", "losses", "metrics", "random")
_OPERATIONS = ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.math")  # of `x + y` in a functional model
_FUNCTIONAL = ("keras.src.models.functional", "Functional")
# They run code, read files (a vocabulary is a path), or take memory by the square of a number (a confusion matrix).
_REFUSED = ("layers.Lambda", "layers.TorchModuleWrapper", "layers.FlaxLayer", "layers.JaxLayer", "layers.TFSMLayer")
_REFUSED += ("layers.TextVectorization", "layers.StringLookup", "layers.IntegerLookup", "metrics.IoU")
OPTIMIZERS = dict.fromkeys(("MatrixAdamW", "HoldThenLinear"), "keras_gen.game.optimizers")
_NOT_ACTIVATIONS = ("get", "serialize", "deserialize")
_loading = threading.RLock()
_NUMBERS = re.compile(r"bool|bfloat16|u?int(8|16|32|64)|float(16|32|64)")


def check(
    path: str | os.PathLike, classes: Iterable[str] = (), custom_objects: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Reads a `.keras` file as data and refuses whatever `model.save` of this package would not have written.

    Args:
        path: of the file.
        classes: names of further classes of this package that a file may hold (its layers).
        custom_objects: name to class or function: what the caller trusts besides.

    Returns:
        The content of its `config.json`.

    Raises:
        UsageError: there is no such file.
        DamagedError: the file is damaged, or holds what is neither ours, nor plain Keras, nor in `custom_objects`.
    """
    with _opened(path) as (file, archive):
        infos = _directory(archive, os.fstat(file.fileno()).st_size)
        for info in infos.values():
            _read(archive, info, keep=False)  # its checksum
        _json(_read(archive, infos["metadata.json"]))
        config = _json(_read(archive, infos["config.json"]))
        _Config(classes, custom_objects or {}).model(config)
        _weights(_Region(file, infos[_WEIGHTS]), infos[_WEIGHTS].file_size)
    return config


@contextlib.contextmanager
def limited(path: str | os.PathLike) -> Iterator[None]:
    """Bounds the weights that layers make inside the block by what the file stores: load a checked file in it.

    Sizes are products of numbers that are fine each (a Dense layer of 2^20 units on 2^20 inputs), so they are known
    only when a layer asks for a weight: this answers just before its memory is taken.

    Args:
        path: of the file.

    Yields:
        Nothing.

    Raises:
        DamagedError: the layers ask for much more memory than the file has weights.
    """
    import keras

    thread = threading.get_ident()
    left = 4 * os.path.getsize(path) + (64 << 20)  # bfloat16 is stored in half its float32 size, int8 in a quarter

    def bounded(self: Any, shape: Any = None, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if threading.get_ident() == thread:
            left -= 4 * math.prod(size or 0 for size in ((shape,) if isinstance(shape, int) else shape or ()))
            if left < 0:
                _refuse(path, "is damaged: its networks are much larger than the weights it stores; do not use it")
        return add_weight(self, shape, *args, **kwargs)

    with _loading:  # two threads would each put back what the other had set
        add_weight, keras.Layer.add_weight = keras.Layer.add_weight, bounded
        try:
            yield
        finally:
            keras.Layer.add_weight = add_weight


class _StrangeError(Exception):
    """What is wrong, in a few words; `check` adds the file's name and the way out."""


class _ForeignError(Exception):
    """The kind and name of an object that a file may not hold."""


def _refuse(path: str | os.PathLike, what: str) -> NoReturn:
    # A command line puts "error: " before it, and the line is to stay within 200 characters.
    raise DamagedError(f"{shown(path, max(20, 190 - len(what)))} {what}")


def _brief(text: str, length: int) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= length else text[: length - 3] + "..."


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[tuple[io.FileIO, zipfile.ZipFile]]:
    """Opens the file, and says in one line whatever is wrong with it."""
    if not os.path.isfile(path):
        kind = "is not a file" if os.path.exists(path) else "does not exist"
        raise UsageError(f"{shown(path)} {kind}; give the path of a .keras file")
    try:
        with _Bounded(path) as file, zipfile.ZipFile(file) as archive:
            yield file, archive
    except _ForeignError as error:
        kind, name = error.args
        name = repr(_brief(str(name), 24))
        way_out = f"pass custom_objects={{{name}: ...}} only if you trust the file"
        _refuse(path, f"holds {kind} {name}, which is not a keras_gen model or a plain Keras layer; {way_out}")
    except PermissionError:
        raise UsageError(f"{shown(path)} cannot be read: permission denied; ask for the right to read it") from None
    # What zipfile, json and h5py raise on bad bytes is not one family: whatever it is, the file is at fault.
    except Exception as error:
        cause = _brief(str(error), 70) if isinstance(error, _StrangeError) else "cannot be read"
        if isinstance(error, zipfile.BadZipFile | EOFError):
            cause = "truncated, changed or not a .keras file"
        _refuse(path, f"is damaged: {cause}; use another copy of the file or save the model again")


class _Bounded(io.FileIO):
    """A file that refuses a single large read: the directory of an archive is read whole, however large it says."""

    def read(self, size: int = -1) -> bytes:
        if (size if size >= 0 else os.fstat(self.fileno()).st_size - self.tell()) > 1 << 20:
            raise _StrangeError("a part of it is too large")
        return super().read(size)


class _Region(io.RawIOBase):
    """A stored member as a file of its own: h5py seeks in it, and no byte is read that it does not ask for."""

    def __init__(self, file: io.FileIO, info: zipfile.ZipInfo):
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26xHH", file.read(30))
        self.file, self.start = file, info.header_offset + 30 + name + extra
        self.size, self.position = info.file_size, 0

    def readable(self) -> bool:
        return True

    seekable = readable

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = offset + (0, self.position, self.size)[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        self.file.seek(self.start + self.position)
        data = self.file.read(max(0, min(len(buffer), self.size - self.position)))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def _directory(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Returns the members by name, after a look at names and sizes."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if sorted(names) != sorted(_MEMBERS):
        # Of four names one is strange: no need to look at a hundred thousand.
        strange = [name for i, name in enumerate(names[:4]) if name not in _MEMBERS or name in names[:i]]
        missing = [name for name in _MEMBERS if name not in names]
        raise _StrangeError(f"unexpected member {strange[0]!r}" if strange else f"no member {missing[0]!r}")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise _StrangeError(f"member {info.filename!r} is compressed or encrypted")
        if info.file_size > min(size, _MEMBERS[info.filename]):
            raise _StrangeError(f"member {info.filename!r} claims {info.file_size} bytes")
    return dict(zip(names, infos, strict=True))


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, keep: bool = True) -> bytes:
    """Reads a member to its end, where zipfile compares the checksum."""
    parts = []
    with archive.open(info) as member:
        while part := member.read(1 << 16):
            if keep:
                parts.append(part)
    return b"".join(parts)


def _json(data: bytes) -> Any:
    # A list in a list takes fifty times its two bytes: count before parsing.
    if sum(map(data.count, (b"[", b"{", b","))) > _TOKENS:
        raise _StrangeError("its configuration has too many parts")
    try:
        return json.loads(data.decode())
    except RecursionError:
        raise _StrangeError(f"its configuration is nested deeper than {_DEPTH}") from None
    except ValueError:
        raise _StrangeError("its configuration is not JSON") from None


class _Config:
    """Walks a configuration: every object in it is allowed by name, every number is bounded."""

    def __init__(self, classes: Iterable[str], custom_objects: Mapping[str, Any]):
        import keras

        self.ours = registry.classes()
        self.custom = custom_objects
        self.layers = set(classes)
        self.registered = keras.saving.get_custom_objects()

    def model(self, node: Any) -> None:
        if not isinstance(node, dict) or not isinstance(node.get("class_name"), str):
            raise _StrangeError("its configuration names no class")
        if node["class_name"] not in self.ours and not self._trusted(node):
            raise _ForeignError("class", node["class_name"])
        self.walk(node)

    def walk(self, node: Any, key: str = "", limit: int = _COUNT, depth: int = 0) -> None:
        # `key` is the nearest name above the value, `limit` the largest number that its object may hold.
        if depth > _DEPTH:
            raise _StrangeError(f"its configuration is nested deeper than {_DEPTH}")
        if isinstance(node, dict):
            if "class_name" in node:
                limit = self._object(node)
            for name, value in node.items():
                if name != "registered_name":
                    self.walk(value, name, limit, depth + 1)
        elif isinstance(node, list):
            if "shape" in key and math.prod(v for v in node if isinstance(v, int)) > _VOLUME:
                raise _StrangeError(f"{key} {node} is too large")
            for value in node:
                self.walk(value, key, limit, depth + 1)
        elif isinstance(node, int):
            if abs(node) > self._largest(key, limit):
                raise _StrangeError(f"{key} {node} is too large")
        elif isinstance(node, str) and node in self.registered and node not in self.custom:
            raise _ForeignError("name", node)  # Keras would put the registered object in its place

    def _object(self, node: dict[str, Any]) -> int:
        """Checks a serialized object by its name, and returns the largest number allowed inside."""
        name, module, config = node["class_name"], node.get("module"), node.get("config")
        if not isinstance(name, str) or not isinstance(module, str | None) or "config" not in node:
            raise _StrangeError("an object in its configuration has no proper name")
        if name.startswith("__"):
            return self._constant(name, node)
        if not _OBJECT_KEYS <= set(node) <= _OBJECT_KEYS | _MORE_KEYS:
            raise _StrangeError(f"{name!r} in its configuration has unknown or missing parts")
        for call in node.get("inbound_nodes") or []:
            # A call without a symbolic input would run while the model is built, on whatever size it names.
            if set(call) != {"args", "kwargs"} or '{"class_name": "__keras_tensor__"' not in json.dumps(call):
                raise _StrangeError(f"layer {name!r} is called on no input")
        if self._trusted(node):
            return _COUNT
        if name == "function":
            if not isinstance(config, str):
                raise _StrangeError("a function in its configuration has a body")
            if config not in _activations():
                raise _ForeignError("function", config)
            if module not in ("keras.activations", "builtins") or node["registered_name"] not in (None, config):
                raise _ForeignError("function", node["registered_name"])
            return _COUNT
        if node["registered_name"] == f"keras_gen>{name}":
            named = name in self.layers and (module or "").startswith("keras_gen.")
            if not named and (module is None or module not in self._modules(name)):
                raise _ForeignError("class", name)
            return _SIZE
        if node["registered_name"] not in (None, name):
            raise _ForeignError("class", node["registered_name"])
        return _plain(module or "", name)

    def _modules(self, name: str) -> tuple[str | None, ...]:
        """Returns the modules that a class of ours is in, and was in."""
        return (self.ours.get(name), OPTIMIZERS.get(name), *registry.FORMER.get(name, ()))

    def _trusted(self, node: dict[str, Any]) -> bool:
        """Tells whether Keras would resolve an object to one that the caller passed."""
        name = node["config"] if node["class_name"] == "function" else node["class_name"]
        key = node.get("registered_name") or name
        if not isinstance(name, str) or not isinstance(key, str):
            return False
        trusted = self.custom.get(key, self.custom.get(name))
        return trusted is not None and self.registered.get(key, trusted) is trusted

    @staticmethod
    def _constant(name: str, node: dict[str, Any]) -> int:
        config = node["config"]
        if set(node) != {"class_name", "config"} or not isinstance(config, dict):
            raise _ForeignError("object", name)
        if name in ("__tensor__", "__numpy__"):
            dtype = str(config.get("dtype"))
            if not _NUMBERS.fullmatch(dtype) or json.dumps(config.get("value")).count(",") >= _CONSTANTS:
                raise _StrangeError(f"a constant of type {dtype!r} is too large or no number")
        elif name not in ("__keras_tensor__", "__slice__", "__ellipsis__"):
            raise _ForeignError("object", name)
        return _COUNT

    @staticmethod
    def _largest(key: str, limit: int) -> int:
        if "seed" in key or key == "shared_object_id":
            return _IDENTITY
        return _COUNT if any(word in key for word in ("shape", "step", "images")) else limit


@functools.cache
def _activations() -> frozenset[str]:
    """Returns the names of Keras' activations: the only functions that a file may name."""
    import keras

    return frozenset(name for name in dir(keras.activations) if name[0] != "_" and name not in _NOT_ACTIVATIONS)


def _plain(module: str, name: str) -> int:
    """Finds a plain Keras class as Keras will, or refuses, and returns the largest number allowed in its arguments."""
    import keras

    allowed = (keras.Layer, keras.Initializer, keras.Regularizer, keras.constraints.Constraint, keras.Optimizer)
    allowed += (keras.optimizers.schedules.LearningRateSchedule, keras.DTypePolicy, keras.dtype_policies.DTypePolicyMap)
    allowed += (keras.Loss, keras.Metric, keras.random.SeedGenerator)
    if module in _OPERATIONS or (module, name) == _FUNCTIONAL:
        found, allowed = vars(importlib.import_module(module)).get(name), (keras.Operation,)
    elif module == "keras" or module.removeprefix("keras.") in _PUBLIC:
        found = getattr(operator.attrgetter(module[6:])(keras) if module[6:] else keras, name, None)
    else:
        found = None
    refused = tuple(operator.attrgetter(each)(keras) for each in _REFUSED)
    if not isinstance(found, type) or not issubclass(found, allowed) or issubclass(found, refused):
        raise _ForeignError("class", name)
    return _SIZE if issubclass(found, keras.Operation) else _COUNT


def _weights(region: _Region, size: int) -> None:
    """Checks the HDF5 file: plain arrays whose bytes are all there, each under one name."""
    import h5py

    seen, total = set(), 0

    def visit(node: Any, name: str, depth: int) -> None:
        nonlocal total
        address = h5py.h5o.get_info(node.id).addr
        if address in seen or depth > _DEPTH:
            raise _StrangeError(f"its weights hold {name!r} twice or too deep")
        seen.add(address)
        for key in node.attrs:  # Keras writes two short strings
            attribute = h5py.h5a.open(node.id, key.encode())
            if key not in ("name", "dtype") or attribute.shape != () or attribute.get_storage_size() > 1 << 10:
                raise _StrangeError(f"its weights have an unknown attribute {key!r}")
        if not isinstance(node, h5py.Group):
            total += _array(node, name)
            return
        for child in node:
            if not isinstance(node.get(child, getlink=True), h5py.HardLink):
                raise _StrangeError(f"its weights hold a link, {child!r}, to elsewhere")
            visit(node[child], child, depth + 1)

    with h5py.File(region, "r") as file:
        visit(file, "/", 0)
    if total > size:
        raise _StrangeError(f"its weights claim {total} bytes and store fewer")


def _array(node: Any, name: str) -> int:
    """Returns the bytes of an array."""
    dtype = getattr(node, "dtype", None)
    if getattr(node, "shape", None) is None or dtype.kind not in "biufV" or dtype.fields:
        raise _StrangeError(f"its weights hold {name!r}, which is no array of numbers")
    if node.is_virtual or node.external or node.chunks:  # filters need chunks
        raise _StrangeError(f"array {name!r} of its weights is packed, or lies in another file")
    declared = math.prod(node.shape) * dtype.itemsize
    if declared != node.id.get_storage_size():
        raise _StrangeError(f"array {name!r} of its weights claims {declared} bytes and stores another number")
    return declared

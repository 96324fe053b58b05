"""Lossy compression with a model's codes, quantized and packed by an entropy coder of the standard library.

Whoever decompresses needs the same model, which is no part of the bytes. The code of an autoencoder or of a VAE (its
mean) is rounded to multiples of a step; the tokens of a VQ-VAE are whole numbers already.
"""

import bz2
import hashlib
import json
import lzma
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen import latent
from keras_gen.errors import DamagedError, UsageError
from keras_gen.signatures.exported import Exported, open_file
from keras_gen.signatures.values import check_values

MAGIC, VERSION = b"KGIC", 1
# Magic, version, digest of the model, dtype of the code, step, smallest number, bits of a number, coder, dimensions.
# These follow, 4 bytes each, then the numbers, and at the end the checksum of everything.
_HEADER = struct.Struct("<4sB8scdiBBB")
_CHECKSUM = struct.Struct("<I")
# Coder 0 gives each number the same bits. The others know what is frequent; the shortest result is taken.
_CODERS = (
    (lambda data: zlib.compress(data, 9), zlib.decompressobj),
    (bz2.compress, bz2.BZ2Decompressor),
    (lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=9), lzma.LZMADecompressor),
)


class Rate(NamedTuple):
    """What one step costs and keeps.

    Args:
        step: of the quantization.
        bits_per_pixel: of all bytes, the header included; a pixel may have three channels.
        psnr: peak signal-to-noise ratio in decibels, of the mean squared error over all images.
    """

    step: float
    bits_per_pixel: float
    psnr: float


def compress(model: Any, images: ArrayLike, step: float = 0.25, batch_size: int = 64) -> bytes:
    """Turns images into bytes that `decompress` turns back, with a loss.

    Args:
        model: a `keras_gen` model with `encode` and `decode`, a run, or a `.keras`, `.onnx` or `.tflite` file.
        images: float32 (n, H, W, C) in [-1, 1]. Many at once take fewer bytes each.
        step: to a multiple of which each coordinate of a code is rounded; tokens are kept as they are.
        batch_size: images computed at once.

    Raises:
        UsageError: the model has no such pair or needs a label, or the step is not positive or too fine.

    Example:
        ```python
        data = keras_gen.compression.compress("vq_vae", images)
        again = keras_gen.compression.decompress("vq_vae", data)
        ```
    """
    coder = _opened(model)
    return _packed(coder.encode(_images(images), batch_size), _step(step), coder.digest)


def decompress(model: Any, data: bytes, batch_size: int = 64) -> np.ndarray:
    """Turns the bytes of `compress` into images: the same ones in every call.

    Args:
        model: what compressed them, or a copy of it. An exported file is a model of its own.
        data: of `compress`.
        batch_size: images computed at once.

    Returns:
        float32 (n, H, W, C) in [-1, 1].

    Raises:
        UsageError: another model made these bytes.
        DamagedError: they are truncated or changed, or nothing of this kind.
    """
    coder = _opened(model)
    return coder.decode(_unpacked(bytes(data), coder, latent.called(model)), batch_size)


def rate_distortion(
    model: Any,
    images: ArrayLike,
    steps: Sequence[float] = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125),
    batch_size: int = 64,
) -> list[Rate]:
    """Returns what images cost and what is left of them, for each step.

    Args:
        model: as for `compress`.
        images: (n, H, W, C) in [-1, 1], compressed together.
        steps: of the quantization. Tokens know none: they give one entry, of step 1.
        batch_size: images computed at once.
    """
    coder, images = _opened(model), _images(images)
    code = coder.encode(images, batch_size)
    found = []
    for step in [1.0] if _is_whole(code) else [_step(step) for step in steps]:
        data = _packed(code, step, coder.digest)
        made = coder.decode(_unpacked(data, coder, latent.called(model)), batch_size)
        error = float(np.square(made - images, dtype=np.float64).mean())
        pixels = math.prod(images.shape[:3])
        found.append(Rate(step, 8 * len(data) / pixels, 10 * math.log10(4 / error) if error else math.inf))
    return found


# --- numbers and bytes -----------------------------------------------------------------------------------------------


def _packed(code, step, digest):
    """Returns the bytes of a code."""
    kind = b"i" if _is_whole(code) else b"f"
    numbers = code.astype(np.int64) if kind == b"i" else np.rint(code / np.float64(step))
    if not np.isfinite(numbers).all() or np.abs(numbers).max() >= 2**31:
        raise UsageError(f"step {step:g} is too fine for codes up to {np.abs(code).max():g}; give a larger one")
    # One coordinate of all images after the other: what is alike stands together.
    numbers = np.moveaxis(numbers.astype(np.int64), 0, -1).ravel()
    low = int(numbers.min())
    numbers = (numbers - low).astype("<u4")
    bits = max(1, int(numbers.max()).bit_length())
    planes = numbers.view(np.uint8).reshape(-1, 4)[:, : _bytes(bits)].T.tobytes()
    columns = (numbers[:, None] >> np.arange(bits, dtype=np.uint32) & 1).astype(np.uint8)
    tried = [np.packbits(columns).tobytes(), *(pack(planes) for pack, _ in _CODERS)]
    coder = min(range(len(tried)), key=lambda index: len(tried[index]))
    data = _HEADER.pack(MAGIC, VERSION, digest, kind, step, low, bits, coder, code.ndim)
    data += struct.pack(f"<{code.ndim}I", *code.shape) + tried[coder]
    return data + _CHECKSUM.pack(zlib.crc32(data))


def _unpacked(data, model, name):
    """Returns the code in the bytes, quantized."""
    if data[: len(MAGIC)] != MAGIC:
        raise DamagedError("the data are no images that keras_gen compressed; give the bytes of compress()")
    if data[len(MAGIC) : len(MAGIC) + 1] not in (b"", bytes([VERSION])):
        raise DamagedError(f"the data are of format {data[len(MAGIC)]}; expected {VERSION}: use a newer keras_gen")
    body, damaged = data[: -_CHECKSUM.size], "the data are damaged: truncated or changed; use another copy"
    if len(body) < _HEADER.size or data[-_CHECKSUM.size :] != _CHECKSUM.pack(zlib.crc32(body)):
        raise DamagedError(damaged)
    _, _, digest, kind, step, low, bits, coder, ndim = _HEADER.unpack_from(body)
    if digest != model.digest:
        raise UsageError(f"another model made these data ({digest.hex()}, not {model.digest.hex()} of {name}); give it")
    shape = struct.unpack_from(f"<{ndim}I", body, _HEADER.size) if len(body) >= _HEADER.size + 4 * ndim else ()
    if not _fits(shape[1:], model.shape) or not 1 <= bits <= 32 or coder > len(_CODERS) or not step > 0:
        raise DamagedError(damaged)
    count, body = math.prod(shape), body[_HEADER.size + 4 * ndim :]
    if coder == 0:
        if len(body) != -(-count * bits // 8):
            raise DamagedError(damaged)
        columns = np.unpackbits(np.frombuffer(body, np.uint8), count=count * bits).reshape(count, bits)
        numbers = (columns.astype(np.int64) << np.arange(bits)).sum(axis=1)
    else:
        size = count * _bytes(bits)
        reader = _CODERS[coder - 1][1]()
        try:
            planes = reader.decompress(body, size + 1)  # however much there is
        except (zlib.error, OSError, lzma.LZMAError, EOFError):
            raise DamagedError(damaged) from None
        if len(planes) != size or not reader.eof:
            raise DamagedError(damaged)
        planes = np.frombuffer(planes, np.uint8).reshape(_bytes(bits), count)
        numbers = (planes.astype(np.int64) << 8 * np.arange(_bytes(bits))[:, None]).sum(axis=0)
    numbers = np.moveaxis((numbers + low).reshape(*shape[1:], shape[0]), -1, 0)
    return numbers.astype(np.int32) if kind == b"i" else (numbers * step).astype(np.float32)


def _bytes(bits):
    return -(-bits // 8)


def _fits(shape, wanted):
    return len(shape) == len(wanted) and all(b in (None, a) for a, b in zip(shape, wanted, strict=True))


def _is_whole(code):
    return code.dtype.kind in "iu"


# --- what encodes and decodes ----------------------------------------------------------------------------------------


class _Coder(NamedTuple):
    encode: Callable[[np.ndarray, int], np.ndarray]
    decode: Callable[[np.ndarray, int], np.ndarray]
    shape: tuple[int, ...]  # of one code
    digest: bytes


def _opened(source):
    name, source = latent.called(source), latent.opened(source)
    if isinstance(source, Exported):
        files = _files(source)
        inputs = {key: {k: shape for k, (shape, _) in file.inputs(key).items()} for key, file in files.items()}
        digest = hashlib.sha256(b"".join(files[key].path.read_bytes() for key in sorted(files)))
    elif callable(getattr(source, "signatures", None)):
        found = source.signatures()
        inputs = {key: {k: spec.shape.as_list() for k, spec in one.inputs.items()} for key, one in found.items()}
        config = {key: value for key, value in source.get_config().items() if key not in ("name", "seed")}
        digest = hashlib.sha256(json.dumps([type(source).__name__, config], sort_keys=True, default=str).encode())
        for weight in source.weights:
            digest.update(np.ascontiguousarray(weight))
    else:
        raise UsageError(f"{name} has no signatures; expected a keras_gen model, a run or a file")
    for key in ("encode", "decode"):
        if key not in inputs:
            raise UsageError(f"{name} has no {key!r} to compress with; give an autoencoder, a VAE or a VQ-VAE")
        more = sorted(set(inputs[key]) - {"image"}) if key == "encode" else sorted(inputs[key])[1:]
        if more:
            raise UsageError(f"{name} needs {more[0]!r} to {key}, which the bytes do not hold; give a model without")
    (code, shape) = next(iter(inputs["decode"].items()))
    if isinstance(source, Exported):
        encode = _batched(files["encode"], "encode", "image")
        decode = _batched(files["decode"], "decode", code)
    else:
        encode, decode = source.encode, source.decode
    return _Coder(encode, decode, tuple(shape[1:]), digest.digest()[:8])


def _files(source):
    """Returns the exported files of both signatures: `.onnx` has one for each."""
    files = {key: source for key in ("encode", "decode") if key in source.signatures}
    for key in {"encode", "decode"} - set(files):
        beside = source.path.with_name(f"{key}.onnx")
        if source.path.suffix == ".onnx" and beside.is_file():
            files[key] = open_file(beside)
    return files


def _batched(file, key, name):
    def run(rows, batch_size):
        parts = [file.run(key, **{name: rows[at : at + batch_size]}) for at in range(0, len(rows), batch_size)]
        known = [output for output in ("mean", "latent", "code", "token", "image") if output in parts[0]]
        return np.concatenate([part[known[0] if known else next(iter(part))] for part in parts])

    return run


def _images(images):
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise UsageError(f"images have shape {images.shape}; expected (n, H, W, C), n not 0")
    check_values({"image": images})
    return images.astype(np.float32)


def _step(step):
    if not 0 < step < math.inf:
        raise UsageError(f"step is {step}; expected a positive number, in the units of the code")
    return float(step)

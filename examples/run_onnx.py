"""Draws images from an exported `.onnx` file with numpy and onnxruntime alone: what another app would contain.

python examples/run_onnx.py saved_models/quickstart/generate.onnx -n 64 --seed 0 -o grid.png
"""

import argparse
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import onnxruntime


def sample(path: str, n: int, seed: int) -> np.ndarray:
    """Draws n images; the same seed gives the same ones as the model in Keras.

    Args:
        path: of a file that holds a sampler.
        n: number of images.
        seed: of the latents.

    Returns:
        float32 (n, H, W, C) in [-1, 1].
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    if "sample" not in meta:
        raise SystemExit(f"error: {path} is not a sampler; give a file such as generate.onnx or decode.onnx")
    rng = np.random.default_rng(seed)
    inputs = {value.name: draw(meta[f"{value.name}.law"], (n, *value.shape[1:]), rng) for value in in_order(session)}
    size = session.get_inputs()[0].shape[0]
    size = size if isinstance(size, int) else n  # a file exported with --batch takes that many at once
    parts = []
    for start in range(0, n, size):
        part = {name: value[start : start + size] for name, value in inputs.items()}
        short = size - len(next(iter(part.values())))
        part = {name: np.concatenate([value, value[-1:].repeat(short, 0)]) for name, value in part.items()}
        parts.append(session.run([meta["sample"]], part)[0][: size - short])
    return np.concatenate(parts)


def in_order(session: onnxruntime.InferenceSession) -> list:
    """Returns the inputs in the order in which they are drawn: of their names."""
    return sorted(session.get_inputs(), key=lambda value: value.name)


def draw(law: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws one input after the law that the file's metadata names."""
    if law == "normal":
        return rng.standard_normal(shape, dtype=np.float32)
    if law == "uniform":
        return rng.random(shape, dtype=np.float32) * np.float32(2) - np.float32(1)
    kind, _, number = law.partition(" ")
    if kind == "classes":  # the classes in turn
        return (np.arange(shape[0]) % int(number)).astype(np.int32)
    if kind == "constant":  # what the input is when nobody gives it
        return np.full(shape, float(number), np.float32)
    raise SystemExit(f"error: law {law!r} is not known; export the model again, or add it here")


def grid(images: np.ndarray) -> np.ndarray:
    """Lays images out in a square of gray levels: uint8 (height, width, C)."""
    n, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    levels = np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)
    levels = np.pad(levels, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = height + 2, width + 2
    blank = np.zeros((rows * columns - n, height, width, channels), np.uint8)
    levels = np.concatenate([levels, blank]).reshape(rows, columns, height, width, channels)
    return levels.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def save_png(path: str, image: np.ndarray) -> None:
    """Writes a PNG file: gray for one channel, RGB for three."""
    height, width, channels = image.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in image)  # each line begins with its filter: none
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Draws images from an exported .onnx file.", allow_abbrev=False)
    parser.add_argument("file", metavar="FILE", help="a generate.onnx or decode.onnx")
    parser.add_argument("-n", type=int, default=64, help="number of images (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same images (default: 0)")
    parser.add_argument("-o", "--output", default="grid.png", help="x.png, or x.npy for arrays (default: grid.png)")
    options = parser.parse_args()
    images = sample(options.file, options.n, options.seed)
    if options.output.endswith(".npy"):
        np.save(options.output, images)
    else:
        sheet = grid(images)
        factor = -(-512 // max(sheet.shape[:2]))
        save_png(options.output, sheet.repeat(factor, axis=0).repeat(factor, axis=1))
    print(f"{options.n} images, seed {options.seed}: {options.output}")


if __name__ == "__main__":
    main()

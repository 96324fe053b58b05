"""`upscale`: pictures made larger, by a run, a `.keras`, an `.onnx` or a `.tflite` file, without any data set."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gen import images, terminal
from keras_gen.cli.sample import loaded
from keras_gen.cli.translate import free, inputs, outputs, read, sides, told, write
from keras_gen.errors import UsageError
from keras_gen.files.runs import find
from keras_gen.files.writing import shown
from keras_gen.signatures import exported, tiles

NEEDED = 1500  # bytes for each pixel that is made at once, of a network of the usual width: 1,040 were measured


class Upscaler(NamedTuple):
    """What makes pictures larger: the function, the channels that it takes, its scale, and its reach in pixels."""

    make: Callable[[np.ndarray], np.ndarray]
    channels: int
    scale: int
    reach: int


def run(options: argparse.Namespace) -> int:
    """Makes pictures larger and writes them.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    path = find(options.source)
    names, folder = inputs(Path(options.image))
    targets = outputs(names, folder, Path(options.output))
    upscaler = _upscaler(path, options.debug)
    count = 0
    for name in names:  # before the first is made: what is too large is no surprise after an hour
        size = sides(name)
        _check_memory(name, size, upscaler, options.tile)
        count += len(tiles.pieces(*size, options.tile, upscaler.reach))
    with terminal.Progress("upscaling", count, "pieces" if options.tile else "images") as progress:
        for name, output in zip(names, targets, strict=True):
            image = read(name, upscaler.channels)
            whole = (image, upscaler.scale, upscaler.reach, options.tile)
            write(output, tiles.enlarged(upscaler.make, *whole, images.to_uint8, progress.add), path)
    print(f"made {upscaler.scale} times as large by {shown(path)}: {told(targets, folder, Path(options.output))}")
    return 0


def _check_memory(name, size, upscaler, tile):
    """Refuses a picture that is too large for the memory that is free.

    Raises:
        UsageError: it is; the message says which pieces are not.
    """
    left = free()
    if not left:
        return
    around, area = 2 * upscaler.reach, upscaler.scale**2
    kept = size[0] * size[1] * (area + 8) * upscaler.channels  # what is made, in bytes, and what is read, in float32
    at_once = [side if tile is None else min(side, tile + around) for side in size]
    needed = kept + at_once[0] * at_once[1] * area * NEEDED
    if needed <= left:
        return
    said = f"{shown(name, 60)} has {size[0]}x{size[1]} pixels, which take about {needed / 2**30:.1f} GiB, and "
    said += f"{left / 2**30:.1f} are free"
    fits = int((max(left - kept, 0) / 2 / area / NEEDED) ** 0.5) - around  # half of it, for there are others
    raise UsageError(f"{said}; {f'give --tile {min(fits, 1024)}' if fits > 0 else 'no --tile helps: cut it in parts'}")


def _upscaler(path, debug):
    """Returns what makes pictures larger."""
    if path.suffix == ".keras":
        from keras_gen.signatures.signature import upscaler_of

        model = loaded(path, debug)
        signatures = model.signatures()
        name, *numbers = upscaler_of({key: one.meta for key, one in signatures.items()}, shown(path))
        output = signatures[name].meta["sample"]
        channels = signatures[name].inputs["source"].shape[-1]
        return Upscaler(lambda image: model.run(name, 1, source=image)[output], channels, *numbers)
    with terminal.hold(debug):  # the TFLite runtime greets
        file = exported.open_file(path)
        name, *numbers = file.upscaler()
        (shape, _), output = file.inputs(name)["source"], file.meta(name)["sample"]

    def make(image):
        with terminal.hold(debug):
            return file.run(name, source=image)[output]

    return Upscaler(make, shape[-1], *numbers)

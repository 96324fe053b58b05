"""`translate`: images made of images or of maps of classes, by a run or any file of one, without any data set."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen import images, terminal
from keras_gen.cli.sample import loaded
from keras_gen.data import formats, pictures, resize
from keras_gen.data.legend import Legend
from keras_gen.data.legend import read as read_map
from keras_gen.data.messages import notice
from keras_gen.errors import DamagedError, UsageError, near_misses
from keras_gen.files.runs import find
from keras_gen.files.writing import shown
from keras_gen.latent import sources
from keras_gen.signatures import exported
from keras_gen.signatures.classes import names_of
from keras_gen.signatures.law import count_of, given_of
from keras_gen.signatures.values import of_known_range

NEEDED = 4000  # bytes for each pixel, of a translator of the usual width


def run(options: argparse.Namespace) -> int:
    """Translates images and writes them.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    path = find(options.source)
    names, folder = inputs(Path(options.image))
    targets = outputs(names, folder, Path(options.output))
    translate, reading = _translator(path, options)
    with terminal.Progress("translating", len(names)) as progress:
        for name, output in zip(names, targets, strict=True):
            with of_known_range():
                made = translate(reading(name))
            write(output, made, path)
            progress.add(1)
    print(f"translated by {shown(path)}: {told(targets, folder, Path(options.output))}", flush=True)
    return 0


def read(path: Path, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Returns a picture as networks see it: turned by its EXIF orientation, and on white where it is transparent.

    Args:
        path: of the picture.
        channels: 1 (grey), 3 (RGB) or 4 (RGB and opacity).
        size: (height, width) that it is to have, if not its own.

    Returns:
        float32 (1, H, W, channels) in [-1, 1].

    Raises:
        DamagedError: it cannot be read.
    """
    pixels = _of_file(path, lambda file: pictures.decode(file, None, channels == 4).pixels)
    return images.from_uint8(resize.fit(pixels[None], size, channels))


def sides(path: Path) -> tuple[int, int]:
    """Returns the (height, width) of a picture, of which only the beginning is read.

    Raises:
        DamagedError: it cannot be read.
    """
    return _of_file(path, lambda file: pictures.header(file)[0])


def _of_file(path, what):
    try:
        with open(path, "rb") as file:
            return what(file)
    except pictures.errors() as error:
        reason = getattr(error, "strerror", None) or "it is no picture that is known"
        raise DamagedError(f"cannot read {shown(path)}: {reason}; expected {formats.NAMES}") from None


def _sides(path, longest):
    """Returns the (height, width) that a picture is translated in, if the memory that is free is enough."""
    height, width = sides(path)
    share = min(1.0, longest / max(height, width)) if longest else 1.0
    size = tuple(max(1, round(side * share)) for side in (height, width))
    left = free()
    needed = size[0] * size[1] * NEEDED
    if left and needed > left:
        fits = int((left / NEEDED / (height * width)) ** 0.5 * max(height, width))
        raise UsageError(
            f"{shown(path, 60)} has {height}x{width} pixels, which take about {needed / 2**30:.0f} GiB, "
            f"and {left / 2**30:.0f} are free; give --longest {fits}"
        )
    return size


def write(output: Path, made: np.ndarray, path: Path) -> None:
    """Writes the one image (1, H, W, C) that was made, uint8 or in [-1, 1], as PNG.

    Args:
        output: of the picture.
        made: the image.
        path: of what has made it, for messages.

    Raises:
        UsageError: an image of other channels than pictures have.
    """
    if made.shape[-1] not in (1, 3, 4):
        raise UsageError(f"{shown(path)} makes images of {made.shape[-1]} channels, which are no pictures")
    images.save_png(output, (made if made.dtype == np.uint8 else images.to_uint8(made))[0])


def told(targets: list[Path], folder: bool, output: Path) -> str:
    """Returns what the last line says of what was written."""
    return f"{shown(output)}: {len(targets)} images" if folder else shown(targets[0])


def free() -> int | None:
    """Returns the bytes of memory that are free, or None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            told = dict(line.split(":", 1) for line in file)
        return 1024 * int(told["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None


def inputs(path: Path) -> tuple[list[Path], bool]:
    """Returns the pictures, and whether they are those of a folder.

    Raises:
        UsageError: there is none.
    """
    if path.is_dir():
        names = sorted(name for name in path.iterdir() if name.is_file() and _is_picture(name))
        if not names:
            raise UsageError(f"{shown(path)} holds no picture; expected {formats.NAMES}")
        return names, True
    if not path.is_file():
        raise UsageError(f"{shown(path)} does not exist; give a picture, or a folder of them")
    return [path], False


def _is_picture(path):
    with open(path, "rb") as file:
        return formats.format_of(file.read(formats.HEAD), path.suffix) is not None


def outputs(names: list[Path], folder: bool, output: Path) -> list[Path]:
    """Returns where each picture that is made goes; never onto one that is read.

    Args:
        names: of the pictures that are read.
        folder: whether they are those of a folder.
        output: what was asked for.

    Raises:
        UsageError: it would.
    """
    if not folder and not (output.is_dir() or not output.suffix):
        if output.suffix.lower() != ".png":
            raise UsageError(f"-o {shown(output)} ends in {output.suffix}; give x.png, or a folder")
        found = [output]
    else:
        found = [output / f"{name.stem}.png" for name in names]
        if len(set(found)) < len(found):  # a.jpg and a.png
            found = [output / f"{name.name}.png" for name in names]
    taken = {os.path.realpath(name) for name in names}
    for path in found:
        if os.path.realpath(path) in taken:
            raise UsageError(f"-o {shown(output, 80)} would overwrite a picture that is read; give another place")
    return found


def _translator(path: Path, options: argparse.Namespace) -> tuple[Callable[[Any], Any], Callable[[Path], Any]]:
    """Returns the function from one image or map to an image, and the one that reads what it takes."""
    how: dict[str, Any] = {"to": options.to, "seed": options.seed}
    if path.suffix == ".keras":
        from keras_gen.signatures.signature import translator_of

        source = loaded(path, options.debug)
        signatures = source.signatures()
        name = translator_of({key: one.meta for key, one in signatures.items()}, options.to, shown(path))
        meta = signatures[name].meta
        shapes = {key: tuple(spec.shape) for key, spec in signatures[name].inputs.items()}
    else:
        with terminal.hold(options.debug):  # the TFLite runtime greets
            source = exported.open_file(path)
            name = source.translator(options.to)
            meta, shapes = source.meta(name), {key: shape for key, (shape, _) in source.inputs(name).items()}

    def translate(image):
        with terminal.hold(options.debug):
            return source.translate(image, **how)

    drawn = [key for key in shapes if f"{key}.law" in meta]
    for key, _ in options.inputs:
        if key not in drawn:
            known = near_misses(key, drawn) if drawn else "it has none: leave it out"
            raise UsageError(f"--set {key}: {shown(path, 60)} has no such input to be set; {known}")
    given, *others = given_of(meta)
    reading = _reading(meta, given, shapes[given], options)
    how |= {**dict(options.inputs), **_style(source, path, shapes, others, options)}
    return translate, reading


def _reading(meta: Mapping[str, str], given: str, shape: Sequence[int | None], options: argparse.Namespace):
    """Returns the function of a file to what a translator takes: an image, or a map of classes."""
    count = count_of(meta, given)
    if not count:
        return lambda path: read(path, shape[-1], _sides(path, options.longest))
    size = (shape[1], shape[2])
    if options.longest:
        raise UsageError(f"--longest is of models of any size, and this one paints {size[0]}x{size[1]}; leave it out")
    legend, told = Legend.of(names_of(meta, given), count), []

    def reading(path):
        found = read_map(path, legend)
        if found.shape != size and not told:
            told.append(path)
            was, now = ("x".join(map(str, sides)) for sides in (found.shape, size))
            notice(f"{shown(path, 60)} is {was}: maps are cropped and resized to {now}, the size of this model")
        return resize.nearest(found, size)[None]

    return reading


def _style(source, path, shapes, others, options) -> dict[str, np.ndarray]:
    """Returns what a translator takes of the picture that lends its style: the picture itself, or its latent.

    Raises:
        UsageError: the model needs a style, and there is none; or it takes none, or has no encoder of styles.
    """
    if options.style is None:
        if "style" in others:
            raise UsageError(f"{shown(path, 80)} takes the style of a picture; give --style painting.jpg")
        return {}
    if "style" in others:
        image = Path(options.style)
        return {"style": read(image, shapes["style"][-1], _sides(image, options.longest))}
    if "latent" not in shapes:
        raise UsageError(
            f"--style is of models that paint maps of classes or take the style of a picture, and {shown(path, 60)} is "
            "none; leave it out"
        )
    with terminal.hold(options.debug):
        try:
            encode = sources.encoder(source)
        except UsageError:
            way_out = "train it with --set style=True, or leave --style out"
            if path.suffix == ".onnx":
                way_out = "put its encode.onnx beside it, or leave --style out"
            raise UsageError(f"{shown(path, 80)} has no encoder of styles; {way_out}") from None
        _, *size, channels = encode.function.shapes["image"]
        image = read(Path(options.style), channels)[0]
        return {"latent": encode(resize.fit(image[None], tuple(size), channels))}

"""`explore`: pictures of a model's latent space, from a run, a `.keras`, an `.onnx` or a `.tflite` file."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_gen import images, latent, terminal
from keras_gen.cli import libraries
from keras_gen.errors import UsageError
from keras_gen.files import writing
from keras_gen.files.runs import SUFFIXES, find

TERMS = "0,1,2-3,4,5+6,7,8"
MOST_ROWS = 10  # of a traversal, when nobody says which coordinates


class Pictures(NamedTuple):
    """What an action draws.

    Args:
        sheet: (rows, columns, H, W, C), for a PNG.
        frames: (frames, n, H, W, C), for a GIF, which plays them there and back.
        columns: of a frame; a square when `None`.
        text: what there is to say about it.
    """

    sheet: np.ndarray
    frames: np.ndarray
    columns: int | None = None
    text: str = ""


def run(options: argparse.Namespace) -> int:
    """Draws the pictures and writes them.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    action = ACTIONS[options.action]
    for name in sorted(set().union(*(other.options for other in ACTIONS.values())) - action.options):
        if getattr(options, name) is not None:
            known = ", ".join(f"--{word.replace('_', '-')}" for word in sorted(action.options))
            raise UsageError(f"--{name.replace('_', '-')} is not for {options.action}; it takes {known}")
    path = find(options.source)
    typed = Path(options.source).suffix in SUFFIXES
    output = Path(options.output or (Path() if typed else path.parent) / f"{options.action}.png")
    if output.suffix not in (".png", ".gif") or output.is_dir():
        raise UsageError(f"-o {writing.shown(output)} is neither x.png nor x.gif; give one of those")
    if options.action == "project" and path.suffix != ".keras":
        raise UsageError(f"{writing.shown(path)} has no gradients to project with; give the run or its .keras file")
    if path.suffix == ".keras" or options.data is not None or options.action == "project":
        libraries.start(options.debug)
    with terminal.hold(options.debug):  # the TFLite runtime greets when it first computes
        source = latent.opened(path)
        decode = latent.decoder(source, options.input, seed=options.seed)
        decode(np.zeros((1, decode.dim), np.float32))
    pictures = action.draw(options, source, decode)
    if pictures.sheet.ndim != 5 or pictures.sheet.shape[-1] not in (1, 3):
        raise UsageError(f"{writing.shown(path)} makes {pictures.sheet.shape[2:]}, which is no picture")
    _write(output, pictures)
    told = f"{options.action} of {writing.shown(path)}, seed {options.seed}{pictures.text}"
    print(f"{told}: {writing.shown(output)}", flush=True)
    return 0


def _write(output, pictures):
    if output.suffix == ".png":
        rows, columns, *shape = pictures.sheet.shape
        sheet = images.grid(pictures.sheet.reshape(-1, *shape), columns, padding=2)
        images.save_png(output, images.enlarged(sheet, 512))
        return
    frames = [images.enlarged(images.grid(frame, pictures.columns, padding=2), 256) for frame in pictures.frames]
    images.save_gif(output, [*frames, *frames[-2:0:-1]])


# --- actions ---------------------------------------------------------------------------------------------------------


def _interpolate(options, source, decode):
    """From one sample to another, a row for each pair; with --data between real images, through the encoder."""
    rows, steps = options.n or 8, options.steps or 10
    if options.data is None:
        ends = decode.draw(2 * rows, options.seed)
    else:
        encode, decode = latent.autoencoder(source)
        ends = encode(_data(options, decode, 2 * rows), options.label)
    sheet = decode(latent.interpolate(ends[:rows], ends[rows:], steps, _how(options, decode)), options.label)
    return Pictures(sheet, sheet.swapaxes(0, 1))


def _manifold(options, source, decode):
    """A square of equally probable latents; where there are more than two coordinates, the others are a sample's."""
    axes = options.coordinates or [0, 1]
    if len(axes) != 2:
        raise UsageError(f"--coordinates names {len(axes)} of them; a manifold has two, such as 0,1")
    square = latent.manifold(options.steps or 16, decode.law, decode.draw(1, options.seed)[0], axes)
    sheet = decode(square, options.label)
    return Pictures(sheet, sheet.swapaxes(0, 1))


def _arithmetic(options, source, decode):
    """A row for each group of samples, its mean last; then the way from the first mean to the result."""
    groups = _terms(options.terms or TERMS)
    latents = decode.draw(1 + max(index for _, group in groups for index in group), options.seed)
    parts = [(sign, latents[group]) for sign, group in groups]
    plus, minus = ([part for sign, part in parts if sign == wanted] for wanted in "+-")
    means = [_mean(part, decode.law) for _, part in parts]
    steps = max(options.steps or 0, 1 + max(len(part) for _, part in parts))
    way = latent.interpolate(means[0], latent.arithmetic(plus, minus), steps, _how(options, decode))
    walk = decode(way, options.label)
    rows = []
    for (_, part), mean in zip(parts, means, strict=True):
        made = decode(np.concatenate([part, mean[None]]), options.label)
        rows.append(np.full((steps, *made.shape[1:]), -1, np.float32))
        rows[-1][: len(part)], rows[-1][-1] = made[:-1], made[-1]
    return Pictures(np.stack([*rows, walk]), walk[:, None])


def _traverse(options, source, decode):
    """A row for each coordinate, which takes all its values while the others stay as in one sample."""
    coordinates = options.coordinates or list(range(min(decode.dim, MOST_ROWS)))
    values = latent.span(decode.law, options.steps or 11, options.reach)
    start = decode.draw(1, options.seed)[0]
    sheet = decode(np.stack([latent.traverse(start, one, values) for one in coordinates]), options.label)
    return Pictures(sheet, sheet.swapaxes(0, 1))


def _project(options, source, decode):
    """A row for each image: the image, then what the latents made on their way, from the best start to the end."""
    wanted = _data(options, decode, options.n or 8)
    found = latent.project(
        source, wanted, options.steps or 300, label=options.label, seed=options.seed, name=options.input
    )
    way = decode(found.way, None if options.label is None else np.full(found.way.shape[:2], options.label))
    sheet = np.concatenate([wanted[:, None], way], axis=1)
    frames = np.stack([np.concatenate([wanted, step]) for step in way.swapaxes(0, 1)])
    error = f", mean squared error {found.errors.mean():.4f} (of a gray image: {np.square(wanted).mean():.4f})"
    return Pictures(sheet, frames, columns=len(wanted), text=error)


class _Action(NamedTuple):
    draw: Callable[[argparse.Namespace, Any, latent.Decoder], Pictures]
    options: frozenset[str]


ACTIONS = {
    "interpolate": _Action(_interpolate, frozenset({"n", "steps", "how", "data", "split", "label"})),
    "manifold": _Action(_manifold, frozenset({"steps", "coordinates", "label"})),
    "arithmetic": _Action(_arithmetic, frozenset({"terms", "steps", "how", "label"})),
    "traverse": _Action(_traverse, frozenset({"coordinates", "steps", "reach", "label"})),
    "project": _Action(_project, frozenset({"n", "steps", "data", "split", "label"})),
}


def _how(options, decode):
    return options.how or ("lerp" if decode.law == "uniform" else "slerp")


def _mean(part, law):
    """Returns the mean of a group for display."""
    mean = part.mean(0)
    if law != "normal" or not mean.any():
        return mean
    # The mean of k normal latents is shorter than they are by the root of k, and generators show that as gray.
    return mean * (np.linalg.norm(part, axis=1).mean() / np.linalg.norm(mean))


def _terms(text):
    """Parses `0,1-2+3` into signs and lists of sample numbers."""
    if not re.fullmatch(r"\d{1,5}(,\d{1,5})*([+-]\d{1,5}(,\d{1,5})*)*", text):
        raise UsageError(f"--terms {writing.shown(text, 40)} is not of the form {TERMS} (numbers of samples)")
    return [
        (sign or "+", [int(index) for index in group.split(",")])
        for sign, group in re.findall(r"([+-]?)([\d,]+)", text)
    ]


def _data(options, decode, count):
    """Returns real images of the model's size."""
    from keras_gen.data import examples

    height, width, channels = decode(np.zeros((1, decode.dim), np.float32), options.label).shape[1:]
    name, split = options.data or "digits", options.split or "test"
    found = examples(name, split, image_size=(height, width), channels=channels)
    if len(found) < count:
        raise UsageError(f"{writing.shown(name, 40)} has {len(found)} images in {split}, and {count} are needed")
    return next(iter(found.dataset(count, options.seed)))["image"].numpy()

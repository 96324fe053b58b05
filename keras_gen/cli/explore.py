"""`explore`: pictures of a model's latent space, from a run, a `.keras`, an `.onnx` or a `.tflite` file."""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_gen import images, latent, terminal
from keras_gen.cli import given, libraries
from keras_gen.errors import UsageError
from keras_gen.files import writing
from keras_gen.files.runs import SUFFIXES, find
from keras_gen.signatures import classes

TERMS = "0,1,2-3,4,5+6,7,8"
MOST_ROWS = 10  # of a traversal, when nobody says which coordinates
BETWEEN, LOWEST = 2, 18  # pixels between two images of a sheet; the least height of a row with letters beside it


class Pictures(NamedTuple):
    """What an action draws.

    Args:
        sheet: (rows, columns, H, W, C), for a PNG.
        frames: (frames, n, H, W, C), for a GIF, which plays them there and back.
        columns: of a frame; a square when `None`.
        text: what there is to say about it.
        rows: what each row of the sheet is, written beside it.
        heads: what each column is, written above it.
        legend: lines that say the same at more length, printed.
    """

    sheet: np.ndarray
    frames: np.ndarray
    columns: int | None = None
    text: str = ""
    rows: Sequence[str] = ()
    heads: Sequence[str] = ()
    legend: Sequence[str] = ()


class Axes(NamedTuple):
    """What a traversal or a manifold moves.

    Args:
        vectors: (k, d) of unit length.
        names: of each.
        rows: what is written beside the row of each.
        reach: how far from 0.
        law: of the latents that must not leave its range; `None` where they may.
        legend: what they are.
    """

    vectors: np.ndarray
    names: Sequence[str]
    rows: Sequence[str]
    reach: float
    law: str | None
    legend: Sequence[str] = ()


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
            known = ", ".join(_flag(word) for word in sorted(action.options))
            raise UsageError(f"{_flag(name)} is not for {options.action}; it takes {known}")
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
        told = _settle_label(options, classes.names_of(decode.function.meta))
        decode(np.zeros((1, decode.dim), np.float32))
    pictures = action.draw(options, source, decode)
    if pictures.sheet.ndim != 5 or pictures.sheet.shape[-1] not in (1, 3, 4):
        raise UsageError(
            f"{writing.shown(path)} makes {pictures.sheet.shape[2:]}, no picture; explore is for models of images"
        )
    _write(output, pictures)
    white = ", on white, since a GIF has no opacity" if (output.suffix, pictures.sheet.shape[-1]) == (".gif", 4) else ""
    told = f"{options.action} of {writing.shown(path)}{told}, seed {options.seed}{pictures.text}{white}"
    print("\n  ".join([f"{told}: {writing.shown(output)}", *pictures.legend]), flush=True)
    return 0


def _settle_label(options, names):
    """Turns the class that was asked for into its number, and returns what the answer says of it."""
    if options.label is None:
        return ""
    found = classes.indices(options.label, names)
    if len(found) > 1:
        raise UsageError(f"--label {writing.shown(options.label, 40)} is several classes; give one")
    options.label = found[0]
    told = classes.told(found, names)
    return f", {told}" if told else ""


def _flag(name):
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


def _write(output, pictures):
    if output.suffix == ".png":
        rows, columns, height, *rest = pictures.sheet.shape
        sheet = images.grid(pictures.sheet.reshape(-1, height, *rest), columns, padding=BETWEEN)
        # Large enough for a line of letters beside each row.
        factor = max(-(-512 // max(sheet.shape[:2])), -(-LOWEST // height) if any(pictures.rows) else 1)
        sheet = images.enlarged(sheet, factor * max(sheet.shape[:2]))
        images.save_png(output, images.labelled(sheet, pictures.rows, pictures.heads, factor * BETWEEN))
        return
    frames = [images.enlarged(images.grid(frame, pictures.columns, padding=BETWEEN), 256) for frame in pictures.frames]
    images.save_gif(output, [*frames, *frames[-2:0:-1]])


# --- actions ---------------------------------------------------------------------------------------------------------


def _interpolate(options, source, decode):
    """From one sample to another, a row for each pair; with --data between real images, through the encoder."""
    rows, steps = options.n or 8, options.steps or 10
    if options.data is None:
        ends, what = decode.draw(2 * rows, options.seed), "samples"
    else:
        encode, decode = latent.autoencoder(source)
        ends, what = encode(_data(options, decode, 2 * rows), options.label), "reconstructions of real images"
    how = _how(options, decode)
    sheet = decode(latent.interpolate(ends[:rows], ends[rows:], steps, how), options.label)
    names = [f"{row} to {row + rows}" for row in range(rows)]
    beside = [f"{'sample' if options.data is None else 'image'} {name}" for name in names]
    legend = [f"rows from above, between {what} ({how}): {_listed(names)}"]
    return Pictures(sheet, sheet.swapaxes(0, 1), rows=beside, legend=legend)


def _manifold(options, source, decode):
    """A square of latents, equally probable; where there are more than two coordinates, all else is a sample's."""
    if options.coordinates and len(options.coordinates) != 2:
        raise UsageError(f"--coordinates names {len(options.coordinates)} of them; a manifold has two, such as 0,1")
    if options.coordinates and options.coordinates[0] == options.coordinates[1]:
        raise UsageError(f"--coordinates names {options.coordinates[0]} twice; a manifold has two, such as 0,1")
    axes, origin, steps = _axes(options, decode, 2), decode.draw(1, options.seed)[0], options.steps or 16
    values = latent.quantiles(decode.law, steps) * (1 if decode.law == "normal" else axes.reach)
    right, up = np.meshgrid(values, values[::-1])
    sheet = decode(latent.along(origin, axes.vectors, np.stack([right, up], axis=-1), axes.law), options.label)
    across, above = axes.names
    legend = [f"to the right {across}, upward {above}, each from {values[0]:.2g} to {values[-1]:.2g}", *axes.legend]
    heads, rows = _ends(values, across), _ends(values[::-1], above)
    return Pictures(sheet, sheet.swapaxes(0, 1), rows=rows, heads=heads, legend=legend)


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
        rows.append(np.full((steps, *made.shape[1:]), np.nan, np.float32))  # nothing, but where there is something
        rows[-1][: len(part)], rows[-1][-1] = made[:-1], made[-1]
    words = {"+": "plus ", "-": "minus "}  # but the first group, whose sign nobody writes
    names = [_listed([str(index) for index in group], most=6) for _, group in groups]
    texts = [
        f"{words[sign] if row else 'samples '}{name}"
        for row, ((sign, _), name) in enumerate(zip(groups, names, strict=True))
    ]
    legend = [
        f"{'; '.join(texts)}: a row each, their mean last",
        f"last row: from the mean of {names[0]} to the result",
    ]
    heads = [*[""] * (steps - 1), "mean"]
    return Pictures(
        np.stack([*rows, walk]), walk[:, None], rows=[*texts, "first mean\nto result"], heads=heads, legend=legend
    )


def _traverse(options, source, decode):
    """A row for each direction or coordinate, which takes all its values while all else stays as in one sample."""
    axes = _axes(options, decode, min(decode.dim, MOST_ROWS))
    values = latent.span(decode.law, options.steps or 11, axes.reach)
    start = decode.draw(1, options.seed)[0]
    rows = [latent.along(start, vector[None], values[:, None], axes.law) for vector in axes.vectors]
    sheet = decode(np.stack(rows), options.label)
    legend = [f"rows from above: {_listed(axes.names)}, each from {values[0]:.2g} to {values[-1]:.2g}", *axes.legend]
    return Pictures(sheet, sheet.swapaxes(0, 1), rows=axes.rows, heads=_ends(values), legend=legend)


def _project(options, source, decode):
    """A row for each image: the image, then what the latents made on their way, from the best start to the end."""
    wanted = _data(options, decode, options.n or 8, least=options.n or 1)
    found = latent.project(
        source, wanted, options.steps or 300, label=options.label, seed=options.seed, name=options.input
    )
    way = decode(found.way, None if options.label is None else np.full(found.way.shape[:2], options.label))
    sheet = np.concatenate([wanted[:, None], way], axis=1)
    frames = np.stack([np.concatenate([wanted, step]) for step in way.swapaxes(0, 1)])
    error = f", mean squared error {found.errors.mean():.4f} (of a gray image: {np.square(wanted).mean():.4f})"
    heads = ["real", "start", *[""] * (sheet.shape[1] - 3), "end"]
    return Pictures(sheet, frames, columns=len(wanted), text=error, heads=heads)


def _mix(options, source, decode):
    """Crosses samples: coarse layers have the style of the row, those from the cut on that of the column."""
    if decode.name != "style":
        try:
            decode = latent.decoder(source, "style", seed=options.seed)
        except UsageError:
            raise UsageError("mix is of styles: of models with map and synthesize, such as stylegan2") from None
    count = options.n or 6
    w = decode.draw(2 * count, options.seed, options.label)
    fine = options.coordinates or list(range(decode.layers // 2, decode.layers))
    if not set(fine) <= set(range(decode.layers)):
        raise UsageError(f"layer {max(fine)} does not exist; expected 0 to {decode.layers - 1}")
    rows, columns = np.repeat(w[:, None], decode.layers, axis=1).reshape(2, count, decode.layers, decode.dim)
    inner, left, above = (decode.painted(part) for part in (latent.style_grid(rows, columns, fine), rows, columns))
    corner = np.full((1, *above.shape[1:]), np.nan, np.float32)
    sheet = np.concatenate([np.concatenate([corner, above])[None], np.concatenate([left[:, None], inner], axis=1)])
    names = [f"sample {number}" for number in range(2 * count)]
    legend = [f"layers {_listed(list(map(str, fine)))} of the column's sample, the others of the row's"]
    return Pictures(sheet, sheet.swapaxes(0, 1), rows=["", *names[:count]], heads=["", *names[count:]], legend=legend)


class _Action(NamedTuple):
    draw: Callable[[argparse.Namespace, Any, latent.Decoder], Pictures]
    options: frozenset[str]


ACTIONS = {
    "interpolate": _Action(
        _interpolate, frozenset({"n", "steps", "how", "data", "split", "range", "skip_damaged", "label"})
    ),
    "manifold": _Action(_manifold, frozenset({"steps", "coordinates", "label"})),
    "arithmetic": _Action(_arithmetic, frozenset({"terms", "steps", "how", "label"})),
    "traverse": _Action(_traverse, frozenset({"coordinates", "steps", "reach", "label"})),
    "mix": _Action(_mix, frozenset({"n", "coordinates", "label"})),
    "project": _Action(_project, frozenset({"n", "steps", "data", "split", "range", "skip_damaged", "label"})),
}


def _axes(options, decode, count):
    """Returns the coordinates that are asked for, or all where there are two; else the directions that change most."""
    plain = options.coordinates or (list(range(decode.dim)) if decode.dim <= 2 else None)
    if plain:
        for coordinate in plain:
            if not 0 <= coordinate < decode.dim:
                raise UsageError(f"coordinate {coordinate} does not exist; expected 0 to {decode.dim - 1}")
        vectors, legend = np.eye(decode.dim, dtype=np.float32)[plain], []
        names = rows = [f"coordinate {k}" for k in plain]
    else:
        with terminal.hold(options.debug):
            found = latent.directions(decode, count, seed=options.seed, label=options.label)
        vectors, names = found.vectors, [f"direction {number + 1}" for number in range(count)]
        shares = [_percent(share) for share in found.shares]
        rows = [f"{name}, {share}" for name, share in zip(names, shares, strict=True)]
        legend = [f"directions that change the images most: {_listed(shares)} of their variance"]
        legend += ["(--coordinates 0,1 moves coordinates of the latents instead)"]
    reach = options.reach or latent.reach(decode.law, vectors)
    # Whoever asks for a reach, or for coordinates, gets it; a direction stays where the network was trained.
    return Axes(vectors, names, rows, reach, None if options.reach or plain else decode.law, legend)


def _percent(share):
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1g} %" if share > 1e-5 else "0 %"


def _listed(names, most=4):
    """Joins names, of many the first two and the last only."""
    return ", ".join(names if len(names) <= most else [*names[:2], "...", names[-1]])


def _ends(values, name=""):
    """Returns texts for the ends of an axis, and its name in the middle."""
    if len(values) < 3:
        return [f"{value:.2g}" for value in values]
    texts = [""] * len(values)
    texts[0], texts[len(values) // 2], texts[-1] = f"{values[0]:.2g}", name, f"{values[-1]:.2g}"
    return texts


def _how(options, decode):
    return options.how or ("slerp" if decode.law == "normal" else "lerp")


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


def _data(options, decode, count, least=None):
    """Returns real images of the model's size: of files whose test split is too small, any of them."""
    from keras_gen.cli.settings import images_of

    height, width, channels = decode(np.zeros((1, decode.dim), np.float32), options.label).shape[1:]
    name, split = options.data or "digits", options.split or "test"
    how = {"image_size": (height, width), "channels": channels, **given.reading(vars(options))}
    found = images_of("images", name, split, **how)
    if len(found) < count and options.split is None and Path(name).expanduser().exists():
        split = "all"
        found = images_of("images", name, split, **how)
    if len(found) < (least or count):
        raise UsageError(f"{writing.shown(name, 40)} has {len(found)} images in {split}, and {count} are needed")
    return next(iter(found.dataset(min(count, len(found)), options.seed)))["image"].numpy()

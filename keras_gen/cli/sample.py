"""`sample`: images or texts from a run, a `.keras`, an `.onnx` or a `.tflite` file."""

import argparse
import collections
import inspect
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen import images, terminal
from keras_gen.cli import libraries, pages
from keras_gen.errors import UsageError, near_misses
from keras_gen.files import writing
from keras_gen.files.runs import SUFFIXES, find
from keras_gen.files.sets import beside
from keras_gen.signatures import classes, exported

ELSEWHERE = {"n": "-n", "seed": "--seed", "label": "--label", "batch_size": "--batch-size"}


def run(options: argparse.Namespace) -> int:
    """Draws samples and writes them.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    for name, _ in options.inputs:
        if name in ELSEWHERE:
            raise UsageError(f"--set {name}=... is not how to choose it; give {ELSEWHERE[name]}")
    path = find(options.source)
    model = loaded(path, options.debug) if path.suffix == ".keras" else None
    if getattr(model, "tokenizer", None):
        return _texts(path, model, options)
    if options.prompt is not None:
        raise UsageError(f"--prompt is of text, which {writing.shown(path)} does not make; leave it out")
    options.n = options.n or 64
    typed = Path(options.source).suffix in SUFFIXES
    output = Path(options.output or ("grid.png" if typed else path.parent / "grid.png"))
    write = writer(output)
    inputs = dict(options.inputs)
    if model:
        names = model.class_names
        label, told = _chosen(options.label, names, options.n)
        samples = from_keras(model, options.n, options.seed, label, options.batch_size, **inputs)
    else:
        with terminal.hold(options.debug):  # the TFLite runtime greets
            file = exported.open_file(path)
            names = classes.names_of(file.meta(file.sampler()))
            label, told = _chosen(options.label, names, options.n)
            samples = file.sample(options.n, options.seed, label, options.batch_size, **inputs)
        samples = {"image": next(value for name, value in samples.items() if name != "label"), **samples}
    write(output, samples, options.columns, names)
    told = f"{writing.shown(path)}{told}, seed {options.seed}"
    print(f"{options.n} samples of {told}: {writing.shown(output)}", flush=True)
    return 0


def _chosen(text, names, n):
    """Returns the classes that were asked for, one or one for each sample, and what the answer says of them."""
    if text is None:
        return None, ""
    found = classes.indices(text, names)
    told = classes.told(found, names)
    return found[0] if len(found) == 1 else np.resize(found, n).tolist(), f", {told}" if told else ""


def loaded(path: Path, debug: bool) -> Any:
    """Returns the model of a `.keras` file; `debug` lets the libraries' messages through."""
    libraries.start(debug)
    from keras_gen.files.loading import load

    return load(path)


def _texts(path, model, options):
    """Continues a prompt, n times."""
    output = Path(options.output) if options.output else None
    if output and output.suffix not in pages.SUFFIXES:
        raise UsageError(f"-o {writing.shown(output)} is no file of texts; give x.txt, x.json or x.png")
    known = [name for name in inspect.signature(model.generate).parameters if name not in ("prompt", "n", "seed")]
    inputs = dict(options.inputs)
    for name in inputs:
        if name not in known:
            raise UsageError(f"--set {name}: a text has no {name!r}; {near_misses(name, known)}")
    told = ""
    if options.label is not None:
        inputs["label"], told = _chosen(options.label, model.class_names, options.n or 1)
    how = {"n": options.n or 1, "seed": options.seed, "batch_size": options.batch_size, **inputs}
    made = model.generate(options.prompt, **how)
    pages.write(output, made if options.prompt is not None else [model.text(row) for row in made])
    if output:
        told = f"{writing.shown(path)}{told}, seed {options.seed}"
        print(f"{how['n']} texts of {told}: {writing.shown(output)}", flush=True)
    return 0


def from_keras(
    model: Any, n: int, seed: int, label: int | Sequence[int] | None, batch_size: int, **inputs: Any
) -> dict[str, np.ndarray]:
    """Draws from a model.

    Args:
        model: a `keras_gen.GenerativeModel`.
        n: number of samples.
        seed: of the draws.
        label: of all samples, or one for each, or `None`.
        batch_size: samples computed at once.
        **inputs: of the sampler that are not to be drawn.

    Returns:
        `image`, and `label` for a conditional model.
    """
    from keras_gen.signatures.draws import sample_inputs

    samples = {"image": model.sample(n, seed=seed, label=label, batch_size=batch_size, **inputs)}
    for signature in model.signatures().values():
        if "sample" in signature.meta and "label" in signature.inputs:
            shapes = {name: spec.shape.as_list() for name, spec in signature.inputs.items()}
            samples["label"] = sample_inputs(shapes, signature.meta, n, seed, label)["label"]
    return samples


def writer(output: Path):
    """Returns the function that writes to this path: `(path, samples, columns, names of the classes)`.

    Raises:
        UsageError: a suffix that is not known.
    """
    if output.suffix == ".npz":
        return _arrays
    if output.suffix == ".png" and not output.is_dir():
        return _grid
    if not output.suffix or output.is_dir():
        return _singles
    raise UsageError(
        f"-o {writing.shown(output)} ends in {output.suffix}; give x.png, x.npz, or a folder for single PNGs"
    )


def _pictures(samples):
    image = samples["image"]
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4):
        raise UsageError(f"samples of shape {image.shape[1:]} are no pictures; write them to an .npz file: -o x.npz")
    return image


def _grid(output, samples, columns, names=()):
    images.save_png(output, images.enlarged(images.grid(_pictures(samples), columns, padding=2), 512))


def _singles(output, samples, columns, names=()):
    """Writes a file for each sample, in a folder for each class where the classes have names."""
    pictures = images.pixels(_pictures(samples))
    digits = max(4, len(str(len(pictures) - 1)))
    folders = [output / name for name in folder_names(names)] if "label" in samples and names else None
    for index, picture in enumerate(pictures):
        folder = folders[int(samples["label"][index])] if folders else output
        images.save_png(folder / f"{index:0{digits}}.png", picture)


def folder_names(names: Sequence[str]) -> list[str]:
    """Returns names of classes as names of folders that every system takes, and that are read as classes again."""
    plain = [re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", name).strip(" .")[:80] for name in names]
    plain = [f"class {index}" if not name or beside(name) else name for index, name in enumerate(plain)]
    low = collections.Counter(name.lower() for name in plain)
    return [f"{name} ({index})" if low[name.lower()] > 1 else name for index, name in enumerate(plain)]


def _arrays(output, samples, columns, names=()):
    out = io.BytesIO()
    held = {name: samples[name] for name in ("image", "label") if name in samples}
    held |= {"class_names": np.array(names)} if "label" in held and names else {}
    np.savez_compressed(out, **held)
    writing.write(output, out.getvalue())

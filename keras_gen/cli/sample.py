"""`sample`: images or texts from a run, a `.keras`, an `.onnx` or a `.tflite` file."""

import argparse
import inspect
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen import images, terminal
from keras_gen.cli import libraries, pages
from keras_gen.errors import UsageError, near_misses
from keras_gen.files import writing
from keras_gen.files.runs import SUFFIXES, find
from keras_gen.signatures import exported

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
    label = options.label
    if label is not None:
        label = label[0] if len(label) == 1 else np.resize(label, options.n).tolist()
    inputs = dict(options.inputs)
    if model:
        samples = from_keras(model, options.n, options.seed, label, options.batch_size, **inputs)
    else:
        with terminal.hold(options.debug):  # the TFLite runtime greets
            samples = exported.open_file(path).sample(options.n, options.seed, label, options.batch_size, **inputs)
        samples = {"image": next(value for name, value in samples.items() if name != "label"), **samples}
    write(output, samples, options.columns)
    print(f"{options.n} samples of {writing.shown(path)}, seed {options.seed}: {writing.shown(output)}", flush=True)
    return 0


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
    if options.label is not None:
        inputs["label"] = options.label
    how = {"n": options.n or 1, "seed": options.seed, "batch_size": options.batch_size, **inputs}
    made = model.generate(options.prompt, **how)
    pages.write(output, made if options.prompt is not None else [model.text(row) for row in made])
    if output:
        print(f"{how['n']} texts of {writing.shown(path)}, seed {options.seed}: {writing.shown(output)}", flush=True)
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
    """Returns the function that writes to this path: `(path, samples, columns)`.

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
    if image.ndim != 4 or image.shape[-1] not in (1, 3):
        raise UsageError(f"samples of shape {image.shape[1:]} are no pictures; write them to an .npz file: -o x.npz")
    return image


def _grid(output, samples, columns):
    images.save_png(output, images.enlarged(images.grid(_pictures(samples), columns, padding=2), 512))


def _singles(output, samples, columns):
    pictures = images.to_uint8(_pictures(samples))
    digits = max(4, len(str(len(pictures) - 1)))
    for index, picture in enumerate(pictures):
        images.save_png(output / f"{index:0{digits}}.png", picture)


def _arrays(output, samples, columns):
    out = io.BytesIO()
    np.savez_compressed(out, **{name: samples[name] for name in ("image", "label") if name in samples})
    writing.write(output, out.getvalue())

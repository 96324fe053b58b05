"""`sample`: images from a run, a `.keras`, an `.onnx` or a `.tflite` file."""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen import exported, files, images, quiet
from keras_gen.cli import libraries
from keras_gen.cli.find import SUFFIXES, find
from keras_gen.errors import UsageError


def run(options: argparse.Namespace) -> int:
    """Draws samples and writes them.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    path = find(options.source)
    typed = Path(options.source).suffix in SUFFIXES
    output = Path(options.output or ("grid.png" if typed else path.parent / "grid.png"))
    write = writer(output)
    label = options.label
    if label is not None:
        label = label[0] if len(label) == 1 else np.resize(label, options.n).tolist()
    inputs = dict(options.inputs)
    if path.suffix == ".keras":
        samples = from_keras(path, options.n, options.seed, label, options.batch_size, options.debug, **inputs)
    else:
        with quiet.hold(options.debug):  # the TFLite runtime greets
            samples = exported.open_file(path).sample(options.n, options.seed, label, options.batch_size, **inputs)
        samples = {"image": next(value for name, value in samples.items() if name != "label"), **samples}
    write(output, samples, options.columns)
    print(f"{options.n} samples of {files.shown(path)}, seed {options.seed}: {files.shown(output)}", flush=True)
    return 0


def from_keras(
    path: Path,
    n: int,
    seed: int,
    label: int | Sequence[int] | None,
    batch_size: int,
    debug: bool = False,
    **inputs: Any,
) -> dict[str, np.ndarray]:
    """Draws from a `.keras` file.

    Args:
        path: of the file.
        n: number of samples.
        seed: of the draws.
        label: of all samples, or one for each, or `None`.
        batch_size: samples computed at once.
        debug: let the libraries' messages through.
        **inputs: of the sampler that are not to be drawn.

    Returns:
        `image`, and `label` for a conditional model.
    """
    libraries.start(debug)
    import keras_gen
    from keras_gen.draws import sample_inputs

    model = keras_gen.load(path)
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
        f"-o {files.shown(output)} ends in {output.suffix}; give x.png, x.npz, or a folder for single PNGs"
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
    files.write(output, out.getvalue())

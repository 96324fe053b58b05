"""Mixes styles: each row keeps what its image is like at large, each column what its image is like in detail.

python examples/style_mixing.py --model stylegan2 --output mixing.png

The model is a run of `stylegan`, `stylegan2` or `stylegan3`, a `.keras` file, or an exported one: `model.tflite`, or
any `.onnx` of the folder that `python -m keras_gen export` writes. Only two of its signatures are called, `map`, which
makes styles of latents, and `synthesize`, which makes images of styles.

A style is a vector for each layer. The first column shows the images of the rows' latents, the first row those of the
columns'. Every other image has the styles of its row in the first layers, `--coarse` of them, which are of coarse maps,
and the styles of its column in the others. Noise is the same in all. The last line says what each part decides: how far
images are from those of their row and of their column, over the distance of two images that share nothing.
"""

import argparse
from pathlib import Path

import numpy as np

import keras_gen
from keras_gen import draws, exported, images

NAMES = ("map", "synthesize")


def main(argv: list[str] | None = None) -> None:
    """Draws the picture and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", required=True, help="run, or file: .keras, .onnx or .tflite")
    parser.add_argument("--rows", type=int, default=4, help="images whose coarse styles are kept (default: 4)")
    parser.add_argument("--columns", type=int, default=6, help="images whose fine styles are kept (default: 6)")
    parser.add_argument("--coarse", type=int, help="layers that follow the row (default: half of them)")
    parser.add_argument("--truncation", type=float, default=0.7, help="psi, 1 for none (default: 0.7)")
    parser.add_argument("--seed", type=int, default=0, help="of latents and noise (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("mixing.png"), help="picture (default: mixing.png)")
    options = parser.parse_args(argv)
    if options.rows < 1 or options.columns < 1:
        parser.error(f"--rows {options.rows} and --columns {options.columns}; expected at least 1 of each")
    functions = opened(options.model, parser)

    count = options.rows + options.columns
    shapes, meta, call = functions["map"]
    styles = call(draws.sample_inputs(shapes, meta, count, options.seed, truncation=options.truncation))["style"]
    layers = styles.shape[1]
    coarse = layers // 2 if options.coarse is None else options.coarse
    if not 0 <= coarse <= layers:
        parser.error(f"--coarse is {coarse}; the model has {layers} layers with a style: give 0 to {layers}")
    rows, columns = styles[: options.rows], styles[options.rows :]  # (n, layers, d)
    mixed = np.array([np.concatenate([row[:coarse], column[coarse:]]) for row in rows for column in columns])

    shapes, meta, call = functions["synthesize"]
    rest = {name: shape for name, shape in shapes.items() if name != "style"}
    held = draws.sample_inputs(rest, meta, 1, options.seed) if rest else {}

    def drawn(styles):
        return call({"style": styles, **{name: np.repeat(value, len(styles), 0) for name, value in held.items()}})

    of_rows, of_columns, mixed = (drawn(part)["image"] for part in (rows, columns, mixed))
    mixed = mixed.reshape(options.rows, options.columns, *mixed.shape[1:])
    nothing = np.full_like(of_rows[0], np.nan)
    sheet = [nothing, *of_columns]
    for image, line in zip(of_rows, mixed, strict=True):
        sheet += [image, *line]
    picture = images.grid(np.array(sheet), options.columns + 1)
    images.save_png(options.output, images.enlarged(picture, 512))
    apart = distance(of_rows[:, None], of_columns[None])
    shares = distance(mixed, of_rows[:, None]) / apart, distance(mixed, of_columns[None]) / apart
    print(
        f"{coarse} of {layers} layers follow the row: images are {shares[0]:.0%} as far from those of their row as two "
        f"that share nothing, and {shares[1]:.0%} as far from those of their column: {options.output}"
    )


def distance(ones, others):
    """Returns the root mean squared difference of images (..., H, W, C)."""
    return float(np.sqrt(np.mean(np.square(ones - others)))) or 1e-12


def opened(source, parser):
    """Returns shapes of inputs, metadata and call of both signatures, of a run or of a file."""
    path = Path(source)
    if path.suffix in (".onnx", ".tflite"):
        files = {name: exported.open_file(path.with_stem(name) if path.suffix == ".onnx" else path) for name in NAMES}
        if not all(name in file.signatures for name, file in files.items()):
            parser.error(f"{source} has no styles; give a model such as stylegan2")
        return {
            name: (
                {key: shape for key, (shape, _) in file.inputs(name).items()},
                file.meta(name),
                lambda inputs, name=name, file=file: file.run(name, **inputs),
            )
            for name, file in files.items()
        }
    model = keras_gen.load(source)
    signatures = model.signatures()
    if not all(name in signatures for name in NAMES):
        parser.error(f"{source} has no styles, only {', '.join(signatures)}; give a model such as stylegan2")
    return {
        name: (
            {key: tuple(spec.shape.as_list()) for key, spec in signatures[name].inputs.items()},
            signatures[name].meta,
            lambda inputs, name=name: model.run(name, **inputs),
        )
        for name in NAMES
    }


if __name__ == "__main__":
    main()

"""Makes digits of their edges, learned from pairs, and inverts digits, learned without any pair, from exported files.

python examples/translate_digits.py --output translate_digits

It takes five minutes on two cores and needs no network. A pix2pix learns from digits and their edges (the magnitude of
Sobel's gradient); a CycleGAN from two sets, digits and *other* digits inverted, of which no two belong together: that
the inverse keeps the digit is nothing but the way there and back. Both are exported, and what translates the test
images is onnxruntime alone.

The table shows the mean difference from the right answer, for pixels in [-1, 1], beside what needs no GAN: the source
itself, the median of all targets and the best linear filter of 3x3 pixels; for the CycleGAN also how many digits a
classifier reads as the same ones.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import export.onnx
import keras_gen
from keras_gen import exported, images, metrics

SHOWN = 16
SIZE = {"image_size": 28, "channels": 1}


def main(argv: list[str] | None = None) -> None:
    """Trains both, exports them, translates test images, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=800, help="train steps of each model, of 16 (default: 800)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("translate_digits"), help="folder (default: its name)")
    options = parser.parse_args(argv)

    edges, digits = both(keras_gen.data.pairs("digits", "test", **SIZE))
    train = keras_gen.data.pairs("digits", "train", **SIZE)
    pix2pix = {"width": 16, "strided": 1, "dropout": 0.0}
    drawn = translated("pix2pix", train, options, edges, "translate", pix2pix)
    known = both(train)
    rows = {
        "the source itself": (apart(edges, digits), apart(digits, -digits)),
        "the median target": tuple(apart(np.median(part, axis=0), part) for part in (digits, -digits)),
        "the best linear filter of 3x3": (apart(filtered(edges, *known), digits), None),
    }
    unpaired = keras_gen.data.pairs("digits", "train", kind="unpaired", **SIZE)
    cyclegan = {"width": 16, "blocks": 2, "strided": 1, "upsample": "resize"}
    inverted = translated("cyclegan", unpaired, options, digits, "a_to_b", cyclegan)
    rows["translated, by the ONNX files"] = (apart(drawn, digits), apart(inverted, -digits))
    print(f"{'difference, of test images':<42} {'from edges':>10} {'inverted':>10}")
    for name, figures in rows.items():
        print(f"{name:<42} " + " ".join(f"{'' if one is None else f'{one:.3f}':>10}" for one in figures))
    judge = metrics.NeighborJudge.for_data("digits", **SIZE)
    labels = keras_gen.data.examples("digits", "test", **SIZE).arrays["label"]
    right = np.mean(judge.labels(-inverted) == labels)
    print(f"inverted digits whose inverse is read as their class: {right:.1%} (of real digits {judge.accuracy:.1%})")
    sheet = images.grid(np.concatenate([part[:SHOWN] for part in (edges, drawn, digits, inverted)]), SHOWN)
    images.save_png(options.output / "translated.png", images.enlarged(sheet, 800))
    print(f"\nLook at {options.output / 'translated.png'}: edges, what was drawn of them, the digits, and inverted.")


def both(examples: keras_gen.data.Examples) -> tuple[np.ndarray, np.ndarray]:
    """Returns sources and targets, float32 in [-1, 1]."""
    return tuple(images.from_uint8(examples.arrays[name]) for name in ("source", "target"))


def translated(
    name: str, train: keras_gen.data.Examples, options: argparse.Namespace, given: np.ndarray, way: str, settings: dict
) -> np.ndarray:
    """Trains a model and exports it; returns what the ONNX file of a way makes of images."""
    keras.utils.set_random_seed(options.seed)
    model = keras_gen.get(name, image_shape=(28, 28, 1), seed=options.seed, **settings)
    rates = keras_gen.optimizers.HoldThenLinear(5e-4, options.steps // 2, options.steps - options.steps // 2)
    model.compile(**{f"{player}_optimizer": keras.optimizers.Adam(rates, beta_1=0.5) for player in "dg"})
    progress = keras_gen.callbacks.ProgressLine(f"training {name}")
    stream = train.stream(16, options.seed)
    model.fit(stream, steps_per_epoch=options.steps, verbose=0, callbacks=[progress])
    export.onnx.export(model, options.output / name)
    return exported.open_file(options.output / name / f"{way}.onnx").translate(given)


def apart(made: np.ndarray, right: np.ndarray) -> float:
    """Returns the mean absolute difference."""
    return float(np.abs(made - right).mean())


def filtered(given: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns what the linear filter of 3x3 pixels makes of images that is best on training pairs."""

    def places(x):
        wide = np.pad(x[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=-1)
        windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2)).reshape(*x.shape[:3], 9)
        return np.concatenate([windows, np.ones_like(windows[..., :1])], axis=-1)

    weights = np.linalg.lstsq(places(sources).reshape(-1, 10), targets.reshape(-1), rcond=None)[0]
    return (places(given) @ weights)[..., None]


if __name__ == "__main__":
    main()

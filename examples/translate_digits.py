"""Draws digits of their edges: learned from pairs, and drawn from the exported file alone.

python examples/translate_digits.py --output translate_digits

It takes two minutes on two cores and needs no network. A pix2pix learns from digits and their edges (a quarter of the
magnitude of Sobel's gradient) and is exported; what translates the test images is onnxruntime alone.

The table shows the mean difference from the right answer, for pixels in [-1, 1], beside what needs no GAN: the edges
themselves, the median of all digits and the best linear filter of 3x3 pixels.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import export.onnx
import keras_gen
from keras_gen import exported, images

SHOWN = 16
SIZE = {"image_size": 28, "channels": 1}


def main(argv: list[str] | None = None) -> None:
    """Trains, exports, translates test images, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=800, help="train steps of 16 (default: 800)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("translate_digits"), help="folder (default: its name)")
    options = parser.parse_args(argv)

    train = keras_gen.data.pairs("digits", "train", **SIZE)
    edges, digits = both(keras_gen.data.pairs("digits", "test", **SIZE))
    drawn = translated(train, options, edges)
    rows = {
        "the edges themselves": edges,
        "the median digit": np.median(both(train)[1], axis=0),
        "the best linear filter of 3x3": filtered(edges, *both(train)),
        "pix2pix, by its ONNX file": drawn,
    }
    print(f"difference of {len(digits)} test images from the digits")
    for name, made in rows.items():
        print(f"{name:<30} {np.abs(made - digits).mean():.3f}")
    sheet = images.grid(np.concatenate([part[:SHOWN] for part in (edges, drawn, digits)]), SHOWN)
    images.save_png(options.output / "translated.png", images.enlarged(sheet, 800))
    print(f"\nLook at {options.output / 'translated.png'}: edges, what was drawn of them, and the digits.")


def both(examples: keras_gen.data.Examples) -> tuple[np.ndarray, np.ndarray]:
    """Returns sources and targets, float32 in [-1, 1]."""
    return tuple(images.from_uint8(examples.arrays[name]) for name in ("source", "target"))


def translated(train: keras_gen.data.Examples, options: argparse.Namespace, edges: np.ndarray) -> np.ndarray:
    """Trains a model and exports it; returns what the ONNX file makes of edges."""
    keras.utils.set_random_seed(options.seed)
    model = keras_gen.Pix2Pix((28, 28, 1), width=16, strided=1, dropout=0.0, seed=options.seed)
    rates = keras_gen.optimizers.HoldThenLinear(5e-4, options.steps // 2, options.steps - options.steps // 2)
    model.compile(**{f"{player}_optimizer": keras.optimizers.Adam(rates, beta_1=0.5) for player in "dg"})
    progress = keras_gen.callbacks.ProgressLine("training pix2pix")
    model.fit(train.stream(16, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])
    export.onnx.export(model, options.output)
    return exported.open_file(options.output / "translate.onnx").translate(edges)


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

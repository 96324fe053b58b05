"""Moves what is drawn: StyleGAN2's details stick to pixels, StyleGAN3's go with the image.

python examples/equivariance.py

It trains both on 16x16 digits for a few minutes on two cores, of which StyleGAN3 takes most; `--stylegan2` and
`--stylegan3` take trained runs instead, such as `saved_models/stylegan3`, and `--exported` the folder of the latter's
ONNX files. StyleGAN3 has `shift` and `angle` as inputs. Of StyleGAN2 the learned constant, of which everything is made,
is shifted, and its noise is left out: it would stay where it is.

The table shows what images vary over what moved ones deviate from images that were moved afterward, in decibels: of
shifts by whole pixels, by any, and of angles (`keras_gen.metrics.equivariance`). In the picture each strip is one row
of pixels through the middle of an image, from above to below at ever larger shifts: stripes of what moves run aslant,
and what sticks runs straight down. Beside both models, the third column shows StyleGAN3's image as splines shift it,
which is what the second should be.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import shift as spline

import keras_gen
from keras_gen import images
from keras_gen.layers import LearnedConstant
from keras_gen.metrics.equivariance import FARTHEST, equivariance
from keras_gen.ops.resample import resized

SIZES = {"latent_dim": 32, "style_dim": 32, "depth": 2, "r1": 1.0, "ema": 0.99}
OWN = {"stylegan2": {"base": 256, "largest": 32}, "stylegan3": {"base": 256, "largest": 16, "synthesis_layers": 6}}
FRAMES, SHOWN = 64, 4  # shifts and images in the picture
COLUMNS = ("StyleGAN2", "StyleGAN3", "splines")

Synthesis = Callable[[np.ndarray, np.ndarray], np.ndarray]  # shifts and angles to images


def main(argv: list[str] | None = None) -> None:
    """Prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--stylegan2", help="a trained run (default: trains one)")
    parser.add_argument("--stylegan3", help="a trained run (default: trains one)")
    parser.add_argument("--exported", type=Path, help="folder with map.onnx and synthesize.onnx of that run")
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file, to train on")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images to train on (default: 16)")
    parser.add_argument("--steps", type=int, default=300, help="train steps of each model (default: 300)")
    parser.add_argument("--count", type=int, default=32, help="images that are measured (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("equivariance.png"), help="default: equivariance.png")
    options = parser.parse_args(argv)
    models = [loaded_or_trained(name, options) for name in OWN]
    latent = [np.random.default_rng(options.seed).normal(size=(options.count, model.latent_dim)) for model in models]
    moving = {"StyleGAN2": of_constant(models[0], latent[0]), "StyleGAN3": of_signatures(models[1].run, latent[1])}
    if options.exported:
        files = {
            name: keras_gen.exported.open_file(options.exported / f"{name}.onnx") for name in ("map", "synthesize")
        }
        moving["StyleGAN3, exported"] = of_signatures(lambda name, **given: files[name].run(name, **given), latent[1])
    print(f"{'decibels of images that are moved':36}{'whole pixels':>14}{'fractions':>14}{'angles':>14}")
    for name, synthesize in moving.items():
        found = equivariance(synthesize, options.count, options.seed)
        angle = "-" if name == "StyleGAN2" or np.isnan(found.eq_r) else f"{found.eq_r:.1f}"
        print(f"{name:36}{found.eq_t:14.1f}{found.eq_t_fractional:14.1f}{angle:>14}", flush=True)
    ours, theirs = of_constant(models[0], latent[0][:SHOWN]), of_signatures(models[1].run, latent[1][:SHOWN])
    images.save_png(options.output, picture(ours, theirs))
    print(f"\nLook at {options.output}: rows of pixels at growing shifts, by {', '.join(COLUMNS)}.")


def loaded_or_trained(name: str, options: argparse.Namespace) -> keras.Model:
    """Returns a model of a run, or one that is trained here."""
    if getattr(options, name):
        return keras_gen.load(getattr(options, name))
    train = keras_gen.data.examples(options.data, "train", image_size=options.image_size, channels=1)
    keras.utils.set_random_seed(options.seed)
    more = {"path_length": 0.0} if name == "stylegan2" else {}
    shape = train.arrays["image"].shape[1:]
    model = keras_gen.get(name, image_shape=shape, seed=options.seed, **SIZES, **OWN[name], **more)
    model.compile()
    progress = keras_gen.callbacks.ProgressLine(f"training {name}")
    model.fit(train.stream(16, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])
    return model


def of_signatures(run: Callable[..., dict[str, np.ndarray]], latent: np.ndarray) -> Synthesis:
    """Returns what moves StyleGAN3's images of latents, by a function that runs a model's or a file's signatures."""
    style = run("map", latent=np.float32(latent), truncation=np.ones(len(latent), np.float32))["style"]
    return lambda shift, angle: run("synthesize", style=style, shift=shift, angle=angle)["image"]


def of_constant(model: keras.Model, latent: np.ndarray) -> Synthesis:
    """Returns what shifts the learned constant under StyleGAN2's images of latents, without noise and angles."""
    style = tf.constant(model.run("map", latent=np.float32(latent), truncation=1.0)["style"])
    synthesis = model.part("synthesis", training=False)
    constant = next(layer for layer in synthesis.layers if isinstance(layer, LearnedConstant)).map
    noise = tf.zeros((1, *synthesis.input["noise"].shape[1:]))
    image = tf.function(lambda style: tf.clip_by_value(synthesis({"style": style, "noise": noise}), -1.0, 1.0))
    first = np.asarray(constant)

    def synthesize(shift, angle):
        made = []
        for row, by in enumerate(shift):
            constant.assign(turned_phases(first, by))
            made.append(image(style[row : row + 1])[0])
        constant.assign(first)
        return np.stack(made)

    return synthesize


def turned_phases(maps: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Shifts maps (H, W, C) to the right and down by parts of their sides, as a period of waves."""
    columns, rows = (np.fft.fftfreq(side) * side for side in (maps.shape[1], maps.shape[0]))
    turned = np.exp(-2j * np.pi * (columns[None, :] * by[0] + rows[:, None] * by[1]))
    return np.fft.ifft2(np.fft.fft2(maps, axes=(0, 1)) * turned[..., None], axes=(0, 1)).real


def picture(ours: Synthesis, theirs: Synthesis) -> np.ndarray:
    """Returns strips of images, in rows, by column of `COLUMNS`."""
    shifts = np.linspace(-FARTHEST, FARTHEST, FRAMES)
    strips = [[], []]
    for by in shifts:  # all images at one shift
        shift = np.tile(np.float32([by, 0]), (SHOWN, 1))
        for found, synthesize in zip(strips, (ours, theirs), strict=True):
            made = synthesize(shift, np.zeros(SHOWN, np.float32))
            found.append(made[:, made.shape[1] // 2])  # (SHOWN, W, C)
    first, second = (np.stack(found, axis=1) for found in strips)  # (SHOWN, FRAMES, W, C)
    middle = second[:, FRAMES // 2]
    apart = (shifts - shifts[FRAMES // 2]) * middle.shape[1]  # pixels
    moved = [spline(middle, (0, by, 0), order=3, mode="nearest") for by in apart]
    tiles = np.stack([first, second, np.stack(moved, axis=1)], axis=1)
    tiles = tiles.reshape(-1, FRAMES, *middle.shape[1:])
    tiles = np.clip(resized(np.float32(tiles), (FRAMES, FRAMES), "nearest").numpy(), -1, 1)
    return images.enlarged(images.grid(tiles, len(COLUMNS), padding=2), 512)


if __name__ == "__main__":
    main()

"""Compresses images with an autoencoder, beside PNG and JPEG: bits per pixel against what is left of the images.

python examples/compression.py --output compression

It takes half a minute and needs no network. An autoencoder learns the digits; images that it has not seen are
encoded, their codes rounded to coarser and coarser steps and packed. PNG and JPEG get one sheet of the same images, so
that nobody pays for many headers. The autoencoder knows digits and nothing else, and it is no part of the bytes: it
wins where few bits are spent, and ends where its own error begins, however fine the steps. A VQ-VAE has one rate, that
of its map of tokens. On larger images both are further ahead: `--data mnist.npz --latent-dim 32 --steps 4000`.
"""

import argparse
import io
import math
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from plot import BLUE, GREEN, ORANGE, figure, pixels

import keras_gen
from keras_gen import compression
from keras_gen.compression import Rate
from keras_gen.images import enlarged, from_uint8, grid, save_png, to_uint8

QUALITIES = (5, 10, 20, 40, 60, 80, 95)
STEPS = (4.0, 2.0, 1.0, 0.5, 0.25, 0.125)  # in standard deviations of the code


def load(data: str, split: str, most: int) -> np.ndarray:
    """Returns gray images in [-1, 1]."""
    batch = next(iter(keras_gen.data.load(data, split, channels=1, batch_size=most, shuffle=False)))
    return batch["image"].numpy()


def train(images: np.ndarray, latent_dim: int, steps: int) -> keras.Model:
    """Trains an autoencoder."""
    keras.utils.set_random_seed(0)
    return fitted(keras_gen.Autoencoder(images.shape[1:], latent_dim, hidden=(512, 256), seed=0), images, steps)


def train_tokens(images: np.ndarray, codes: int, steps: int) -> keras.Model:
    """Trains a VQ-VAE, whose code is a map of tokens."""
    keras.utils.set_random_seed(0)
    return fitted(keras_gen.VQVAE(images.shape[1:], codes, code_dim=8, width=32, seed=0), images, steps)


def fitted(model: keras.Model, images: np.ndarray, steps: int) -> keras.Model:
    """Trains for about so many steps."""
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)))
    progress = keras_gen.callbacks.ProgressLine(f"training {type(model).__name__}")
    model.fit(images, batch_size=128, epochs=max(1, round(steps * 128 / len(images))), verbose=0, callbacks=[progress])
    return model


def by_pillow(images: np.ndarray, kind: str, **options: object) -> Rate:
    """Compresses a sheet of images by a format of Pillow."""
    sheet = grid(images, padding=0)[..., 0]
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, kind, **options)
    with Image.open(buffer) as read:
        error = np.square(np.asarray(read, float) - sheet).mean()
    psnr = 10 * math.log10(255**2 / error) if error else math.inf
    return Rate(options.get("quality", 0), 8 * buffer.tell() / sheet.size, psnr)


def curve(path: Path, title: str, ours: list[Rate], jpeg: list[Rate], png: Rate) -> None:
    """Draws PSNR against bits per pixel, up to those that PNG needs for everything."""
    jpeg = [rate for rate in jpeg if rate.bits_per_pixel < png.bits_per_pixel]
    drawn, axes = figure()
    axes.set(title=title, xlabel="bits per pixel", ylabel="PSNR in dB")
    for name, found, color in (("autoencoder", ours, BLUE), ("JPEG", jpeg, ORANGE)):
        axes.plot([rate.bits_per_pixel for rate in found], [rate.psnr for rate in found], "o-", color=color, label=name)
    axes.axvline(png.bits_per_pixel, color=GREEN, label="PNG, without loss")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend()
    save_png(path, pixels(drawn))


def main(argv: list[str] | None = None) -> None:
    """Trains, prints the table and draws the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file such as MNIST")
    parser.add_argument("--latent-dim", type=int, default=16, help="coordinates of a code (default: 16)")
    parser.add_argument("--codes", type=int, default=64, help="of the VQ-VAE (default: 64)")
    parser.add_argument("--steps", type=int, default=1500, help="train steps (default: 1500)")
    parser.add_argument("--output", type=Path, default=Path("compression"), help="folder (default: compression)")
    options = parser.parse_args(argv)
    known = load(options.data, "train", 60_000)
    model = train(known, options.latent_dim, options.steps)
    images = load(options.data, "test", 1024)
    images = images[: math.isqrt(len(images)) ** 2]  # a square sheet, of which no corner is empty
    images = from_uint8(to_uint8(images))
    spread = float(model.encode(images).std())
    ours = compression.rate_distortion(model, images, steps=[step * spread for step in STEPS])
    (tokens,) = compression.rate_distortion(train_tokens(known, options.codes, options.steps), images)
    jpeg = [by_pillow(images, "JPEG", quality=quality) for quality in QUALITIES]
    png = by_pillow(images, "PNG", optimize=True)
    print(f"{len(images)} test images of {options.data}      bits per pixel   PSNR in dB")
    for rate, step in zip(ours, STEPS, strict=True):
        print(f"  autoencoder, step {step:5.3f}   {rate.bits_per_pixel:20.3f} {rate.psnr:12.2f}")
    print(f"  {f'VQ-VAE, {options.codes} codes':25}{tokens.bits_per_pixel:20.3f} {tokens.psnr:12.2f}")
    for rate in jpeg:
        print(f"  JPEG, quality {rate.step:<8}     {rate.bits_per_pixel:20.3f} {rate.psnr:12.2f}")
    print(f"  PNG                        {png.bits_per_pixel:20.3f}     no loss")
    curve(options.output / "curve.png", f"Compression of {Path(options.data).stem}", ours, jpeg, png)
    shown = [images[:12]]
    for step in (2.0, 1.0, 0.25):
        data = compression.compress(model, images[:12], step * spread)
        shown.append(compression.decompress(model, data))
    save_png(options.output / "images.png", enlarged(grid(np.concatenate(shown), columns=12), 400))
    print(f"\nLook at curve.png, and at images.png (originals; steps 2, 1, 0.25), in {options.output}.")


if __name__ == "__main__":
    main()

"""What each term of a VAE's loss is for: six models that differ in the weights of the two, side by side.

python examples/vae_ablations.py --output ablations.png

It takes about a minute on two cores and needs no network; `--data mnist.npz --image-size 28 --steps 3000` shows it on
MNIST. The code has two coordinates, so that it can be drawn. In the picture each row is a model: what it makes of the
digits on top, what it draws from the prior, and the codes of test images, a color for each class, over the prior (a
circle of two standard deviations).

Reconstruction alone gives good copies and codes that spread far outside the prior, so that what the prior draws is of
the few kinds that lie in their midst. The larger beta, the fewer nats the code tells, until nothing is left but the
mean image. The KL alone makes the codes those of the prior; the decoder gets no gradient and stays as it was
initialized.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import keras_gen
from keras_gen import images

MODELS = {
    "reconstruction only": {"beta": 0.0},
    "VAE": {"beta": 1.0},
    "beta 4": {"beta": 4.0},
    "beta 16": {"beta": 16.0},
    "beta 1000": {"beta": 1000.0},
    "KL only": {"reconstruction_weight": 0.0},
}
COLORS = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)]
COLORS += [(140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207)]
SHOWN = 10  # images of a kind in a row
SIDE = 124  # of a row, in pixels


class Row(NamedTuple):
    """One model: its figures in nats on test images, and its pictures."""

    name: str
    reconstruction: float
    kl: float
    reconstructions: np.ndarray  # (SHOWN, H, W, C)
    samples: np.ndarray  # (SHOWN, H, W, C)
    codes: np.ndarray  # (n, 2), drawn from the posteriors


def main(argv: list[str] | None = None) -> None:
    """Trains all models, prints their figures and draws them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file with labels such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--steps", type=int, default=2000, help="train steps of each model (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("ablations.png"), help="picture (default: ablations.png)")
    options = parser.parse_args(argv)
    size = {"image_size": options.image_size, "channels": 1}
    train = keras_gen.data.examples(options.data, "train", **size)
    test = next(iter(keras_gen.data.load(options.data, "test", batch_size=1000, shuffle=False, **size)))
    unseen, labels = test["image"].numpy(), test["label"].numpy()
    print(f"{'model':<20} {'reconstruction':>15} {'KL':>8}   (nats per test image)")
    rows = []
    for name, weights in MODELS.items():
        rows.append(row(name, weights, train, unseen, options.steps, options.seed))
        print(f"{name:<20} {rows[-1].reconstruction:15.2f} {rows[-1].kl:z8.2f}", flush=True)
    images.save_png(options.output, picture(rows, unseen[:SHOWN], labels))
    print(f"\nLook at {options.output}.")


def row(
    name: str, weights: dict[str, float], train: keras_gen.data.Examples, unseen: np.ndarray, steps: int, seed: int
):
    """Trains one model and returns its row."""
    keras.utils.set_random_seed(seed)
    shape = unseen.shape[1:]
    model = keras_gen.BetaVAE(image_shape=shape, latent_dim=2, hidden=(256, 128), seed=seed, **{"beta": 1.0, **weights})
    model.compile()
    progress = keras_gen.callbacks.ProgressLine(f"training {name}")
    model.fit(train.stream(100, seed), steps_per_epoch=steps, verbose=0, callbacks=[progress])
    found = model.evaluate(unseen, batch_size=500, verbose=0, return_dict=True)
    posterior = model.run("encode", 500, image=unseen)
    noise = np.random.default_rng(seed).standard_normal(posterior["mean"].shape)
    codes = posterior["mean"] + np.exp(0.5 * posterior["log_variance"]) * noise
    made = model.reconstruct(unseen[:SHOWN]), model.sample(SHOWN, seed=seed)
    return Row(name, found["reconstruction"], found["kl"], *made, codes)


# --- drawing ---------------------------------------------------------------------------------------------------------


def picture(rows: list[Row], originals: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the picture, uint8 (height, width, 3): a row for each model, under the images to reconstruct."""
    font = ImageFont.load_default(15)
    grids = [tiles(originals), *(tiles(part) for row in rows for part in (row.reconstructions, row.samples))]
    wide, left, gap = grids[0].width, 170, 12
    sheet = Image.new("RGB", (left + 2 * wide + SIDE + 4 * gap, (len(rows) + 1) * (SIDE + gap) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    columns = [left, left + wide + gap, left + 2 * (wide + gap)]
    pen.text((gap, gap + SIDE / 2), "test images", "black", font, anchor="lm")
    sheet.paste(grids[0], (columns[0], gap))
    pen.text((columns[1], gap + SIDE), "drawn from the prior", "black", font, anchor="ls")
    pen.text((columns[2], gap + SIDE), "codes", "black", font, anchor="ls")
    for number, row in enumerate(rows):
        top = gap + (number + 1) * (SIDE + gap)
        figures = f"{row.name}\n\n{row.reconstruction:.1f} + {row.kl:z.2f} nats"
        pen.multiline_text((gap, top + SIDE / 2), figures, "black", font, anchor="lm")
        for column, grid in zip(columns, grids[1 + 2 * number : 3 + 2 * number], strict=False):
            sheet.paste(grid, (column, top))
        sheet.paste(scatter(row.codes, labels, font), (columns[2], top))
    return np.asarray(sheet)


def tiles(part: np.ndarray) -> Image.Image:
    """Returns images in two rows of one height."""
    sheet = images.grid(part, SHOWN // 2, padding=2)
    sheet = Image.fromarray(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet).convert("RGB")
    return sheet.resize((round(SIDE * sheet.width / sheet.height), SIDE), Image.Resampling.NEAREST)


def scatter(codes: np.ndarray, labels: np.ndarray, font: ImageFont.ImageFont) -> Image.Image:
    """Draws codes over a circle of two standard deviations of the prior; what is farther than all but 1 % is cut."""
    reach = max(3.0, float(np.quantile(np.abs(codes), 0.99)))
    large = Image.new("RGB", (4 * SIDE, 4 * SIDE), "white")
    pen = ImageDraw.Draw(large)
    for (x, y), label in zip(2 * SIDE * (1 + np.clip(codes, -reach, reach) / reach), labels, strict=True):
        pen.ellipse([x - 4, 4 * SIDE - y - 4, x + 4, 4 * SIDE - y + 4], COLORS[label % len(COLORS)])
    radius = 2 * SIDE * 2 / reach
    pen.ellipse([2 * SIDE - radius, 2 * SIDE - radius, 2 * SIDE + radius, 2 * SIDE + radius], outline="black", width=6)
    pen.rectangle([0, 0, 4 * SIDE - 1, 4 * SIDE - 1], outline="gray", width=4)
    small = large.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    ImageDraw.Draw(small).text((4, SIDE - 3), f"-{reach:.0f} to {reach:.0f}", "black", font, anchor="ls")
    return small


if __name__ == "__main__":
    main()

"""Counts how often a pixel is on, given its neighbors: how well tables predict binarized images, in nats per image.

python examples/pixel_tables.py --data mnist.npz

A model of images has learned something once it is better than they are. Pixels are on with their gray level as
probability, drawn once. The tables are made of the training images, half a count added to everything, and predict the
test images.
"""

import argparse

import numpy as np

import keras_gen

# Rows and columns from a pixel to neighbors that come before it.
FOUR = ((0, -1), (-1, -1), (-1, 0), (-1, 1))
TEN = (*FOUR, (0, -2), (-1, -2), (-1, 2), (-2, -1), (-2, 0), (-2, 1))
TABLES = {  # name: neighbors, and whether every place has a table of its own
    "the place": ((), True),
    "4 neighbors": (FOUR, False),
    "10 neighbors": (TEN, False),
    "the place and 4 neighbors": (FOUR, True),
}


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="images, as for train (default: digits)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    options = parser.parse_args(argv)
    rng = np.random.default_rng(options.seed)
    train, test = (binarized(keras_gen.data.examples(options.data, split), rng) for split in ("train", "test"))
    print(f"{options.data}: {len(train)} images to count, {len(test)} to predict")
    for name, (neighbors, by_place) in TABLES.items():
        print(f"  {name:26}{nats(train, test, neighbors, by_place):8.1f} nats per image", flush=True)


def binarized(examples: keras_gen.data.Examples, rng: np.random.Generator) -> np.ndarray:
    """Returns drawn pixels, int (n, H, W) of 0 and 1; the channels are averaged."""
    gray = (1 + keras_gen.images.from_uint8(examples.arrays["image"]).mean(axis=-1)) / 2
    return (rng.random(gray.shape) < gray).astype(np.int64)


def nats(train: np.ndarray, test: np.ndarray, neighbors: tuple[tuple[int, int], ...], by_place: bool) -> float:
    """Returns the negative mean log-probability of images, int (n, H, W) of 0 and 1, by a table of others."""
    before = [_before(images, neighbors, by_place) for images in (train, test)]
    size = 1 + max(part.max() for part in before)
    on = np.bincount(before[0].ravel(), train.ravel(), size) + 0.5
    probability = (on / (np.bincount(before[0].ravel(), minlength=size) + 1))[before[1]]
    return -float(np.log(np.where(test, probability, 1 - probability)).sum(axis=(1, 2)).mean())


def _before(images, neighbors, by_place):
    """Returns the number of what each pixel is given; beyond the image everything is 0."""
    (height, width), margin = images.shape[1:], 2
    wide = np.pad(images, ((0, 0), (margin, 0), (margin, margin)))
    found = np.zeros_like(images)
    for row, column in neighbors:
        part = wide[:, margin + row : margin + row + height, margin + column : margin + column + width]
        found = 2 * found + part
    places = np.arange(height * width).reshape(height, width)
    return found + places * 2 ** len(neighbors) if by_place else found


if __name__ == "__main__":
    main()

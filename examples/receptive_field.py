"""Draws which earlier pixels a prediction depends on: masked convolutions of one stack and of two, and both LSTMs.

python examples/receptive_field.py

It takes a minute and needs no data. A pixel is seen where the derivative of the logit by it is not 0 in an untrained
network. Masked convolutions of one stack leave a corner above the place unseen, however many there are; a Row LSTM sees
a triangle; gates of two stacks see everything once they are deep enough, and a Diagonal BiLSTM does in one layer.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

import keras_gen
from keras_gen import images

SIDE, ROW, COLUMN = 21, 13, 9  # of the image; the place
CELL = 9  # pixels of the picture for one of the image
SEEN, UNSEEN, LATER, PLACE = (70, 118, 178), (240, 146, 58), (238, 238, 238), (0, 0, 0)
SMALL = {"image_shape": (SIDE, SIDE, 1), "width": 16, "first": 3, "seed": 0}
MODELS = {
    "PixelCNN, 8 layers": partial(keras_gen.PixelCNN, **SMALL, blocks=7, gated=False),
    "gated, 8 layers": partial(keras_gen.PixelCNN, **SMALL, blocks=7),
    "gated, 15 layers": partial(keras_gen.PixelCNN, **SMALL, blocks=14),
    "Row LSTM, 1 layer": partial(keras_gen.PixelRNN, **SMALL, blocks=1, lstm="row"),
    "Diagonal BiLSTM, 1 layer": partial(keras_gen.PixelRNN, **SMALL, blocks=1),
}


def main(argv: list[str] | None = None) -> None:
    """Prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    path = Path("receptive_field.png")
    parser.add_argument("-o", "--output", type=Path, default=path, help=f"the picture (default: {path})")
    options = parser.parse_args(argv)
    before = SIDE * ROW + COLUMN
    fields = {}
    print(f"{'':28}sees, of {before} pixels before the black one")
    for name, make in MODELS.items():
        fields[name] = field(make())
        print(f"{name:28}{np.sum(fields[name]):6}", flush=True)
    images.save_png(options.output, picture(fields))
    print(f"Look at {options.output}.")


def field(model: keras_gen.GenerativeModel) -> np.ndarray:
    """Returns which pixels the logit of the black pixel depends on, bool (SIDE, SIDE)."""
    image = tf.random.stateless_uniform((64, *model.image_shape), (0, 0), -1, 1)
    with tf.GradientTape() as tape:
        tape.watch(image)
        logit = model.logits(image, False)[:, ROW, COLUMN]
    return np.any(tape.gradient(logit, image) != 0, axis=(0, 3))


def picture(fields: dict[str, np.ndarray]) -> np.ndarray:
    """Draws fields side by side, uint8 (height, width, 3)."""
    font, gap, side = ImageFont.load_default(14), 12, SIDE * CELL
    sheet = Image.new("RGB", (gap + len(fields) * (side + gap), side + 40), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (name, seen) in enumerate(fields.items()):
        left = gap + index * (side + gap)
        for row, column in np.ndindex(SIDE, SIDE):
            later = (row, column) > (ROW, COLUMN)
            color = (
                PLACE if (row, column) == (ROW, COLUMN) else SEEN if seen[row, column] else LATER if later else UNSEEN
            )
            x, y = left + column * CELL, gap + row * CELL
            pen.rectangle([x, y, x + CELL - 2, y + CELL - 2], color)
        pen.text((left, side + gap + 4), name, "black", font)
    return np.asarray(sheet)


if __name__ == "__main__":
    main()

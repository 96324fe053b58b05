"""Times samples drawn one value at a time: with what earlier values have computed, and with a full pass for each.

python examples/autoregressive_speed.py

It takes some minutes and needs no data: untrained networks take as long as trained ones. 16 images or texts are drawn
at once, by compiled functions. The naive way is one pass over the whole image for each pixel, and with GPT over all
tokens so far for each token; its passes are timed a few at a time, and added up. Both ways draw the same samples:
`tests/models` holds them to that, value by value.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import tensorflow as tf

import keras_gen

ROWS = 16
MODELS = {  # of 32 features and 7 blocks; PixelRNNs of 16 units and 7 blocks
    "gated PixelCNN": keras_gen.PixelCNN,
    "PixelCNN": partial(keras_gen.PixelCNN, gated=False),
    "PixelRNN, diagonals": keras_gen.PixelRNN,
    "PixelRNN, rows": partial(keras_gen.PixelRNN, lstm="row"),
}


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--sides", type=int, nargs="+", default=[8, 14, 28], help="of images (default: 8 14 28)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256], help="of texts (default: 64 128 256)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements, of which the median counts (default: 5)")
    options = parser.parse_args(argv)
    print(f"{'':34}{'cached':>12}{'naive':>12}{'ratio':>8}{'cached, a value':>18}")
    for name, make in MODELS.items():
        for side in options.sides:
            show(f"{name}, {side}x{side}", side * side, *of_images(make, side, options.repeats))
    for length in options.lengths:
        show(f"GPT, {length} tokens", length, *of_texts(length, max(options.lengths), options.repeats))


def show(name: str, values: int, cached: float, naive: float) -> None:
    """Prints a line: seconds of both ways, for all rows."""
    each = f"{1e3 * cached / values:.3g} ms"
    print(f"{name:34}{cached:10.2f} s{naive:10.2f} s{naive / cached:8.1f}{each:>18}", flush=True)


def of_images(make: Callable[..., keras_gen.GenerativeModel], side: int, repeats: int) -> tuple[float, float]:
    """Returns the seconds that black and white images take."""
    model = make(image_shape=(side, side, 1))
    noise = tf.random.stateless_uniform((ROWS, side, side, 1), (0, 0), -1, 1)
    draw = tf.function(partial(model.sampled_images), autograph=False)
    one_pass = tf.function(partial(model.logits, training=False), autograph=False)
    cached = seconds(lambda: draw(noise, noise, tf.zeros(ROWS)), repeats)
    return cached, side * side * seconds(lambda: one_pass(noise), repeats)


def of_texts(length: int, context: int, repeats: int) -> tuple[float, float]:
    """Returns the seconds that texts take: 4 blocks, 4 heads, 128 features, 65 characters, one context."""
    model = keras_gen.GPT(vocabulary=65, context=context)
    prompt = np.zeros(1, np.int32)
    draw = partial(model.generate, prompt, length, n=ROWS)
    return seconds(draw, repeats), seconds(partial(draw, cached=False), repeats)


def seconds(act: Callable[[], object], repeats: int) -> float:
    """Returns the median time of a call, the first left out."""
    taken = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        np.asarray(act())
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    main()

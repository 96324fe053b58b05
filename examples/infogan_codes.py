"""Shows what InfoGAN's codes have come to mean: a row for each category, and rows for each continuous code.

python examples/infogan_codes.py --output infogan.png

It trains two models on scikit-learn's digits, in minutes on two cores and without a network: InfoGAN, and the control
of the paper's figure 1, whose generator is given the same codes and is not asked to show them (lambda = 0). A trained
run or an exported file is shown without training: `--model saved_models/infogan`.

The table tells how much of the category, of ln 10 = 2.30 nats, can be read from generated images. A logistic regression
learns it from some images and is asked about others: ln 10 minus its cross-entropy bounds the information from below,
as Q does in training, and it reads both models alike. Beside it are the shares of test images whose category is that of
their class, and how closely a continuous code and the slant or the width of the images have one order (Spearman).

In the picture each of the first rows is a category, each column a draw of all else. Below, from left to right, one
continuous code goes from -1.5 to 1.5, past the range of training, and nothing else moves.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

import keras_gen
from keras_gen import images, latent

COLUMNS = 10
EXAMPLES = 3  # rows for each continuous code
REACH = 1.5  # how far the continuous codes go
READ = 4000  # generated images that the reader of the table learns from; it is asked about half as many


def main(argv: list[str] | None = None) -> None:
    """Trains or opens, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", help="a trained run or an exported file; without it two models are trained")
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file with labels such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--width", type=int, default=16, help="channels of the largest maps (default: 16)")
    parser.add_argument("--steps", type=int, default=3000, help="train steps of each model (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("infogan.png"), help="picture (default: infogan.png)")
    options = parser.parse_args(argv)

    if options.model:
        shown = latent.opened(options.model)
        print(f"{readable(shown, options.seed):.2f} nats of the category can be read, of {math.log(count(shown)):.2f}")
    else:
        size = {"image_size": options.image_size, "channels": 1}
        train, test = (keras_gen.data.examples(options.data, split, **size) for split in ("train", "test"))
        models = {weight: trained(train, weight, options) for weight in (1, 0)}
        print(f"{'model':<12} {'nats':>6} {'accuracy':>9} {'slant':>6} {'width':>6}")
        for weight, model in models.items():
            nats, found = readable(model, options.seed), model.measures(train, test, options.seed)
            order = f"{found['slant_spearman']:6.2f} {found['width_spearman']:6.2f}"
            print(f"lambda = {weight:<3} {nats:6.2f} {found['cluster_accuracy']:9.1%} {order}")
        shown = models[1]
        print(f"{'at most':<12} {math.log(count(shown)):6.2f}")
    rows = np.concatenate([*categories(shown, options.seed), *continuous(shown, options.seed)])
    images.save_png(options.output, images.enlarged(images.grid(rows, COLUMNS), 700))
    print(f"\nLook at {options.output}: a row for each category, then {EXAMPLES} rows for each continuous code.")


def trained(train: keras_gen.data.Examples, weight: float, options: argparse.Namespace) -> keras_gen.GenerativeModel:
    """Returns a model whose generator is asked to show its codes with this weight."""
    keras.utils.set_random_seed(options.seed)
    weights = {"info_weight": weight, "continuous_weight": 0.1 * weight}
    shape = train.arrays["image"].shape[1:]
    model = keras_gen.InfoGAN(image_shape=shape, width=options.width, seed=options.seed, **weights)
    model.compile()
    progress = keras_gen.callbacks.ProgressLine(f"training lambda = {weight}")
    model.fit(train.stream(64, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])
    return model


def count(source: Any) -> int:
    """Returns the number of categories of a model or a file."""
    return keras_gen.draws.Law.parse(latent.decoder(source).function.meta["category.law"]).classes


def sample(source: Any, n: int, seed: int, **inputs: Any) -> np.ndarray:
    """Returns images (n, H, W, C) of a model or a file; what is not given is drawn, the categories in turn."""
    made = source.sample(n, seed=seed, **inputs)
    return made["image"] if isinstance(made, dict) else made


def readable(source: Any, seed: int) -> float:
    """Returns a lower bound, in nats, of what an image tells of its category."""
    category = np.arange(READ + READ // 2) % count(source)
    pixels = sample(source, len(category), seed).reshape(len(category), -1)
    reader = LogisticRegression(C=0.1, max_iter=200).fit(pixels[:READ], category[:READ])
    chance = reader.predict_log_proba(pixels[READ:])[np.arange(READ // 2), category[READ:]]
    return math.log(count(source)) + float(chance.mean())


def categories(source: Any, seed: int) -> list[np.ndarray]:
    """Returns a row for each category; the draws of a column are the same in all."""
    return [sample(source, COLUMNS, seed, category=value) for value in range(count(source))]


def continuous(source: Any, seed: int) -> list[np.ndarray]:
    """Returns rows for each continuous code: other categories and latents, and this code from left to right."""
    held, dim = latent.decoder(source).draw(EXAMPLES, seed), latent.decoder(source, name="code").dim
    rows = []
    for code in range(dim):
        codes = latent.traverse(np.zeros(dim), code, latent.span("uniform", COLUMNS, REACH))
        for row in range(EXAMPLES):
            category = (3 * row + 1) % count(source)
            rows.append(sample(source, COLUMNS, seed, latent=held[row], category=category, code=codes))
    return rows


if __name__ == "__main__":
    main()

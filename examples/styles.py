"""Draws each class in the hand of each image: a conditional VAE keeps in its code what the class leaves open.

python examples/styles.py --output styles.png

It takes half a minute on two cores and needs no network; MNIST, on which hands differ more, needs another weight and
takes a minute: `--data mnist.npz --image-size 28 --beta 4 --steps 6000`. Encoder and decoder of a conditional VAE are
told the class, so that the code need not tell it, and is left with slant, width and pen. Test images are encoded with
their own class, and their codes decoded under every class. In the picture each row begins with an image of one class;
all classes in its style follow.

The table shows, for each class that was asked for, how often the nearest real training images say that it was drawn;
and, as a trace of style, the correlation between the ink of the images of other classes and that of what was drawn in
their style. The two pull against each other. On the digits, `--beta 1` nearly always gives the class, but all hands are
much alike; with `--beta 0.2` the code tells so much of the image that the class is often lost.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.neighbors import KNeighborsClassifier

import keras_gen
from keras_gen import images

MOST = 10_000  # training images that the classifier knows


def main(argv: list[str] | None = None) -> None:
    """Trains, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file with labels such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--beta", type=float, default=0.5, help="weight of the KL, the price of a style (default: 0.5)")
    parser.add_argument("--steps", type=int, default=3000, help="train steps (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("styles.png"), help="picture (default: styles.png)")
    options = parser.parse_args(argv)
    size = {"image_size": options.image_size, "channels": 1}
    train = keras_gen.data.examples(options.data, "train", **size)
    known = keras_gen.data.load(options.data, "train", batch_size=MOST, seed=options.seed, **size)
    test = keras_gen.data.load(options.data, "test", batch_size=200, shuffle=False, **size)
    (known, known_labels), (photos, labels) = (arrays(part) for part in (known, test))
    classes = len(train.classes)

    keras.utils.set_random_seed(options.seed)
    settings = {"latent_dim": 8, "beta": options.beta, "hidden": (256, 128), "binarize": "none"}
    model = keras_gen.ConditionalVAE(num_classes=classes, image_shape=photos.shape[1:], seed=options.seed, **settings)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, options.steps)))
    progress = keras_gen.callbacks.ProgressLine()
    model.fit(train.stream(100, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])

    codes = model.encode(photos, label=labels)
    drawn = np.stack([model.decode(codes, label=asked) for asked in range(classes)], axis=1)  # (n, classes, H, W, C)
    judge = KNeighborsClassifier(5, algorithm="brute").fit(flat(known), known_labels)
    right = np.mean(judge.predict(flat(photos)) == labels)
    print(f"{len(photos)} test images, of which {right:.1%} are seen as their class\n")
    print(f"{'asked class':<12} {'seen':>7} {'ink':>7}")
    seen = np.stack([judge.predict(flat(drawn[:, asked])) == asked for asked in range(classes)], axis=1)
    for asked, name in enumerate(train.classes):
        other = labels != asked
        ink = np.corrcoef(flat(photos[other]).mean(1), flat(drawn[other, asked]).mean(1))[0, 1]
        print(f"{name:<12} {seen[:, asked].mean():7.1%} {ink:7.2f}")
    print(f"{'all':<12} {seen.mean():7.1%}")
    first = np.unique(labels, return_index=True)[1]  # an image of each class
    own = photos[first, None]
    rows = np.concatenate([own, np.full_like(own, -1), drawn[first]], axis=1)
    images.save_png(options.output, images.enlarged(images.grid(np.concatenate(rows), classes + 2), 700))
    print(f"\nLook at {options.output}: each row an image, then every class in its style.")


def arrays(dataset: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns images in [-1, 1] and labels of the first batch."""
    batch = next(iter(dataset))
    return batch["image"].numpy(), batch["label"].numpy()


def flat(pictures: np.ndarray) -> np.ndarray:
    """Returns the pixels of each image, (n, d)."""
    return pictures.reshape(len(pictures), -1)


if __name__ == "__main__":
    main()

"""Likelihoods as outlier scores: where they work, and where they fail, on the same two sets of real images.

python examples/outliers.py

It takes a quarter of a minute and needs no network. One VAE learns all digits but the ones, another the ones alone;
each then scores what it has not seen. The second rejects the other digits. The first takes ones for better digits than
those that it was trained on, as ones are simple: a likelihood rewards images with little in them (Nalisnick et al., "Do
Deep Generative Models Know What They Don't Know?", 2019, arXiv:1810.09136). The failure is larger still with
`--data mnist.npz --image-size 28 --steps 1500`.

The columns are areas under the curve (1 separates, 0.5 is chance, below that outliers look more like the data than the
data) of three scores: the bound of log p(x), its distance from what is typical, and minus the error of reconstruction;
then the share of outliers that the first rejects at a threshold meant to reject 5 % of the data.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np

import keras_gen
from keras_gen import outliers


class Row(NamedTuple):
    """One kind of outliers under one model."""

    trained_on: str
    outliers: str
    log_prob: float
    typicality: float
    reconstruction: float
    rejected: float


def main() -> None:
    """Trains both models and prints the table."""
    parser = argparse.ArgumentParser(description="Shows where likelihoods fail as outlier scores.", allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file with labels such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--odd", type=int, default=1, help="the class that is set apart (default: 1)")
    parser.add_argument("--steps", type=int, default=600, help="train steps of each model (default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    options = parser.parse_args()
    print(
        f"{'trained on':<12} {'outliers':<12} {'log p(x)':>9} {'typicality':>11} {'reconstruction':>15} {'rejected':>9}"
    )
    for row in table(options.data, options.image_size, options.odd, options.steps, options.seed):
        figures = f"{row.log_prob:9.3f} {row.typicality:11.3f} {row.reconstruction:15.3f} {row.rejected:9.1%}"
        print(f"{row.trained_on:<12} {row.outliers:<12} {figures}", flush=True)


def table(data: str = "digits", size: int = 16, odd: int = 1, steps: int = 600, seed: int = 0) -> Iterator[Row]:
    """Yields the rows of the table.

    Args:
        data: name or path of a data set with labels.
        size: side of the images.
        odd: the class that is set apart.
        steps: train steps of each model.
        seed: of weights and draws.
    """
    images, labels = load(data, "train", size, 12_000)
    unseen, unseen_labels = load(data, "test", size, 2_000)
    noise = np.random.default_rng(seed).uniform(-1, 1, (300, *images.shape[1:])).astype(np.float32)
    for name, other, ours in ((f"all but {odd}", f"{odd}", False), (f"{odd}", f"all but {odd}", True)):
        chosen, belongs = images[(labels == odd) == ours], unseen[(unseen_labels == odd) == ours]
        model = train(chosen[len(chosen) // 10 :], steps, seed)
        # A tenth of the training split is kept out: it says what is usual.
        usual = chosen[: len(chosen) // 10]
        foreign = unseen[(unseen_labels == odd) != ours]
        for kind, images_of in ((other, foreign), ("inverted", -belongs), ("noise", noise)):
            yield judge(model, usual, belongs, images_of, name, kind)


def load(data: str, split: str, size: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns images in [-1, 1] and their labels."""
    batch = next(iter(keras_gen.data.load(data, split, image_size=size, channels=1, batch_size=most, shuffle=False)))
    return batch["image"].numpy(), batch["label"].numpy()


def train(images: np.ndarray, steps: int, seed: int) -> keras.Model:
    """Trains a small VAE."""
    keras.utils.set_random_seed(seed)
    model = keras_gen.VAE(image_shape=images.shape[1:], latent_dim=8, hidden=(128,), seed=seed)
    model.compile()
    per_epoch = max(1, len(images) // 50)
    progress = keras_gen.callbacks.ProgressLine()
    model.fit(images, batch_size=50, epochs=max(1, round(steps / per_epoch)), verbose=0, callbacks=[progress])
    return model


def judge(model: keras.Model, usual: np.ndarray, belongs: np.ndarray, others: np.ndarray, name: str, kind: str) -> Row:
    """Returns how well the three scores separate `others` from `belongs`."""
    reference, ours, theirs = (outliers.score_samples(model, part, samples=20) for part in (usual, belongs, others))
    typical = (outliers.typicality(scores, reference) for scores in (ours, theirs))
    errors = (outliers.score_samples(model, part, "reconstruction") for part in (belongs, others))
    rejected = float(np.mean(theirs < outliers.threshold(reference, 0.05)))
    return Row(name, kind, outliers.auroc(ours, theirs), outliers.auroc(*typical), outliers.auroc(*errors), rejected)


if __name__ == "__main__":
    main()

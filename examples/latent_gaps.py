"""Why a plain autoencoder does not generate: the gaps between its codes, as numbers and as a picture.

python examples/latent_gaps.py

It takes half a minute on two cores and needs no network; `--data mnist.npz` takes minutes, most of them for the judge.
An autoencoder and a VAE have the same networks and the same reconstruction loss, the cross-entropy of the pixels. The
VAE also pays for codes that are far from N(0, I), and decodes noisy ones; the autoencoder codes as it likes.

The table shows the Frechet distance, on the features of a classifier that is trained on the same data, between real
images and those that are decoded from three kinds of codes: those of other real images, noise of N(0, I), and noise of
the Gaussian that fits the autoencoder's codes. The autoencoder is near where it has codes and far off at N(0, I). The
VAE is blurred everywhere, and little worse at N(0, I) than on codes of real images. The fitted Gaussian mends most of
the gap, and not all: codes are no Gaussian (Ghosh et al., "From Variational to Deterministic Autoencoders", 2019,
arXiv:1903.12436). The picture shows codes of two coordinates, the disk that holds 99 % of N(0, I), and what both models
make of N(0, I).
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from plot import figure, pixels

import keras_gen
from keras_gen import images, latent, metrics
from keras_gen.data import Examples

MOST = 5000  # images in each comparison
DRAWN = 1500  # codes in the picture
BATCH = 64


def main(argv: list[str] | None = None) -> None:
    """Prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file with labels such as MNIST")
    parser.add_argument("--latent-dim", type=int, default=8, help="coordinates of the table's codes (default: 8)")
    parser.add_argument("--steps", type=int, default=1500, help="train steps of each model (default: 1500)")
    parser.add_argument("--seed", type=int, default=0, help="of weights, draws and split (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("latent_gaps.png"), help="default: latent_gaps.png")
    options = parser.parse_args(argv)
    parts = split(options.data, options.seed)
    train, held_out = parts[0], parts[2]
    print(f"{len(train)} images of {options.data} to train on, {len(held_out)} real and as many decoded to compare\n")
    print(f"{'Frechet distance of images from ...':40}{'autoencoder':>12}{'VAE':>9}")
    ours, theirs = models(train, options.latent_dim, options.steps, options.seed)
    for name, values in table(ours, theirs, parts, options.seed).items():
        print(f"{name:40}{values[0]:12.1f}{'' if values[1] is None else f'{values[1]:9.1f}'}", flush=True)
    images.save_png(options.output, picture(*models(train, 2, options.steps, options.seed), held_out))
    print(f"\nLook at {options.output}: codes of two coordinates, and what is made of N(0, I).")


def split(data: str, seed: int) -> tuple[Examples, Examples, Examples]:
    """Returns what is trained on, what samples are compared with, and as many other real images."""
    both = [keras_gen.data.examples(data, part) for part in ("train", "test")]
    arrays = {name: np.concatenate([part.arrays[name] for part in both]) for name in ("image", "label")}
    order = np.random.default_rng(seed).permutation(len(arrays["image"]))
    n = min(MOST, len(order) // 4)
    rows = (order[2 * n :], order[:n], order[n : 2 * n])
    return tuple(Examples({k: v[part] for k, v in arrays.items()}, both[0].classes, both[0].name) for part in rows)


def floats(examples: Examples) -> np.ndarray:
    """Returns the images in [-1, 1]."""
    return images.from_uint8(examples.arrays["image"])


def models(train: Examples, latent_dim: int, steps: int, seed: int) -> list[keras.Model]:
    """Trains an autoencoder and a VAE with the same networks and the same reconstruction loss."""
    common = {"image_shape": train.arrays["image"].shape[1:], "latent_dim": latent_dim, "hidden": (256, 128)}
    trained = []
    for name, settings in (("autoencoder", {"loss": "cross_entropy"}), ("vae", {"binarize": "none"})):
        keras.utils.set_random_seed(seed)
        model = keras_gen.get(name, **common, **settings, seed=seed)
        model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)))
        progress = keras_gen.callbacks.ProgressLine(f"training {name}")
        model.fit(train.stream(BATCH, seed), steps_per_epoch=steps, verbose=0, callbacks=[progress])
        trained.append(model)
    return trained


def table(
    ours: keras.Model, theirs: keras.Model, parts: tuple[Examples, Examples, Examples], seed: int
) -> dict[str, tuple[float, float | None]]:
    """Returns Frechet distances of the autoencoder's and the VAE's images, by where their codes are from.

    Args:
        ours: the autoencoder.
        theirs: the VAE.
        parts: of `split`.
        seed: of the judge and the codes.
    """
    train, reference, others = parts
    judge = metrics.Judge.for_data(train, others, seed=seed)
    real = metrics.Moments(judge.features(reference.arrays["image"]))

    def distance(pictures):
        return metrics.frechet_distance(real, judge.features(pictures))

    noise = np.random.default_rng(seed).standard_normal((len(others), ours.latent_dim), np.float32)
    nothing = distance(others.arrays["image"])
    return {
        "other real images, as they are": (nothing, nothing),
        "their codes": tuple(distance(model.reconstruct(floats(others))) for model in (ours, theirs)),
        "N(0, I)": tuple(distance(model.decode(noise)) for model in (ours, theirs)),
        "the Gaussian that fits the codes": (distance(ours.sample(len(others), seed=seed)), None),
    }


def picture(ours: keras.Model, theirs: keras.Model, shown: Examples) -> np.ndarray:
    """Draws the codes of both models, and beside them what they make of a square of equally probable codes.

    Args:
        ours: an autoencoder of two latent coordinates.
        theirs: a VAE of two.
        shown: the images whose codes are drawn.

    Returns:
        uint8 (height, width, 3).
    """
    drawn, grid = figure(2, 2)
    for (plot, decoded), name, model in zip(grid, ("Autoencoder", "VAE"), (ours, theirs), strict=True):
        codes, labels = model.encode(floats(shown)[:DRAWN], batch_size=500), shown.arrays["label"][:DRAWN]
        low, high = np.quantile(codes, [0.005, 0.995], axis=0)
        (left, bottom), (right, top) = np.minimum(low, -3.5), np.maximum(high, 3.5)
        plot.set(title=f"{name}: codes of real images", xlim=(left, right), ylim=(bottom, top))
        plot.set_aspect("equal")
        for label in np.unique(labels):
            plot.plot(*codes[labels == label].T, ".", color=f"C{label % 10}", markersize=4)
        angle = np.linspace(0, 2 * np.pi, 200)
        plot.plot(3.035 * np.cos(angle), 3.035 * np.sin(angle), color="black", label="99 % of N(0, I)")
        for label in np.unique(labels):
            middle, box = (
                np.median(codes[labels == label], axis=0),
                {"facecolor": "white", "alpha": 0.6, "linewidth": 0, "pad": 1},
            )
            plot.text(
                *middle, shown.classes[label], color=f"C{label % 10}", size=14, ha="center", va="center", bbox=box
            )
        plot.legend(loc="upper right")
        square = latent.manifold(16, "normal", np.zeros(2, np.float32))
        decoded.imshow(images.grid(model.decode(square.reshape(-1, 2)), 16), "gray", vmin=0, vmax=255)
        decoded.set_title("Decoded from N(0, I)")
        decoded.set_axis_off()
    return pixels(drawn)


if __name__ == "__main__":
    main()

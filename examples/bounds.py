"""How tight a bound of log p(x) is: a VAE and an IWAE of one size, judged by 1 to 500 samples of the code.

python examples/bounds.py --output bounds.png

It takes half a minute on two cores and needs no network; `--data mnist.npz --image-size 28` shows it on MNIST. The
importance-weighted bound rises with its samples towards log p(x). A VAE is trained on the bound of one sample, and its
codes are those for which one sample does: further ones add less. An IWAE is trained on the bound of five. With one
sample it is the worse of the two, with many the better.

The last column counts active latent units, those whose posterior mean varies over the images by more than 0.01 (Burda
et al., "Importance Weighted Autoencoders", 2015, arXiv:1509.00519): the IWAE spreads its code over more of them. The
picture shows what the count hides. Strong units are few in both; the others of the VAE sink towards nothing, those of
the IWAE stay in use, if weakly. The weak sink further if training goes on.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from plot import BLUE, GRAY, ORANGE, figure, pixels

import keras_gen
from keras_gen import images

SAMPLES = (1, 5, 50, 500)
ACTIVE = 0.01
MODELS = {"VAE": ("vae", {}, BLUE), "IWAE, K = 5": ("iwae", {"samples": 5}, ORANGE)}


def main(argv: list[str] | None = None) -> None:
    """Trains both models, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--latent-dim", type=int, default=50, help="latent units (default: 50)")
    parser.add_argument("--count", type=int, default=200, help="test images to judge by (default: 200)")
    parser.add_argument("--steps", type=int, default=4000, help="train steps of each model (default: 4000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("bounds.png"), help="picture (default: bounds.png)")
    options = parser.parse_args(argv)
    size = {"image_size": options.image_size, "channels": 1}
    train = keras_gen.data.examples(options.data, "train", **size)
    test = keras_gen.data.load(options.data, "test", batch_size=options.count, shuffle=False, **size)
    unseen = next(iter(test))["image"].numpy()

    print(f"bound of log p(x) in nats, mean of {len(unseen)} test images, by samples of the code")
    print(f"{'':12}" + "".join(f"{samples:9}" for samples in SAMPLES) + "   active units")
    last = options.latent_dim
    drawn, axes = figure()
    axes.set(title="Latent units", xlabel="unit, most active first", ylabel="variance of the posterior mean")
    axes.set(yscale="log", ylim=(1e-3, 10))
    for title, (name, settings, color) in MODELS.items():
        keras.utils.set_random_seed(options.seed)
        common = {"image_shape": unseen.shape[1:], "latent_dim": last, "hidden": (200, 200)}
        model = keras_gen.get(name, **common, **settings, seed=options.seed)
        model.compile()
        progress = keras_gen.callbacks.ProgressLine(f"training {title}")
        model.fit(train.stream(50, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])
        bounds = [model.log_prob(unseen, samples, options.seed).mean() for samples in SAMPLES]
        variances = activity(model.encode(unseen))
        count = f"{np.sum(variances > ACTIVE)} of {last}"
        print(f"{title:12}" + "".join(f"{bound:9.2f}" for bound in bounds) + f"{count:>15}", flush=True)
        axes.plot(range(1, last + 1), variances, color=color, label=title)
    axes.axhline(ACTIVE, color=GRAY, linewidth=1, label="active above")
    axes.legend()
    images.save_png(options.output, pixels(drawn))
    print(f"\nLook at {options.output}: how active each unit is.")


def activity(means: np.ndarray) -> np.ndarray:
    """Returns the variance over images of each unit's posterior mean, the largest first."""
    return np.sort(means.var(axis=0))[::-1]


if __name__ == "__main__":
    main()

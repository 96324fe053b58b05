"""Gives the codes of a VQ-VAE a prior: a GPT over its maps of tokens, row by row, conditioned on the class.

python examples/code_prior.py

It takes two minutes on two cores and needs no network; `--data mnist.npz --image-size 28 --steps 4000` takes a quarter
of an hour. A VQ-VAE turns an image into a map of tokens and back, and has no prior of such maps: its own samples draw
every token by itself. A GPT whose sequences have a beginning (`start=True`) learns the prior, and its samples, decoded,
are images of the class that was asked for.

The table shows the nats of the test images' tokens, by the share of each token in the training set and by GPT, and of
samples how many nearest neighbors among the training images are of the class asked for. Rows of the picture: test
images, what the VQ-VAE makes of them, its own samples, and GPT's, of the same classes as the test images.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import keras_gen
from keras_gen import images

SHOWN = 10  # in a row of the picture
MOST = 10_000  # training images that the classifier knows


def main(argv: list[str] | None = None) -> None:
    """Trains both, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file with labels such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--steps", type=int, default=1500, help="train steps of each of the two (default: 1500)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("code_prior.png"), help="picture (default: code_prior.png)")
    options = parser.parse_args(argv)
    size = {"image_size": options.image_size, "channels": 1}
    train, test = (keras_gen.data.examples(options.data, split, **size) for split in ("train", "test"))
    (known, known_labels), (photos, labels) = (arrays(part) for part in (train, test))

    keras.utils.set_random_seed(options.seed)
    vq = keras_gen.VQVAE(image_shape=photos.shape[1:], codes=64, code_dim=8, width=32, seed=options.seed)
    vq.compile(keras.optimizers.Adam(1e-3))
    progress = keras_gen.callbacks.ProgressLine("training the VQ-VAE")
    vq.fit(train.stream(64, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])

    token, unseen = (vq.encode(part, batch_size=256) for part in (known, photos))  # (n, h, w)
    shape = token.shape[1:]
    prior = keras_gen.GPT(
        vocabulary=64,
        context=token[0].size,
        width=64,
        blocks=3,
        dropout=0.1,
        start=True,
        num_classes=len(train.classes),
        decay=options.steps,
        seed=options.seed,
    )
    prior.compile()
    rows = keras_gen.data.Examples({"token": token.reshape(len(token), -1), "label": known_labels})
    progress = keras_gen.callbacks.ProgressLine("training the prior")
    prior.fit(rows.stream(64, options.seed), steps_per_epoch=options.steps, verbose=0, callbacks=[progress])

    share = np.maximum(np.bincount(token.ravel(), minlength=64), 1) / token.size
    alone = -np.log(share / share.sum())[unseen].sum(axis=(1, 2)).mean()
    learned = -prior.log_prob(unseen.reshape(len(unseen), -1), label=labels).mean()
    count = unseen[0].size
    print(f"{len(photos)} test images of {count} tokens, {np.log(64) * count:.1f} nats if all were alike")
    print(f"{'':26}{'nats':>8}{'asked class':>14}")
    made = {
        "test images": photos,
        "reconstructed": vq.decode(unseen),
        "tokens by themselves": vq.sample(len(photos), seed=options.seed),
        "GPT over tokens": vq.decode(prior.sample(len(photos), seed=options.seed, label=labels).reshape(-1, *shape)),
    }
    judge = KNeighborsClassifier(5, algorithm="brute").fit(flat(known[:MOST]), known_labels[:MOST])
    nats = {"tokens by themselves": f"{alone:.1f}", "GPT over tokens": f"{learned:.1f}"}
    for name, pictures in made.items():
        print(f"{name:26}{nats.get(name, ''):>8}{np.mean(judge.predict(flat(pictures)) == labels):14.1%}")
    chosen = np.argsort(labels, kind="stable")[np.linspace(0, len(labels) - 1, SHOWN).astype(int)]
    sheet = np.concatenate([pictures[chosen] for pictures in made.values()])
    images.save_png(options.output, images.enlarged(images.grid(sheet, SHOWN, padding=2), 512))
    print(f"\nLook at {options.output}: a row each, in the order of the table.")


def arrays(examples: keras_gen.data.Examples) -> tuple[np.ndarray, np.ndarray]:
    """Returns images in [-1, 1] and labels."""
    return images.from_uint8(examples.arrays["image"]), np.asarray(examples.arrays["label"])


def flat(pictures: np.ndarray) -> np.ndarray:
    """Returns images as vectors."""
    return pictures.reshape(len(pictures), -1)


if __name__ == "__main__":
    main()

"""Makes faces smile: the direction of an attribute in the latent space of a VAE, judged by a classifier of pixels.

python examples/faces.py --data lfw_faces.npz

It takes a few minutes on two cores. The data are an `.npz` file of faces, `x_train` and `x_test` (n, 64, 64), with
one-hot expressions `attr_train`, `attr_test` and their names `attr_names`. A convolutional VAE learns the faces without
their labels. The direction is the mean code of happy training faces minus that of neutral ones; neutral test faces are
moved along it. In the picture a row is a face: the photo, then what the VAE makes of it at each strength, where 0 is
its reconstruction and 1 the distance between the two means.

Whether they smile is told by a judge that knows nothing of the VAE: a logistic regression on 100 principal components
of the training photos. The mean of its probabilities over all neutral test faces is printed for each strength.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import keras_gen
from keras_gen import images, latent

WITH, WITHOUT = "happiness", "neutral"
STRENGTHS = np.arange(-2, 4)
SHOWN = 8  # faces


def main(argv: list[str] | None = None) -> None:
    """Trains, finds the direction, moves faces along it, and asks the judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True, help="an .npz file of faces with expressions")
    parser.add_argument("--steps", type=int, default=2000, help="train steps (default: 2000)")
    parser.add_argument("--latent-dim", type=int, default=64, help="latent coordinates (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("faces.png"), help="picture (default: faces.png)")
    options = parser.parse_args(argv)
    train, test = (keras_gen.data.examples(options.data, split) for split in ("train", "test"))
    model = trained(train, options.steps, options.latent_dim, options.seed)

    faces, smiles = faces_of(train)
    direction = latent.attribute_direction(model.encode(faces), smiles)
    judge = make_pipeline(StandardScaler(), PCA(100, random_state=0), LogisticRegression(C=0.01, max_iter=1000))
    judge.fit(faces.reshape(len(faces), -1), smiles)

    unseen, smiling = faces_of(test)
    right = judge.score(unseen.reshape(len(unseen), -1), smiling)
    print(f"the judge is right on {right:.1%} of {len(unseen)} test photos, {smiling.mean():.1%} of which are {WITH}")
    sober = unseen[~smiling]
    moved = latent.move(model.encode(sober), direction, STRENGTHS)  # (faces, strengths, latent_dim)
    made = latent.decoder(model)(moved)  # (faces, strengths, H, W, C)
    print(f"probability of {WITH}, mean of {len(sober)} {WITHOUT} test faces")
    print(f"  {'photo':>8}  {probability(judge, sober):.3f}")
    for strength, part in zip(STRENGTHS, made.swapaxes(0, 1), strict=True):
        print(f"  {strength:+8}  {probability(judge, part):.3f}")
    images.save_png(options.output, picture(np.concatenate([sober[:SHOWN, None], made[:SHOWN]], axis=1)))
    print(f"\nLook at {options.output}.")


def trained(train: keras_gen.data.Examples, steps: int, latent_dim: int, seed: int) -> keras.Model:
    """Trains a VAE with a Gaussian decoder."""
    keras.utils.set_random_seed(seed)
    shape = train.arrays["image"].shape[1:]
    model = keras_gen.VAE(shape, latent_dim, "conv", width=16, likelihood="gaussian", seed=seed)
    model.compile()
    progress = keras_gen.callbacks.ProgressLine()
    model.fit(train.stream(64, seed), steps_per_epoch=steps, verbose=0, callbacks=[progress])
    return model


def faces_of(examples: keras_gen.data.Examples) -> tuple[np.ndarray, np.ndarray]:
    """Returns the faces of both expressions, float32 in [-1, 1], and which of them have the attribute."""
    label = examples.arrays["label"]
    with_it, without = (label == examples.classes.index(name) for name in (WITH, WITHOUT))
    chosen = with_it | without
    return images.from_uint8(examples.arrays["image"][chosen]), with_it[chosen]


def probability(judge, faces: np.ndarray) -> float:
    """Returns the judge's mean probability that faces have the attribute."""
    return float(judge.predict_proba(faces.reshape(len(faces), -1))[:, 1].mean())


def picture(rows: np.ndarray) -> np.ndarray:
    """Returns the picture, uint8: rows of faces (n, columns, H, W, C) under the strengths."""
    count, columns, height, width, channels = rows.shape
    sheet = images.grid(rows.reshape(-1, height, width, channels), columns, padding=2)
    sheet = Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet).convert("RGB")
    sheet = sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.LANCZOS)
    head = 30
    whole = Image.new("RGB", (sheet.width, sheet.height + head), "white")
    whole.paste(sheet, (0, head))
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(20)
    for column, word in enumerate(["photo", *(f"{strength:+g}" for strength in STRENGTHS)]):
        pen.text((2 * column * (width + 2) + width, head / 2), word, "black", font, anchor="mm")
    return np.asarray(whole)


if __name__ == "__main__":
    main()

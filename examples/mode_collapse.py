"""Mode collapse, measured and drawn: games on a ring of 8 Gaussians and on a grid of 25.

python examples/mode_collapse.py

TIME AND RESULTS
"""

import argparse
import statistics
import time
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from plot import BLUE, GRAY, ORANGE

import keras_gen
from keras_gen import images, metrics

HIDDEN = (128,) * 4
BATCH = 256  # examples of one step of one player
COUNT = 100_000  # examples to train on
DRAWN = 10_000  # samples that are counted
SHOWN = 1500  # of them, in a picture
FRAMES = 30  # pictures of a game's course, and looks at its health
COLUMNS = 6  # panels in a row
SIDE = 184  # of a panel, in pixels
REACH = 0.95  # a panel shows [-REACH, REACH] twice


class Toy(NamedTuple):
    """A mixture of equally probable round Gaussians in the plane."""

    title: str
    centers: np.ndarray  # (k, 2), within [-0.75, 0.75], where a generator that ends in tanh is not saturated
    scale: float  # standard deviation of each


class Game(NamedTuple):
    """A model, its settings, and how both players are trained."""

    model: str  # one of keras_gen.names()
    settings: Mapping[str, Any] = types.MappingProxyType({})
    rate: float = 2e-4  # of Adam
    betas: tuple[float, float] = (0.5, 0.999)  # of Adam
    share: float = 1.0  # of the steps of the others


class Result(NamedTuple):
    """What a trained game makes."""

    modes: int
    good: float  # share of the samples
    course: dict[int, np.ndarray]  # discriminator steps to samples (SHOWN, 2), from before training to its end
    told: list[str]  # what the health callback warned of


def _ring():
    angle = 2 * np.pi * np.arange(8) / 8
    return Toy("ring of 8", 0.75 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.75 * 0.01)


def _grid():
    line = np.linspace(-0.75, 0.75, 5)
    return Toy("grid of 25", np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), 0.75 / 4 * 0.05)


TOYS = {"ring": _ring(), "grid": _grid()}
GAMES = {
    "GAN 4x512": Game("gan", {"hidden": (512,) * 4}, rate=1e-3, share=0.1),
    "GAN": Game("gan"),
    "GAN minimax": Game("gan", {"adversarial": "minimax"}),
    "GAN least squares": Game("gan", {"adversarial": "least_squares"}),
    "GAN hinge": Game("gan", {"adversarial": "hinge"}),
    "GAN minibatch": Game("gan", {"minibatch_stddev": True}),
    "WGAN": Game("wgan"),
    "WGAN-GP": Game("wgan_gp", betas=(0.5, 0.9)),
    "SNGAN": Game("sngan"),
    "BiGAN": Game("bigan"),
    "ALI": Game("ali"),
}


def main(argv: list[str] | None = None) -> None:
    """Trains the games, prints the table and draws the pictures."""
    known = [name for name, game in GAMES.items() if game.model in keras_gen.names()]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--models", nargs="+", choices=known, default=known, metavar="NAME", help=", ".join(known))
    parser.add_argument("--toys", nargs="+", choices=TOYS, default=list(TOYS), help="default: ring grid")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each model (default: 3)")
    parser.add_argument("--steps", type=int, default=4000, help="discriminator steps of each (default: 4000)")
    parser.add_argument("--output", type=Path, default=Path("mode_collapse"), help="folder (default: mode_collapse)")
    options = parser.parse_args(argv)
    sections, films = [], []
    for toy in (TOYS[name] for name in options.toys):
        typical = table(toy, options.models, options.steps, options.seeds)
        sections.append(section(toy, typical))
        ranked = sorted(typical, key=lambda name: (typical[name].modes, typical[name].good))
        films.append((toy, {name: typical[name] for name in (ranked[0], ranked[-1])}))
    images.save_png(options.output / "modes.png", np.concatenate(sections))
    images.save_gif(options.output / "collapse.gif", film(*films[0]), 150)
    print(f"\nLook at modes.png and collapse.gif in {options.output}.")


def table(toy: Toy, names: list[str], steps: int, seeds: int) -> dict[str, Result]:
    """Prints a line for each game, and returns of each the seed with the median of modes."""
    print(f"\n{toy.title:20}{'modes of each seed':>20}{'median':>8}{'good samples':>14}{'seconds a seed':>16}")
    modes, good = count(draw(toy, DRAWN, seed=seeds), toy)
    print(f"{'the data':20}{modes:20}{modes:8}{good:14.1%}", flush=True)
    typical = {}
    for name in names:
        print(f"{name:20}{'':{max(0, 20 - 4 * seeds)}}", end="", flush=True)
        results, begin = [], time.monotonic()
        for seed in range(seeds):
            results.append(play(GAMES[name], toy, steps, seed))
            print(f"{results[-1].modes:4}", end="", flush=True)
        seconds = (time.monotonic() - begin) / seeds
        typical[name] = sorted(results, key=lambda result: result.modes)[(seeds - 1) // 2]
        good = statistics.median(result.good for result in results)
        print(f"{typical[name].modes:8}{good:14.1%}{seconds:16.0f}")
        for text in dict.fromkeys(text for result in results for text in result.told):
            print(f"    warning: {text}")
    return typical


# --- data and games --------------------------------------------------------------------------------------------------


def draw(toy: Toy, n: int, seed: int) -> np.ndarray:
    """Draws data, float32 (n, 1, 1, 2): images of one pixel and two channels."""
    rng = np.random.default_rng(seed)
    centers = toy.centers[rng.integers(len(toy.centers), size=n)]
    return rng.normal(centers, toy.scale).astype(np.float32)[:, None, None, :]


def count(samples: np.ndarray, toy: Toy) -> tuple[int, float]:
    """Returns the modes that have 20 good samples, and the share of good ones: within 3 standard deviations."""
    found = metrics.mode_coverage(samples.reshape(len(samples), -1), toy.centers, toy.scale)
    return found.modes, found.good


class Course(keras.callbacks.Callback):
    """Keeps samples of the same latents, from before training and from the end of each epoch.

    Args:
        steps: discriminator steps in an epoch.
    """

    def __init__(self, steps):
        super().__init__()
        self.steps, self.samples = steps, {}

    def on_train_begin(self, logs=None):
        """Draws before training."""
        self.on_epoch_end(-1)

    def on_epoch_end(self, epoch, logs=None):
        """Draws."""
        samples = self.model.sample(SHOWN, seed=1, batch_size=SHOWN)
        self.samples[(epoch + 1) * self.steps] = samples.reshape(SHOWN, 2)


def play(game: Game, toy: Toy, steps: int, seed: int) -> Result:
    """Trains one game.

    Args:
        game: what to train.
        toy: on what.
        steps: of the discriminator, before the game's share is taken.
        seed: of data, weights and draws.
    """
    keras.utils.set_random_seed(seed)
    settings = {"hidden": HIDDEN, "dropout": 0.0, **game.settings}
    model = keras_gen.get(game.model, architecture="mlp", image_shape=(1, 1, 2), latent_dim=2, seed=seed, **settings)
    beta_1, beta_2 = game.betas
    model.compile(
        **{player.prefixed("optimizer"): keras.optimizers.Adam(game.rate, beta_1, beta_2) for player in model.players()}
    )
    updates = max(player.steps for player in model.players())
    rounds = max(1, round(steps * game.share / updates))
    epochs = min(FRAMES, rounds)
    data = draw(toy, COUNT, seed)
    course = Course(rounds // epochs * updates)
    health = keras_gen.callbacks.GANHealth(data[:DRAWN], every=rounds // epochs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            keras_gen.data.Examples({"image": data}).stream(BATCH * updates, seed),
            steps_per_epoch=rounds // epochs,
            epochs=epochs,
            callbacks=[course, health],
            verbose=0,
        )
    told = [str(warning.message) for warning in caught]
    return Result(*count(model.sample(DRAWN, seed=0, batch_size=1000), toy), course.samples, told)


# --- drawing ---------------------------------------------------------------------------------------------------------


def panel(samples: np.ndarray, toy: Toy, side: int) -> Image.Image:
    """Draws samples over the modes, blue where they are good, at three times the size and then reduced."""
    large = Image.new("RGB", (3 * side, 3 * side), "white")
    pen = ImageDraw.Draw(large, "RGBA")

    def disk(point, radius, color):
        x, y = 3 * side / 2 * (1 + np.clip(point, -REACH, REACH) / REACH * (1, -1))
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], color)

    distance = np.linalg.norm(samples[:, None] - toy.centers, axis=-1).min(axis=1)
    for center in toy.centers:
        disk(center, 0.024 * 3 * side, (*GRAY, 90))
    for good, color in ((False, (*ORANGE, 150)), (True, (*BLUE, 60))):
        for point in samples[(distance <= 3 * toy.scale) == good]:
            disk(point, 0.006 * 3 * side, color)
    pen.rectangle([0, 0, 3 * side - 1, 3 * side - 1], outline=(*GRAY, 255), width=3)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def section(toy: Toy, results: Mapping[str, Result]) -> np.ndarray:
    """Draws what every game makes of a toy, uint8 (height, width, 3)."""
    title, name_font, small = (ImageFont.load_default(size) for size in (22, 15, 13))
    real = draw(toy, SHOWN, seed=0)
    panels = {"the data": (real.reshape(SHOWN, 2), *count(draw(toy, DRAWN, seed=0), toy))}
    for name, result in results.items():
        panels[name] = (list(result.course.values())[-1], result.modes, result.good)
    wide, high, gap, top = SIDE + 12, SIDE + 54, 12, 46
    sheet = Image.new("RGB", (gap + COLUMNS * wide, top + -(-len(panels) // COLUMNS) * high), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((gap, 12), toy.title.capitalize(), "black", title)
    for index, (name, (points, modes, good)) in enumerate(panels.items()):
        left, upper = gap + index % COLUMNS * wide, top + index // COLUMNS * high
        sheet.paste(panel(points, toy, SIDE), (left, upper))
        pen.text((left, upper + SIDE + 4), name, "black", name_font)
        pen.text((left, upper + SIDE + 23), f"{modes} modes, {good:.0%} good", (110, 110, 110), small)
    return np.asarray(sheet)


def film(toy: Toy, results: Mapping[str, Result]) -> list[np.ndarray]:
    """Draws the course of two games side by side, or of one."""
    font, small = ImageFont.load_default(18), ImageFont.load_default(14)
    side, gap, frames = 280, 14, []
    courses = [list(result.course.items()) for result in results.values()]
    for number in range(max(map(len, courses))):
        sheet = Image.new("RGB", (gap + len(courses) * (side + gap), side + 52 + gap), "white")
        pen = ImageDraw.Draw(sheet)
        for index, (name, course) in enumerate(zip(results, courses, strict=True)):
            left = gap + index * (side + gap)
            step, points = course[min(number, len(course) - 1)]
            pen.text((left, 6), name, "black", font)
            pen.text((left, 30), f"discriminator step {step}", (110, 110, 110), small)
            sheet.paste(panel(points[: SHOWN // 2], toy, side), (left, 52))
        frames.append(np.asarray(sheet))
    return frames


if __name__ == "__main__":
    main()

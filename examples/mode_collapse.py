"""Mode collapse, measured and drawn: games on a ring of 8 Gaussians and on a grid of 25.

python examples/mode_collapse.py

The whole table takes an hour and a half on one core and needs no network; `--models "GAN 4x512" GAN --toys ring --seeds
1` takes two minutes and shows the point. A generator has collapsed when it draws a few of the data's modes and never
the others. Images do not tell how many modes they have; mixtures of Gaussians do. The ring and the grid are those of
Lin et al., "PacGAN", 2018, arXiv:1712.04086 (and, with other scales, of Srivastava et al., "VEEGAN", 2017,
arXiv:1705.07761): radius 1 and standard deviation 0.01, spacing 2 and 0.05, here shrunk to [-0.75, 0.75], as images of
one pixel and two channels. Of 10,000 samples those within 3 standard deviations of a mode are good, as 98.89 % of the
data are, and a mode counts from 20 good ones on. PacGAN's authors found 6.3 of 8 and 17.3 of 25 with a GAN, 6.6 and
24.1 with ALI, after 400,000 steps; here are a few thousand.

All games have 4 layers of 128 units in each network, two latent coordinates, 256 points in a step, as many
discriminator steps, and Adam with beta_1 0 and rates that fall from 1e-3 (on the grid: 5e-4) to 0. Pilots of one seed
chose the rest:

* Discriminators see the points enlarged 8 times: with weights as small as they begin, they bend too slowly otherwise.
  On the grid, WGAN-GP found 22 modes in 4,000 steps at 1e-3, and 25 in 8,000 at half of that.
* WGAN-GP has a penalty of 0.1, as its authors' own toys; with the 10 of images it found no mode. It takes one critic
  step for each of the generator's.
* SNGAN's slope is bounded by 1: its discriminator sees the points enlarged 48 times, has five times the generator's
  rate, and half as many steps again. On the grid it found 20 modes enlarged 32 times, 22 enlarged 64 times, and 25 with
  these steps.
* "GAN 4x512" has layers four times as wide, a generator ten times as fast as the discriminator, constant rates and
  Adam's usual betas, and points as they are: its samples stay a clump that moves on as soon as the discriminator has
  found it, and `GANHealth` says so. It stops after 1,200 steps for their cost.

The pictures are of the seed with the median of modes; the film is of the first game asked for, beside the best one.
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

import keras_gen
from keras_gen import images, metrics

HIDDEN = (128,) * 4
BLUE, ORANGE, GRAY = (31, 87, 165), (221, 110, 20), (150, 150, 150)
BATCH = 256  # examples of one step of one player
COUNT = 100_000  # examples to train on
DRAWN = 10_000  # samples that are counted
SHOWN = 1500  # of them, in a picture
FRAMES = 24  # pictures of a game's course, and looks at its health
COLUMNS = 6  # panels in a row
SIDE = 184  # of a panel, in pixels
REACH = 0.95  # a panel shows [-REACH, REACH] twice


class Toy(NamedTuple):
    """A mixture of equally probable round Gaussians in the plane."""

    title: str
    centers: np.ndarray  # (k, 2), within [-0.75, 0.75], where a generator that ends in tanh is not saturated
    scale: float  # standard deviation of each
    steps: int  # of the discriminator, by default
    rate: float  # of Adam at the beginning; it falls to 0


class Game(NamedTuple):
    """A model, its settings, and how both players are trained."""

    model: str  # one of keras_gen.names()
    settings: Mapping[str, Any] = types.MappingProxyType({})
    d_rate: float = 1.0  # the discriminator's, as a multiple of the toy's
    g_rate: float = 1.0  # the generator's
    enlarged: float = 8.0  # how much the points are, before the discriminator judges them
    betas: tuple[float, float] = (0.0, 0.9)  # of Adam
    times: float = 1.0  # discriminator steps, as a multiple of the toy's
    most: int | None = None  # discriminator steps, where the others take more; the rates stay what they are


class Result(NamedTuple):
    """What a trained game makes."""

    modes: int
    good: float  # share of the samples
    course: dict[int, np.ndarray]  # discriminator steps to samples (SHOWN, 2), from before training to its end
    alarm: str  # what the health callback still held to be wrong at the end


def _ring():
    angle = 2 * np.pi * np.arange(8) / 8
    return Toy("ring of 8", 0.75 * np.stack([np.cos(angle), np.sin(angle)], axis=1), 0.75 * 0.01, 3000, 1e-3)


def _grid():
    line = np.linspace(-0.75, 0.75, 5)
    return Toy("grid of 25", np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2), 0.75 / 4 * 0.05, 8000, 5e-4)


TOYS = {"ring": _ring(), "grid": _grid()}
GAMES = {
    "GAN 4x512": Game("gan", {"hidden": (512,) * 4}, d_rate=0.1, enlarged=1.0, betas=(0.5, 0.999), most=1200),
    "GAN": Game("gan"),
    "GAN minimax": Game("gan", {"adversarial": "minimax"}),
    "GAN least squares": Game("gan", {"adversarial": "least_squares"}),
    "GAN hinge": Game("gan", {"adversarial": "hinge"}),
    "GAN minibatch": Game("gan", {"minibatch_stddev": True}),
    "WGAN": Game("wgan", {"clip": 0.1}),
    "WGAN-GP": Game("wgan_gp", {"n_critic": 1, "penalty_weight": 0.1, "discriminator_norm": "none"}),
    "SNGAN": Game("sngan", {"n_critic": 1}, d_rate=2.0, g_rate=0.4, enlarged=48.0, times=1.5),
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
    defaults = " and ".join(f"{toy.steps} on the {name}" for name, toy in TOYS.items())
    parser.add_argument("--steps", type=int, help=f"discriminator steps of each model (default: {defaults})")
    parser.add_argument("--output", type=Path, default=Path("mode_collapse"), help="folder (default: mode_collapse)")
    options = parser.parse_args(argv)
    pictures, films = [], []
    for toy in (TOYS[name] for name in options.toys):
        typical = table(toy, options.models, options.steps or toy.steps, options.seeds)
        pictures.append(section(toy, typical))
        best = max(typical, key=lambda name: (typical[name].modes, typical[name].good))
        films.append(film(toy, {name: typical[name] for name in (options.models[0], best)}))
    images.save_png(options.output / "modes.png", np.concatenate(pictures))
    images.save_gif(options.output / "collapse.gif", films[0], [150] * (len(films[0]) - 1) + [3000])
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
        alarms = [result.alarm for result in results if result.alarm]
        if alarms:
            print(f"    warning ({len(alarms)} of {seeds} seeds): {alarms[-1]}", flush=True)
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
        steps: of the discriminator; over so many the rates fall, even if the game takes fewer.
        seed: of data, weights and draws.
    """
    keras.utils.set_random_seed(seed)
    arguments = {"image_shape": (1, 1, 2), "latent_dim": 2, "hidden": HIDDEN, "norm": "none", "dropout": 0.0}
    arguments |= {"architecture": "mlp", "seed": seed, **game.settings}
    plain = keras_gen.get(game.model, **arguments).discriminator
    model = keras_gen.get(game.model, **arguments, discriminator=enlarging(plain, game.enlarged))
    updates, steps = model.n_critic, int(game.times * steps)
    rounds = max(1, min(steps, game.most or steps) // updates)
    epochs = min(FRAMES, rounds)

    def adam(rate, count):
        falling = rate if game.most else keras.optimizers.schedules.CosineDecay(rate, max(1, count))
        return keras.optimizers.Adam(falling, *game.betas)

    model.compile(
        d_optimizer=adam(toy.rate * game.d_rate, steps), g_optimizer=adam(toy.rate * game.g_rate, steps // updates)
    )
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
    alarm = str(caught[-1].message) if health.failures else ""
    return Result(*count(model.sample(DRAWN, seed=0, batch_size=1000), toy), course.samples, alarm)


def enlarging(discriminator: keras.Model, times: float) -> keras.Model:
    """Returns a discriminator that enlarges the points before it judges them."""
    inputs = {name: keras.Input(tensor.shape[1:], name=name) for name, tensor in discriminator.input.items()}
    seen = {**inputs, "image": keras.layers.Rescaling(times)(inputs["image"])}
    return keras.Model(inputs, discriminator(seen))


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


def film(toy: Toy, results: Mapping[str, Result]) -> list[Image.Image]:
    """Draws the course of two games side by side, or of one, in the few colors that keep the file small."""
    font, small = ImageFont.load_default(18), ImageFont.load_default(14)
    side, gap, frames = 250, 14, []
    courses = [list(result.course.items()) for result in results.values()]
    shades = [
        np.rint(255 + (np.array(color) - 255) * k / 4) for color in (BLUE, ORANGE, (0, 0, 0)) for k in (1, 2, 3, 4)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([np.full(3, 255), *shades]).astype(np.uint8).tobytes())
    for number in range(max(map(len, courses))):
        sheet = Image.new("RGB", (gap + len(courses) * (side + gap), side + 52 + gap), "white")
        pen = ImageDraw.Draw(sheet)
        for index, (name, course) in enumerate(zip(results, courses, strict=True)):
            left = gap + index * (side + gap)
            step, points = course[min(number, len(course) - 1)]
            pen.text((left, 6), name, "black", font)
            pen.text((left, 30), f"discriminator step {step}", (110, 110, 110), small)
            sheet.paste(panel(points[: SHOWN // 4], toy, side), (left, 52))
        frames.append(sheet.quantize(palette=palette, dither=Image.Dither.NONE))
    return frames


if __name__ == "__main__":
    main()

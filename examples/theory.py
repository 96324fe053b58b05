"""Draws what the theory says: code lengths, the generator's losses, and a GAN that approaches the data.

python examples/theory.py --output theory

It takes about a minute on two cores and needs no network. Every picture's numbers are printed, too.
"""

import argparse
import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image
from plot import BLUE, GRAY, GREEN, ORANGE, figure, pixels
from scipy.ndimage import gaussian_filter1d

import keras_gen
from keras_gen import images
from keras_gen import information as info
from keras_gen.losses import ADVERSARIAL

N_CRITIC = 8  # discriminator steps for each of the generator's, so that D stays near its optimum


def code_lengths(folder: Path) -> None:
    """Compares the length of each Huffman word with -log2 p, and prints what a wrong code costs."""
    law = 1 / np.arange(1, 9)  # Zipf: the k-th most frequent word is 1 / k times as frequent as the first
    law /= law.sum()
    p = dict(zip("the of and to in is it as".split(), law, strict=True))
    code = info.huffman_code(p)
    wrong = law[::-1]
    wrong_code = info.huffman_code(dict(zip(p, wrong, strict=True)))
    print("code lengths, in bits")
    print(f"  entropy H                  {info.entropy(law, 2):.4f}")
    print(f"  Huffman code               {info.mean_length(code, p):.4f}  (H <= length < H + 1)")
    print(f"  code of the reversed law   {info.mean_length(wrong_code, p):.4f}")
    print(f"  ideal code of that law     {info.cross_entropy(law, wrong, 2):.4f}  = H + KL")
    print(f"  KL                         {info.kl(law, wrong, 2):.4f}")
    place = np.arange(len(p))
    drawn, axes = figure()
    axes.set(title="Length of a code word", xlabel="word and its code word", ylabel="bits")
    axes.bar(place - 0.2, -np.log2(law), 0.36, color=BLUE, label="-log2 p")
    axes.bar(place + 0.2, [len(code[symbol]) for symbol in p], 0.36, color=ORANGE, label="Huffman code")
    axes.set_xticks(place, [f"{symbol}\n{code[symbol]}" for symbol in p])
    axes.legend()
    images.save_png(folder / "code_lengths.png", pixels(drawn))


def generator_losses(folder: Path) -> None:
    """Shows that the minimax loss has no gradient where the discriminator is sure, and the non-saturating one has."""
    losses = {
        "minimax": ADVERSARIAL["minimax"].generator,
        "non-saturating": ADVERSARIAL["non_saturating"].generator,
        # Goodfellow 2016, arXiv:1701.00160, section 3.2.5: in expectation, its gradient is that of maximum likelihood.
        "maximum likelihood": lambda logits: -tf.reduce_mean(tf.exp(logits)),
    }
    logits = tf.linspace(-6.0, 6.0, 241)
    drawn, (left, right) = figure(columns=2)
    left.set(title="Three losses of the generator", xlabel="logit of D(G(z))", ylabel="loss", ylim=(-8, 8))
    right.set(title="Their gradients", xlabel="logit of D(G(z))", ylabel="d loss / d logit", ylim=(-1.5, 0.5))
    print("\nthe generator's losses (and gradients) at D(G(z)) = .0025, .5, .9975")
    for (name, loss), color in zip(losses.items(), (BLUE, ORANGE, GREEN), strict=True):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            values = tf.map_fn(loss, logits)
        gradients = tape.gradient(values, logits).numpy()
        left.plot(logits, values, color=color, label=name)
        right.plot(logits, gradients, color=color, label=name)
        row = "  ".join(f"{values[i]:9.4f} ({gradients[i]:9.4f})" for i in (0, 120, 240))
        print(f"  {name:20}{row}")
    left.legend()
    images.save_png(folder / "generator_losses.png", pixels(drawn))


class OneDimension(keras.callbacks.Callback):
    """Draws both distributions and both discriminators as training goes on.

    Args:
        x: (K,) points at which the distributions are compared.
        p: (K,) the density of the data there.
        every: steps between two pictures.
    """

    def __init__(self, x, p, every):
        super().__init__()
        self.grid, self.p, self.every, self.frames, self.step = x, p, every, [], 0
        self.latents = np.random.default_rng(1).standard_normal((50_000, 4), np.float32)

    def on_train_begin(self, logs=None):
        """Draws the beginning."""
        self.draw()

    def on_train_batch_end(self, batch, logs=None):
        """Counts, and draws."""
        self.step += 1
        if self.step % self.every == 0:
            self.draw()

    def draw(self):
        """Adds a picture, and prints its numbers."""
        width = self.grid[1] - self.grid[0]
        edges = np.append(self.grid, self.grid[-1] + width) - width / 2
        samples = np.ravel(self.model.generator(self.latents))
        g = np.histogram(samples.clip(edges[0], edges[-1]), edges)[0].astype(float)
        g = gaussian_filter1d(g, 1.5, mode="constant")
        g /= g.sum() * width
        d = np.ravel(tf.sigmoid(self.model.discriminator(self.grid[:, None, None, None].astype(np.float32))))
        best = info.optimal_discriminator(self.p, g)
        divergence = info.js(self.p, g, dx=width)
        value = info.game_value(self.p, g, dx=width)
        gap = np.sum(np.abs(d - best) * (self.p + g) / 2) * width
        print(f"  {self.step:6}{divergence:10.4f}{value:+12.4f}{gap:12.4f}")
        drawn, (densities, judged) = figure(rows=2, sharex=True)
        densities.set(title=f"Step {self.step}: JSD = {divergence:.3f} nats", ylabel="density", ylim=(0, 4))
        densities.plot(self.grid, self.p, color=BLUE, label="data")
        densities.plot(self.grid, g, color=ORANGE, label="generator")
        judged.set(title="Probability that x is real", xlabel="x", ylabel="probability", ylim=(0, 1))
        seen = (self.p + g) > 0.02  # elsewhere nothing is drawn, and D is free
        judged.plot(self.grid, np.where(seen, best, np.nan), color=GRAY, label="optimum p / (p + g)")
        judged.plot(self.grid, d, color=GREEN, label="discriminator")
        for axes in (densities, judged):
            axes.legend(loc="upper right")
        self.frames.append(pixels(drawn))


def one_dimension(folder: Path, steps: int) -> None:
    """Trains a GAN on numbers, and shows its distribution approach that of the data."""
    rng = np.random.default_rng(0)
    numbers = np.where(rng.random(20_000) < 0.6, rng.normal(-0.35, 0.14, 20_000), rng.normal(0.35, 0.14, 20_000))
    numbers = numbers[np.abs(numbers) < 1].astype(np.float32)[:, None, None, None]  # images of one pixel
    x = np.linspace(-1, 1, 201)
    p = sum(w * np.exp(-((x - m) ** 2) / (2 * 0.14**2)) for w, m in ((0.6, -0.35), (0.4, 0.35)))
    p /= p.sum() * (x[1] - x[0])

    keras.utils.set_random_seed(0)
    generator = keras.Sequential([keras.Input((4,)), *(layers.Dense(64, activation="relu") for _ in range(2))])
    generator.add(layers.Dense(1))
    generator.add(layers.Reshape((1, 1, 1)))
    # Enlarged, x lets the first layer bend D sharply enough.
    discriminator = keras.Sequential([keras.Input((1, 1, 1)), layers.Flatten(), layers.Rescaling(6.0)])
    for _ in range(2):
        discriminator.add(layers.Dense(128, activation="tanh"))
    discriminator.add(layers.Dense(1))
    model = keras_gen.GAN(generator, discriminator, latent_dim=4, n_critic=N_CRITIC, seed=0)
    # Falling rates: at constant ones the two players circle around the equilibrium.
    d_rate = keras.optimizers.schedules.CosineDecay(4e-3, N_CRITIC * steps)
    g_rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(
        d_optimizer=keras.optimizers.Adam(d_rate, beta_1=0.5), g_optimizer=keras.optimizers.Adam(g_rate, beta_1=0.5)
    )
    watch = OneDimension(x, p, max(1, steps // 40))
    print(f"\na GAN in one dimension (C(G) = -ln 4 + 2 JSD, at least {-math.log(4):.4f})")
    print("    step       JSD        C(G)    |D - D*|")
    stream = keras_gen.data.Examples({"image": numbers}).stream(N_CRITIC * 256, seed=0)
    model.fit(stream, steps_per_epoch=steps, verbose=0, callbacks=[watch])
    frames = [Image.fromarray(frame).quantize(64) for frame in watch.frames]
    images.save_gif(folder / "gan.gif", frames, [150] * (len(frames) - 1) + [2000])
    images.save_png(folder / "gan.png", watch.frames[-1])


def main(argv: list[str] | None = None) -> None:
    """Draws everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--output", type=Path, default=Path("theory"), help="folder (default: theory)")
    parser.add_argument("--steps", type=int, default=1000, help="train steps of the GAN (default: 1000)")
    options = parser.parse_args(argv)
    code_lengths(options.output)
    generator_losses(options.output)
    one_dimension(options.output, options.steps)
    print(f"\nLook at code_lengths.png, generator_losses.png and gan.gif in {options.output}.")


if __name__ == "__main__":
    main()

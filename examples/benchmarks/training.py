"""Speed of `fit` against the hand-written loop, and against PyTorch: the TF DCGAN tutorial's networks and rule.

python examples/benchmarks/training.py

Chunks of steps are interleaved in one process, and ratios are medians over pairs of neighbors, so that a machine whose
speed drifts harms neither side. Peak memory and the time to the first step are of processes of their own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from table import options, ratio, row, start

BATCH = 256


def images() -> np.ndarray:
    """Returns real digits, enlarged to 28x28: float32 (1500, 28, 28, 1) in [-1, 1]."""
    from keras_gen import data

    found = data.examples("digits", image_size=28).arrays["image"]
    return found.astype(np.float32) / 127.5 - 1


def gan(precision: str):
    """Returns the tutorial's networks in `GAN`, compiled with its optimizers."""
    import keras
    from dcgan_tutorial import discriminator, generator

    import keras_gen

    keras.config.set_dtype_policy(precision)
    model = keras_gen.GAN(generator(), discriminator(), latent_dim=100, seed=0)
    model.compile(d_optimizer=keras.optimizers.Adam(1e-4), g_optimizer=keras.optimizers.Adam(1e-4))
    keras.config.set_dtype_policy("float32")
    return model


def tutorial_loop():
    """Returns a function that takes n steps of the tutorial's own loop."""
    import keras
    import tensorflow as tf
    from dcgan_tutorial import discriminator, generator

    g, d = generator(), discriminator()
    g_optimizer, d_optimizer = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
    entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(image):
        noise = tf.random.normal([BATCH, 100])
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = g(noise, training=True)
            real_logits, fake_logits = d(image, training=True), d(fake, training=True)
            g_loss = entropy(tf.ones_like(fake_logits), fake_logits)
            d_loss = entropy(tf.ones_like(real_logits), real_logits) + entropy(tf.zeros_like(fake_logits), fake_logits)
        g_optimizer.apply_gradients(
            zip(g_tape.gradient(g_loss, g.trainable_variables), g.trainable_variables, strict=True)
        )
        d_optimizer.apply_gradients(
            zip(d_tape.gradient(d_loss, d.trainable_variables), d.trainable_variables, strict=True)
        )

    source = tf.data.Dataset.from_tensor_slices(images()).shuffle(1500).repeat().batch(BATCH).prefetch(2)
    iterator = iter(source)

    def take(steps):
        for _ in range(steps):
            step(next(iterator))

    return take


def torch_loop():
    """Returns a function that takes n steps of the same networks and rule in PyTorch."""
    import torch
    from torch import nn

    torch.set_num_threads(os.cpu_count() or 1)

    def block(inputs, outputs, stride):
        padding = {"padding": 2, "output_padding": stride - 1}
        return [
            nn.ConvTranspose2d(inputs, outputs, 5, stride, bias=False, **padding),
            *([nn.BatchNorm2d(outputs), nn.LeakyReLU(0.3)] if outputs > 1 else [nn.Tanh()]),
        ]

    g = nn.Sequential(
        nn.Linear(100, 7 * 7 * 256, bias=False),
        nn.BatchNorm1d(7 * 7 * 256),
        nn.LeakyReLU(0.3),
        nn.Unflatten(1, (256, 7, 7)),
        *block(256, 128, 1),
        *block(128, 64, 2),
        *block(64, 1, 2),
    )
    d = nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, 2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, 2, 2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(128 * 49, 1),
    )
    g_optimizer, d_optimizer = torch.optim.Adam(g.parameters(), 1e-4), torch.optim.Adam(d.parameters(), 1e-4)
    entropy = nn.BCEWithLogitsLoss()
    data = torch.from_numpy(images().transpose(0, 3, 1, 2).copy())

    def take(steps):
        for _ in range(steps):
            image = data[torch.randint(len(data), (BATCH,))]
            fake = g(torch.randn(BATCH, 100))
            real_logits, fake_logits = d(image), d(fake)
            d_loss = entropy(real_logits, torch.ones_like(real_logits))
            d_loss = d_loss + entropy(fake_logits, torch.zeros_like(fake_logits))
            g_loss = entropy(fake_logits, torch.ones_like(fake_logits))
            # Both gradients on one forward pass and one set of weights, as the tutorial takes them.
            g_gradients = torch.autograd.grad(g_loss, list(g.parameters()), retain_graph=True)
            d_gradients = torch.autograd.grad(d_loss, list(d.parameters()))
            for network, gradients in ((g, g_gradients), (d, d_gradients)):
                for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                    parameter.grad = gradient
            g_optimizer.step()
            d_optimizer.step()

    return take


def against(other, precision: str, chunks: int, steps: int) -> tuple[float, tuple[float, float, float]]:
    """Interleaves `fit` with another loop.

    Returns:
        Median steps/s of `fit`, and its ratio to the other's: median and quartiles.
    """
    import keras

    other(2)
    mine, theirs = [], []

    class Interleave(keras.callbacks.Callback):
        """Times a chunk of `fit`, then one of the other."""

        began = None

        def on_train_batch_end(self, batch, logs=None):
            if (batch + 1) % steps:
                return
            logs = {name: float(value) for name, value in logs.items()}  # waits for the step
            now = time.perf_counter()
            other(steps)
            if self.began:  # the first chunk also compiles
                mine.append(steps / (now - self.began))
                theirs.append(steps / (time.perf_counter() - now))
            self.began = time.perf_counter()

    gan(precision).fit(
        images(), batch_size=BATCH, steps_per_epoch=steps * (chunks + 1), epochs=1, verbose=0, callbacks=[Interleave()]
    )
    return statistics.median(mine), ratio(mine, theirs)


def alone(kind: str) -> dict[str, float]:
    """Takes 21 steps of one kind; returns the seconds to the end of the first, and peak memory in MiB."""
    import keras

    class Ends(keras.callbacks.Callback):
        """Notes when each step has ended."""

        times: list[float] = []

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())

    start = time.perf_counter()
    if kind == "fit":
        ends = Ends()
        gan("float32").fit(images(), batch_size=BATCH, steps_per_epoch=21, verbose=0, callbacks=[ends])
        first = ends.times[0] - start
    else:
        take = tutorial_loop()
        take(1)
        first = time.perf_counter() - start
        take(20)
    # Not `ru_maxrss`, in which a child begins with its parent's.
    peak = next(
        line for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM")
    )
    return {"first_step_s": first, "peak_mib": int(peak.split()[1]) / 1024}


def process(kind: str) -> dict[str, float]:
    """Runs `alone` in a process of its own."""
    out = subprocess.run([sys.executable, __file__, "--alone", kind], capture_output=True, encoding="utf-8", check=True)
    return json.loads(out.stdout.splitlines()[-1])


def compared(what: str, other, precision: str, target: float, chunks: int, steps: int) -> None:
    """Prints the row of `fit` against another loop."""
    speed, (middle, low, high) = against(other, precision, chunks, steps)
    measured = f"{middle:.2f} ({low:.2f} to {high:.2f}), at {speed:.2f} steps/s"
    row(f"`fit`, {precision}, against {what}", measured, f">= {target}", middle >= target)


def main() -> None:
    """Prints the rows."""
    parser = options(__doc__)
    parser.add_argument("--chunks", type=int, default=15, help="pairs of chunks (default: 15)")
    parser.add_argument("--alone", choices=["fit", "loop"], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        print(json.dumps(alone(chosen.alone)))
        return
    start(chosen)
    length = (2, 1) if chosen.quick else (chosen.chunks, 5)
    loop = tutorial_loop()
    compared("the tutorial's loop in float32", loop, "float32", 0.97, *length)
    compared("the tutorial's loop in float32", loop, "mixed_bfloat16", 1.3, *length)
    try:
        compared("PyTorch in float32", torch_loop(), "float32", 1.0, *length)
    except ImportError:
        row("`fit`, float32, against PyTorch", "PyTorch is not installed: pip install torch")
    pairs = [(process("fit"), process("loop")) for _ in range(1 if chosen.quick else 7)]
    mine, theirs = (statistics.median(pair[index]["peak_mib"] for pair in pairs) for index in (0, 1))
    against_loop = f"{mine / theirs:.3f} ({mine:.0f} MiB against {theirs:.0f})"
    row("peak memory of `fit` against the loop", against_loop, "<= 1.05", mine / theirs <= 1.05)
    mine, theirs = (statistics.median(pair[index]["first_step_s"] for pair in pairs) for index in (0, 1))
    row("from building the networks to the first step's end", f"{mine:.1f} s, the loop {theirs:.1f} s")


if __name__ == "__main__":
    main()

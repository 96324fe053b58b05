"""Cost of a training step against image size, batch and replicas, as rows and as a picture.

python examples/benchmarks/scaling.py --plot scaling.png

Replicas are two logical CPUs that share all cores, so that what is measured is the price of a strategy, not its gain.
"""

import functools
import statistics

import numpy as np
from table import interleaved, options, ratio, row, start

BATCHES = (16, 32, 64, 128, 256)
SIZES = (16, 32, 64)
BATCH = 32  # at which sizes are compared
WIDTH = 32  # of the DCGAN whose size grows


def steps_of(model, batch: int, strategy=None):
    """Returns a function that takes n training steps of a compiled model on batches that are in memory."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (batch, *model.image_shape)).astype(np.float32)
    data = tf.data.Dataset.from_tensors({"image": image}).repeat()
    if strategy is not None:
        data = strategy.experimental_distribute_dataset(data.unbatch().batch(batch))
    iterator = iter(data)
    model.make_train_function()

    def take(steps):
        for _ in range(steps):
            logs = model.train_function(iterator)
        float(logs["loss"])  # waits

    return take


def tutorial_gan():
    """Returns the DCGAN tutorial's networks in `GAN`, compiled."""
    from dcgan_tutorial import discriminator, generator

    import keras_gen

    model = keras_gen.GAN(generator(), discriminator(), latent_dim=100, seed=0)
    model.compile()
    return model


def by_batch(strategy, chunks: int, images: int) -> dict[int, dict[str, list[float]]]:
    """Returns images/s of one replica and of two for every batch size, all interleaved in chunks of so many images."""
    one = tutorial_gan()
    with strategy.scope():
        two = tutorial_gan()
    takes = {}
    for batch in BATCHES:
        takes["one", batch] = steps_of(one, batch)
        takes["two", batch] = steps_of(two, batch, strategy)
    counts = {key: max(1, images // key[1]) for key in takes}
    speeds = interleaved(
        {key: functools.partial(repeated, take, counts[key]) for key, take in takes.items()}, chunks, 1
    )
    found = {key: [speed * counts[key] * key[1] for speed in values] for key, values in speeds.items()}
    return {batch: {kind: found[kind, batch] for kind in ("one", "two")} for batch in BATCHES}


def repeated(take, times: int, chunks: int) -> None:
    """Takes so many steps for each of the chunks."""
    take(times * chunks)


def by_size(chunks: int, steps: int) -> dict[int, float]:
    """Returns seconds for a step of a DCGAN at every image size: the median of interleaved chunks."""
    import keras_gen

    takes = {}
    for size in SIZES:
        model = keras_gen.get("dcgan", image_shape=(size, size, 3), width=WIDTH, seed=0)
        model.compile()
        takes[str(size)] = steps_of(model, BATCH)
    speeds = interleaved(takes, chunks, steps)
    return {size: 1 / statistics.median(speeds[str(size)]) for size in SIZES}


def picture(path: str, batches: dict[int, dict[str, list[float]]], sizes: dict[int, float]) -> None:
    """Draws both curves side by side."""
    from plot import BLUE, ORANGE, figure, pixels

    from keras_gen import images

    drawn, (left, right) = figure(columns=2)
    left.set(title="Speed against batch", xlabel="global batch", ylabel="images/s", xscale="log")
    for kind, color in (("one", BLUE), ("two", ORANGE)):
        speeds = [statistics.median(batches[batch][kind]) for batch in BATCHES]
        left.plot(BATCHES, speeds, color=color, label=f"{kind} replica{'s' if kind == 'two' else ''}")
    left.set_xticks(BATCHES, BATCHES, minor=False)
    right.set(title="Cost against size", xlabel="image", ylabel="ms per image", xscale="log")
    right.plot(SIZES, [1e3 * sizes[size] / BATCH for size in SIZES], color=BLUE, label=f"DCGAN, width {WIDTH}")
    right.set_xticks(SIZES, [f"{size}x{size}" for size in SIZES], minor=False)
    for axes in (left, right):
        axes.minorticks_off()
        axes.set_ylim(0, None)
        axes.legend()
    images.save_png(path, pixels(drawn))


def main() -> None:
    """Prints the rows and draws the picture."""
    parser = options(__doc__)
    parser.add_argument("--plot", default="scaling.png", help="where the picture goes (default: scaling.png)")
    chosen = parser.parse_args()
    import plot  # noqa: F401  # without which nothing needs to be measured

    start(chosen)
    from keras_gen import distribution

    strategy = distribution.strategy("mirrored", replicas=2)  # before anything else: it sets the logical CPUs
    batches = by_batch(strategy, *((2, 16) if chosen.quick else (12, 512)))
    for batch, speeds in batches.items():
        middle, low, high = ratio(speeds["two"], speeds["one"])
        bound = {"target": ">= 0.85", "met": middle >= 0.85} if batch == max(BATCHES) else {}
        speed = statistics.median(speeds["one"])
        measured = f"{middle:.2f} ({low:.2f} to {high:.2f}), one at {speed:.0f} images/s"
        row(f"two replicas on the same cores against one, batch {batch}", measured, **bound)
    sizes = by_size(*((2, 1) if chosen.quick else (12, 4)))
    for size, seconds in sizes.items():
        row(f"DCGAN, width {WIDTH}, {size}x{size}x3, batch {BATCH}", f"{1e3 * seconds / BATCH:.2f} ms per image")
    picture(chosen.plot, batches, sizes)


if __name__ == "__main__":
    main()

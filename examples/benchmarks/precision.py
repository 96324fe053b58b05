"""What mixed precision does to quality: trains with each precision and several seeds, and judges the samples.

python examples/benchmarks/precision.py

Each run goes through the command line: trained, exported (a float32 twin, checked against Keras) and judged by the
Frechet distance of its samples to real images. Runs that are finished already are only judged. On a CPU float16 is
emulated, and convolutions of more than digits' size take a hundred times as long in it.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from table import head, row

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def train(options: argparse.Namespace, precision: str, seed: int) -> Path:
    """Trains and exports one run; returns its `.keras` file."""
    folder = Path(options.output) / f"{precision}-{seed}"
    settings = [word for pair in options.settings for word in ("--set", pair)]
    command = ["keras_gen", "train", options.name, "--data", options.data, "--steps", str(options.steps), *settings]
    for module in (
        [*command, "--precision", precision, "--seed", str(seed), "--output", str(folder)],
        ["export.onnx", str(folder)],
    ):
        subprocess.run([sys.executable, "-m", *module], check=True, stdout=subprocess.DEVNULL)
    return folder / "model.keras"


def distances(paths: list[Path], data: str, split: str, n: int) -> list[float]:
    """Returns the Frechet distance of every run's samples to the same real images, by one judge."""
    import numpy as np

    import keras_gen
    from keras_gen import metrics

    train, test = (keras_gen.data.examples(data, split) for split in ("train", "test"))
    judge = metrics.Judge.for_data(train, test, seed=0)
    images = {"train": train, "test": test}[split].arrays["image"]
    real = judge.features(images[np.random.default_rng(0).permutation(len(images))[:n]])
    found = []
    for path in paths:
        fake = keras_gen.load(path).sample(len(real), seed=0)
        found.append(float(metrics.frechet_distance(real, judge.features(fake))))
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="dcgan", help="model (default: dcgan)")
    parser.add_argument("--data", default="digits", help="images with labels (default: digits)")
    parser.add_argument("--split", default="train", choices=["train", "test"], help="real images (default: train)")
    parser.add_argument("--steps", type=int, default=2000, help="of each run (default: 2000)")
    parser.add_argument("--seeds", type=int, default=3, help="runs for each precision (default: 3)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="as in train")
    parser.add_argument("--output", default="saved_models/precision", help="folder of the runs")
    parser.add_argument("-n", type=int, default=5000, help="samples (default: 5000)")
    options = parser.parse_args()
    runs = {(p, seed): train(options, p, seed) for seed in range(options.seeds) for p in PRECISIONS}
    found = dict(zip(runs, distances(list(runs.values()), options.data, options.split, options.n), strict=True))
    head()
    base = statistics.median(found["float32", seed] for seed in range(options.seeds))
    for precision in PRECISIONS:
        values = [found[precision, seed] for seed in range(options.seeds)]
        middle = statistics.median(values)
        told = f"{middle:.2f} ({min(values):.2f} to {max(values):.2f}), {middle / base:.2f} of float32's"
        bound = {"target": "<= 1.25 of float32's", "met": middle <= 1.25 * base} if precision != "float32" else {}
        row(f"{options.name}, {options.steps} steps, {precision}: distance to real images", told, **bound)


if __name__ == "__main__":
    main()

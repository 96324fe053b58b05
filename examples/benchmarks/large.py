"""Speed of the large GANs on 32x32 images: a step beside `dcgan`'s, memory, a sample, and PyTorch's StyleGAN2.

python examples/benchmarks/large.py [--peer-python peers/bin/python]

`--peer-python` is of an environment with `pip install -r examples/benchmarks/peers.txt`. Chunks of steps are
interleaved, and ratios are medians over pairs of neighbors; memory is of processes of their own.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from table import options, ratio, row, start

BATCH, SIDE = 32, 32
STYLES = {"latent_dim": 32, "style_dim": 32, "base": 512, "largest": 32}
MODELS = {
    "dcgan": {"width": 32, "ema": 0.999},
    "sagan": {"num_classes": 10, "width": 32, "ema": 0.999},
    "biggan": {"num_classes": 10, "width": 16},
    "progressive_gan": {"latent_dim": 32, "base": 512, "largest": 32},
    "stylegan": {**STYLES, "depth": 8},
    "stylegan2": {**STYLES, "depth": 4, "r1": 2.0, "mixing": 0.0},
    "stylegan3": {**STYLES, "depth": 2},
}


def images() -> np.ndarray:
    """Returns noise that has the form of images: float32 (1500, 32, 32, 1) in [-1, 1]."""
    return np.random.default_rng(0).uniform(-1, 1, (1500, SIDE, SIDE, 1)).astype(np.float32)


@functools.cache
def model(name: str):
    """Returns a model of 32x32 images, compiled."""
    import keras_gen

    made = keras_gen.get(name, image_shape=(SIDE, SIDE, 1), seed=0, **MODELS[name])
    made.compile()
    return made


class Chunks:
    """Takes steps of `fit`: one epoch to warm up, then as many at a time as are asked for."""

    def __init__(self, name: str):
        self.model, self.data = model(name), {"image": images()}
        self.rows = BATCH * getattr(self.model, "n_critic", 1)
        if "label" in self.model.expects():
            self.data["label"] = (np.arange(1500) % 10).astype(np.int32)

    def __call__(self, steps: int) -> float:
        """Takes steps; returns the seconds."""
        begin = time.perf_counter()
        self.model.fit(self.data, batch_size=self.rows, steps_per_epoch=steps, epochs=1, verbose=0)
        return time.perf_counter() - begin


class Peer:
    """A PyTorch program in a process beside, which takes steps as it is told."""

    def __init__(self, python: str):
        script = Path(__file__).with_name("peer_stylegan2.py")
        words = [python, str(script), str(BATCH), str(MODELS["stylegan2"]["r1"]), str(os.cpu_count() or 1)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        self.process = subprocess.Popen(words, **pipes)
        self.weights = [int(word) for word in self.process.stdout.readline().split()]

    def __call__(self, steps: int) -> float:
        """Takes steps; returns the seconds."""
        print(steps, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def interleaved(one, other, chunks: int, steps: int) -> tuple[float, tuple[float, float, float]]:
    """Returns the median milliseconds of a step of one, and how much longer it takes than the other's: see `ratio`."""
    for each in (one, other):
        each(steps)  # compiles, and warms up
    pairs = [(one(steps), other(steps)) for _ in range(chunks)]
    mine, theirs = zip(*pairs, strict=True)
    return 1e3 * statistics.median(mine) / steps, ratio(mine, theirs)


def alone(name: str) -> dict[str, float]:
    """Takes 32 steps, lazy ones too; returns the seconds to the end of the first, and peak memory in MiB."""
    begin = time.perf_counter()
    take = Chunks(name)
    take(1)
    first = time.perf_counter() - begin
    take(31)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return {"first_step_s": first, "peak_mib": int(peak.split()[1]) / 1024}


def process(name: str) -> dict[str, float]:
    """Runs `alone` in a process of its own."""
    words = [sys.executable, __file__, "--alone", name]
    out = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    return json.loads(out.stdout.splitlines()[-1])


def samples(name: str, calls: int) -> tuple[float, float]:
    """Returns the median milliseconds of 16 images from onnxruntime, and from the compiled network in Keras."""
    import onnxruntime
    import tensorflow as tf

    import export.onnx

    signature = model(name).signatures()["generate"]
    inputs = signature.example(16)
    with tempfile.TemporaryDirectory() as folder:
        export.onnx.export(model(name), folder)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = os.cpu_count() or 1
        path = Path(folder) / "generate.onnx"
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        bare = tf.function(lambda given: signature.fn(**given)["image"])
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        times = ([], [])
        for call in range(calls + 3):
            for taken, make in (
                (times[0], lambda: session.run(None, inputs)),
                (times[1], lambda: bare(tensors).numpy()),
            ):
                begin = time.perf_counter()
                make()
                if call >= 3:
                    taken.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Prints the rows."""
    parser = options(__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS], help="which (default: all)")
    parser.add_argument("--peer-python", help="interpreter of an environment with PyTorch, to compare stylegan2 with")
    parser.add_argument("--chunks", type=int, default=9, help="pairs of chunks of 16 steps (default: 9)")
    parser.add_argument("--alone", choices=MODELS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        print(json.dumps(alone(chosen.alone)))
        return
    start(chosen)
    chunks, steps = (2, 4) if chosen.quick else (chosen.chunks, 16)
    dcgan = Chunks("dcgan")
    for name in chosen.models:
        if name != "dcgan":
            step, (middle, low, high) = interleaved(Chunks(name), dcgan, chunks, steps)
            beside = f"{middle:.1f} of `dcgan`'s ({low:.1f} to {high:.1f}): {step:.0f} ms"
            row(f"a step of `{name}`, {BATCH} images of {SIDE}x{SIDE}", beside)
        told = process(name)
        row(
            f"memory of `{name}`", f"{told['peak_mib']:.0f} MiB; the first step ends after {told['first_step_s']:.0f} s"
        )
        runtime, bare = samples(name, 5 if chosen.quick else 30)
        row(f"16 images of `{name}`", f"onnxruntime {runtime / bare:.2f} of Keras: {runtime:.1f} ms against {bare:.1f}")
    if chosen.peer_python and "stylegan2" in chosen.models:
        peer, ours = Peer(chosen.peer_python), Chunks("stylegan2")
        step, (middle, low, high) = interleaved(peer, ours, chunks, steps)  # above 1: the other takes longer
        sizes = " + ".join(f"{count:,}" for count in peer.weights)
        measured = f"{middle:.2f} ({low:.2f} to {high:.2f}), of {sizes} weights; PyTorch {step:.0f} ms a step"
        row("`fit` of `stylegan2` against PyTorch, in float32", measured, ">= 1.0", middle >= 1.0)


if __name__ == "__main__":
    main()

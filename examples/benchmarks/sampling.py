"""Speed of drawing samples (`sample`, the bare compiled call, `predict`, onnxruntime, LiteRT) and of the data pipeline.

python examples/benchmarks/sampling.py

The tutorial's generator at batch 1 and 64. The ways are interleaved call by call; median and 99th percentile in
milliseconds.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


def ways(batch: int, folder: Path) -> dict:
    """Returns functions without arguments, each of which makes one batch of images."""
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter
    from dcgan_tutorial import discriminator, generator

    import export.onnx
    import export.tflite
    import keras_gen

    model = keras_gen.GAN(generator(), discriminator(), latent_dim=100, seed=0)
    export.onnx.export(model, folder)
    export.tflite.export(model, folder, batch=batch)
    latents = np.random.default_rng(0).standard_normal((batch, 100), dtype=np.float32)
    network = model.generator
    bare = tf.function(
        lambda latent: network(latent, training=False), input_signature=[tf.TensorSpec((None, 100), tf.float32)]
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    session = onnxruntime.InferenceSession(folder / "generate.onnx", options, providers=["CPUExecutionProvider"])
    interpreter = Interpreter(str(folder / "model.tflite"), num_threads=os.cpu_count())
    runner = interpreter.get_signature_runner("generate")
    return {
        "bare compiled call": lambda: bare(latents).numpy(),
        "sample": lambda: model.sample(batch, seed=0),
        "predict": lambda: model.predict(latents, batch_size=batch, verbose=0),
        "onnxruntime": lambda: session.run(None, {"latent": latents}),
        "LiteRT, static batch": lambda: runner(latent=latents),
    }


def pipeline() -> float:
    """Returns images/s of a shuffled stream of MNIST's size, batch 256."""
    from keras_gen.feed import Examples

    stream = iter(Examples({"image": np.zeros((60_000, 28, 28, 1), np.uint8)}).stream(256, seed=0))
    next(stream)
    start, steps = time.perf_counter(), 500
    for _ in range(steps):
        next(stream)
    return steps * 256 / (time.perf_counter() - start)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200, help="calls of each way (default: 200)")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} threads each")
    for batch in (1, 64):
        with tempfile.TemporaryDirectory() as folder:
            functions = ways(batch, Path(folder))
            times = {name: [] for name in functions}
            for call in range(options.calls + 5):
                for name, function in functions.items():
                    start = time.perf_counter()
                    function()
                    if call >= 5:  # the first ones warm up
                        times[name].append(1e3 * (time.perf_counter() - start))
        base = statistics.median(times["bare compiled call"])
        for name, taken in times.items():
            middle, late = np.percentile(taken, [50, 99])
            print(
                f"batch {batch:2}  {name:20}  median {middle:8.3f} ms  99 % {late:8.3f} ms  {middle / base:6.2f}x bare"
            )
    print(f"input pipeline alone: {pipeline():,.0f} images/s")


if __name__ == "__main__":
    main()

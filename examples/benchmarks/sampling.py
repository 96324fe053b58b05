"""Speed of drawing samples (`sample`, the bare compiled call, `predict`, onnxruntime, LiteRT) and of the data pipeline.

python examples/benchmarks/sampling.py

The tutorial's generator at batch 1 and 64. The ways are interleaved call by call, each round in another order; median
and 99th percentile in milliseconds.
"""

import os
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from table import options, row, start


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
    from keras_gen.data import Examples

    stream = iter(Examples({"image": np.zeros((60_000, 28, 28, 1), np.uint8)}).stream(256, seed=0))
    next(stream)
    start, steps = time.perf_counter(), 500
    for _ in range(steps):
        next(stream)
    return steps * 256 / (time.perf_counter() - start)


def timed(batch: int, calls: int) -> dict[str, np.ndarray]:
    """Returns milliseconds of every call, by way."""
    with tempfile.TemporaryDirectory() as folder:
        functions = ways(batch, Path(folder))
        times = {name: [] for name in functions}
        order, shuffle = list(functions), random.Random(0).shuffle
        for call in range(calls + 5):
            shuffle(order)  # threads that one way leaves spinning slow whatever comes next
            for name in order:
                start = time.perf_counter()
                functions[name]()
                if call >= 5:  # the first ones warm up
                    times[name].append(1e3 * (time.perf_counter() - start))
    return {name: np.array(taken) for name, taken in times.items()}


def main() -> None:
    """Prints the rows."""
    parser = options(__doc__)
    parser.add_argument("--calls", type=int, default=200, help="calls of each way (default: 200)")
    chosen = parser.parse_args()
    start(chosen)
    for batch in (1, 64):
        times = timed(batch, 5 if chosen.quick else chosen.calls)
        base = np.median(times["bare compiled call"])
        for name, taken in times.items():
            middle, late = np.percentile(taken, [50, 99])
            bound = {"target": "<= 1.2", "met": middle / base <= 1.2} if (batch, name) == (1, "sample") else {}
            measured = f"{middle / base:.2f} of the bare call: {middle:.2f} ms, 99th percentile {late:.2f} ms"
            row(f"{name}, batch {batch}, {os.cpu_count()} threads", measured, **bound)
    speed = pipeline()
    row("input pipeline alone, 28x28", f"{speed:,.0f} images/s", ">= 10 times what training takes: see `fit`")


if __name__ == "__main__":
    main()

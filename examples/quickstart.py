"""Trains a DCGAN on handwritten digits, exports it to ONNX and TFLite, and draws a grid from the ONNX file alone.

python examples/quickstart.py

It takes about two minutes on two cores and needs no network. Each part is a command of its own, which is shown; run
again after an interruption, it goes on where it was.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from export.cli import main as export
from keras_gen.cli.main import main as keras_gen

RUN = Path("saved_models") / "quickstart"
# The digits are 8x8; on 16x16 a DCGAN has two stages in place of one, and draws smoother strokes.
SETTINGS = {"width": 32, "latent": "normal", "latent_dim": 32, "ema": 0.99}
MODEL = ["dcgan", "--data", "digits", "--image-size", "16"]
MODEL += [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]


def shown(program: str, *arguments: object) -> list[str]:
    """Prints a command and returns its arguments."""
    arguments = [str(argument) for argument in arguments]
    print(f"\n$ python {program} {' '.join(arguments)}", flush=True)
    return arguments


def stop_on_failure(code: int) -> None:
    """Ends the program with the exit code of a command that failed."""
    if code:
        sys.exit(code)


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(description="Trains, exports and draws: the main job.", allow_abbrev=False)
    parser.add_argument("--steps", type=int, default=2000, help="train steps (default: 2000)")
    options = parser.parse_args()

    train = shown("-m keras_gen train", *MODEL, "--steps", options.steps, "--output", RUN)
    stop_on_failure(keras_gen(["train", *train]))
    stop_on_failure(export(shown("-m keras_gen export", RUN)))

    # A process of its own, in which nothing but numpy and onnxruntime is imported.
    script = Path(__file__).with_name("run_onnx.py")
    draw = shown("examples/run_onnx.py", RUN / "generate.onnx", "-n", 100, "--seed", 0, "-o", RUN / "onnx.png")
    stop_on_failure(subprocess.run([sys.executable, script, *draw]).returncode)
    print(f"\nLook at {RUN / 'onnx.png'}; everything else is in {RUN}, too.")


if __name__ == "__main__":
    main()

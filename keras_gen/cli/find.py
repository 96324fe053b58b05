"""From what the user typed to the file of a model, without TensorFlow."""

from pathlib import Path

from keras_gen import files
from keras_gen.errors import UsageError, near_misses

RUNS = Path("saved_models")
MODEL = "model.keras"
SUFFIXES = (".keras", ".onnx", ".tflite")


def find(source: str) -> Path:
    """Returns the file of a trained model.

    Args:
        source: the name of a run, a run's folder, or a `.keras`, `.onnx` or `.tflite` file.

    Raises:
        UsageError: there is none; the message names the runs that exist.
    """
    path = Path(source)
    if path.suffix in SUFFIXES and not path.is_dir():
        if path.is_file():
            return path
        raise UsageError(f"{files.shown(source)} does not exist; give a run, its folder, or a {path.suffix} file")
    # A run's name comes first: a folder of the same name may lie in the current one by chance.
    for folder in (RUNS / path, path):
        if (folder / MODEL).is_file():
            return folder / MODEL
    for folder in (RUNS / path, path):
        if (folder / "card.json").is_file():
            raise UsageError(
                f"run {files.shown(folder)} has no {MODEL} yet: it is written after the first epoch; train on"
            )
    if path.is_file():
        raise UsageError(f"{files.shown(source)} is not a trained model; expected a .keras, .onnx or .tflite file")
    runs = sorted(found.parent.name for found in RUNS.glob(f"*/{MODEL}"))
    hint = near_misses(source, runs) if runs else f"{RUNS} holds no run: train one first"
    raise UsageError(f"no run {files.shown(source, 60)!r}; {hint}")


def called(folder: Path) -> str:
    """Returns what a command calls the run in this folder: its name, if it lies in `saved_models`."""
    return folder.name if folder.parent == RUNS else str(folder)

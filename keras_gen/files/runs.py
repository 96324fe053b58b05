"""From what somebody typed to the file of a trained model: one answer for Python, the command line and the exporter."""

from pathlib import Path

from keras_gen.errors import UsageError, near_misses
from keras_gen.files.writing import shown

RUNS = Path("saved_models")
MODEL, CARD = "model.keras", "card.json"
SUFFIXES = (".keras", ".onnx", ".tflite")


def find(source: str | Path) -> Path:
    """Returns the file of a trained model.

    A run's name comes first: a folder of the same name may lie in the current one by chance.

    Args:
        source: the name of a run in `saved_models`, a run's folder, or a `.keras`, `.onnx` or `.tflite` file.

    Raises:
        UsageError: there is none; the message names the runs that exist.
    """
    if not isinstance(source, (str, Path)) or not str(source):
        raise UsageError(f"{repr(source)[:40]} is no name of a run; give one, its folder, or a .keras file")
    path = Path(source)
    if path.suffix in SUFFIXES and not path.is_dir():
        if path.is_file():
            return path
        raise UsageError(f"{shown(source)} does not exist; give a run, its folder, or a {path.suffix} file")
    for folder in (RUNS / path, path):
        if (folder / MODEL).is_file():
            return folder / MODEL
    for folder in (RUNS / path, path):
        if (folder / CARD).is_file():
            raise UsageError(f"run {shown(folder)} has no {MODEL} yet: it is written after the first epoch; train on")
    if path.is_file():
        raise UsageError(f"{shown(source)} is not a trained model; expected a .keras, .onnx or .tflite file")
    if path.is_dir():
        raise UsageError(f"{shown(source)} holds no {MODEL}; give the folder of a run")
    if len(path.parts) > 1:
        raise UsageError(f"{shown(source)} does not exist; give a run, its folder, or a .keras file")
    runs = sorted(found.parent.name for found in RUNS.glob(f"*/{MODEL}"))
    hint = near_misses(str(source), runs) if runs else f"{RUNS} holds no run: train one first"
    raise UsageError(f"no run {shown(source, 60)!r}; {hint}")


def find_model(source: str | Path) -> Path:
    """Returns the `.keras` file of a run's name, a run's folder or a path; arguments and errors as for `find`.

    Raises:
        UsageError: there is none, or it is an exported file.
    """
    path = find(source)
    if path.suffix != ".keras":
        raise UsageError(f"{shown(path)} is an exported file; give the run or the .keras file that it is of")
    return path


def called(folder: Path) -> str:
    """Returns what a command calls the run in this folder: its name, if it lies in `saved_models`."""
    return folder.name if folder.parent == RUNS else str(folder)


def find_folder(source: str | Path) -> Path:
    """Returns the folder of a run, finished or not: that of its name first, as `find` does.

    Raises:
        UsageError: there is none.
    """
    for folder in (RUNS / source, Path(source)):
        if (folder / CARD).is_file():
            return folder
    runs = sorted(found.parent.name for found in RUNS.glob(f"*/{CARD}"))
    hint = near_misses(str(source), runs) if runs else f"{RUNS} holds no run"
    raise UsageError(f"no run {shown(source, 60)!r} with a {CARD}; {hint}")

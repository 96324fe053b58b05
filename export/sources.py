"""From what the user typed (a run, a folder, a `.keras` file) to a model, and to the folder its exports go to."""

from pathlib import Path
from typing import Any

from keras_gen import files
from keras_gen.errors import UsageError, near_misses

RUNS = Path("saved_models")
FILE = "model.keras"


def find(source: str) -> Path:
    """Returns the `.keras` file of a run's name, a folder or a path. TensorFlow is not needed.

    Args:
        source: `dcgan` (`saved_models/dcgan/model.keras`), a folder that holds `model.keras`, or a `.keras` file.

    Raises:
        UsageError: there is no such file.
    """
    if source.endswith(".keras"):
        path = Path(source)
        if not path.is_file():
            raise UsageError(f"{files.shown(source)} does not exist; give a run, a folder or a .keras file")
        return path
    # A run's name comes first: a folder of the same name may lie in the current one by chance.
    for folder in (RUNS / source, Path(source)):
        if (folder / FILE).is_file():
            return folder / FILE
    if Path(source).is_dir():
        raise UsageError(f"{files.shown(source)} holds no {FILE}; give the folder of a finished run")
    if len(Path(source).parts) != 1:
        raise UsageError(f"{files.shown(source)} does not exist; give a run, a folder or a .keras file")
    runs = sorted(path.parent.name for path in RUNS.glob(f"*/{FILE}"))
    way_out = near_misses(source, runs) if runs else f"train one: python -m keras_gen train {files.shown(source, 30)}"
    raise UsageError(f"run {files.shown(source, 60)!r} is not in {RUNS}; {way_out}")


def load(path: Path) -> Any:
    """Loads a model for inference."""
    import keras_gen

    return keras_gen.load(path)


def model_name(model: Any) -> str:
    """Returns what exported files call a model: its name in the registry, or that of its class."""
    return getattr(model, "name_in_registry", None) or type(model).__name__

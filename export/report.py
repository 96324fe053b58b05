"""What both formats write down beside their files, and how a model and a library's error are called in it."""

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_gen.files import writing

REPORT = "export.json"


def model_name(model: Any) -> str:
    """Returns what exported files call a model: its name in the registry, or that of its class."""
    return getattr(model, "name_in_registry", None) or type(model).__name__


def write_report(folder: Path, kind: str, report: Mapping[str, Any], everything: bool) -> None:
    """Writes a format's entry into the folder's report and keeps the other's.

    Args:
        folder: of the exported files.
        kind: `"onnx"` or `"tflite"`.
        report: `model`, `versions` and `signatures` of this export.
        everything: whether this export replaces all files of its format, or only those of its signatures.
    """
    path = folder / REPORT
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        entry = dict(old[kind]["signatures"]) if not everything and kind in old else {}
    except (OSError, ValueError, KeyError, TypeError):  # a damaged report is worth no more than none
        old, entry = {}, {}
    if not isinstance(old, dict):
        old, entry = {}, {}
    entry.update(report["signatures"])
    new = {**old, "model": report["model"], kind: {"signatures": entry}}
    writing.write(path, (json.dumps(new, indent=2, sort_keys=True) + "\n").encode())


def file_facts(path: Path) -> dict[str, Any]:
    """Returns the size and the sha256 of a file."""
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of Keras, TensorFlow, keras_gen and of the packages that were used besides."""
    import keras
    import tensorflow as tf

    from keras_gen import __version__

    found = {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "keras_gen": __version__,
    }
    return found | {name: str(importlib.import_module(name).__version__) for name in packages}


def first_line(error: Exception) -> str:
    """Returns the first line of a library's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

"""The state of a training as a file: every variable that the next step depends on, and where in the data it stands."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gen.errors import DamagedError
from keras_gen.files import writing

_NAME = re.compile(r"step-(\d+)\.npz")


def state_of(model: keras.Model) -> dict[str, Any]:
    """Returns every variable that the next step depends on, by a name that does not change between runs."""
    named = {f"model/{index}": variable for index, variable in enumerate(model.variables)}
    for player in model.players():
        name = player.prefixed("optimizer")
        for index, variable in enumerate(getattr(model, name).variables):
            named[f"{name}/{index}"] = variable
    if model.ema_steps is not None:
        named["ema_steps"] = model.ema_steps
    for metric in model.metrics:
        for index, variable in enumerate(metric.variables):
            named[f"metric/{metric.name}/{index}"] = variable
    return named


def completed(arrays: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns a checkpoint's arrays with what earlier versions did not write: the steps of the moving averages."""
    missing = {"ema_steps": np.asarray(-1, np.int32)} if "ema_steps" in variables else {}  # as the optimizer counts
    return {**missing, **arrays}


def optimizer_names(model: keras.Model) -> dict[str, str]:
    """Returns the class of every player's optimizer, by the name of its argument."""
    named = (player.prefixed("optimizer") for player in model.players())
    return {name: type(getattr(model, name)).__name__ for name in named}


def difference(
    state: Mapping[str, Any], arrays: Mapping[str, np.ndarray], model: keras.Model, variables: Mapping[str, Any]
) -> str | None:
    """Returns the first thing in which a checkpoint does not fit a model, in words, or nothing."""
    if state.get("stage") != model.stage:
        return f"the stage {state.get('stage')}, this model {model.stage}"
    for name, kind in optimizer_names(model).items():
        if state["optimizers"].get(name) != kind:
            return f"{state['optimizers'].get(name)} as {name}, this model {kind}"
    for name in {**variables, **arrays}:
        have = arrays[name].shape if name in arrays else "nothing"
        want = tuple(variables[name].shape) if name in variables else "nothing"
        if have != want:
            return f"{have} for {name}, this model {want}"
    return None


def checkpoints(folder: str | Path) -> list[Path]:
    """Returns the checkpoints in a folder, oldest first."""
    return sorted(path for path in Path(folder).glob("step-*.npz") if _NAME.fullmatch(path.name))


def read(path: Path) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Reads and verifies a checkpoint.

    Raises:
        DamagedError: the file is cut short, changed, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        state = json.loads(arrays.pop("state").tobytes())
        digest = state.pop("digest")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise DamagedError(f"checkpoint {writing.shown(path)} is damaged: {str(error)[:60]}") from None
    if _digest(state, arrays) != digest:
        raise DamagedError(f"checkpoint {writing.shown(path)} is damaged: its digest differs")
    return state, arrays


def packed(state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns the content of a checkpoint's file."""
    text = json.dumps({**state, "digest": _digest(state, arrays)})
    out = io.BytesIO()
    np.savez(out, state=np.frombuffer(text.encode(), np.uint8), **arrays)
    return out.getvalue()


def _digest(state, arrays):
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()

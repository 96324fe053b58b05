"""Trains every model for some steps in two checkouts, and says whether they end in the same bits.

    python tests/compare_checkouts.py OLD NEW [--data digits] [--steps 50] [MODEL ...]

Each run is `train MODEL --seed 0` by the recipe of the data. Compared are all arrays of its last checkpoint (weights,
optimizers, averages, random states, running metrics), its history without seconds, and what its card says that it is.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np


def train(checkout, name, data, steps, folder):
    """Returns the arrays, the history and the identity of a run."""
    command = [sys.executable, "-m", "keras_gen", "train", name, "--steps", str(steps), "--seed", "0"]
    command += ["--output", str(folder), *(["--data", data] if data else [])]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    out = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder.parent)
    if out.returncode:
        raise SystemExit(f"{name} in {checkout}: {out.stderr.strip()[-500:]}")
    arrays = {}
    for path in sorted(folder.rglob("step-*.npz")):
        with np.load(path) as held:
            arrays |= {f"{path.parent.name}/{key}": held[key] for key in held.files if key != "state"}
    with open(folder / "history.csv", newline="") as file:
        history = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    return arrays, history, json.loads((folder / "card.json").read_text())["identity"]


def difference(old, new):
    """Returns the first difference in words, or nothing."""
    for kind, one, two in zip(("history", "identity"), old[1:], new[1:], strict=True):
        if one != two:
            return f"{kind}: {one} and {two}"
    if old[0].keys() != new[0].keys():
        return f"arrays: {sorted(old[0].keys() ^ new[0].keys())[:3]}"
    for name, array in old[0].items():
        if array.dtype != new[0][name].dtype or array.tobytes() != new[0][name].tobytes():
            return f"{name} differs by {np.abs(array.astype(np.float64) - new[0][name]).max():.1e}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--data", help="of all but gpt (default: each model's own)")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_intermixed_args()
    checkouts = [options.old.resolve(), options.new.resolve()]
    code = "import keras_gen; print(*keras_gen.names())"
    known = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkouts[0])},
    )
    different = 0
    for name in options.models or known.stdout.split():
        with tempfile.TemporaryDirectory() as folder:
            data = None if name == "gpt" else options.data
            runs = [train(one, name, data, options.steps, Path(folder) / str(i)) for i, one in enumerate(checkouts)]
        found = difference(*runs)
        different += bool(found)
        print(f"{name}: {found or f'equal, {len(runs[0][0])} arrays'}", flush=True)
    print(f"{different} of the models differ" if different else "all are bit-equal")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())

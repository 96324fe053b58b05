"""A run that is killed, or asked to stop, and goes on, ends with the same weights as one that was left alone."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
STEPS = 600


DCGAN = ("dcgan", "--set", "width=8", "--set", "latent_dim=8", "--steps", str(STEPS))
SMALL = [f"--set={value}" for value in ("width=2", "blocks=1", "strided=1", "pool=8")]
CYCLEGAN = ("cyclegan", *SMALL, "--steps", "160")
STACKED = ("stacked_autoencoder", "--set", "hidden=[32]", "--set", "latent_dim=8", "--steps", "300")


def command(folder, model):
    return [
        *(sys.executable, "-m", "keras_gen", "train", *model, "--set", "ema=0.9", "--batch-size", "32"),
        *("--samples", "4", "--checkpoint-every", "0.2", "--output", str(folder)),
    ]


def start(folder, model=DCGAN):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(folder, model), env=environment, cwd=folder.parent, **pipes)


def checkpoints(folder):
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*.npz"))


def stop_after_a_save(folder, number, delay):
    """Sends a signal a moment after a new checkpoint has appeared; returns the ended process and its standard error."""
    before, process = checkpoints(folder)[-1:], start(folder)
    while checkpoints(folder)[-1:] == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return process, err.removeprefix("loading TensorFlow ...\n")


def weights(folder):
    with zipfile.ZipFile(folder / "model.keras") as file:
        file.extract("model.weights.h5", folder / "extracted")
    import h5py

    found = {}
    with h5py.File(folder / "extracted" / "model.weights.h5") as store:
        store.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def ended(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err == "loading TensorFlow ...\n", "nothing but the progress is told"
    return out


def assert_same(alone, folder):
    one, two = weights(alone), weights(folder)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)
    tables = [(run / "history.csv").read_text().split() for run in (alone, folder)]
    tables = [[row.rpartition(",")[0] for row in table] for table in tables]  # without the seconds
    assert tables[0] == tables[1], "each epoch has one row, whatever came between"
    cards = [json.loads((run / "card.json").read_text()) for run in (alone, folder)]
    for card in cards:
        card["settings"].pop("output")
    assert cards[0] == cards[1]


def test_killed_and_stopped_and_killed_again(tmp_path):
    (tmp_path / "a").mkdir()
    alone, folder = tmp_path / "a" / "run", tmp_path / "run"
    beside = start(alone)

    process, _ = stop_after_a_save(folder, signal.SIGKILL, 0.0)
    assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"

    process, err = stop_after_a_save(folder, signal.SIGTERM, 0.05)
    assert process.returncode == 143
    assert err.startswith("stopped at step ") and err.count("\n") == 1 and "the same command" in err
    card = json.loads((folder / "card.json").read_text())
    assert card["state"] == "interrupted" and f"step {card['steps']} of {STEPS}" in err

    process, _ = stop_after_a_save(folder, signal.SIGKILL, 0.1)
    assert process.returncode == -signal.SIGKILL
    at = int(checkpoints(folder)[-1][5:-4])
    assert card["steps"] < at < STEPS, "the second run went on from where the first was stopped"

    assert f"going on from step {at}" in ended(start(folder))
    ended(beside)
    assert_same(alone, folder)


@pytest.mark.slow
def test_killed_in_each_of_its_stages(tmp_path):
    (tmp_path / "a").mkdir()
    alone, folder = tmp_path / "a" / "run", tmp_path / "run"
    beside = start(alone, STACKED)
    for stage in ("layer_2", "whole"):
        process = start(folder, STACKED)
        while not list((folder / "checkpoints" / stage).glob("step-*.npz")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    out = ended(start(folder, STACKED))
    assert "of whole" in out and "stage layer" not in out, "earlier stages are not trained again"
    ended(beside)
    assert_same(alone, folder)
    rows = (folder / "history.csv").read_text().splitlines()
    stages = [row.split(",")[0] for row in rows]
    assert stages == ["stage", *sorted(stages[1:], key=["layer_1", "layer_2", "whole"].index)]
    assert len(set(stages[1:])) == 3


@pytest.mark.slow
def test_killed_with_a_full_pool(tmp_path):
    """The pool of older translations is full after the first step: it goes on from the checkpoint, bit for bit."""
    (tmp_path / "a").mkdir()
    alone, folder = tmp_path / "a" / "run", tmp_path / "run"
    beside, process = start(alone, CYCLEGAN), start(folder, CYCLEGAN)
    while len(checkpoints(folder)) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
    assert "going on from step" in ended(start(folder, CYCLEGAN))
    ended(beside)
    assert_same(alone, folder)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_any_moment(tmp_path, seed):
    """From the first import on, mid-write too."""
    (tmp_path / "a").mkdir()
    alone, folder, rng = tmp_path / "a" / "run", tmp_path / "run", np.random.default_rng(seed)
    ended(start(alone))
    for _ in range(4):
        process = start(folder)
        try:
            process.communicate(timeout=rng.uniform(2.0, 12.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    ended(start(folder))
    assert_same(alone, folder)

"""Worker processes of one training: one dies, one is asked to stop, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from test_distribution import cluster, environment, free_addresses

pytestmark = pytest.mark.distributed
STEPS = 240
GONE = 30  # seconds in which the others must have stopped after one was killed; 2 to 10 are usual


def command(folder, *more):
    return [
        *(sys.executable, "-m", "keras_gen", "train", "dcgan", "--set", "width=4", "--set", "latent_dim=8"),
        *("--set", "norm=sync_batch", "--set", "ema=0.9", "--batch-size", "32", "--steps", str(STEPS)),
        *("--samples", "4", "--checkpoint-every", "0.2", "--output", str(folder), *more),
    ]


def start(arguments, **more):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(arguments, env=environment(**more), **pipes)


def start_each(folder):
    """Starts two workers without the launcher, as two machines would."""
    addresses = free_addresses(2)
    arguments = command(folder, "--strategy", "multi_worker")
    return [start(arguments, TF_CONFIG=cluster(addresses, index)) for index in range(2)]


def newest(folder):
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*.npz"))[-1:]


def wait_for_a_save(folder, process):
    before, end = newest(folder), time.monotonic() + 120
    while newest(folder) == before and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()[1]


def children(process):
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout
    return [int(pid) for pid in out.split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def end_all(processes):
    for process in processes:
        for pid in children(process):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def weights(folder):
    import h5py

    with zipfile.ZipFile(folder / "model.keras") as file:
        file.extract("model.weights.h5", folder / "extracted")
    found = {}
    with h5py.File(folder / "extracted" / "model.weights.h5") as store:
        store.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def card(folder):
    return json.loads((folder / "card.json").read_text())


@pytest.mark.slow
def test_killed_workers_go_on_to_the_very_weights_of_those_left_alone(tmp_path):
    alone, folder = tmp_path / "alone", tmp_path / "run"
    running = []
    try:
        running.append(start(command(alone, "--workers", "2")))
        each = start_each(folder)
        running += each
        wait_for_a_save(folder, each[0])
        each[1].kill()
        killed = time.monotonic()
        _, err = each[0].communicate(timeout=GONE)
        assert time.monotonic() - killed < GONE
        said, _, err = err.partition("\n")
        assert said == "loading TensorFlow ..." and each[0].returncode == 1 and err.count("\n") == 1, err
        assert err.startswith("error: another worker has gone") and "the same command" in err
        at = int(newest(folder)[0][5:-4])
        assert 0 < at < STEPS and at % 46, "killed between two steps of one epoch"

        running.append(last := start(command(folder, "--workers", "2")))
        out, err = last.communicate(timeout=120)
        assert last.returncode == 0 and err == "starting 2 workers: loading TensorFlow ...\n", err
        assert f"[0] going on from step {at}" in out and f"[0] finished at step {STEPS}" in out
        assert "[1]" not in out, "only the chief shows progress"
        assert running[0].wait(timeout=120) == 0
    finally:
        end_all(running)
    one, two = weights(alone), weights(folder)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name], err_msg=name)
    rows = [[row.rpartition(",")[0] for row in (run / "history.csv").read_text().split()] for run in (alone, folder)]
    assert [row.split(",")[:2] for row in rows[0]] == [row.split(",")[:2] for row in rows[1]]


def test_what_is_wrong_ends_all_workers_and_is_said(tmp_path):
    for more, code, said in (
        (["--workers", "2", "--strategy", "mirrored"], 2, "error: --workers trains with strategy multi_worker"),
        (["--workers=2", "--set", "widht=4"], 2, "error: --set widht: DCGAN has no argument 'widht'"),
    ):
        process = start(command(tmp_path / "run", *more))
        try:
            _, err = process.communicate(timeout=90)
        finally:
            end_all([process])
        assert process.returncode == code and said in err, err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_sigterm_to_the_launcher_saves_and_ends_all(tmp_path):
    process = start(command(tmp_path / "run", "--workers", "2"))
    try:
        wait_for_a_save(tmp_path / "run", process)
        pids = children(process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=90)
        assert process.returncode == 143 and len(pids) == 2, err
        assert not any(alive(pid) for pid in pids)
        stopped = card(tmp_path / "run")
        assert stopped["state"] == "interrupted" and f"[0] stopped at step {stopped['steps']} of {STEPS}" in err
        assert newest(tmp_path / "run") == [f"step-{stopped['steps']:09d}.npz"]
    finally:
        end_all([process])


@pytest.mark.slow
def test_workers_die_with_the_process_that_started_them(tmp_path):
    process = start(command(tmp_path / "run", "--workers", "2"))
    pids = []
    try:
        wait_for_a_save(tmp_path / "run", process)
        pids = children(process)
        process.kill()
        end = time.monotonic() + 20
        while any(alive(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)
        assert len(pids) == 2 and not any(alive(pid) for pid in pids)
    finally:
        end_all([process])
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_of_the_launcher_that_is_killed_ends_the_others(tmp_path, index):
    process = start(command(tmp_path / "run", "--workers", "2"))
    try:
        wait_for_a_save(tmp_path / "run", process)
        by_index = sorted(children(process))
        os.kill(by_index[index], signal.SIGKILL)
        _, err = process.communicate(timeout=GONE)
        assert process.returncode == 128 + signal.SIGKILL
        assert f"error: worker {index} was ended by SIGKILL" in err
        assert not any(alive(pid) for pid in by_index)
    finally:
        end_all([process])


@pytest.mark.slow
@pytest.mark.parametrize("index, number", [(0, signal.SIGKILL), (1, signal.SIGTERM), (0, signal.SIGINT)])
def test_any_worker_may_be_the_one_that_a_signal_comes_to(tmp_path, index, number, ctrl_c):
    each = start_each(tmp_path / "run")
    try:
        wait_for_a_save(tmp_path / "run", each[0])
        each[index].send_signal(number)
        for process in each:
            process.communicate(timeout=90)
        if number == signal.SIGKILL:
            assert each[1].returncode == 1
            return
        code = 143 if number == signal.SIGTERM else 130
        assert [process.returncode for process in each] == [code, code]
        assert card(tmp_path / "run")["state"] == "interrupted"
        assert newest(tmp_path / "run") == [f"step-{card(tmp_path / 'run')['steps']:09d}.npz"]
    finally:
        end_all(each)

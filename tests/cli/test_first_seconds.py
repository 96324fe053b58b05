"""What a stranger sees first: a line at once, one answer to a name, and the exporter behind the same command."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import make

import keras_gen
from keras_gen.cli.main import main
from keras_gen.errors import UsageError

ROOT = Path(__file__).parents[2]
TRAIN = [sys.executable, "-m", "keras_gen", "train", "vae", "--steps", "2", "--set", "hidden=[8]"]


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def test_train_speaks_long_before_tensorflow_is_loaded(tmp_path):
    process = subprocess.Popen(TRAIN, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path, env=environment())
    began = time.monotonic()
    first = process.stderr.readline()
    waited = time.monotonic() - began
    out, err = process.communicate(timeout=120)
    whole = time.monotonic() - began
    assert first == b"loading TensorFlow ...\n" and err == b"" and b"finished at step 2" in out
    assert waited < whole / 3, "Python itself starts in a tenth of the time that TensorFlow takes"


def test_on_a_terminal_the_line_is_erased(tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(TRAIN, stdout=theirs, stderr=theirs, cwd=tmp_path, env=environment())
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 120)[0]:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    assert process.wait(timeout=60) == 0
    os.close(ours)
    before, _, after = shown.partition(b"loading TensorFlow ...")
    assert before == b"" and after.startswith(b"\r" + b" " * 22 + b"\r"), shown[:100]
    assert b"finished at step 2" in after


def test_no_command_is_an_error_with_the_help(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("usage: python -m keras_gen")
    assert "\n    export" in err and err.splitlines()[-1].startswith("error: no command was given")


def test_a_short_name_of_the_learning_rate():
    from keras_gen.cli.parser import parse

    assert parse(["train", "dcgan", "--lr", "d=1e-4"]).learning_rate == {"d": 1e-4}


@pytest.mark.parametrize("slip", ["--hepl", "--helpp"])
def test_help_is_no_way_out(slip, capsys):
    assert main(["train", "vae", slip]) == 2
    err = capsys.readouterr().err
    assert "did you mean --help" not in err and len(err.splitlines()) == 1


@pytest.fixture
def two(tmp_path, monkeypatch):
    """A run in `saved_models` and a folder of the same name in the current one."""
    for folder, seed in (("saved_models/gan", 1), ("gan", 2)):
        make("gan", seed=seed).save(tmp_path / folder / "model.keras")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_name_of_a_run_comes_first_everywhere(two, capsys):
    assert keras_gen.load("gan").seed == 1 and keras_gen.load("./gan/model.keras").seed == 2
    assert keras_gen.load(two / "gan").seed == 2
    assert keras_gen.latent.opened("gan").seed == 1
    assert main(["sample", "gan", "-n", "2"]) == 0
    assert "saved_models/gan/grid.png" in capsys.readouterr().out
    from export.cli import main as export

    assert export(["gan", "--format", "onnx"]) == 0
    assert "saved_models/gan/generate.onnx" in capsys.readouterr().out
    assert not list((two / "gan").glob("*.onnx"))
    with pytest.raises(UsageError, match="did you mean 'gan'"):
        keras_gen.load("gna")


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (["keras_gen", "export", "gan"], {"onnx", "tflite"}),
        pytest.param(["export", "gan"], {"onnx", "tflite"}, marks=pytest.mark.slow),
        pytest.param(
            ["keras_gen", "--debug", "export", "gan", "--format", "tflite"], {"tflite"}, marks=pytest.mark.slow
        ),
        pytest.param(["export.onnx", "gan"], {"onnx"}, marks=pytest.mark.slow),
    ],
)
def test_one_command_makes_both_formats_with_one_report(two, command, made):
    out = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, cwd=two, env=environment(), timeout=180
    )
    assert out.returncode == 0, out.stderr
    report = json.loads((two / "saved_models/gan/export.json").read_text())
    assert {"onnx", "tflite"} & set(report) == made
    files = {report[kind]["signatures"]["generate"]["file"] for kind in made}
    assert all((two / "saved_models/gan" / file).is_file() and file in out.stdout for file in files)


def test_export_says_what_is_wrong_without_tensorflow(tmp_path):
    code = (
        "import sys; sys.argv = ['keras_gen', 'export', *'nothing --format onnx,tflight'.split()]\n"
        "from keras_gen import __main__ as start\n"
        "try: start.run()\n"
        "except SystemExit as stop: print(stop.code, {'tensorflow', 'keras'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert out.stdout == "2 set()\n" and "did you mean 'tflite'?" in out.stderr and len(out.stderr.splitlines()) == 1

"""The commands of the exporters: one error line, near misses, a summary."""

import subprocess
import sys
from pathlib import Path

import pytest
from exportable import FORMATS, constant, one

import export.cli
import export.onnx
import export.tflite

ROOT = Path(__file__).parents[2]


def one_error_line(capfd):
    captured = capfd.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) <= 200, captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["nothing_here"], "no run 'nothing_here'"),
        (["nothing_here.keras"], "does not exist"),
        (["nothing/here"], "does not exist"),
        (["dcgan", "--opset", "many"], "invalid int value: 'many'"),
        (["dcgan", "--colour"], "unrecognized arguments"),
    ],
)
def test_usage_errors_are_one_line(arguments, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert export.onnx.main(arguments) == 2
    assert words in one_error_line(capfd)


def test_near_runs_are_named(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved_models" / "digits").mkdir(parents=True)
    (tmp_path / "saved_models" / "digits" / "model.keras").touch()
    assert export.tflite.main(["digit"]) == 2
    assert "did you mean 'digits'" in one_error_line(capfd)


@pytest.mark.parametrize("fn", [constant, None])
def test_command_prints_a_summary_or_one_error(fn, model, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "saved_models" / "digits"
    run.mkdir(parents=True)
    (run / "model.keras").touch()
    monkeypatch.setattr("keras_gen.files.loading.load", lambda path: one(fn) if fn else model)
    code = export.onnx.main(["digits", "--signature", "generate"])
    if fn:
        assert code == 1 and "everywhere" in one_error_line(capfd)
        assert [path.name for path in run.iterdir()] == ["model.keras"]
    else:
        captured = capfd.readouterr()
        assert code == 0 and not captured.err and 2 <= len(captured.out.splitlines()) <= 3
        assert "generate.onnx" in captured.out and "tolerance" in captured.out
        assert sorted(path.name for path in run.iterdir()) == ["export.json", "generate.onnx", "model.keras"]


def test_output_that_cannot_be_written_is_one_line(model, tmp_path, monkeypatch, capfd):
    (tmp_path / "model.keras").touch()
    (tmp_path / "file").touch()
    monkeypatch.setattr("keras_gen.files.loading.load", lambda path: model)
    assert export.tflite.main([str(tmp_path), "--output", str(tmp_path / "file")]) == 1
    one_error_line(capfd)


@pytest.mark.parametrize("kind", FORMATS)
def test_help_needs_no_tensorflow(kind):
    code = (
        f"import sys, runpy; sys.argv[1:] = ['--help']\n"
        f"try: runpy.run_module('export.{kind}', run_name='__main__')\n"
        f"except SystemExit as end: assert not end.code\n"
        f"assert not {{'tensorflow', 'keras', 'onnx', 'tf2onnx'}} & set(sys.modules), 'too much was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "--signature NAME" in done.stdout and ("--opset" in done.stdout) == (kind == "onnx")

"""What the two commands share: options, messages, exit codes, and the report beside the files."""

import argparse
import hashlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from export import sources, trace
from keras_gen import files, quiet
from keras_gen.errors import DamagedError, UsageError

REPORT = "export.json"
LONGEST = 200  # characters of an error line


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see python -m {self.prog.rpartition(' ')[2]} --help")


def run(
    kind: str, export: Callable[..., dict[str, Any]], argv: Sequence[str] | None = None, opset: int | None = None
) -> int:
    """Runs one of the two commands.

    Args:
        kind: `"onnx"` or `"tflite"`.
        export: takes the model, the folder and the options, and returns its report.
        argv: the arguments; those of the process when `None`.
        opset: the default of `--opset`, for a format that has one.

    Returns:
        The exit code: 0, 1 (failed), 2 (wrong usage) or 130 (interrupted).
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv
    try:
        options = _parser(kind, opset).parse_args(argv)
        trace.check_options(options.batch, options.atol, getattr(options, "opset", None))
        path = sources.find(options.source)
        folder = Path(options.output) if options.output else path.parent
        chosen = {"batch": options.batch, "atol": options.atol, "signatures": options.signature, "debug": debug}
        if opset is not None:
            chosen["opset"] = options.opset
        with quiet.hold(debug):
            model = sources.load(path)
        report = export(model, folder, **chosen)
        for name, entry in report["signatures"].items():
            print(f"{name}: {folder / entry['file']}, {_bytes(entry['size'])}")
            print(f"    max error {entry['max_error']:.1e} over {entry['samples']} samples", end="")
            print(f" (tolerance {entry['tolerance']:.0e})")
        return 0
    except UsageError as error:
        return _fail(error, 2, debug)
    except (DamagedError, OSError) as error:
        return _fail(error, 1, debug)
    except KeyboardInterrupt:
        print("error: interrupted; no file was changed", file=sys.stderr)
        return 130
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error}", 1, debug, "; --debug shows more")


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
        old = json.loads(path.read_text())
        entry = dict(old[kind]["signatures"]) if not everything and kind in old else {}
    except (OSError, ValueError, KeyError, TypeError):  # a damaged report is worth no more than none
        old, entry = {}, {}
    if not isinstance(old, dict):
        old, entry = {}, {}
    entry.update(report["signatures"])
    new = {**old, "model": report["model"], kind: {"signatures": entry}}
    files.write(path, (json.dumps(new, indent=2, sort_keys=True) + "\n").encode())


def file_facts(path: Path) -> dict[str, Any]:
    """Returns the size and the sha256 of a file."""
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of Keras, TensorFlow, keras_gen and of the packages that were used besides."""
    import importlib

    import keras
    import tensorflow as tf

    import keras_gen

    found = {
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "keras_gen": getattr(keras_gen, "__version__", "unknown"),
    }
    return found | {name: str(importlib.import_module(name).__version__) for name in packages}


def first_line(error: Exception) -> str:
    """Returns the first line of a library's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _parser(kind, opset):
    title = {"onnx": "ONNX", "tflite": "TFLite"}[kind]
    files_made = {"onnx": "one <signature>.onnx per signature", "tflite": "model.tflite with all signatures"}[kind]
    parser = _Parser(
        prog=f"python -m export.{kind}",
        description=f"Exports a trained model to {title}: {files_made}, and {REPORT} with what was measured. "
        "No file appears unless it was read back and agreed with Keras.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("source", metavar="RUN", help="name of a run in saved_models, its folder, or a .keras file")
    add("--output", metavar="FOLDER", help="where to write (default: beside the .keras file)")
    if opset is not None:
        add("--opset", type=int, default=opset, metavar="N", help=f"ONNX opset, 13 to 18 (default {opset})")
    add("--batch", type=int, metavar="N", help="fix the batch size (default: any size)")
    add("--atol", type=float, metavar="X", help="largest difference from Keras (default: the signature's own)")
    add("--signature", action="append", metavar="NAME", help="export only this one; may be repeated")
    add("--debug", action="store_true", help="show the libraries' messages and tracebacks")
    return parser


def _fail(error, code, debug, way_out=""):
    if debug:
        traceback.print_exc()
    room = LONGEST - len("error: ") - len(way_out)
    text = " ".join(str(error).split())
    text = text if len(text) <= room else text[: room - 3] + "..."
    print(f"error: {text}{way_out}", file=sys.stderr)
    return code


def _bytes(size):
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size} bytes"
        size /= 1000
    return f"{size:.3g} GB"

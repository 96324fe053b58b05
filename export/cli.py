"""The command: `python -m keras_gen export RUN`, `python -m export RUN`, or that of one format."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from export import trace
from export.report import REPORT
from keras_gen import terminal
from keras_gen.cli.command import Parser, guarded
from keras_gen.errors import UsageError, choice
from keras_gen.files.runs import find_model

FORMATS = {"onnx": "ONNX: one <signature>.onnx per signature", "tflite": "TFLite: model.tflite with all signatures"}
OPSET = 17


def main(argv: Sequence[str] | None = None, formats: Sequence[str] | None = None, program: str = "export") -> int:
    """Exports a run.

    Args:
        argv: the arguments; those of the process when `None`.
        formats: of `FORMATS`, for the command of one format; `None` gives it an option `--format`.
        program: module that was started, for messages.

    Returns:
        The exit code: 0, 1 (failed), 2 (wrong usage), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv

    def command():
        options = _parser(formats, f"python -m {program}").parse_args(argv)
        return _export(options, formats or options.format, debug)

    return guarded(command, debug, "stopped; no file was changed")


def _export(options, formats, debug):
    trace.check_options(options.batch, options.atol, getattr(options, "opset", None))
    path = find_model(options.source)
    folder = Path(options.output) if options.output else path.parent
    with terminal.hold(debug):
        from keras_gen.files.loading import load

        model = load(path)
    chosen = {"batch": options.batch, "atol": options.atol, "signatures": options.signature, "debug": debug}
    for kind in formats:
        more = {"opset": options.opset} if kind == "onnx" else {}
        report = importlib.import_module(f"export.{kind}").export(model, folder, **chosen, **more)
        for name, entry in report["signatures"].items():
            print(f"{name}: {folder / entry['file']}, {_bytes(entry['size'])}")
            print(f"    max error {entry['max_error']:.1e} over {entry['samples']} samples", end="")
            print(f" (tolerance {entry['tolerance']:.0e})", flush=True)
    return 0


def _parser(formats, program) -> argparse.ArgumentParser:
    title = " and ".join(FORMATS[kind] for kind in formats or FORMATS)
    parser = Parser(
        prog=program,
        description=f"Exports a trained model to {title}, and {REPORT} with what was measured. "
        "No file appears unless it was read back and agreed with Keras.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("source", metavar="RUN", help="name of a run in saved_models, its folder, or a .keras file")
    if formats is None:
        add("--format", type=_formats, default=tuple(FORMATS), metavar="F[,F]", help="onnx, tflite (default: both)")
    add("--output", metavar="FOLDER", help="where to write (default: beside the .keras file)")
    if "onnx" in (formats or FORMATS):
        add("--opset", type=int, default=OPSET, metavar="N", help=f"ONNX opset, 13 to 18 (default {OPSET})")
    add("--batch", type=int, metavar="N", help="fix the batch size (default: any size)")
    add("--atol", type=float, metavar="X", help="largest difference from Keras (default: the signature's own)")
    add("--signature", action="append", metavar="NAME", help="export only this one; may be repeated")
    add("--debug", action="store_true", help="show the libraries' messages and tracebacks")
    return parser


def _formats(text):
    try:
        return tuple(dict.fromkeys(choice("format", part.strip(), FORMATS) for part in text.split(",")))
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _bytes(size):
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size} bytes"
        size /= 1000
    return f"{size:.3g} GB"

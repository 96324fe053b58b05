"""Runs a command: what goes wrong is one line on standard error, and an exit code."""

import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence

from keras_gen.cli.parser import parse
from keras_gen.errors import DamagedError, UsageError

LONGEST = 200  # characters of an error line
TERMINATED = 128 + signal.SIGTERM

# Each command is a module of its name, and imports TensorFlow only where it must.
MODULES = {"list": "listing"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; those of the process when `None`.

    Returns:
        The exit code: 0, 1 (failed), 2 (wrong usage), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in argv
    with _warnings_as_lines(), _sigterm_as_exit():
        try:
            options = parse(argv)
            if getattr(options, "workers", None):
                from keras_gen.cli import workers

                return workers.run(options, argv)
            command = importlib.import_module(f"keras_gen.cli.{MODULES.get(options.command, options.command)}")
            code = command.run(options)
            sys.stdout.flush()
            return code
        except UsageError as error:
            return _fail(str(error), 2, debug)
        except BrokenPipeError:  # whoever read our output has closed it (`| head`): not our failure
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (DamagedError, OSError) as error:
            return _fail(_of_system(error), 1, debug)
        except KeyboardInterrupt as stop:
            return _stopped(stop, 130)
        except SystemExit as stop:  # --help and --version end so, too
            return _stopped(stop, TERMINATED) if stop.code == TERMINATED else int(stop.code or 0)
        except Exception as error:
            return _fail(_unforeseen(error, debug), 1, debug)


def run() -> None:
    """Runs the command line and ends the process."""
    sys.exit(main())


def _of_system(error):
    """Returns the text of an `OSError` without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _unforeseen(error, debug):
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "out of memory; give a smaller --batch-size, or a smaller model by --set"
    lines = str(error).strip().splitlines()
    way_out = "" if debug else "; --debug shows more"
    text = " ".join(f"{type(error).__name__}: {lines[0] if lines else ''}".split())
    return text[: LONGEST - len("error: ") - len(way_out)] + way_out


def _fail(text, code, debug):
    if debug:
        traceback.print_exc()
    _tell(f"error: {text}")
    return code


def _stopped(stop, code):
    _tell("; ".join(getattr(stop, "__notes__", ["stopped; give the same command again to go on"])))
    return code


def _tell(text):
    line = " ".join(text.split())
    print(line if len(line) <= LONGEST else line[: LONGEST - 3] + "...", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Shows a Python warning as one line, without the place in the source."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.resetwarnings()
            for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning):
                warnings.simplefilter("ignore", category)
            warnings.simplefilter("ignore", ResourceWarning)
        warnings.showwarning = lambda message, *rest, **more: _tell(f"warning: {message}")
        yield


@contextlib.contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Lets SIGTERM unwind the stack, so that files are closed and half-written ones removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number, frame):
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

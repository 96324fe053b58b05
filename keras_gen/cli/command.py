"""What all commands share: a parser that raises, one line for what goes wrong, and an exit code."""

import argparse
import contextlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import NoReturn

from keras_gen.errors import DamagedError, UsageError

LONGEST = 200  # characters of an error line
TERMINATED = 128 + signal.SIGTERM


class Parser(argparse.ArgumentParser):
    """Raises what is wrong instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Raises.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message}; see {self.prog} --help")


def guarded(command: Callable[[], int], debug: bool, stopped: str) -> int:
    """Runs a command: what goes wrong is one line on standard error.

    Args:
        command: returns its exit code.
        debug: show tracebacks, too.
        stopped: the line that a person reads who has ended it by Ctrl-C or SIGTERM, if it says nothing itself.

    Returns:
        The exit code: the command's, 1 (failed), 2 (wrong usage), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    with _warnings_as_lines(), _sigterm_as_exit():
        try:
            code = command()
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
            return _stopped(stop, stopped, 130)
        except SystemExit as stop:  # --help and --version end so, too
            return _stopped(stop, stopped, TERMINATED) if stop.code == TERMINATED else int(stop.code or 0)
        except Exception as error:
            return _fail(_unforeseen(error, debug), 1, debug)


def tell(text: str) -> None:
    """Writes one line on standard error, cut at its longest."""
    line = " ".join(text.split())
    print(line if len(line) <= LONGEST else line[: LONGEST - 3] + "...", file=sys.stderr, flush=True)


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
    tell(f"error: {text}")
    return code


def _stopped(stop, text, code):
    tell("; ".join(getattr(stop, "__notes__", [text])))
    return code


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Shows a Python warning as one line, without the place in the source."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.resetwarnings()
            for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning):
                warnings.simplefilter("ignore", category)
            warnings.simplefilter("ignore", ResourceWarning)
        warnings.showwarning = lambda message, *rest, **more: tell(f"warning: {message}")
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

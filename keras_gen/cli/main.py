"""Finds the module of a command and runs it."""

import importlib
import sys
from collections.abc import Sequence

from keras_gen import terminal
from keras_gen.cli.command import guarded
from keras_gen.cli.parser import parse
from keras_gen.errors import UsageError

STOPPED = "stopped; give the same command again to go on"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the arguments; those of the process when `None`.

    Returns:
        The exit code: 0, 1 (failed), 2 (wrong usage), 130 (Ctrl-C) or 143 (SIGTERM).
    """
    argv = sys.argv[1:] if argv is None else list(argv)

    def command():
        options = parse(argv)
        if getattr(options, "workers", None):
            from keras_gen.cli import workers

            return workers.run(options, argv)
        if options.command == "export":
            raise UsageError("export is started as python -m keras_gen export RUN, or python -m export RUN")
        # Each command is a module of its name, and imports TensorFlow only where it must, as for pictures: it greets.
        with terminal.hold(options.debug):
            module = importlib.import_module(f"keras_gen.cli.{options.command}")
        return module.run(options)

    return guarded(command, "--debug" in argv, STOPPED)

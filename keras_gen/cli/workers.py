"""`train --workers N`: N processes of one training on this machine, which live and end together."""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from keras_gen.cli import given
from keras_gen.cli.command import tell
from keras_gen.cli.libraries import SAID
from keras_gen.errors import UsageError

TOGETHER = 15.0  # seconds in which workers end by themselves after the first has
SAVING = 60.0  # seconds in which they save and end when they are asked to


def run(options: argparse.Namespace, argv: Sequence[str]) -> int:
    """Starts the workers, shows what each prints behind its number, and ends them all when one fails.

    Args:
        options: of `train`.
        argv: the arguments that they were parsed from; the workers get them without `--workers`.

    Returns:
        The exit code: of the first worker that failed, otherwise 0.
    """
    given.check(options)  # in this process and once
    if options.strategy not in ("auto", "multi_worker") or options.replicas:
        raise UsageError("--workers trains with strategy multi_worker; leave --strategy and --replicas out")
    if os.environ.get("TF_CONFIG"):
        raise UsageError("TF_CONFIG is set and --workers given; unset one: each worker would start workers of its own")
    tell(f"starting {options.workers} workers: {SAID}")
    return Workers(_without(argv), options.workers).run()


def _without(argv):
    """Returns the arguments of one worker."""
    rest, taken = [], iter(argv)
    for word in taken:
        if word == "--workers":
            next(taken, None)
        elif not word.startswith("--workers="):
            rest.append(word)
    return [*rest, "--strategy", "multi_worker"]


class Workers:
    """The processes, from their start to the end of the last.

    Args:
        argv: arguments of each.
        count: of processes.
    """

    def __init__(self, argv: Sequence[str], count: int):
        self.argv, self.count = list(argv), count
        self.processes: list[subprocess.Popen] = []
        self.signal: int | None = None
        self._printing = threading.Lock()

    def run(self) -> int:
        """Runs them all; returns the exit code."""
        with self._signals_noted():
            try:
                readers = self._start()
                code = self._watch()
                for reader in readers:
                    reader.join(timeout=5.0)  # what was printed last
                return code
            finally:
                for process in self.processes:
                    process.kill()

    def _start(self):
        addresses = _free_addresses(self.count)
        readers = []
        for index in range(self.count):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            process = subprocess.Popen(
                [sys.executable, "-m", "keras_gen.cli.workers", *self.argv],
                env={**os.environ, "TF_CONFIG": json.dumps(task), "PYTHONIOENCODING": "utf-8:replace"},
                stdin=subprocess.PIPE,  # closed by the kernel when this process dies, however it does
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C comes to this process alone, which passes it on once
            )
            self.processes.append(process)
            for source, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
                readers.append(threading.Thread(target=self._show, args=(index, source, target), daemon=True))
                readers[-1].start()
        return readers

    def _show(self, index, source, target):
        for line in source:
            with self._printing, contextlib.suppress(BrokenPipeError):
                print(f"[{index}] {line}", end="", file=target, flush=True)

    def _watch(self):
        """Waits for the end of all, and sees to it when one has failed or a signal has come."""
        until, failed = None, None
        while any(process.poll() is None for process in self.processes):
            failed = next((p for p in [failed, *self.processes] if p is not None and p.poll()), None)
            if failed is not None and until is None:
                until = time.monotonic() + (TOGETHER if self.signal is None else SAVING)
                if self.signal is None:
                    self._tell_of(failed)
            if self.signal is not None and until is None:
                until = time.monotonic() + SAVING
                for process in self.processes:
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(self.signal)
            if until is not None and time.monotonic() > until:
                for process in self.processes:
                    process.kill()
            time.sleep(0.05)
        codes = [failed.returncode] if failed is not None else [process.returncode for process in self.processes]
        code = next((code for code in codes if code), 0)
        return 128 - code if code < 0 else code

    def _tell_of(self, process):
        index = self.processes.index(process)
        if process.returncode < 0:
            name = signal.Signals(-process.returncode).name
            with self._printing:
                print(
                    f"error: worker {index} was ended by {name}; the others end within {TOGETHER:g} seconds, and the "
                    "same command goes on from the last checkpoint",
                    file=sys.stderr,
                    flush=True,
                )

    @contextlib.contextmanager
    def _signals_noted(self) -> Iterator[None]:
        def note(number, frame):
            if self.signal is not None:  # asked twice: at once
                for process in self.processes:
                    process.kill()
            self.signal = number

        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]  # all open at once, so that they differ
    try:
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _die_with_the_parent():
    """Ends this process when the other end of its standard input closes: the parent holds it as long as it lives."""

    def watch():
        while os.read(0, 1024):
            pass
        os._exit(128 + 9)  # at once, as SIGKILL would, which Windows lacks: checkpoints are whole at every instant

    threading.Thread(target=watch, daemon=True).start()


def work(argv: Sequence[str]) -> None:
    """Runs one worker and ends its process.

    Args:
        argv: of the command line, without `--workers`.
    """
    from keras_gen.cli import libraries, train
    from keras_gen.cli.command import guarded
    from keras_gen.cli.parser import parse

    _die_with_the_parent()
    libraries.start("--debug" in argv)  # which the parent has said for all
    code = guarded(lambda: train.run(parse(argv)), "--debug" in argv, "stopped; give the same command again to go on")
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        os._exit(code)  # with a worker gone, TensorFlow's own way out may wait for it without end
    sys.exit(0)


if __name__ == "__main__":
    work(sys.argv[1:])

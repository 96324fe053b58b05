"""What a person sees while something takes long, on real pseudo-terminals and on pipes."""

import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty")
fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")

ROOT = Path(__file__).parents[1]
COUNTING = """if True:
    import sys, time
    from keras_gen import terminal
    terminal._QUIET = float(sys.argv[1])
    with terminal.Progress("reading the very long name of a data set", 60, "images") as progress:
        for _ in range(60):
            time.sleep(0.02)
            progress.add(1)
"""


class Screen:
    """A terminal: what was written to it, as a person sees it."""

    def __init__(self, columns):
        self.lines, self.row, self.column, self.columns = [""], 0, 0, columns

    def write(self, text):
        for letter in text:
            if letter == "\r":
                self.column = 0
            elif letter == "\b":
                self.column = max(self.column - 1, 0)
            elif letter == "\n":
                self._down()
            else:
                assert letter.isprintable(), f"{letter!r}: no escape codes"
                if self.column == self.columns:
                    self.column = 0
                    self._down()
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
                self.column += 1

    def _down(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def resize(self, columns):
        """Cuts what is shown, as xterm does."""
        self.columns, self.column = columns, min(self.column, columns - 1)
        self.lines = [line[:columns] for line in self.lines]

    def shown(self):
        return [line.rstrip() for line in self.lines if line.strip()]


class Terminal:
    """A process on a pseudo-terminal of its own."""

    def __init__(self, command, columns, cwd=ROOT):
        self.master, slave = pty.openpty()
        self.screen = Screen(columns)
        self.resize(columns)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        lead = [sys.executable, "-c", "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "]
        lead[-1] += "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
        self.process = subprocess.Popen(
            [*lead, sys.executable, *map(str, command)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            cwd=cwd,
            env=environment,
        )
        os.close(slave)

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.screen.resize(columns)

    def read(self, until=None):
        """Shows what is written until a pattern has come, or to the end; returns it."""
        text = b""
        while until is None or not re.search(until, text.decode(errors="replace")):
            try:
                chunk = os.read(self.master, 4096)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            text += chunk
        self.screen.write(text.decode())
        return text.decode()

    def end(self):
        text = self.read()
        self.process.wait(timeout=60)
        os.close(self.master)
        return text


@pytest.mark.parametrize("columns", [40, 80])
def test_a_bar_is_one_line_on_a_terminal_and_is_full_at_the_end(columns):
    terminal = Terminal(["-c", COUNTING, 0], columns)
    text = terminal.end()
    assert text.count("\r") > 3, "it was renewed"
    (line,) = terminal.screen.shown()
    assert re.match(r"reading .*\.\.\.: 00:00 left \|█+\| ", line)
    assert columns == 40 or re.search(r"\| 60/60 images, [\d.]+/s$", line)


def test_a_terminal_that_becomes_narrower_breaks_no_later_line():
    terminal = Terminal(["-c", COUNTING, 0], 80)
    terminal.read(until=r"left .*left ")
    terminal.resize(40)
    terminal.end()
    (line,) = terminal.screen.shown()
    assert re.match(r"reading \.\.\.: 00:00 left \|█+\| ", line)


def test_what_is_quickly_done_needs_no_bar():
    terminal = Terminal(["-c", COUNTING, 5], 80)
    assert terminal.end() == ""


def test_a_pipe_gets_whole_lines(tmp_path):
    code = COUNTING.replace("terminal._QUIET", "terminal._EVERY_LOG = 0.3; terminal._QUIET")
    out = subprocess.run(
        [sys.executable, "-c", code, "0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert out.returncode == 0 and out.stdout == ""
    lines = out.stderr.split("\n")
    assert 3 <= len(lines) <= 7 and lines[-1] == ""
    for line in lines[:-1]:
        name = "reading the very long name of a data set"
        assert re.fullmatch(rf"{name}: \d+ of 60 images, \d\d:\d\d left, [\d.]+ images/s", line)
        assert line.isprintable()


def test_a_count_without_an_end_has_no_time_left(capsys, monkeypatch):
    from keras_gen import terminal

    monkeypatch.setattr(terminal, "_QUIET", 0.0)
    with terminal.Progress("downloading", unit="MB") as progress:
        progress.tell(1234)
    assert capsys.readouterr().err == "downloading: 1,234 MB\n"


def test_what_was_done_before_says_nothing_about_the_speed(capsys):
    from keras_gen import terminal

    progress = terminal.Progress("", 1100, "steps", begun=1000, file=sys.stdout, quiet=0.1, every=0.0)
    time.sleep(0.1)
    progress.tell(1010, "loss 0.5")
    done, left, speed, loss = capsys.readouterr().out.strip().split(", ")
    assert (done, left, loss) == ("1,010 of 1,100 steps", "00:00 left", "loss 0.5")
    assert 50 < float(speed.removesuffix(" steps/s")) <= 100


@pytest.mark.slow
def test_ctrl_c_during_training_leaves_the_bar_once(tmp_path):
    small = ["--set", "width=8", "--set", "latent_dim=8", "--batch-size", 32, "--samples", 4]
    command = ["-m", "keras_gen", "train", "dcgan", "--data", "digits", *small, "--steps", 100_000]
    terminal = Terminal([*command, "--output", tmp_path / "run"], 60, cwd=tmp_path)
    terminal.read(until=r"left .*left ")
    os.write(terminal.master, b"\x03")
    text = terminal.end()
    assert terminal.process.returncode == 130
    shown = terminal.screen.shown()
    bars = [number for number, line in enumerate(shown) if " left " in line]
    assert len(bars) == 1, shown
    assert re.match(r"\d+:\d\d(:\d\d)? left \|.{5}\| \d+/100000 steps, ", shown[bars[0]])
    assert "".join(shown[bars[0] + 1 :]).startswith("stopped at step ")
    assert "^C" in text, "the terminal did echo it"
    assert "^C" not in "".join(shown)

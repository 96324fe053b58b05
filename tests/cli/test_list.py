"""`list` on terminals of several widths."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import keras_gen
from keras_gen.cli.list import cut, table
from keras_gen.registry import family

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("width", [120, 80, 72, 71, 50, 30])
def test_lines_fit_and_end_with_whole_words(width):
    lines, whole = table(width), " ".join(table()).split()
    assert max(map(len, lines)) <= width
    for line in lines:
        words = line.removesuffix(" ...").split()
        assert all(word in whole or f"{word}:" in whole or f"{word}," in whole for word in words), line
    assert [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "] == [
        name
        for group in sorted({family(name) for name in keras_gen.names()})
        for name in keras_gen.names()
        if family(name) == group
    ]


def test_nothing_is_cut_where_no_terminal_is():
    assert not [line for line in table() if line.endswith("...")]


@pytest.mark.parametrize(
    ("width", "wanted"), [(12, "one two"), (7, "one two"), (6, "on ..."), (8, "one two"), (4, " ...")]
)
def test_cut(width, wanted):
    assert cut("one two", width) == wanted


def test_a_terminal_of_80_columns_gets_lines_of_80():
    host, guest = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    child = subprocess.Popen([sys.executable, "-m", "keras_gen", "list"], stdout=guest, env=environment, cwd=ROOT)
    os.close(guest)
    out = b""
    while True:
        try:
            part = os.read(host, 65536)
        except OSError:  # Linux says so where the other end is closed
            break
        if not part:
            break
        out += part
    os.close(host)
    assert child.wait(60) == 0
    lines = out.decode().replace("\r", "").splitlines()
    assert lines == table(80) and any(line.endswith("...") for line in lines)

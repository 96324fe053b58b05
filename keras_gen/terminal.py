"""What a person sees on a terminal: the start-up lines of libraries held back, and a line for long work."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import TextIO

_QUIET = 2.0  # seconds of silence: what is done by then needs no line
_EVERY_TERMINAL = 0.2  # seconds between two lines
_EVERY_LOG = 30.0  # where lines are kept (a file, a pipe), few of them
_SPARE = 4  # columns at the right edge, for the echo of Ctrl-C: beyond the edge, it would begin a second line


@contextlib.contextmanager
def hold(debug: bool = False) -> Iterator[None]:
    """Holds file descriptor 2 back for the length of a block.

    C++ libraries write to the descriptor itself, before any log level is read, so that nothing less will do.

    Args:
        debug: let everything through.
    """
    if debug:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def duration(seconds: float) -> str:
    """Returns `00:07`, `12:34` or `1:02:03`."""
    from tqdm import tqdm

    return tqdm.format_interval(seconds)


class Progress:
    """Counts what is done, and tells how far it is once it takes long: a bar on a terminal, else lines that stay.

    `tqdm` lays the line out; it is written here, because a bar up to the right edge, as `tqdm` writes it, is broken in
    two by the echo of Ctrl-C and by a terminal that is made narrower.

    Args:
        what: what is being done ("reading celeb_a"); may be empty where there is a total.
        total: how many there are, or None where nobody knows.
        unit: what is counted.
        begun: how many were done before: they say nothing about the speed.
        file: where the line is written; by default standard error.
        quiet: seconds without a line at the beginning.
        every: seconds between two lines that stay.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        unit: str = "images",
        begun: int = 0,
        file: TextIO | None = None,
        quiet: float | None = None,
        every: float | None = None,
    ):
        self.what, self.total, self.unit, self.begun = what, total, unit, begun
        self.done, self.more = begun, ""
        self._file = sys.stderr if file is None else file
        self._terminal = self._file.isatty()
        self._every = _EVERY_TERMINAL if self._terminal else _EVERY_LOG if every is None else every
        self._began = time.monotonic()
        self._next = self._began + (_QUIET if quiet is None else quiet)
        self._shown = False

    def __enter__(self) -> "Progress":
        """Starts; the line is closed on leaving."""
        return self

    def __exit__(self, *_):
        """Ends the line."""
        self.close()

    def close(self) -> None:
        """Leaves the bar as it is by now, once, and the cursor on a line of its own."""
        if self._terminal and self._shown:
            self._show()
            print(file=self._file, flush=True)
        self._shown = False

    def add(self, count: int) -> None:
        """Counts some more as done."""
        self.tell(self.done + count)

    def due(self) -> bool:
        """Tells whether the next call of `tell` writes a line."""
        return time.monotonic() >= self._next

    def tell(self, done: int, more: str = "") -> None:
        """Says how many are done by now.

        Args:
            done: of the total.
            more: what else there is to tell.
        """
        self.done, self.more = done, more
        if self.due():
            self._show()
            self._next = time.monotonic() + self._every

    def _show(self):
        if not self._terminal:
            layout = "{desc}: {n:,} of {total:,} {unit}, {remaining} left, {rate_noinv:.3g} {unit}/s{postfix}"
            print(self._text(layout), file=self._file, flush=True)
            return
        width = self._width()
        # The time comes first, because a narrow terminal cuts the end.
        bar = f"|{{bar:{max(width // 10, 3)}}}|"
        text = self._text(
            f"{{desc}}: {{remaining}} left {bar} {{n}}/{{total}} {{unit}}, {{rate_noinv:.3g}}/s{{postfix}}", width
        )
        blank = " " * (width - _columns(text) + _SPARE)
        print(f"\r{text}{blank}" + "\b" * len(blank), end="", file=self._file, flush=True)
        self._shown = True

    def _width(self):
        try:
            columns = os.get_terminal_size(self._file.fileno()).columns
        except (OSError, ValueError):
            columns = 80
        return max((columns or 80) - 1 - _SPARE, 1)

    def _text(self, layout, width=None):
        from tqdm import tqdm

        what = self.what
        if width and len(what) > width // 3:
            what = what[: max(width // 3, 8) - 3] + "..."
        if not self.total:
            layout = "{desc}: {n:,} {unit}{postfix}"
        return tqdm.format_meter(
            min(self.done, self.total or self.done),
            self.total,
            max(time.monotonic() - self._began, 1e-9),
            ncols=width,
            prefix=what,
            unit=self.unit,
            initial=self.begun,
            postfix=self.more,
            bar_format=layout,
            ascii="utf" not in (self._file.encoding or "").lower(),
        )


def _columns(text):
    """Returns how many columns a text takes: letters of some scripts take two."""
    from tqdm.utils import disp_len

    return disp_len(text)

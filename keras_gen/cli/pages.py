"""Texts of `sample`: printed, written as text or JSON, or drawn as a page."""

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_gen import images
from keras_gen.errors import UsageError
from keras_gen.files import writing

SUFFIXES = (".txt", ".json", ".png")
RULE = "-" * 40  # between two texts
WIDTH, MARGIN, SIZE = 800, 60, 18  # of a page and its letters, in pixels
LETTERS = 78  # in a line of a page


def write(output: Path | None, texts: Sequence[str]) -> None:
    """Writes texts.

    Args:
        output: `x.txt`, `x.json` (a list) or `x.png` (a page); `None` prints them.
        texts: what to write.

    Raises:
        UsageError: another suffix.
    """
    whole = f"\n{RULE}\n".join(texts)
    if output is None:
        print(whole, flush=True)
    elif output.suffix not in SUFFIXES or output.is_dir():
        raise UsageError(f"-o {writing.shown(output)} is no file of texts; give x.txt, x.json or x.png")
    elif output.suffix == ".png":
        images.save_png(output, page(whole))
    else:
        text = whole if output.suffix == ".txt" else json.dumps(list(texts), indent=2, ensure_ascii=False)
        writing.write(output, (text + "\n").encode())


def page(text: str) -> np.ndarray:
    """Draws a text in black on white, uint8 (H, W, 3), with long lines broken."""
    from PIL import Image, ImageDraw, ImageFont

    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, LETTERS) or [""]]
    font, step = ImageFont.load_default(SIZE), int(1.5 * SIZE)
    sheet = Image.new("RGB", (WIDTH, 2 * MARGIN + step * max(1, len(lines))), "white")
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        if line == RULE:
            y = MARGIN + step * number + step // 2
            pen.line([MARGIN, y, WIDTH - MARGIN, y], (170, 170, 170))
        else:
            pen.text((MARGIN, MARGIN + step * number), line, (20, 20, 20), font)
    return np.asarray(sheet)

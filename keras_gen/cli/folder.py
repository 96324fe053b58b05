"""The folder of a run: its card, its history and its pictures, each written whole or not at all."""

import contextlib
import csv
import io
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_gen import images
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import writing
from keras_gen.files.writing import shown

CARD, HISTORY, MODEL, SAMPLES, TEXT = "card.json", "history.csv", "model.keras", "samples.png", "samples.txt"
TEXTS = 8  # in it
WAY_OUT = "--no-resume or another --output"


class Folder:
    """A run's folder.

    Args:
        path: of the folder; it need not exist.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._locks = contextlib.ExitStack()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other writers out. A folder that was made for this, and got no run, is removed again.

        Raises:
            UsageError: the folder is in use, or holds something else than a run.
            WriteError: it cannot be written.
        """
        self._refuse_foreign()
        new = not self.path.exists()
        with self._locks:
            if new:
                self._locks.callback(self._remove_empty)  # Windows lets a lock go only when it is given back
            try:
                self._locks.enter_context(writing.lock(self.path))
                writing.clean(self.path)
                yield
            finally:
                if new and not (self.path / CARD).exists():
                    for name in (writing.OWNER, writing.LOCK):
                        with contextlib.suppress(OSError):
                            (self.path / name).unlink()
                    self._remove_empty()

    def _remove_empty(self):
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _refuse_foreign(self):
        if not self.path.is_dir() or (self.path / CARD).is_file():
            return
        # Temporary files and an empty folder of checkpoints are what a first start leaves when it is killed.
        other = sorted(
            entry.name for entry in self.path.iterdir() if not entry.name.startswith((writing.LOCK, ".tmp-"))
        )
        if other:
            raise UsageError(
                f"folder {shown(self.path)} holds {shown(other[0], 40)!r} and no {CARD}: it is not a run; "
                "choose another --output"
            )

    def move_aside(self) -> Path | None:
        """Renames the run that is here and begins a new folder; returns where the old one went."""
        if not (self.path / CARD).is_file():
            return None
        if writing.WINDOWS:  # which moves no folder with an open file in it
            self._locks.close()
        aside = writing.move_aside(self.path)
        self._locks.enter_context(writing.lock(self.path))
        return aside

    # --- card --------------------------------------------------------------------------------------------------------

    def card(self) -> dict[str, Any] | None:
        """Returns the card of the run that is here, if there is one.

        Raises:
            DamagedError: it is not a card.
        """
        path = self.path / CARD
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(card["identity"], dict) or not isinstance(card["target_steps"], int):
                raise TypeError("no identity")
            return card
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise DamagedError(f"{shown(path)} is damaged; give {WAY_OUT}") from None

    def write_card(self, card: Mapping[str, Any]) -> None:
        """Writes the card."""
        text = json.dumps(card, indent=2, default=str) + "\n"
        writing.write(self.path / CARD, text.encode())

    # --- history -----------------------------------------------------------------------------------------------------

    def history(self) -> list[dict[str, str]]:
        """Returns the rows of `history.csv`, or none."""
        try:
            with open(self.path / HISTORY, newline="", encoding="utf-8") as file:
                return [row for row in csv.DictReader(file) if str(row.get("epoch")).isdecimal()]
        except FileNotFoundError:
            return []

    def write_history(self, rows: list[dict[str, str]]) -> None:
        """Writes `history.csv`, with a column for everything that a row holds."""
        columns = list(dict.fromkeys(name for row in rows for name in row if name))
        columns.sort(key=lambda name: name == "seconds")  # the rest stays in order
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        writing.write(self.path / HISTORY, out.getvalue().encode())

    # --- model and pictures ------------------------------------------------------------------------------------------

    def write_model(self, model: Any, samples: int, examples: Any = None) -> bool:
        """Writes `model.keras` and samples, unless a weight is NaN or infinite: then older ones stay.

        Args:
            model: to be saved.
            samples: images in the grid.
            examples: that the model is trained on, or others, for a model that makes images of images.

        Returns:
            Whether they were written.
        """
        if not all(np.isfinite(weight).all() for weight in model.get_weights()):
            return False
        model.save(self.path / MODEL)
        if getattr(model, "tokenizer", None):
            text = "\n\n".join(map(model.text, model.sample(min(samples, TEXTS), seed=0)))
            writing.write(self.path / TEXT, (text + "\n").encode())
            return True
        drawn, columns = model.preview(examples, samples)
        if drawn.ndim == 4 and drawn.shape[-1] in (1, 3, 4):
            images.save_png(self.path / SAMPLES, images.enlarged(images.grid(drawn, columns, padding=2), 512))
        return True


def versions() -> dict[str, str]:
    """Returns the versions that a run depends on."""
    import keras
    import tensorflow as tf

    from keras_gen import __version__

    return {
        "python": platform.python_version(),
        "keras_gen": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def compare(
    card: Mapping[str, Any], identity: Mapping[str, Any], data: Any, folder: Path, former: Mapping[str, Any]
) -> None:
    """Compares a run with what is asked for now.

    Args:
        card: of the run.
        identity: of the job.
        data: the job's `Examples`.
        folder: of the run.
        former: what arguments were before they had a name, by which a card of then does not call them.

    Raises:
        UsageError: they differ; the message names the first difference.
    """
    old, new = dict(card["identity"]), json.loads(json.dumps(identity, default=str))
    olds, news = {**former, **old.pop("configuration", {})}, dict(new.pop("configuration"))
    pairs = [("model", old.pop("model", None), new.pop("model"))]
    if pairs[0][1] == pairs[0][2]:
        pairs += [(name, olds.get(name), news.get(name)) for name in dict.fromkeys([*news, *olds])]
        pairs += [(name, old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old])]
        named = (card.get("data") or {}).get("classes")
        pairs += [("classes", ", ".join(named), ", ".join(data.classes))] if named else []
    for name, before, now in pairs:
        if before == now:
            continue
        if name == "digest":
            before, now = (card.get("data") or {}).get("name"), data.name
            name = "data" if before != now else "content of the data"
            if before == now:
                before, now = "another one", "this one"
        asked, had = (shown(str(value), 30) for value in (now, before))
        raise UsageError(
            f"{name.replace('_', ' ')} is {asked}, but the run in {shown(folder, 40)} has {had}; "
            f"give the same, {WAY_OUT}"
        )

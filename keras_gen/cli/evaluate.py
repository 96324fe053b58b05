"""`evaluate`: how good a run is, as a table and as `evaluation.json` in its folder."""

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_gen.cli import figures, given, libraries
from keras_gen.errors import UsageError
from keras_gen.files import writing
from keras_gen.files.runs import find_model

LADDER_COLUMNS = ("fd", "precision", "recall", "density", "coverage", "class_entropy")


def run(options: argparse.Namespace) -> int:
    """Evaluates a run.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    path = find_model(options.source)
    libraries.start(options.debug)
    found = evaluated(path, options.data, options.n, options.seed, given.reading(vars(options)))
    output = Path(options.output or path.parent / "evaluation.json")
    writing.write(output, (json.dumps(found._asdict(), indent=2) + "\n").encode())
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print("\n".join(table(found, width)))
    print(f"written: {writing.shown(output)}", flush=True)
    return 0


def evaluated(path: Path, data: str | None, n: int, seed: int, reading: Mapping[str, Any] = {}) -> Any:
    """Returns the evaluation of a `.keras` file.

    Args:
        path: of the file.
        data: name or path of the data; those of the run's card when `None`.
        n: samples.
        seed: of the samples and the judges.
        reading: how the data are read, as `given.reading` tells; those of the run are read as it has read them.

    Raises:
        UsageError: no data are known, or they do not fit.
    """
    from keras_gen import data as sets
    from keras_gen.cli.settings import images_of
    from keras_gen.files.loading import load
    from keras_gen.metrics.evaluation import evaluate
    from keras_gen.tokenizer import Tokenizer

    model = load(path)
    of_run = _of_run(path.parent)
    if not data and not of_run:
        raise UsageError(f"{writing.shown(path.parent)} has no card that tells its data; give --data")
    if data in (None, of_run.get("data")):
        data, reading = of_run["data"], {**given.reading(of_run), **reading}
    if "token" in model.expects():
        if not model.tokenizer:
            raise UsageError(
                f"{writing.shown(path)} is of tokens that are no text; call model.evaluate() on such tokens"
            )
        how = {"length": model.expects()["token"][1], "tokenizer": Tokenizer(model.tokenizer)}
        train, test = (sets.windows(data, split, **how) for split in ("train", "test"))
    else:
        size = {"image_size": tuple(model.image_shape[:2]), "channels": model.image_shape[-1]}
        if model.expects().get("source", model.image_shape)[-1] != model.image_shape[-1]:
            size["channels"] = None  # those of each side
        size |= {"classes": model.class_names, "num_classes": model.num_classes}
        train, test = (images_of(model.reads, data, split, **size, **reading) for split in ("train", "test"))
    return _with_split(evaluate(model, train, test, n, seed), path.parent, data, train.digest, test.digest)


def _with_split(found, folder, data, digest, of_test):
    """Notes in the protocol what a run was trained on, where that is not the train split of these data."""
    from keras_gen.data.messages import canonical

    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        settings = card["settings"]
        split = settings["split"] if settings["data"] == data else "train"
    except (OSError, ValueError, KeyError, TypeError):
        return found
    if canonical(split.partition("[")[0]) != "train" or "+" in split or digest == of_test:  # of one image
        found.protocol["trained_on"] = split
    elif settings["data"] == data and "[" not in split and not settings.get("jitter"):  # which reads larger images
        trained = (card.get("data") or {}).get("digest")
        if trained and trained != digest:  # the data, or what is held out of them, were others then
            found.protocol["trained_on_digest"] = trained
    return found


def _of_run(folder):
    """Returns the settings that a run's card tells, if it tells its data."""
    try:
        settings = json.loads((folder / "card.json").read_text(encoding="utf-8"))["settings"]
        return settings if settings["data"] else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def table(found: Any, width: int | None = None) -> list[str]:
    """Returns the lines that the terminal shows of an evaluation: a block for each judge, of pixels, and of the model.

    Args:
        found: the evaluation.
        width: that a line may have; `None` lets them be as long as they are.
    """
    from keras_gen.metrics.better import NEIGHBORS, OF_SAMPLES, ON_PIXELS

    protocol, values = found.protocol, found.metrics
    n, judges = protocol["n_real"], protocol["judges"]
    digits = figures.digits(n) if "n_fake" in protocol else 3  # a row of text holds many tokens
    wide = max(map(len, values), default=0)
    pixels = {name: value for name, value in values.items() if name in ON_PIXELS}
    blocks = []
    for place, judge in enumerate(judges):
        begin = NEIGHBORS if judge["kind"] == "neighbors" else ""
        names = {f"{begin}{name}" for name in OF_SAMPLES} | ({"copies"} if not place else set())
        blocks.append({name: value for name, value in values.items() if name in names and name not in pixels})
    judged = pixels.keys() | {name for block in blocks for name in block}
    own = {name: value for name, value in values.items() if name not in judged}
    of = f"{protocol['n_fake']} samples against {n} test images" if judged else f"{n} test rows"
    lines = _folded(f"{of} of {protocol['data']}, seed {protocol['seed']}; {figures.meaning()}", width)
    if judges and n < figures.FEW:
        few = f"{n} samples are few: another seed gives other figures"
        more = ", and fd depends on their number; compare it with the table below only"
        lines += _folded(few + (more if judged and found.ladder else ""), width)
    if "trained_on" in protocol:
        seen = f"the run was trained on the split {protocol['trained_on']!r}, which may hold these images: "
        lines += _folded(seen + "nothing here tells of new ones", width)
    if "trained_on_digest" in protocol:
        seen = "the run was trained on another content or part of these data, which may hold these images"
        lines += _folded(f"{seen}: nothing here tells of new ones", width)
    if not judges and "n_fake" in protocol:
        lines += _folded(f"{n} test images are too few for a judge: samples are not measured", width)
    for judge, block in zip(judges, blocks, strict=True):
        if block:
            right = f"right on {100 * judge['accuracy']:.1f} % of test images" if judge["accuracy"] is not None else ""
            right = right or "which needs no labels: there are none, or of one class only"
            lines += ["", *_folded(f"by the judge {judge['kind']} {judge['digest'][:8]}, {right}", width)]
            lines += figures.lines(block, digits, wide)
    if pixels:
        of = protocol.get("classifier_accuracy_of_real")
        of = f"; as many real images score {figures.number(of, digits)}" if of is not None else ""
        lines += ["", *_folded(f"on pixels, without a judge{of}", width), *figures.lines(pixels, digits, wide)]
    if own:
        of = f"; bits are of pixels of {protocol['levels']} levels" if "levels" in protocol else ""
        lines += ["", *_folded(f"of the model itself{of}", width), *figures.lines(own, digits, wide)]
    return [*lines, *_ladder(found.ladder, judges, digits, width)]


def _ladder(ladder, judges, digits, width):
    """Returns the lines of the ladder."""
    if not ladder:
        return []
    title = f"for comparison, the judge {judges[0]['kind']} on real images, as they are and damaged"
    names = [name for name in LADDER_COLUMNS if name in next(iter(ladder.values()))]
    rows = [[rung, *(figures.number(values[name], digits) for name in names)] for rung, values in ladder.items()]
    return ["", *_folded(title, width), *figures.columns(["", *names], rows, width)]


def _folded(text, width):
    return textwrap.wrap(text, width or 10_000, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)

"""`evaluate`: how good a run is, as a table and as `evaluation.json` in its folder."""

import argparse
import json
from pathlib import Path
from typing import Any

from keras_gen.cli import libraries
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
    found = evaluated(path, options.data, options.n, options.seed)
    output = Path(options.output or path.parent / "evaluation.json")
    writing.write(output, (json.dumps(found._asdict(), indent=2) + "\n").encode())
    print("\n".join(table(found)))
    print(f"written: {writing.shown(output)}", flush=True)
    return 0


def evaluated(path: Path, data: str | None, n: int, seed: int) -> Any:
    """Returns the evaluation of a `.keras` file.

    Args:
        path: of the file.
        data: name or path of the data; those of the run's card when `None`.
        n: samples.
        seed: of the samples and the judges.

    Raises:
        UsageError: no data are known, or they do not fit.
    """
    from keras_gen import data as sets
    from keras_gen.files.loading import load
    from keras_gen.metrics.evaluation import evaluate
    from keras_gen.tokenizer import Tokenizer

    model = load(path)
    data = data or _trained_on(path.parent)
    if "token" in model.expects():
        if not model.tokenizer:
            raise UsageError(
                f"{writing.shown(path)} is of tokens that are no text; call model.evaluate() on such tokens"
            )
        how = {"length": model.expects()["token"][1], "tokenizer": Tokenizer(model.tokenizer)}
        train, test = (sets.windows(data, split, **how) for split in ("train", "test"))
    else:
        size = {"image_size": tuple(model.image_shape[:2]), "channels": model.image_shape[-1]}
        train, test = (sets.examples(data, split, **size) for split in ("train", "test"))
    return evaluate(model, train, test, n, seed)


def _trained_on(folder):
    try:
        return json.loads((folder / "card.json").read_text(encoding="utf-8"))["settings"]["data"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{writing.shown(folder)} has no card that tells its data; give --data") from None


def table(found: Any) -> list[str]:
    """Returns the lines that the terminal shows of an evaluation."""
    protocol = found.protocol
    judges = ", ".join(
        f"{judge['kind']} {judge['digest'][:8]} ({100 * judge['accuracy']:.2f} %)" for judge in protocol["judges"]
    )
    if judges:
        lines = [
            f"{protocol['n_fake']} samples against {protocol['n_real']} test images of {protocol['data']}, "
            f"seed {protocol['seed']}; judges: {judges}"
        ]
    else:
        lines = [f"{protocol['n_real']} test rows of {protocol['data']}"]
    lines += [f"  {name:28} {value:12.5g}" for name, value in found.metrics.items()]
    if not found.ladder:
        return lines
    lines.append("the same metrics of damaged real images, for comparison:")
    columns = [name for name in LADDER_COLUMNS if name in next(iter(found.ladder.values()))]
    lines.append("  " + " " * 18 + "".join(f"{name:>14}" for name in columns))
    for name, values in found.ladder.items():
        lines.append(f"  {name:18}" + "".join(f"{values[column]:14.4g}" for column in columns))
    return lines

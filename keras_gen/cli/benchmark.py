"""`benchmark`: trains a model by its recipe with several seeds, evaluates each run, and prints median and spread."""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from keras_gen.cli import figures, given
from keras_gen.errors import DamagedError
from keras_gen.files import writing
from keras_gen.files.runs import RUNS
from keras_gen.recipes import COMPARE, thresholds


def run(options: argparse.Namespace) -> int:
    """Trains and evaluates; runs that are finished already are only evaluated.

    Args:
        options: of the command line.

    Returns:
        The exit code: 1 where a threshold of the recipe is missed.
    """
    given.check(options)
    folder = Path(options.output or RUNS / "benchmarks" / options.name)
    reports = [_report(options, folder / f"seed-{seed}", seed) for seed in range(options.seeds)]
    result = summary(options.name, options.data, reports, options.recipe)
    print("\n".join(table(result)))
    text = json.dumps(result)
    writing.write(folder / "benchmark.json", (text + "\n").encode())
    print(text, flush=True)
    return 0 if result["passed"] else 1


def table(result: dict[str, Any]) -> list[str]:
    """Returns a line for each figure of a `summary`: the median, the spread, and what the recipe expects of it."""
    digits = figures.digits(result["protocol"]["n_real"]) if result["protocol"]["judges"] else 3
    shown = {}
    for name, values in result["metrics"].items():
        middle, low, high = (figures.number(values[key], digits) for key in ("median", "min", "max"))
        shown[name] = f"{middle} ({low} to {high})"
        if name in result["thresholds"]:
            sign, bound = result["thresholds"][name]
            met = COMPARE[sign](values["median"], bound)
            shown[name] += f"  expected {sign} {bound:g}{'' if met else ': missed'}"
    title = f"median of {result['seeds']} seeds (least to most); {figures.meaning()}"
    return [title, *figures.lines(shown)]


def _report(options, folder, seed):
    from keras_gen.cli.evaluate import evaluated
    from keras_gen.cli.parser import parse
    from keras_gen.cli.train import run as train

    size = options.image_size
    size = "x".join(map(str, size)) if isinstance(size, tuple) else size
    typed = {"--steps": options.steps, "--epochs": options.epochs}
    typed |= {"--batch-size": options.batch_size, "--recipe": options.recipe, "--image-size": size}
    typed = [word for name, value in typed.items() if value for word in (name, str(value))]
    typed += [f"--range={','.join(map(str, options.range))}"] if options.range else []
    typed += ["--skip-damaged"] if options.skip_damaged else []
    typed += ["--jitter"] if options.jitter else []
    typed += ["--direction", options.direction] if options.direction else []
    typed += ["--arrays", ",".join(map("=".join, options.arrays.items()))] if options.arrays else []
    chosen = [word for pair in options.settings for word in ("--set", "=".join(pair))]
    where = ["--data", options.data, "--seed", str(seed), "--output", str(folder)]
    train(parse(["train", options.name, *where, *typed, *chosen]))
    found = evaluated(folder / "model.keras", options.data, options.n, seed=0)  # one judge for all seeds
    writing.write(folder / "evaluation.json", (json.dumps(found._asdict(), indent=2) + "\n").encode())
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return {"metrics": found.metrics, "protocol": found.protocol, "steps": card["steps"], "model": card["identity"]}


def summary(name: str, data: str, reports: list[dict[str, Any]], recipe: str | None = None) -> dict[str, Any]:
    """Returns medians and spreads, and whether they meet the recipe's thresholds.

    Args:
        name: of the model.
        data: its name or path.
        reports: one for each seed.
        recipe: path of one in place of the model's.

    Raises:
        DamagedError: a threshold is of a metric that was not measured.
    """
    values = {metric: [report["metrics"][metric] for report in reports] for metric in reports[0]["metrics"]}
    metrics = {
        metric: {"median": statistics.median(found), "min": min(found), "max": max(found)}
        for metric, found in values.items()
    }
    bounds = thresholds(name, data, recipe)
    for metric in bounds:
        if metric not in metrics:
            raise DamagedError(f"the recipe bounds {metric!r}, which was not measured; mend its thresholds")
    return {
        "model": name,
        "data": Path(data).name,
        "steps": reports[0]["steps"],
        "seeds": len(reports),
        "metrics": metrics,
        "protocol": reports[0]["protocol"],
        "configuration": reports[0]["model"]["configuration"],
        "thresholds": {metric: list(bound) for metric, bound in bounds.items()},
        "passed": all(COMPARE[sign](metrics[metric]["median"], bound) for metric, (sign, bound) in bounds.items()),
    }

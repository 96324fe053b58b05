"""What the benchmarks share: their options, and the rows of one Markdown table."""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def options(about: str) -> argparse.ArgumentParser:
    """Returns a parser with the options of every benchmark."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a try of every row, too short for its figures to mean much"
    )
    parser.add_argument("--rows-only", action="store_true", help="leave out the head of the table")
    return parser


def start(chosen: argparse.Namespace) -> None:
    """Imports TensorFlow and Keras without their lines on stderr, and prints the head of the table."""
    from keras_gen.cli import libraries

    libraries.start(debug=False)
    if not chosen.rows_only:
        head()


def head() -> None:
    """Prints the machine and the head of the table."""
    print(f"{processor()}, {os.cpu_count()} cores\n")
    print("| what | measured | target |\n| --- | --- | --- |", flush=True)


def row(what: str, measured: str, target: str = "", met: bool | None = None) -> None:
    """Prints a row; a target says whether it is met."""
    verdict = "" if met is None else ": met" if met else ": **missed**"
    print(f"| {what} | {measured} | {target}{verdict} |", flush=True)


def processor() -> str:
    """Returns the name of the processor, and what it has for half precision."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        import platform

        return platform.processor() or platform.machine()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    half = [name for name in ("avx512_bf16", "amx_bf16", "avx512_fp16") if name in told.get("flags", "").split()]
    return ", ".join([told.get("model name", "unknown processor"), *half])


def interleaved(takes: Mapping[Any, Callable[[int], None]], chunks: int, steps: int) -> dict[Any, list[float]]:
    """Times functions that take a number of steps, a chunk of each in turn.

    Returns:
        Steps/s of every chunk, by name: those at one index are neighbors in time.
    """
    speeds: dict[Any, list[float]] = {name: [] for name in takes}
    for take in takes.values():
        take(2)
    for _ in range(chunks):
        for name, take in takes.items():
            start = time.perf_counter()
            take(steps)
            speeds[name].append(steps / (time.perf_counter() - start))
    return speeds


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Returns the median of the ratios of neighbors, and their quartiles."""
    found = [a / b for a, b in zip(mine, theirs, strict=True)]
    low, middle, high = statistics.quantiles(found, n=4) if len(found) > 1 else found * 3
    return middle, low, high

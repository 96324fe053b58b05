"""A small run that the tests of the command line share."""

import csv
import json
import subprocess
import sys

from keras_gen.cli.main import main

SMALL = ("--set", "width=4", "--set", "latent_dim=6", "--batch-size", "250", "--samples", "4")  # 6 steps an epoch


def train(*more, name="dcgan", small=SMALL):
    return main(["train", name, *small, *map(str, more)])


def card(folder):
    return json.loads((folder / "card.json").read_text())


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def python(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, **options)


def assert_one_line(text, *words):
    assert text.startswith("error: ") and text.strip().count("\n") == 0 and len(text.strip()) <= 200, text
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"

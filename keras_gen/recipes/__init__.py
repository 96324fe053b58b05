"""What `train` does when nobody says otherwise: plain data, for each model and, where it matters, each data set.

A recipe holds `batch_size` (images for one update), `epochs`, and may hold `learning_rate` (a number, or one for each
player; without it the paper's optimizers are as they are) and `settings` (arguments of the constructor).
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

DEFAULT: Mapping[str, Any] = {"batch_size": 64, "epochs": 20}

MODELS: Mapping[str, Mapping[str, Any]] = {
    "dcgan": {"batch_size": 128, "epochs": 20},
    "gan": {"batch_size": 128, "epochs": 50},
    "vae": {"batch_size": 100, "epochs": 20},
}

# Where a data set is so small or so large that the model's own recipe does not fit it.
DATA: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # Half of the width that the paper gives to 64x64 scenes: a quarter of the work.
    ("dcgan", "mnist"): {"settings": {"width": 64}},
    ("dcgan", "fashion_mnist"): {"settings": {"width": 64}},
    ("dcgan", "digits"): {"batch_size": 64, "epochs": 100},
    ("gan", "digits"): {"batch_size": 64, "epochs": 300},
    ("vae", "digits"): {"batch_size": 50, "epochs": 100},
}

# What `benchmark` expects of the median over seeds, by the recipe of this data set.
THRESHOLDS: Mapping[tuple[str, str], Mapping[str, tuple[str, float]]] = {
    # Minus the evidence lower bound in nats after 20 epochs, on stochastically binarized digits.
    ("vae", "mnist"): {"test_loss": ("<=", 102.5)},
}


def recipe(model: str, data: str) -> dict[str, Any]:
    """Returns the recipe of a model on a data set.

    Args:
        model: name of the model.
        data: name of the data set, or of its file: `data/mnist.npz` is `mnist` here. One without a row of its own
            takes the model's recipe.
    """
    return {**DEFAULT, **MODELS.get(model, {}), **DATA.get((model, _called(data)), {})}


def thresholds(model: str, data: str) -> dict[str, tuple[str, float]]:
    """Returns the bounds of a model's metrics on a data set: name to (`"<="` or `">="`, number)."""
    return dict(THRESHOLDS.get((model, _called(data)), {}))


def _called(data):
    return PurePath(data).stem.partition(":")[0].lower()  # "mnist:3.*.*" names a version

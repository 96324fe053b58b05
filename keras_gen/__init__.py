"""Classic generative models for Keras: trained by `fit()`, exported to verified ONNX and TFLite.

Everything is imported when first used, so that `import keras_gen` creates no TensorFlow context.
"""

import importlib

from keras_gen.registry import classes
from keras_gen.registry import get as get
from keras_gen.registry import names as names

__version__ = "0.1.0"

_MODULES = {
    "callbacks": "keras_gen.callbacks",
    "compression": "keras_gen.compression",
    "data": "keras_gen.data",
    "distribution": "keras_gen.distribution",
    "draws": "keras_gen.signatures.draws",
    "errors": "keras_gen.errors",
    "evaluation": "keras_gen.metrics.evaluation",
    "exported": "keras_gen.signatures.exported",
    "images": "keras_gen.images",
    "information": "keras_gen.information",
    "latent": "keras_gen.latent",
    "layers": "keras_gen.layers",
    "losses": "keras_gen.losses",
    "metrics": "keras_gen.metrics",
    "networks": "keras_gen.networks",
    "optimizers": "keras_gen.game.optimizers",
    "outliers": "keras_gen.outliers",
    "random": "keras_gen.ops.random",
    "tokenizer": "keras_gen.tokenizer",
}
_NAMES = {
    "GenerativeModel": "keras_gen.game.model",
    "Player": "keras_gen.game.player",
    "Signature": "keras_gen.signatures.signature",
    "load": "keras_gen.files.loading",
}


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name == "__all__":
        return ["get", "names", *_MODULES, *_NAMES, *classes()]
    if not name.startswith("_") and name in classes():  # of a model: its recipe names the module
        return getattr(importlib.import_module(classes()[name]), name)
    raise AttributeError(f"module 'keras_gen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__getattr__("__all__"))

"""Classic generative models for Keras: trained by `fit()`, exported to verified ONNX and TFLite.

Everything is imported when first used, so that `import keras_gen` creates no TensorFlow context.
"""

import importlib

from keras_gen.registry import MODELS, get, names

__version__ = "0.1.0"

_MODULES = (
    "callbacks",
    "compression",
    "data",
    "distribution",
    "draws",
    "errors",
    "evaluation",
    "images",
    "information",
    "latent",
    "layers",
    "losses",
    "metrics",
    "monitors",
    "networks",
    "optimizers",
    "outliers",
    "random",
    "tokenizer",
)
_NAMES = {
    **{cls: module for module, cls in MODELS.values()},
    "GenerativeModel": "keras_gen.model",
    "Player": "keras_gen.model",
    "Signature": "keras_gen.signature",
    "load": "keras_gen.saving",
}
__all__ = ["get", "names", *_MODULES, *_NAMES]


def __getattr__(name: str):
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"keras_gen.{name}")
    raise AttributeError(f"module 'keras_gen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""Data sets by name or path: the digits, tensorflow-datasets, `.npz` files and folders of images."""

from keras_gen.data.catalog import examples, load
from keras_gen.feed import Examples

__all__ = ["Examples", "examples", "load"]

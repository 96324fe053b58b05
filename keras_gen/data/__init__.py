"""Data sets by name or path: the digits, tensorflow-datasets, `.npz` files, folders of images, and text."""

from keras_gen.data.catalog import examples, load
from keras_gen.data.examples import Examples, Unpaired
from keras_gen.data.label_maps import examples as label_maps
from keras_gen.data.pairs import examples as pairs
from keras_gen.data.texts import windows

__all__ = ["Examples", "Unpaired", "examples", "label_maps", "load", "pairs", "windows"]

"""Layers that Keras does not have."""

from keras_gen.layers.codebook import Codebook
from keras_gen.layers.moments import RunningMoments

__all__ = ["Codebook", "RunningMoments"]

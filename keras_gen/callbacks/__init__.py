"""Callbacks: exact resumption, learning rates of a player, health and quality of a game, a line of progress."""

from keras_gen.errors import check_backend

check_backend()

from keras_gen.callbacks.checkpoint import Checkpoint
from keras_gen.callbacks.health import GANHealth
from keras_gen.callbacks.progress import ProgressLine
from keras_gen.callbacks.quality import Quality, TraversalImages
from keras_gen.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from keras_gen.callbacks.state import checkpoints

__all__ = [
    "Checkpoint",
    "GANHealth",
    "LearningRateScheduler",
    "ProgressLine",
    "Quality",
    "ReduceLROnPlateau",
    "TraversalImages",
    "checkpoints",
]

"""Walks through a latent space: the same on Keras models and on exported `.onnx` and `.tflite` files.

Latents are arrays (..., d). The functions on them are plain numpy; `decoder` and `encoder` turn latents into images and
images into latents, whatever holds the networks. Only Keras models have gradients, so that only they can `project`.
"""

from keras_gen.latent.directions import Directions, along, directions, reach
from keras_gen.latent.moves import (
    INTERPOLATIONS,
    REACH,
    arithmetic,
    attribute_direction,
    interpolate,
    lerp,
    manifold,
    move,
    quantiles,
    slerp,
    span,
    style_grid,
    traverse,
)
from keras_gen.latent.project import Projection, project
from keras_gen.latent.sources import (
    FILES,
    Decoder,
    Encoder,
    StyleDecoder,
    autoencoder,
    called,
    decoder,
    encoder,
    opened,
    reconstruct,
)

__all__ = [
    "FILES",
    "INTERPOLATIONS",
    "REACH",
    "Decoder",
    "Directions",
    "Encoder",
    "Projection",
    "StyleDecoder",
    "along",
    "arithmetic",
    "attribute_direction",
    "autoencoder",
    "called",
    "decoder",
    "directions",
    "encoder",
    "interpolate",
    "lerp",
    "manifold",
    "move",
    "opened",
    "project",
    "quantiles",
    "reach",
    "reconstruct",
    "slerp",
    "span",
    "style_grid",
    "traverse",
]

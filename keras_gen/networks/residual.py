"""Convolutional networks with residual blocks, between an image and a map of a quarter of its height and width."""

from collections.abc import Sequence

import keras
from keras import layers

from keras_gen.errors import UsageError
from keras_gen.networks.build import in_float32, network

STRIDE = 4  # of the map, in pixels


def map_shape(image_shape: Sequence[int]) -> tuple[int, int]:
    """Returns height and width of the map.

    Raises:
        UsageError: a side is not a multiple of 4.
    """
    height, breadth, _ = image_shape
    if height % STRIDE or breadth % STRIDE or not height * breadth:
        near = "x".join(str(max(1, round(side / STRIDE)) * STRIDE) for side in (height, breadth))
        raise UsageError(f"image_shape is {tuple(image_shape)}; expected sides that 4 divides: the nearest are {near}")
    return height // STRIDE, breadth // STRIDE


def _blocks(x, width, blocks):
    for _ in range(blocks):
        y = layers.Conv2D(width, 3, padding="same")(layers.ReLU()(x))
        x = layers.Add()([x, layers.Conv2D(width, 1)(layers.ReLU()(y))])
    return layers.ReLU()(x)


@network
def encoder(image_shape: Sequence[int], outputs: int, width: int = 256, blocks: int = 2) -> keras.Model:
    """Maps `image` (B, H, W, C) to (B, H/4, W/4, outputs): two convolutions of stride 2, then residual blocks."""
    map_shape(image_shape)
    image = keras.Input(tuple(image_shape), name="image")
    x = layers.Conv2D(width, 4, 2, padding="same", activation="relu")(image)
    x = _blocks(layers.Conv2D(width, 4, 2, padding="same")(x), width, blocks)
    return keras.Model({"image": image}, in_float32(layers.Conv2D(outputs, 1)(x)), name="encoder")


@network
def decoder(image_shape: Sequence[int], inputs: int, width: int = 256, blocks: int = 2) -> keras.Model:
    """Maps `code` (B, H/4, W/4, inputs) to (B, H, W, C), without a last activation: the encoder in reverse."""
    code = keras.Input((*map_shape(image_shape), inputs), name="code")
    x = _blocks(layers.Conv2D(width, 3, padding="same")(code), width, blocks)
    x = layers.Conv2DTranspose(width, 4, 2, padding="same", activation="relu")(x)
    x = layers.Conv2DTranspose(image_shape[-1], 4, 2, padding="same")(x)
    return keras.Model({"code": code}, in_float32(x), name="decoder")

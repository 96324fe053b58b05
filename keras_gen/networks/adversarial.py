"""Generator, discriminator and encoder of a GAN, of any architecture."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.layers import MinibatchStddev
from keras_gen.networks import conv, mlp, resnet
from keras_gen.networks.build import EPSILON, Laws, biased, dense, in_float32, labelled, network, normalized
from keras_gen.signatures.law import Law

ARCHITECTURES = {"mlp": mlp, "conv": conv, "resnet": resnet}


def _sizes(architecture, hidden, width):
    """Returns the arguments of an architecture's functions; one that is all dense layers has some in any case."""
    if architecture == "mlp":
        return {"hidden": (256, 512) if hidden is None else hidden}
    return {"hidden": hidden or (), "width": width}


def generator(
    architecture: str, laws: Laws, image_shape: Sequence[int], hidden: Sequence[int] | None, width: int, **more: Any
) -> keras.Model:
    """Maps the inputs that `laws` names to images (B, H, W, C) in [-1, 1].

    Args:
        architecture: one of `ARCHITECTURES`.
        laws: of the inputs.
        image_shape: (H, W, C).
        hidden: widths of the dense layers, by default 256 and 512 (`"mlp"`) or none.
        width: channels (`"conv"`, `"resnet"`).
        **more: `norm`, `dtype`.
    """
    return ARCHITECTURES[architecture].generator(laws, image_shape, **_sizes(architecture, hidden, width), **more)


@network
def discriminator(
    architecture: str,
    image_shape: Sequence[int],
    hidden: Sequence[int] | None,
    width: int,
    norm: str,
    norm_epsilon: float = EPSILON,
    dropout: float = 0.0,
    minibatch_stddev: bool = False,
    beside: Laws | None = None,
    projection: bool = False,
    outputs: int = 1,
    codes: int = 0,
) -> keras.Model:
    """Maps `image` (B, H, W, C), and what `beside` names, to logits (B, outputs + codes).

    Args:
        architecture: one of `ARCHITECTURES`.
        image_shape: (H, W, C).
        hidden: widths of the generator's dense layers, here in reverse.
        width: channels (`"conv"`, `"resnet"`).
        norm: one of `DISCRIMINATOR_NORMS`.
        norm_epsilon: added to the variances of `"layer"`.
        dropout: share of the hidden units that are left out in training.
        minibatch_stddev: add how much the features vary over a part of the batch.
        beside: laws of further inputs. `label` becomes one more channel of the image, a learned plane for each class;
            vectors pass two layers as wide as the features, and meet them in a third.
        projection: take `label` by an inner product of the features and a vector of the class in place of a plane
            (Miyato and Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637).
        outputs: columns that all share one last layer.
        codes: further columns, from a head of its own on the features: layers whose names begin with `codes_`.
    """
    beside = dict(beside or {})
    num_classes = Law.parse(beside.pop("label")[1]).classes if "label" in beside else None
    image = keras.Input(tuple(image_shape), name="image")
    label, x = labelled(image, None if projection else num_classes)
    inputs = {"image": image, **label}
    features = _trunk(architecture, x, hidden, width, norm=norm, epsilon=norm_epsilon, dropout=dropout)
    if beside:
        vectors = {name: keras.Input(shape[1:], name=name) for name, (shape, _) in beside.items()}
        inputs |= vectors
        features = _joint(features, list(vectors.values()), norm, dropout)
    if minibatch_stddev:
        features = MinibatchStddev()(features)
    small = keras.initializers.RandomNormal(stddev=0.02) if architecture == "conv" else "glorot_uniform"
    logits = [dense(outputs, norm, kernel_initializer=small)(features)]
    if projection and num_classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
        code = keras.ops.one_hot(inputs["label"], num_classes)
        of_class = dense(features.shape[-1], norm, use_bias=False, kernel_initializer=small)(code)
        logits = [layers.Add()([logits[0], layers.Dot(axes=-1)([of_class, features])])]
    if codes:
        y = layers.Dense(128, use_bias=biased(norm), name="codes_hidden")(features)
        y = layers.LeakyReLU(0.1, name="codes_activation")(normalized(y, norm, epsilon=norm_epsilon, name="codes_norm"))
        logits.append(layers.Dense(codes, name="codes_output")(y))
    whole = layers.Concatenate()(logits) if len(logits) > 1 else logits[0]
    return keras.Model(inputs, in_float32(whole), name="discriminator")


@network
def encoder(
    architecture: str, image_shape: Sequence[int], hidden: Sequence[int] | None, width: int, norm: str, outputs: int
) -> keras.Model:
    """Maps `image` (B, H, W, C) to (B, outputs): a discriminator's first part, and one layer on its features.

    Args:
        architecture: one of `ARCHITECTURES`.
        image_shape: (H, W, C).
        hidden: widths of the generator's dense layers, here in reverse.
        width: channels (`"conv"`, `"resnet"`).
        norm: one of `DISCRIMINATOR_NORMS`.
        outputs: columns.
    """
    image = keras.Input(tuple(image_shape), name="image")
    x = dense(outputs, norm)(_trunk(architecture, image, hidden, width, norm=norm))
    return keras.Model({"image": image}, in_float32(x), name="encoder")


def _trunk(architecture, image, hidden, width, **more):
    sizes = _sizes(architecture, hidden, width)
    return ARCHITECTURES[architecture].trunk(image, **{**sizes, "hidden": sizes["hidden"][::-1]}, **more)


def _joint(features, vectors, norm, dropout):
    """Judges features of an image together with vectors."""
    width = min(features.shape[-1], 512)
    y = layers.Concatenate()(vectors) if len(vectors) > 1 else vectors[0]
    for part in ("vector", "vector", "both"):
        y = layers.Concatenate()([features, y]) if part == "both" else y
        y = layers.LeakyReLU(0.2)(dense(width, norm)(y))
        if dropout:
            y = layers.Dropout(dropout)(y)
    return y

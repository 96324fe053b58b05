"""Networks over sequences of tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from keras_gen.layers.attention import SPREAD, Positions, TransformerBlock
from keras_gen.networks.build import network


@network
def decoder(
    vocabulary: int,
    outputs: int,
    context: int,
    width: int,
    blocks: int,
    heads: int,
    dropout: float,
    positions: str,
    num_classes: int | None = None,
    bias: bool = True,
) -> keras.Model:
    """Maps `token`, int32 (B, T), and `label` (B,) with classes, to logits (B, T, outputs) of the token after each.

    Args:
        vocabulary: tokens that are read.
        outputs: the first of them, which are predicted; their vectors are the last layer's weights, too.
        context: the largest T.
        width: features of a position.
        blocks: number of blocks.
        heads: of their attention.
        dropout: share of hidden units that are left out in training.
        positions: `"learned"` or `"rotary"`.
        num_classes: number of classes.
        bias: add biases in dense layers and normalizations.
    """
    normal = keras.initializers.RandomNormal(stddev=SPREAD)
    inputs = {"token": keras.Input((None,), dtype="int32", name="token")}
    embedding = layers.ReversibleEmbedding(
        vocabulary, width, embeddings_initializer=normal, reverse_dtype="float32", name="tokens"
    )
    x = embedding(inputs["token"])
    if positions == "learned":
        x = Positions(context, name="positions")(x)
    if num_classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
        of_class = layers.Embedding(num_classes, width, embeddings_initializer=normal, name="classes")
        x = layers.Add()([x, layers.Reshape((1, width))(of_class(inputs["label"]))])
    x = layers.Dropout(dropout)(x)
    for block in range(blocks):
        # What all blocks add up to begins as large as what one would add (Radford et al., GPT-2, 2019).
        spread = SPREAD / (2 * blocks) ** 0.5
        x = TransformerBlock(heads, dropout, positions == "rotary", spread, bias, name=f"block_{block}")(x)
    x = layers.LayerNormalization(epsilon=1e-5, center=bias, name="norm")(x)
    return keras.Model(inputs, embedding(x, reverse=True)[..., :outputs], name="network")


def step(
    net: keras.Model, given: Mapping[str, Any], position: Any, caches: Sequence[tuple[Any, Any]]
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Computes the logits of `decoder` at one position in each row.

    Args:
        net: of `decoder`.
        given: `token`, int32 (B,), and `label`.
        position: int32 (B,), the position of the token.
        caches: of each block keys and values of the positions before, both (B, heads, context, width / heads).

    Returns:
        Logits (B, vocabulary) of the token after it, of which the first `outputs` count, and the caches with it.
    """
    named = {layer.name: layer for layer in net.layers}
    x = named["tokens"](given["token"][:, None])
    if "positions" in named:
        x = named["positions"].step(x, position)
    if "classes" in named:
        x = x + named["classes"](given["label"])[:, None]
    made = []
    for block, (keys, values) in enumerate(caches):
        x, keys, values = named[f"block_{block}"].step(x, keys, values, position)
        made.append((keys, values))
    logits = named["tokens"](named["norm"](x), reverse=True)[:, 0]
    return logits, made

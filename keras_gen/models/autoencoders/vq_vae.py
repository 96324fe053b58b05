"""The vector-quantized variational autoencoder."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import positive
from keras_gen.game.batch import Batch
from keras_gen.game.model import GenerativeModel
from keras_gen.game.player import Player
from keras_gen.images import from_uint8
from keras_gen.layers.codebook import Codebook
from keras_gen.losses import mean
from keras_gen.networks import residual
from keras_gen.signatures.law import UNIFORM, metadata
from keras_gen.signatures.signature import Signature, signature


@keras.saving.register_keras_serializable("keras_gen")
class VQVAE(GenerativeModel):
    """Vector-quantized VAE: an autoencoder whose code is a map of discrete tokens.

    The loss is the mean squared error per pixel of images in [-1, 1], plus `commitment` times the mean squared distance
    per coordinate between what the encoder gives and the code in its place. The codes themselves are running means.

    Samples are drawn with independent tokens, each with the running frequency of its code in training: a prior of the
    tokens, such as an autoregressive model, is to be trained on what `encode` gives (maps of `token_shape`, in 0 to
    `codes` - 1), and its samples go to `decode`.

    Args:
        image_shape: (H, W, C); 4 divides H and W. The map of tokens is (H/4, W/4).
        codes: number of codes.
        code_dim: coordinates of a code.
        width: channels of all layers.
        blocks: residual blocks of the encoder, and of the decoder.
        commitment: weight of the commitment loss.
        decay: per step, in [0, 1), of the running means that the codes are.
        revive: a code used less often than this share of `1 / codes` is set anew; see `Codebook`.
        **kwargs: `ema` (of encoder and decoder: the codes are a moving average by themselves), `seed`, `name`, `dtype`.

    Raises:
        UsageError: image sides that 4 does not divide, or an argument out of its range.

    Example:
        >>> model = keras_gen.VQVAE(image_shape=(28, 28, 1), codes=128, code_dim=16, width=64)
        >>> model.compile()
        >>> model.fit(images, batch_size=128, epochs=5)
        >>> model.encode(images[:16]).shape
        (16, 7, 7)
        >>> model.sample(16, seed=0).shape
        (16, 28, 28, 1)

    Reference:
        van den Oord, Vinyals and Kavukcuoglu, "Neural Discrete Representation Learning", 2017, arXiv:1711.00937.

    Deviations: the codes follow the moving averages of the paper's appendix A.1, not a loss; dead codes are set anew
    (`revive=0` leaves them); errors are means over pixels and coordinates, as sums would only rescale `commitment`;
    the prior is that of independent tokens.
    """

    averaged = ("encoder", "decoder")

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28, 1),
        codes: int = 512,
        code_dim: int = 64,
        width: int = 256,
        blocks: int = 2,
        commitment: float = 0.25,
        decay: float = 0.99,
        revive: float = 0.01,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.image_shape, self.codes, self.commitment = tuple(image_shape), positive("codes", codes), commitment
        self.token_shape = residual.map_shape(self.image_shape)
        networks = {"width": positive("width", width), "blocks": blocks, "dtype": self.dtype_policy}
        self.encoder = residual.encoder(self.image_shape, positive("code_dim", code_dim), **networks)
        self.decoder = residual.decoder(self.image_shape, code_dim, **networks)
        self.codebook = Codebook(codes, code_dim, decay, revive)
        self.build()

    def call(self, inputs, training=False):
        """Reconstructs images."""
        image = inputs["image"] if isinstance(inputs, dict) else inputs
        token = self.codebook.nearest(self.network("encoder", training)({"image": image}, training=training))
        return self.images(token, training)

    def players(self) -> tuple[Player, ...]:
        """Returns the one player, who moves encoder and decoder; the codebook updates itself."""
        return (
            Player(
                "",
                (self.encoder, self.decoder),
                self.loss_terms,
                lambda: keras.optimizers.Adam(2e-4),
                terms=("reconstruction", "commitment", "perplexity"),
                weights={"commitment": self.commitment, "perplexity": 0.0},  # the last is only told
            ),
        )

    # --- loss --------------------------------------------------------------------------------------------------------

    def loss_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the error of reconstruction, the commitment, and the perplexity of the batch's tokens."""
        image = tf.cast(batch["image"], tf.float32)
        vectors = self.network("encoder", training)({"image": image}, training=training)  # (B, h, w, code_dim)
        quantized = self.codebook(vectors, training=training)
        output = self.network("decoder", training)({"code": quantized.code}, training=training)
        return {
            "reconstruction": mean(tf.square(output - image)),
            "commitment": quantized.commitment,
            "perplexity": quantized.perplexity,
        }

    def images(self, token: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Decodes tokens (B, h, w) to images in [-1, 1]."""
        code = self.codebook.lookup(token)
        return tf.clip_by_value(self.network("decoder", training)({"code": code}, training=training), -1.0, 1.0)

    # --- figures -----------------------------------------------------------------------------------------------------

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns figures of the test images.

        `mse_01` is the mean squared error per pixel in [0, 1], `perplexity` that of all tokens together, and `bits` and
        `bits_per_pixel` the size of a map of tokens, each token of log2 `codes` bits.
        """
        images = from_uint8(test.arrays["image"])
        tokens = self.encode(images, batch_size=256)
        share = np.bincount(tokens.ravel(), minlength=self.codes) / tokens.size
        bits = math.prod(self.token_shape) * math.log2(self.codes)
        return {
            "mse_01": float(np.mean(np.square(self.decode(tokens, batch_size=256) - images)) / 4),
            "perplexity": float(np.exp(-np.sum(share * np.log(np.where(share > 0, share, 1))))),
            "bits": bits,
            "bits_per_pixel": bits / math.prod(self.image_shape[:2]),
        }

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `encode` (image to tokens), `decode` (tokens to image) and `generate` (noise to image)."""
        described = {"image.range": "[-1, 1]", "image.layout": "NHWC", "token.range": f"0 to {self.codes - 1}"}

        def encode(image):
            return {"token": self.codebook.nearest(self.inference("encoder")({"image": image}, training=False))}

        def decode(token):
            return {"image": self.images(token)}

        def generate(noise):
            return {"image": self.images(self.codebook.tokens_from(0.5 * (noise + 1.0)))}

        def tokens(n):
            return {"token": np.random.default_rng(0).integers(self.codes, size=(n, *self.token_shape), dtype=np.int32)}

        meta = {"sample": "image", **metadata({"noise": UNIFORM}), **described}
        return {
            "encode": signature(encode, {"image": (None, *self.image_shape)}, described),
            "decode": signature(decode, {"token": (None, *self.token_shape)}, described)._replace(example=tokens),
            "generate": signature(generate, {"noise": (None, *self.token_shape)}, meta),
        }

"""GPT: a sequence of tokens, each drawn after those before it."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive
from keras_gen.game.batch import Batch
from keras_gen.game.config import refused
from keras_gen.game.optimizers import MatrixAdamW
from keras_gen.game.player import Player
from keras_gen.losses import mean
from keras_gen.models.autoregressive.tokens import TokenModel
from keras_gen.networks import transformer as networks
from keras_gen.networks.build import call
from keras_gen.signatures.law import Law, metadata
from keras_gen.signatures.signature import Signature, signature
from keras_gen.tokenizer import Tokenizer

POSITIONS = ("learned", "rotary")


@keras.saving.register_keras_serializable("keras_gen")
class GPT(TokenModel):
    """GPT: a decoder-only transformer, which predicts a sequence token by token.

    The likelihood of a sequence is the product of those of its tokens, each given those before. All of these factors
    are computed at once. Samples are drawn token by token, with what was computed of earlier ones in caches. Tokens may
    be of text, or the codes of a `VQVAE`, row by row.

    Args:
        vocabulary: number V of tokens.
        context: places that the network sees.
        width: features of a place.
        blocks: number of blocks, each of attention and two dense layers.
        heads: of the attention; they divide the width.
        dropout: share of hidden units that are left out in training.
        positions: `"learned"` vectors, or `"rotary"` queries and keys.
        start: whether sequences have a beginning. With it, a training row has `context` tokens, the first of which is
            predicted, too, from a vector of its own; without, `context` + 1 tokens of a longer text, the last
            `context` of which are predicted.
        num_classes: number of classes that the network is told; `None` is none.
        tokenizer: the state of a `keras_gen.tokenizer.Tokenizer`, which is saved with the model; `None` is no text.
        learning_rate: of the optimizer that `compile()` makes.
        warmup: steps in which it rises from 0.
        decay: steps, those of the warm-up among them, in which it falls by a cosine to a tenth; `None` leaves it.
        weight_decay: of that optimizer, on matrices alone.
        beta_2: of that optimizer, in [0, 1): how long its mean of squared gradients remembers.
        bias: add biases in dense layers and normalizations.
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number that is none of those above.

    Example:
        >>> data = keras_gen.data.load("shakespeare.txt", length=65, batch_size=12)
        >>> text = data.examples.tokenizer
        >>> model = keras_gen.GPT(vocabulary=text.size, context=64, tokenizer=text.state)
        >>> model.compile()
        >>> model.fit(data, epochs=1)
        >>> play = model.generate("KING:", 200, seed=0)[0]

    Reference:
        Radford, Wu, Child, Luan, Amodei and Sutskever, "Language Models are Unsupervised Multitask Learners", 2019
        (GPT-2); the decoder: Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018;
        attention: Vaswani et al., 2017, arXiv:1706.03762; scales of training: Brown et al., "Language Models are
        Few-Shot Learners", 2020, arXiv:2005.14165 (AdamW with betas 0.9 and 0.95, weight decay 0.1, gradients of norm
        1 at most, cosine decay to a tenth).

    Deviations: small sizes by default, and a learning rate that suits them. Of nanoGPT's program: biases, and a beta_2
    of 0.95, where its configuration for characters has none, and 0.99; an approximate GELU, as GPT-2's.
    """

    density = "exact"
    data_names = ("token", "label")
    usual_data = "docstrings"
    averaged = ("transformer",)

    def __init__(
        self,
        vocabulary: int = 256,
        context: int = 64,
        width: int = 128,
        blocks: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        positions: str = "learned",
        start: bool = False,
        num_classes: int | None = None,
        tokenizer: str | None = None,
        learning_rate: float = 1e-3,
        warmup: int = 100,
        decay: int | None = None,
        weight_decay: float = 0.1,
        beta_2: float = 0.95,
        bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocabulary, self.context = positive("vocabulary", vocabulary), positive("context", context)
        self.start, self.num_classes = start, num_classes
        self.blocks, self.head = positive("blocks", blocks), (heads, width // positive("heads", heads))
        self.learning_rate, self.warmup, self.decay = learning_rate, warmup, decay
        if not warmup >= 0 or decay is not None and not decay > warmup:
            refused(f"warmup is {warmup} and decay {decay}; expected at least 0, and more steps than warmup, or None")
        if not 0 <= beta_2 < 1:
            raise UsageError(f"beta_2 is {beta_2}; expected a share in [0, 1), such as 0.95")
        self.weight_decay, self.beta_2, self.tokenizer = weight_decay, beta_2, tokenizer
        if tokenizer and Tokenizer(tokenizer).size != vocabulary:
            raise UsageError(f"vocabulary is {vocabulary}, the tokenizer's {Tokenizer(tokenizer).size}; give that")
        self.transformer = networks.decoder(
            vocabulary=vocabulary + start,
            outputs=vocabulary,
            context=context,
            width=positive("width", width),
            blocks=blocks,
            heads=heads,
            dropout=dropout,
            positions=choice("positions", positions, POSITIONS),
            num_classes=num_classes,
            bias=bias,
            dtype=self.dtype_policy,
        )
        self.build()

    @staticmethod
    def row(context: int, start: bool = False) -> int:
        """Returns the tokens in a row of training data."""
        return context if start else context + 1

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the shapes of tokens, and of labels with classes."""
        return {"token": (None, self.row(self.context, self.start)), **{name: (None,) for name in self.conditions()}}

    def call(self, inputs, training=False):
        """Returns the logits of the tokens that are predicted, (B, context, V)."""
        batch = inputs if isinstance(inputs, dict) else {"token": inputs}
        return self.logits(self.split(batch["token"])[0], training, **self.conditions_in(batch))

    def players(self) -> tuple[Player, ...]:
        """Returns the one player."""
        return (Player("", (self.transformer,), self.loss_terms, self.paper_optimizer),)

    def paper_optimizer(self) -> keras.optimizers.Optimizer:
        """Returns AdamW with a rate that rises, and then falls by a cosine to a tenth."""
        rate = self.learning_rate
        if self.decay or self.warmup:
            rate = keras.optimizers.schedules.CosineDecay(
                0.0 if self.warmup else rate,
                max(1, (self.decay or 0) - self.warmup),
                alpha=0.1 if self.decay else 1.0,
                warmup_target=rate if self.warmup else None,
                warmup_steps=self.warmup,
            )
        return MatrixAdamW(rate, weight_decay=self.weight_decay, beta_2=self.beta_2, global_clipnorm=1.0)

    # --- likelihood --------------------------------------------------------------------------------------------------

    def split(self, token: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Splits rows of data into what is seen and what is predicted, both int32 (B, context)."""
        token = tf.cast(token, tf.int32)
        if self.start:
            return tf.concat([tf.fill((tf.shape(token)[0], 1), self.vocabulary), token[:, :-1]], axis=1), token
        return token[:, :-1], token[:, 1:]

    def loss_terms(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the negative log-likelihood in nats per predicted token."""
        return {"nats": -mean(self.log_likelihood(batch, training)) / self.context}

    def log_likelihood(self, batch: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Returns the log-probability in nats, (B,), of the tokens that are predicted."""
        seen, wanted = self.split(batch["token"])
        logits = self.logits(seen, training, **self.conditions_in(batch))
        return -tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits), axis=1)

    def logits(self, token: tf.Tensor, training: bool, **given: tf.Tensor) -> tf.Tensor:
        """Returns the logits (B, T, V) of the token after each of T tokens."""
        return call(self.network("transformer", training), {"token": token, **given}, training)

    def log_prob(self, tokens: np.ndarray, seed: int = 0, batch_size: int = 500, **inputs: Any) -> np.ndarray:
        """Returns the log-probability in nats of the predicted tokens of each row, exactly.

        Args:
            tokens: int (n, context), or (n, context + 1) without `start`, whose first tokens are given.
            seed: not used; as for other models.
            batch_size: rows at once.
            **inputs: `label`, with classes: one for all rows, or one for each.

        Returns:
            float32 (n,).
        """
        density = partial(self.log_likelihood, training=False)
        return self.densities(density, {"token": tokens, **inputs}, seed=seed, batch_size=batch_size)

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns nats per token and perplexity of test rows, and, of text, nats and bits per character."""
        found = self.evaluate(test.dataset(64), verbose=0, return_dict=True)
        figures = {"nats_per_token": found["loss"], "perplexity": float(np.exp(found["loss"]))}
        if self.tokenizer:
            token = np.asarray(test.arrays["token"])
            nats = found["loss"] * len(token) / len(self.text(token))
            figures |= {"nats_per_character": nats, "bits_per_character": nats / np.log(2)}
        return figures

    # --- signatures --------------------------------------------------------------------------------------------------

    def signatures(self) -> dict[str, Signature]:
        """Returns `logits` (of whole rows) and `step`: token, position and caches to logits and new caches."""
        net, count = self.inference("transformer"), self.vocabulary + self.start
        meta = metadata({**self.conditions(), "token": Law("classes", count)})
        meta |= {"start": str(self.vocabulary)} if self.start else {}
        meta |= {"tokenizer": self.tokenizer} if self.tokenizer else {}
        given = {name: (None,) for name in self.conditions()}

        def logits(token, **given):
            return {"logits": self.logits(token, False, **given)}

        def step(token, position, keys, values, **given):
            caches = list(zip(*(tf.unstack(part, axis=1) for part in (keys, values)), strict=True))
            logits, caches = networks.step(net, {"token": token, **given}, position, caches)
            keys, values = (tf.stack(part, axis=1) for part in zip(*caches, strict=True))
            return {"logits": logits[:, : self.vocabulary], "new_keys": keys, "new_values": values}

        caches = {name: (None, *self.caches()) for name in ("keys", "values")}
        position = metadata({"position": Law("classes", self.context)})
        return {
            "logits": signature(logits, {"token": (None, self.context), **given}, meta),
            "step": signature(
                step,
                {"token": (None,), "position": (None,), **caches, **given},
                {**position, "caches": json.dumps(self.caches()), **meta},
            ),
        }

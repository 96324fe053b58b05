"""GPT: a sequence of tokens, each drawn after those before it."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice, number, positive, whole
from keras_gen.game.batch import Batch
from keras_gen.game.config import refused
from keras_gen.game.model import GenerativeModel
from keras_gen.game.optimizers import MatrixAdamW
from keras_gen.game.player import Player
from keras_gen.losses import mean
from keras_gen.networks import transformer as networks
from keras_gen.networks.build import call
from keras_gen.ops.decoding import in_windows, likeliest, sampled_rows
from keras_gen.signatures.draws import Classes, sample_inputs
from keras_gen.signatures.law import Law, metadata
from keras_gen.signatures.signature import Signature, signature
from keras_gen.tokenizer import Tokenizer

POSITIONS = ("learned", "rotary")


@keras.saving.register_keras_serializable("keras_gen")
class GPT(GenerativeModel):
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
        **kwargs: `ema`, `seed`, `name`, `dtype`.

    Raises:
        UsageError: a choice that does not exist, or a number that is none of those above.

    Example:
        >>> data = keras_gen.data.load("shakespeare.txt", length=65, batch_size=12)
        >>> text = data.examples.tokenizer
        >>> model = keras_gen.GPT(vocabulary=text.size, context=64, tokenizer=text.state)
        >>> model.compile()
        >>> model.fit(data, epochs=1)
        >>> print(model.generate("KING:", 200, seed=0)[0])

    Reference:
        Radford, Wu, Child, Luan, Amodei and Sutskever, "Language Models are Unsupervised Multitask Learners", 2019
        (GPT-2); the decoder: Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018;
        attention: Vaswani et al., 2017, arXiv:1706.03762; scales of training: Brown et al., "Language Models are
        Few-Shot Learners", 2020, arXiv:2005.14165 (AdamW with betas 0.9 and 0.95, weight decay 0.1, gradients of norm
        1 at most, cosine decay to a tenth).

    Deviations: small sizes by default, and a learning rate that suits them.
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
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocabulary, self.context = positive("vocabulary", vocabulary), positive("context", context)
        self.start, self.num_classes = start, num_classes
        self.blocks, self.head = positive("blocks", blocks), (heads, width // positive("heads", heads))
        self.learning_rate, self.warmup, self.decay = learning_rate, warmup, decay
        if not warmup >= 0 or decay is not None and not decay > warmup:
            refused(f"warmup is {warmup} and decay {decay}; expected at least 0, and more steps than warmup, or None")
        self.weight_decay, self.tokenizer = weight_decay, tokenizer
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
        return MatrixAdamW(rate, weight_decay=self.weight_decay, beta_2=0.95, global_clipnorm=1.0)

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

    # --- samples -----------------------------------------------------------------------------------------------------

    def text(self, tokens: Sequence[int]) -> str:
        """Returns the text of tokens (n,).

        Raises:
            UsageError: the model has no tokenizer.
        """
        if not self.tokenizer:
            raise UsageError("this model has no tokenizer; give GPT(tokenizer=...), or use tokens")
        return Tokenizer(self.tokenizer).decode(tokens)

    def sample(
        self, n: int = 1, seed: int = 0, label: Classes = None, batch_size: int = 64, **inputs: Any
    ) -> np.ndarray:
        """Draws rows of `context` tokens, int32 (n, context); further arguments are those of `generate`."""
        if label is None and self.num_classes:
            label = np.arange(n) % self.num_classes
        return self.generate(None, self.context, n=n, seed=seed, label=label, batch_size=batch_size, **inputs)

    def generate(
        self,
        prompt: str | np.ndarray | None = None,
        length: int = 256,
        *,
        n: int = 1,
        seed: int = 0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        beams: int | None = None,
        label: Classes = None,
        cached: bool = True,
        batch_size: int = 64,
    ) -> Any:
        """Continues a prompt.

        Beyond the context the network forgets: when its positions are full, it goes on from the last half of them.

        Args:
            prompt: text, or tokens (P,) of all rows or (n, P) of each. `None` is the beginning of a sequence; without
                `start` a line end where the text has one, otherwise token 0.
            length: tokens in a row in the end, those of the prompt included.
            n: rows.
            seed: of `numpy.random.default_rng`, which draws a share in [0, 1) for each token.
            temperature: by which logits are divided; 0 is greedy.
            top_k: draw among so many of the likeliest tokens.
            top_p: draw among the likeliest tokens that have this probability together, in (0, 1].
            beams: in place of draws, keep so many of the likeliest sequences, and return the best, n of them.
            label: with classes: one for all rows, or one for each, by number or name.
            cached: keep keys and values; without, each token takes a pass over all that are seen. Both draw alike.
            batch_size: rows computed at once.

        Returns:
            A list of n texts, where the prompt is text; otherwise int32 (n, length).

        Raises:
            UsageError: a prompt or a length that do not fit, or a number out of range.
        """
        tokens = self._prompt(prompt, positive("n", n))
        length, seed, batch_size = whole("length", length), whole("seed", seed), positive("batch_size", batch_size)
        top_k = positive("top_k", self.vocabulary if top_k is None else top_k)
        temperature, top_p = number("temperature", temperature), number("top_p", top_p)
        if not tokens.shape[1] <= length:
            raise UsageError(f"length is {length}; expected at least that of the prompt, {tokens.shape[1]}")
        if self.start and length > self.context:
            raise UsageError(f"length is {length}; expected at most the context, {self.context}")
        if not temperature >= 0 or not 0 < top_p <= 1:
            raise UsageError(f"temperature {temperature}, top_p {top_p}; expected at least 0, and (0, 1]")
        if self.num_classes and label is None:
            raise UsageError("label is None; expected a class for all rows, or one for each")
        laws = metadata(self.conditions())
        given = sample_inputs({name: (None,) for name in self.conditions()}, laws, n, seed, label)
        if beams is not None:
            made = self._beams(tokens, length, positive("beams", beams), given)
        else:
            shares = np.random.default_rng(seed).random((n, length), np.float32)
            how = [tf.constant(v) for v in (temperature, top_k, top_p)]
            parts = [slice(at, at + batch_size) for at in range(0, n, batch_size)]
            of = [{name: value[part] for name, value in given.items()} for part in parts]
            rows = [(tokens[part], length, shares[part], how, own, cached) for part, own in zip(parts, of, strict=True)]
            made = np.concatenate([self._continued(*row) for row in rows])
        return [self.text(row) for row in made] if isinstance(prompt, str) else made

    def _prompt(self, prompt, n):
        if prompt is None and not self.start:
            line_end = self.tokenizer and "\n" in self.text(range(self.vocabulary))
            prompt = Tokenizer(self.tokenizer).encode("\n") if line_end else [0]
        if isinstance(prompt, str):
            self.text([])  # raises without a tokenizer
            prompt = Tokenizer(self.tokenizer).encode(prompt)
        tokens = np.asarray([] if prompt is None else prompt)
        if tokens.size and (tokens.dtype.kind not in "iu" or tokens.min() < 0 or tokens.max() >= self.vocabulary):
            raise UsageError(f"the prompt is {tokens.dtype}; expected whole numbers from 0 to {self.vocabulary - 1}")
        if not tokens.size and not self.start:
            raise UsageError("the prompt is empty; expected at least one token, or a model with start=True")
        return np.broadcast_to(tokens.astype(np.int32), (n, tokens.shape[-1]))

    def _continued(self, tokens, length, shares, how, given, cached):
        """Goes on from window to window."""
        name = "decode" if cached else "decode without caches"
        if name not in self._compiled_functions:
            whole, part = (tf.TensorSpec((None, None), kind) for kind in (tf.int32, tf.float32))
            count, number = (tf.TensorSpec((), kind) for kind in (tf.int32, tf.float32))
            of_row = {name: tf.TensorSpec((None,), tf.int32) for name in given}
            self._compiled_functions[name] = tf.function(
                partial(self._decoded, cached),  # TensorFlow counts tracings by code, and would warn of many models
                input_signature=[whole, count, part, number, count, number, of_row],
                autograph=False,
            )

        def filled(window, known, first):
            share = shares[:, first : first + window.shape[1]]
            return self._compiled_functions[name](window, tf.constant(known), share, *how, given).numpy()

        return in_windows(tokens, length, self.context + 1 - self.start, filled)

    def _decoded(self, cached, tokens, known, shares, temperature, top_k, top_p, given):
        """Draws what follows the first `known` columns of tokens (B, T), place by place."""
        net, start = self.inference("transformer"), int(self.start)
        rows = tf.shape(tokens)[0]
        beginning = tf.fill((rows, start), self.vocabulary)
        seen = tf.concat([beginning, tf.cast(tokens, tf.int32)], axis=1)
        shares = tf.concat([tf.zeros((rows, start)), shares], axis=1)

        def with_caches(place, seen, caches):
            now = {"token": seen[:, place], **given}
            logits, caches = networks.step(net, now, tf.fill((rows,), place), caches)
            return logits[:, : self.vocabulary], caches

        def without(place, seen, nothing):
            return call(net, {"token": seen[:, : place + 1], **given}, training=False)[:, place], nothing

        known = known + start
        empty = tf.zeros((rows, *self.caches()[1:]))
        step, state, begin = without, [], known - 1
        if cached:
            step, state, begin = with_caches, [(empty, empty)] * self.blocks, tf.constant(0)
        return sampled_rows(step, state, seen, begin, known, shares, (temperature, top_k, top_p))[:, start:]

    def caches(self) -> tuple[int, ...]:
        """Returns the shape of a row's keys, and of its values: (blocks, heads, context, features of a head)."""
        return (self.blocks, self.head[0], self.context, self.head[1])

    def _beams(self, tokens, length, beams, given):
        """Returns the likeliest sequences of a beam search, (n, length), for one prompt."""
        n, places, start = len(tokens), self.context + 1 - self.start, int(self.start)
        if (tokens != tokens[:1]).any() or n > beams or any((v != v[:1]).any() for v in given.values()):
            raise UsageError(f"beams is {beams} for {n} rows; expected one prompt, and at most as many rows")
        if length > places:
            raise UsageError(f"length is {length}; a beam search takes at most {places}, the positions of the network")
        given = {name: np.resize(value[:1], beams) for name, value in given.items()}
        beginning = np.full((beams, start), self.vocabulary, np.int32)
        seen = np.concatenate([beginning, np.resize(tokens[:1], (beams, tokens.shape[1]))], axis=1)
        compiled = self._compiled("step", self.signatures()["step"])

        def step(token, place, caches):
            position = np.full(beams, place, np.int32)
            made = compiled({"token": token, "position": position, "keys": caches[0], "values": caches[1], **given})
            return made["logits"], [made["new_keys"], made["new_values"]]

        empty = np.zeros((beams, *self.caches()), np.float32)
        found = likeliest(step, [empty, empty], seen, length + start)[:n, start:]
        if len(found) < n:
            raise UsageError(f"n is {n}, and {len(found)} is all that continues this prompt to length {length}")
        return found

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

"""What models of tokens share: text, samples token by token, and beam search."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, number, positive, whole
from keras_gen.game.model import GenerativeModel
from keras_gen.networks import transformer as networks
from keras_gen.networks.build import call
from keras_gen.ops.decoding import in_windows, likeliest, sampled_rows
from keras_gen.signatures.classes import Classes
from keras_gen.signatures.draws import sample_inputs
from keras_gen.signatures.law import metadata
from keras_gen.tokenizer import Tokenizer


class TokenModel(GenerativeModel):
    """Base of models of sequences, which predict each token given those before it.

    A subclass makes the network `transformer` (`networks.transformer.decoder`) of `blocks` blocks, whose heads are
    `head` (their number, and features of each), over `vocabulary` tokens and `context` positions; it says whether
    sequences have a `start`, and has a `tokenizer` or `None`.
    """

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

"""Text to tokens and back: characters, or pairs of bytes that were merged because they are frequent."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_gen.errors import DamagedError, UsageError, choice

KINDS = ("characters", "bpe")


class Tokenizer:
    """Maps text to whole numbers below `size`, and back.

    Args:
        state: JSON: `{"characters": "..."}`, or what the library `tokenizers` saves. It is all there is to know.

    Raises:
        DamagedError: it is neither.

    Example:
        >>> tokenizer = Tokenizer.learned("to be or not to be", "characters")
        >>> tokenizer.decode(tokenizer.encode("not to be"))
        'not to be'
    """

    def __init__(self, state: str):
        self.state = state
        try:
            known = json.loads(state)
            self._pairs = None if "characters" in known else _library().Tokenizer.from_str(state)
            self._characters = np.array(list(known.get("characters", "")), object)  # of text, NumPy drops NUL
        except Exception as error:  # the library raises plain exceptions
            raise DamagedError(f"the tokenizer cannot be read: {str(error).splitlines()[0][:80]}") from None
        self._number = {character: number for number, character in enumerate(self._characters)}
        self.size = len(self._characters) if self._pairs is None else self._pairs.get_vocab_size()

    @classmethod
    def learned(cls, text: str, kind: str = "characters", size: int = 512) -> "Tokenizer":
        """Makes a tokenizer for a text.

        Args:
            text: to learn from.
            kind: `"characters"`: every character that occurs, in their order; or `"bpe"`: all bytes, and pairs that are
                merged, the most frequent first (Sennrich et al., 2015, arXiv:1508.07909; of bytes: Radford et al.,
                GPT-2, 2019).
            size: of a vocabulary of pairs, at least 257.

        Raises:
            UsageError: no text, or a size too small.
        """
        choice("tokenizer", kind, KINDS)
        if not text:
            raise UsageError("the text is empty; expected at least one character")
        if kind == "characters":
            return cls(json.dumps({"characters": "".join(sorted(set(text)))}))
        if size < 257:
            raise UsageError(f"vocabulary is {size}; expected at least 257, which are all bytes and one pair")
        library = _library()
        made = library.Tokenizer(library.models.BPE())
        made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        made.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(made.to_str())

    def encode(self, text: str) -> np.ndarray:
        """Returns the tokens of a text, int32 (n,).

        Raises:
            UsageError: a character that this tokenizer does not know.
        """
        if self._pairs is not None:
            return np.array(self._pairs.encode(text).ids, np.int32)
        try:
            return np.array([self._number[character] for character in text], np.int32)
        except KeyError as error:
            raise UsageError(
                f"{error.args[0]!r} is none of the {self.size} characters that are known; leave it out, or train with "
                "tokenizer='bpe', which knows all"
            ) from None

    def decode(self, tokens: Iterable[int]) -> str:
        """Returns the text of tokens.

        Raises:
            UsageError: one that this tokenizer does not have.
        """
        numbers = np.asarray(tokens).reshape(-1)
        fits = (numbers >= 0) & (numbers < self.size) if numbers.dtype.kind in "iu" else np.zeros(numbers.shape, bool)
        if not fits.all():
            raise UsageError(f"token {numbers[~fits][0]} is out of range; expected whole numbers, 0 to {self.size - 1}")
        numbers = numbers.astype(np.int64)
        if self._pairs is not None:
            return self._pairs.decode(numbers.tolist(), skip_special_tokens=False)
        return "".join(self._characters[numbers])


def _library() -> Any:
    import tokenizers

    return tokenizers

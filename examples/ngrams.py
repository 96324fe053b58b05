"""Counts what follows what in a text: how well tables predict its last tenth, in nats per character.

python examples/ngrams.py --data shakespeare.txt

A language model has learned something once it is better than they are. The table of n characters says how often each
character followed the n - 1 before it; what it has not counted it leaves to the table of n - 1, the more of it, the
more kinds of characters it has counted (Witten and Bell, 1991). The tables are made of the first nine tenths.
"""

import argparse
import collections
import math

import numpy as np

import keras_gen


def main(argv: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="docstrings", help="text, as for train (default: docstrings)")
    parser.add_argument("--longest", type=int, default=6, help="characters, the predicted one included (default: 6)")
    options = parser.parse_args(argv)
    train, test = (keras_gen.data.windows(options.data, split) for split in ("train", "test"))
    sequences = [data.tokenizer.decode(data.arrays["token"]) for data in (train, test)]
    print(f"{options.data}: {len(sequences[0])} characters to count, {len(sequences[1])} to predict")
    for n, nats in enumerate(losses(*sequences, train.tokenizer.size, options.longest)):
        name = f"{n} characters" if n > 1 else "frequencies" if n else "all alike"
        print(f"  {name:14}{nats:8.3f} nats per character", flush=True)


def losses(train: str, test: str, size: int, longest: int) -> list[float]:
    """Returns the negative mean log-probability of the characters of a text, by tables of 0 to `longest` characters.

    Args:
        train: what is counted.
        test: what is predicted; with its beginning, each character is given as many before it as there are.
        size: number of characters that there are.
        longest: of the table, the predicted character included.
    """
    probability = np.full(len(test), 1.0 / size)
    found = [math.log(size)]
    for n in range(1, longest + 1):
        together = collections.Counter(train[at : at + n] for at in range(len(train) - n + 1))
        before, kinds = collections.Counter(), collections.Counter()
        for text, count in together.items():
            before[text[:-1]] += count
            kinds[text[:-1]] += 1
        for at in range(n - 1, len(test)):
            text = test[at - n + 1 : at + 1]
            if kind := kinds[text[:-1]]:
                whole = before[text[:-1]] + kind
                probability[at] = (together[text] + kind * probability[at]) / whole
        found.append(-float(np.mean(np.log(probability))))
    return found


if __name__ == "__main__":
    main()

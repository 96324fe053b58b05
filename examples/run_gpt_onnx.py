"""Continues a text with an exported GPT, numpy and onnxruntime alone: what another app would contain.

python examples/run_gpt_onnx.py saved_models/gpt/step.onnx --prompt "KING:" --length 200 --seed 0

The file computes one token at a time; keys and values of the earlier ones go in and come out. Its metadata hold the
characters; of a tokenizer of byte pairs, the library `tokenizers` reads the same entry, and has to be there, too.
"""

import argparse
import json
from collections.abc import Callable, Mapping

import numpy as np


def opened(path: str) -> tuple[Callable[..., dict[str, np.ndarray]], dict[str, str]]:
    """Returns a function from named arrays to named arrays, and the file's metadata."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    meta = session.get_modelmeta().custom_metadata_map
    return lambda **inputs: dict(zip(names, session.run(names, inputs), strict=True)), meta


def generate(
    step: Callable[..., dict[str, np.ndarray]],
    meta: Mapping[str, str],
    prompt: np.ndarray,
    length: int,
    seed: int = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    **given: np.ndarray,
) -> np.ndarray:
    """Continues tokens; the same seed gives the same ones as `model.generate` in Keras.

    Args:
        step: `token` (1,), `position` (1,), `keys` and `values` to `logits` (1, V), `new_keys` and `new_values`.
        meta: of the file: `caches`, the shape of keys and values; `position.law`, and `start` where there is one.
        prompt: int (P,).
        length: tokens in the end; at most one more than the places that the network has.
        seed: of `numpy.random.default_rng`.
        temperature: by which logits are divided; 0 takes the likeliest token.
        top_k: draw among so many of the likeliest.
        top_p: draw among the likeliest that have this probability together.
        **given: what else the file takes: `label`, int32 (1,), with classes.

    Returns:
        int (length,).
    """
    places = int(meta["position.law"].split()[1]) + (0 if "start" in meta else 1)
    if length > places:
        raise SystemExit(f"error: length is {length}; expected at most {places}, the positions of the network")
    tokens = [int(token) for token in prompt]
    shares = np.random.default_rng(seed).random((1, length), np.float32)[0]
    keys = values = np.zeros((1, *json.loads(meta["caches"])), np.float32)
    seen = [int(meta["start"])] if "start" in meta else []
    for position in range(length - 1 + len(seen)):
        token = (seen + tokens)[position]
        made = step(token=np.int32([token]), position=np.int32([position]), keys=keys, values=values, **given)
        keys, values = made["new_keys"], made["new_values"]
        if position + 1 == len(seen) + len(tokens):
            tokens.append(choose(made["logits"][0], shares[len(tokens)], temperature, top_k, top_p))
    return np.array(tokens)


def choose(logits: np.ndarray, share: float, temperature: float, top_k: int | None, top_p: float) -> int:
    """Draws a token: the one below which, from the likeliest on, lies a share of the probability that is left."""
    order = np.argsort(-logits, kind="stable")
    if temperature == 0:
        return int(order[0])
    sharpened = logits[order] / np.float32(temperature)
    probability = np.exp(sharpened - sharpened[0])
    probability /= probability.sum()
    left = np.cumsum(probability) - probability < top_p
    left[top_k or len(left) :] = False
    below = np.cumsum(np.where(left, probability, 0))
    return int(order[min(np.sum(below <= share * below[-1]), left.sum() - 1)])


def main(argv: list[str] | None = None) -> None:
    """Reads the file and prints a text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("path", help="step.onnx of a GPT")
    parser.add_argument("--prompt", default="\n", help="text to continue (default: a line end)")
    parser.add_argument("--length", type=int, default=65, help="tokens in the end (default: 65)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0 takes the likeliest token (default: 1)")
    parser.add_argument("--top-k", type=int, help="draw among so many of the likeliest")
    parser.add_argument("--top-p", type=float, default=1.0, help="draw among those that have this probability together")
    parser.add_argument("--label", type=int, help="class, where the model has classes")
    options = parser.parse_args(argv)
    step, meta = opened(options.path)
    state = json.loads(meta.get("tokenizer", "{}"))
    if "characters" in state:
        characters = state["characters"]
        if unknown := set(options.prompt) - set(characters):
            raise SystemExit(f"error: {min(unknown)!r} is none of the {len(characters)} characters of this model")
        prompt, decode = (
            [characters.index(c) for c in options.prompt],
            lambda made: "".join(characters[t] for t in made),
        )
    else:
        import tokenizers

        pairs = tokenizers.Tokenizer.from_str(meta["tokenizer"])
        prompt, decode = pairs.encode(options.prompt).ids, lambda made: pairs.decode(made.tolist())
    how = {"seed": options.seed, "temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}
    given = {} if options.label is None else {"label": np.int32([options.label])}
    if ("label.law" in meta) != bool(given):
        raise SystemExit(
            "error: this model takes a class: --label N" if not given else "error: this model has no classes"
        )
    print(decode(generate(step, meta, np.array(prompt), options.length, **how, **given)))


if __name__ == "__main__":
    main()

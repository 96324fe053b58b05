"""Laws of GPT: the order of tokens, exact likelihoods, caches, ways of drawing, and the loop around exported files."""

from functools import partial
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import LETTERS, difference
from tiny import small_gpt as small

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.ops.decoding import chosen

ROWS = {
    "gpt": (
        "gpt",
        lambda: {
            "vocabulary": 17,
            "context": 8,
            "width": 12,
            "blocks": 2,
            "heads": 3,
            "dropout": 0.1,
            "positions": "rotary",
            "start": True,
            "num_classes": 11,
            "class_names": tuple("abcdefghijk"),
            "learning_rate": 2e-3,
            "warmup": 2,
            "decay": 50,
            "weight_decay": 0.2,
            "beta_2": 0.99,
            "bias": False,
            "seed": 4,
            "ema": 0.9,
            "ema_statistics": "copied",
        },
    ),
    "gpt-text": (
        "gpt",
        lambda: {"vocabulary": 17, "context": 8, "width": 8, "blocks": 1, "heads": 2, "seed": 4, "tokenizer": LETTERS},
    ),
}


def rows(model, n=4):
    return np.random.default_rng(0).integers(0, model.vocabulary, (n, model.context)).astype(np.int32)


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ({"positions": "rotary"}, {"start": True})]
KINDS = pytest.mark.parametrize("kind", [{}, {"num_classes": 3}, *SLOW], ids=str)


def label(kind):
    return {"label": 1} if "num_classes" in kind else {}


@KINDS
def test_a_token_leaves_what_comes_before_bit_equal_and_changes_what_comes_after(kind):
    model = small(**kind)
    token = rows(model)
    given = {name: np.ones(len(token), np.int32) for name in label(kind)}
    before = np.asarray(model.logits(token, False, **given))
    for place in range(model.context):
        changed = token.copy()
        changed[:, place] = (changed[:, place] + 1) % model.vocabulary
        after = np.asarray(model.logits(changed, False, **given))
        np.testing.assert_array_equal(after[:, :place], before[:, :place])
        assert np.abs(after[:, place:] - before[:, place:]).reshape(-1).min() >= 0
        assert (np.abs(after[:, place:] - before[:, place:]).max(axis=(0, 2)) > 1e-4).all()


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_the_order_of_earlier_tokens_matters(positions):
    model = small(positions=positions, blocks=1)  # of two, the second sees an order in what the first one masks
    a, b = (np.asarray(model.logits(np.int32([row]), False))[0, -1] for row in ([1, 2, 3, 4], [2, 1, 3, 4]))
    assert np.abs(a - b).max() > 1e-2


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_probabilities_of_all_strings_sum_to_one(positions):
    model = small(context=3, start=True, positions=positions)
    strings = np.array(list(product(range(5), repeat=3)), np.int32)
    probability = np.exp(model.log_prob(strings).astype(np.float64))
    assert probability.sum() == pytest.approx(1, abs=1e-5)
    assert probability.max() > 3 / len(strings)


def test_likelihood_is_the_sum_of_that_of_each_token_by_hand():
    model = small()
    token = np.random.default_rng(0).integers(0, 5, (3, model.context + 1)).astype(np.int32)
    logits = np.asarray(model.logits(token[:, :-1], False), np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_p, token[:, 1:, None], axis=-1).sum(axis=(1, 2))
    np.testing.assert_allclose(model.log_prob(token), expected, rtol=1e-5)
    model.compile()
    loss = model.evaluate({"token": token}, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(-expected.mean() / model.context, rel=1e-5)


@pytest.mark.parametrize("vocabulary", [65, 512])
def test_loss_at_the_beginning_is_that_of_equal_chances(vocabulary):
    keras.utils.set_random_seed(0)
    model = keras_gen.GPT(vocabulary=vocabulary, context=16)
    token = np.random.default_rng(0).integers(0, vocabulary, (16, 17)).astype(np.int32)
    assert -model.log_prob(token).mean() / 16 == pytest.approx(np.log(vocabulary), abs=0.15)


@pytest.mark.slow
def test_it_learns_one_batch_by_heart():
    keras.utils.set_random_seed(0)
    model = keras_gen.GPT(vocabulary=20, context=16, width=32, blocks=2, heads=2, warmup=10, learning_rate=3e-3)
    model.compile()
    token = np.random.default_rng(0).integers(0, 20, (4, 17)).astype(np.int32)
    data = tf.data.Dataset.from_tensors({"token": token}).repeat(250)
    history = model.fit(data, epochs=1, verbose=0).history
    assert model.evaluate({"token": token}, verbose=0) < 0.05, history


def test_matrices_decay_and_vectors_do_not():
    model = keras_gen.GPT(
        vocabulary=5, context=4, width=8, blocks=1, heads=2, warmup=0, learning_rate=0.1, weight_decay=0.5
    )
    optimizer = model.paper_optimizer()
    variables = model.transformer.trainable_variables
    optimizer.build(variables)
    before = [np.asarray(variable) for variable in variables]
    optimizer.apply([tf.zeros(variable.shape) for variable in variables], variables)
    for old, variable in zip(before, variables, strict=True):
        expected = old * (1 - 0.1 * 0.5) if old.ndim > 1 else old
        np.testing.assert_allclose(np.asarray(variable), expected, rtol=1e-5, err_msg=variable.path)


def test_learning_rate_rises_and_falls_to_a_tenth():
    rate = keras_gen.GPT(vocabulary=5, learning_rate=0.1, warmup=10, decay=110).paper_optimizer()._learning_rate
    found = [float(rate(step)) for step in (0, 5, 10, 60, 110, 500)]
    np.testing.assert_allclose(found, [0, 0.05, 0.1, 0.055, 0.01, 0.01], atol=1e-6)
    constant = keras_gen.GPT(vocabulary=5, learning_rate=0.1, warmup=10).paper_optimizer()._learning_rate
    assert [float(constant(step)) for step in (10, 1000)] == pytest.approx([0.1, 0.1])


def test_without_biases_only_matrices_and_scales_are_left():
    found = {}
    for bias in (True, False):
        variables = small(bias=bias).transformer.trainable_variables
        names = {variable.path.rpartition("/")[2] for variable in variables}
        found[bias] = {name for name in names if not name.startswith("variable")}  # which Keras counts
    assert found[True] - found[False] == {"bias", "beta"} and {"kernel", "gamma"} < found[False]


def test_the_optimizer_remembers_squares_as_long_as_asked():
    betas = [keras_gen.GPT(vocabulary=5, **given).paper_optimizer().beta_2 for given in ({}, {"beta_2": 0.99})]
    assert betas == [0.95, 0.99]
    with pytest.raises(UsageError, match=r"beta_2 is 1.0; expected a share in \[0, 1\)"):
        keras_gen.GPT(vocabulary=5, beta_2=1.0)


# --- samples ---------------------------------------------------------------------------------------------------------


@KINDS
def test_with_caches_it_draws_the_same_tokens(kind):
    model = small(**kind)
    length = model.context if model.start else 3 * model.context
    for how in ({}, {"temperature": 0.7, "top_k": 3}, {"top_p": 0.6}, {"temperature": 0}):
        draw = partial(model.generate, [1, 2], length, n=6, seed=3, **how, **label(kind))
        made = draw()
        np.testing.assert_array_equal(made, draw(cached=False))
        assert (made[:, :2] == [1, 2]).all() and made.shape == (6, length)
        assert len(np.unique(made, axis=0)) > 1 or how.get("temperature") == 0


@KINDS
def test_tokens_are_drawn_by_the_models_own_law(kind):
    """A chain of hand-made draws from full passes, the share of the likeliest first."""
    model = small(**kind)
    made = model.generate([1], model.context, n=3, seed=5, **label(kind))
    shares = np.random.default_rng(5).random((3, model.context), np.float32)
    for place in range(1, model.context):
        seen = made[:, :place] if not model.start else np.c_[np.full(3, 5), made[:, :place]]
        given = {name: np.ones(3, np.int32) for name in label(kind)}
        logits = np.asarray(model.logits(seen.astype(np.int32), False, **given), np.float64)[:, -1]
        for row in range(3):
            order = np.argsort(-logits[row], kind="stable")
            p = np.exp(logits[row][order] - logits[row].max())
            wanted = order[np.searchsorted(np.cumsum(p) / p.sum(), shares[row, place], side="right")]
            assert made[row, place] == wanted, (row, place)


def test_beyond_the_context_it_goes_on_from_the_last_half_of_it():
    model = small()
    places = model.context + 1
    made = model.generate([1], 2 * places, n=4, seed=0)
    kept = places // 2
    shares = np.random.default_rng(0).random((4, 2 * places), np.float32)
    token = made[:, places - kept : places]
    logits = np.asarray(model.logits(token, False))[:, -1]
    next_one = chosen(tf.constant(logits), tf.constant(shares[:, places]), 1.0, 5, 1.0)
    np.testing.assert_array_equal(made[:, places], next_one)
    long = model.generate(made[0], 3 * places, n=2, seed=1)
    np.testing.assert_array_equal(long[:, : 2 * places], made[:1].repeat(2, 0))
    np.testing.assert_array_equal(long, model.generate(made[0], 3 * places, n=2, seed=1, cached=False))


def test_one_beam_is_greedy_and_more_are_as_likely_or_likelier():
    model, likelier = small(sharp=5.0), 0
    for prompt in range(5):
        greedy = model.generate([prompt], 7, temperature=0)
        np.testing.assert_array_equal(model.generate([prompt], 7, beams=1), greedy)
        searched = model.generate([prompt], 7, n=5, beams=5)
        scores = model.log_prob(searched)
        assert (np.diff(scores) <= 1e-5).all(), "the best come first"
        assert scores[0] >= model.log_prob(greedy)[0] - 1e-5
        likelier += scores[0] > model.log_prob(greedy)[0] + 1e-3
    assert likelier, "no prompt tells a search from greed"


def test_as_many_beams_as_sequences_find_the_best_of_all():
    model = small(vocabulary=3, context=4, sharp=6.0)
    every = np.array([[1, *rest] for rest in product(range(3), repeat=4)], np.int32)
    best = every[np.argsort(-model.log_prob(every), kind="stable")[:9]]
    np.testing.assert_array_equal(model.generate([1], 5, n=9, beams=27), best)


def test_more_beams_than_sequences_find_each_once():
    model = small(vocabulary=3, context=4, sharp=6.0)
    found = model.generate([1], 3, n=9, beams=30)
    assert {tuple(row) for row in found} == {(1, *rest) for rest in product(range(3), repeat=2)}
    for n, length, there in ((10, 3, 9), (2, 1, 1)):
        with pytest.raises(UsageError, match=f"^n is {n}, and {there} is all that continues this prompt"):
            model.generate([1], length, n=n, beams=30)
    np.testing.assert_array_equal(model.generate([1], 1, beams=30), [[1]])


def test_text_in_text_out():
    model = small(17, 8, tokenizer=LETTERS)
    texts = model.generate("abc", 20, n=2, seed=1)
    assert len(texts) == 2 and all(len(text) == 20 and text.startswith("abc") for text in texts)
    assert texts != model.generate("abc", 20, n=2, seed=2)
    np.testing.assert_array_equal(
        [[ord(c) - 97 for c in text] for text in texts], model.generate([0, 1, 2], 20, n=2, seed=1)
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"prompt": [5], "length": 4}, "from 0 to 4"),
        ({"prompt": [1, 2, 3], "length": 2}, "length is 2"),
        ({"prompt": "abc", "length": 9}, "no tokenizer"),
        ({"prompt": [1], "length": 4, "temperature": -1}, "temperature -1"),
        ({"prompt": [1], "length": 4, "top_p": 0}, "top_p 0"),
        ({"prompt": [1], "length": 4, "top_k": 0}, "top_k is 0"),
        ({"prompt": [1], "length": 4, "label": 1}, "no labels"),
        ({"prompt": [], "length": 4}, "empty"),
        ({"prompt": [1], "length": 40, "beams": 2}, "at most 7"),
        ({"prompt": [1], "length": 4, "beams": 0}, "beams is 0"),
        ({"prompt": [1], "length": 4, "n": 0}, "n is 0"),
    ],
)
def test_what_cannot_be_generated_is_said_in_one_line(arguments, said):
    with pytest.raises(UsageError, match=said):
        small().generate(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"heads": 3}, {"positions": "none"}, {"context": 0}, {"tokenizer": LETTERS}),
        *({"warmup": 20, "decay": 10}, {"warmup": 10, "decay": 10}, {"decay": 100}, {"warmup": -1}, {"decay": 0}),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_said_in_one_line(arguments):
    with pytest.raises(UsageError) as caught:
        keras_gen.GPT(**{"vocabulary": 5, "width": 16, "blocks": 1, **arguments})
    assert "\n" not in str(caught.value)


def test_a_file_of_before_may_hold_a_warm_up_beyond_the_decay():
    old = keras_gen.GPT.from_config({"vocabulary": 5, "width": 16, "blocks": 1, "warmup": 20, "decay": 10})
    old.compile()
    assert (old.warmup, old.decay) == (20, 10)


@pytest.mark.parametrize("label", [-1, 3, 0.5, [0, 1]], ids=str)
def test_a_label_that_is_no_class_or_not_for_each_row_is_refused(label):
    model = small(num_classes=3)
    with pytest.raises(UsageError, match=r"^label .*expected [^\n]*$"):
        model.generate([1], 4, n=3, label=label)
    with pytest.raises(UsageError, match=r"^label .*expected [^\n]*$"):
        model.sample(3, label=label)


def test_tokens_out_of_range_are_refused_before_the_first_step():
    model = small()
    model.compile()
    with pytest.raises(UsageError, match="set vocabulary"):
        model.fit({"token": np.full((8, 7), 5)}, verbose=0)


def test_average_and_trained_weights_are_not_mixed_up():
    model = small(ema=0.5)
    model.ema_transformer.set_weights([0.0 * weight for weight in model.ema_transformer.get_weights()])
    np.testing.assert_allclose(model.log_prob(np.zeros((1, 7), np.int32)), -6 * np.log(5), rtol=1e-5)
    assert difference([model.generate([1], 7, n=8)], [model.generate([1], 7, n=8, cached=False)]) == 0


BUGS = (
    Bug(
        "GPT: no causal mask",
        "layers/attention.py",
        "places[None, :] <= places[:, None]",
        "places[None, :] <= places[:, None] + 10**6",
        ("test_a_token_leaves_what_comes_before_bit_equal_and_changes_what_comes_after",),
    ),
    Bug(
        "GPT: a mask one place too far",
        "layers/attention.py",
        "places[None, :] <= places[:, None]",
        "places[None, :] <= places[:, None] + 1",
        (
            "test_a_token_leaves_what_comes_before_bit_equal_and_changes_what_comes_after",
            "test_with_caches_it_draws_the_same_tokens",
        ),
    ),
    Bug(
        "GPT: no positions",
        "layers/attention.py",
        "return x + ops.cast(self.table[: ops.shape(x)[1]], x.dtype)",
        "return x",
        ("test_the_order_of_earlier_tokens_matters[learned]",),
    ),
    Bug(
        "GPT: the cache is written a place early",
        "layers/attention.py",
        "place = tf.stack([row, head, tf.repeat(position, heads)], axis=1)",
        "place = tf.stack([row, head, tf.maximum(tf.repeat(position, heads) - 1, 0)], axis=1)",
        ("test_with_caches_it_draws_the_same_tokens",),
    ),
    Bug(
        "GPT: in the cache all keys have the place 0",
        "layers/attention.py",
        "query, key, value = self._parts(x, position[:, None])",
        "query, key, value = self._parts(x, 0 * position[:, None])",
        ("test_with_caches_it_draws_the_same_tokens",),
    ),
    Bug(
        "GPT: targets are what is seen",
        "models/autoregressive/gpt.py",
        "return token[:, :-1], token[:, 1:]",
        "return token[:, :-1], token[:, :-1]",
        ("test_likelihood_is_the_sum_of_that_of_each_token_by_hand",),
    ),
    Bug(
        "GPT: sequences begin with their own first token",
        "models/autoregressive/gpt.py",
        "return tf.concat([tf.fill((tf.shape(token)[0], 1), self.vocabulary), token[:, :-1]], axis=1), token",
        "return token, token",
        ("test_probabilities_of_all_strings_sum_to_one",),
    ),
    Bug(
        "GPT: everything decays",
        "game/optimizers.py",
        "if len(variable.shape) < 2]",
        "if len(variable.shape) < 0]",
        ("test_matrices_decay_and_vectors_do_not",),
    ),
    Bug(
        "GPT: beams keep the caches of other beams",
        "ops/decoding.py",
        "state = tf.nest.map_structure(lambda part, parent=parent: tf.gather(part, parent), state)",
        "parent = parent",
        ("test_as_many_beams_as_sequences_find_the_best_of_all",),
    ),
    Bug(
        "GPT: beyond the context, draws begin anew",
        "models/autoregressive/tokens.py",
        "share = shares[:, first : first + window.shape[1]]",
        "share = shares[:, : window.shape[1]]",
        ("test_beyond_the_context_it_goes_on_from_the_last_half_of_it",),
    ),
)

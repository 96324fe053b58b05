"""Bugs of GPT and of text, and the laws that they break: see test_planted.py."""

from planted_gan import Bug

GPT = "models/autoregressive/test_gpt.py::test_"
TEXT = "data/test_text.py::test_"
BUGS = (
    Bug(
        "GPT: no causal mask",
        "layers/attention.py",
        "places[None, :] <= places[:, None]",
        "places[None, :] <= places[:, None] + 10**6",
        (GPT + "a_token_leaves_what_comes_before_bit_equal_and_changes_what_comes_after",),
    ),
    Bug(
        "GPT: a mask one place too far",
        "layers/attention.py",
        "places[None, :] <= places[:, None]",
        "places[None, :] <= places[:, None] + 1",
        (
            GPT + "a_token_leaves_what_comes_before_bit_equal_and_changes_what_comes_after",
            GPT + "with_caches_it_draws_the_same_tokens",
        ),
    ),
    Bug(
        "GPT: no positions",
        "layers/attention.py",
        "return x + ops.cast(self.table[: ops.shape(x)[1]], x.dtype)",
        "return x",
        (GPT + "the_order_of_earlier_tokens_matters[learned]",),
    ),
    Bug(
        "GPT: rotary queries and plain keys",
        "layers/attention.py",
        "turned = [_turned(part, places) if self.rotary else part for part in (query, key)]",
        "turned = [_turned(query, places) if self.rotary else query, key]",
        (GPT + "rotary_attention_depends_on_distances_alone",),
    ),
    Bug(
        "GPT: the cache is written a place early",
        "layers/attention.py",
        "place = tf.stack([row, head, tf.repeat(position, heads)], axis=1)",
        "place = tf.stack([row, head, tf.maximum(tf.repeat(position, heads) - 1, 0)], axis=1)",
        (GPT + "with_caches_it_draws_the_same_tokens",),
    ),
    Bug(
        "GPT: in the cache all keys have the place 0",
        "layers/attention.py",
        "query, key, value = self._parts(x, position[:, None])",
        "query, key, value = self._parts(x, 0 * position[:, None])",
        (GPT + "with_caches_it_draws_the_same_tokens",),
    ),
    Bug(
        "GPT: targets are what is seen",
        "models/autoregressive/gpt.py",
        "return token[:, :-1], token[:, 1:]",
        "return token[:, :-1], token[:, :-1]",
        (GPT + "likelihood_is_the_sum_of_that_of_each_token_by_hand",),
    ),
    Bug(
        "GPT: sequences begin with their own first token",
        "models/autoregressive/gpt.py",
        "return tf.concat([tf.fill((tf.shape(token)[0], 1), self.vocabulary), token[:, :-1]], axis=1), token",
        "return token, token",
        (GPT + "probabilities_of_all_strings_sum_to_one",),
    ),
    Bug(
        "GPT: everything decays",
        "game/optimizers.py",
        "if len(variable.shape) < 2]",
        "if len(variable.shape) < 0]",
        (GPT + "matrices_decay_and_vectors_do_not",),
    ),
    Bug(
        "decoding: the nucleus leaves out the token that fills it",
        "ops/decoding.py",
        "(tf.cumsum(probability, axis=1, exclusive=True) < top_p)",
        "(tf.cumsum(probability, axis=1) < top_p)",
        (GPT + "ways_of_drawing",),
    ),
    Bug(
        "decoding: one token too many",
        "ops/decoding.py",
        "(tf.range(tf.shape(logits)[1])[None] < top_k)",
        "(tf.range(tf.shape(logits)[1])[None] <= top_k)",
        (GPT + "ways_of_drawing",),
    ),
    Bug(
        "decoding: temperature multiplies",
        "ops/decoding.py",
        "/ tf.maximum(temperature, 1e-6)",
        "* tf.maximum(temperature, 1e-6)",
        (GPT + "ways_of_drawing",),
    ),
    Bug(
        "GPT: beams keep the caches of other beams",
        "ops/decoding.py",
        "state = tf.nest.map_structure(lambda part, parent=parent: tf.gather(part, parent), state)",
        "parent = parent",
        (GPT + "as_many_beams_as_sequences_find_the_best_of_all",),
    ),
    Bug(
        "GPT: beyond the context, draws begin anew",
        "models/autoregressive/gpt.py",
        "share = shares[:, first : first + window.shape[1]]",
        "share = shares[:, : window.shape[1]]",
        (GPT + "beyond_the_context_it_goes_on_from_the_last_half_of_it",),
    ),
    Bug(
        "windows: rows of the test split overlap",
        "data/texts.py",
        'stride = 1 if chosen == "train" else length - 1',
        'stride = 1 if chosen == "train" else length // 2',
        (TEXT + "a_file_is_split_and_every_token_of_the_test_split_is_predicted_once",),
    ),
    Bug(
        "fine-tuning: a tokenizer of its own",
        "cli/settings.py",
        "return Tokenizer(old) if old else texts.tokenizer_for",
        "return texts.tokenizer_for",
        (TEXT + "fine_tuning_keeps_the_tokenizer_and_begins_with_the_weights",),
    ),
)

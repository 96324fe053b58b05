import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.layers.codebook import SMOOTHING, Codebook

ROWS = {
    "vq_vae": (
        "vq_vae",
        lambda: {
            "image_shape": (8, 16, 1),
            "codes": 11,
            "code_dim": 3,
            "width": 6,
            "blocks": 1,
            "commitment": 0.5,
            "decay": 0.9,
            "revive": 0.1,
            "seed": 6,
            "ema": 0.9,
            "ema_statistics": "copied",
        },
    ),
}

ROOT = Path(__file__).resolve().parents[3]


def small(**more):
    arguments = {"image_shape": (8, 8, 1), "codes": 7, "code_dim": 3, "width": 8, "blocks": 1, "seed": 0}
    return keras_gen.VQVAE(**{**arguments, **more})


def states(codebook):
    return [np.asarray(state) for state in (codebook.counts, codebook.sums, codebook.codes)]


# --- the codebook ----------------------------------------------------------------------------------------------------


def test_nearest_code_is_that_of_brute_force(seeded):
    codebook, rng = Codebook(50, 4), np.random.default_rng(0)
    codes, vectors = rng.normal(0.5, 1, (50, 4)).astype(np.float32), rng.normal(0.5, 1, (6, 5, 4)).astype(np.float32)
    codebook.codes.assign(codes)
    token = codebook.nearest(vectors).numpy()
    assert token.dtype == np.int32
    np.testing.assert_array_equal(token, np.square(vectors[..., None, :] - codes).sum(-1).argmin(-1))
    np.testing.assert_array_equal(codebook.lookup(token), codes[token])


def test_codes_are_running_means_by_hand():
    """Four vectors on two of three codes, twice, at decay 0.9: counts and sums are geometric, codes their ratio."""
    codebook = Codebook(3, 2, decay=0.9, revive=0)
    codebook.codes.assign([[0, 0], [10, 10], [-50, 50]])
    first = np.float32([[1, 0], [0, 1], [-1, -4], [9, 12]])
    found = codebook(first, training=True)
    np.testing.assert_array_equal(found.token, [0, 0, 0, 1])
    np.testing.assert_array_equal(found.code, [[0, 0]] * 3 + [[10, 10]])  # the codes before they moved
    assert float(found.commitment) == pytest.approx((1 + 1 + 17 + 5) / 8)
    assert float(found.perplexity) == pytest.approx(np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)))
    counts, sums, codes = states(codebook)
    np.testing.assert_allclose(counts, [0.3, 0.1, 0], rtol=1e-6)
    np.testing.assert_allclose(sums, [[0, -0.3], [0.9, 1.2], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(codes, [[0, -1], [9, 12], [-50, 50]], atol=2e-3)  # no vector: where it was
    codebook(np.float32([[3, 0]]), training=True)
    counts, sums, codes = states(codebook)
    n = 0.9 * np.array([0.3, 0.1, 0]) + 0.1 * np.array([1, 0, 0])
    m = 0.9 * np.array([[0, -0.3], [0.9, 1.2], [0, 0]]) + 0.1 * np.array([[3, 0], [0, 0], [0, 0]])
    np.testing.assert_allclose(counts, n, rtol=1e-6)
    np.testing.assert_allclose(sums, m, atol=1e-6)
    smoothed = n.sum() * (n + SMOOTHING) / (n.sum() + 3 * SMOOTHING)
    np.testing.assert_allclose(codes[:2], (m / smoothed[:, None])[:2], rtol=1e-5)


def test_nothing_moves_outside_training_or_by_a_batch_that_overflowed(seeded):
    codebook, vectors = Codebook(5, 2), np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    codebook(vectors, training=True)
    before = states(codebook)
    codebook(vectors + 1, training=False)
    vectors[3, 1] = np.inf
    codebook(vectors, training=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, states(codebook), strict=True))


def test_first_batch_gives_codes_and_dead_codes_are_set_anew(seeded):
    rng = np.random.default_rng(0)
    codebook, vectors = Codebook(16, 2, decay=0.5), rng.normal(5, 1, (400, 2)).astype(np.float32)
    codebook(vectors, training=True)
    distances = np.abs(np.asarray(codebook.codes)[:, None] - vectors).max(-1).min(-1)
    assert np.count_nonzero(distances == 0) >= 12  # but for the few that were nearest to all, and are means
    for _ in range(20):
        codebook(vectors, training=True)
    assert float(codebook(vectors).perplexity) > 10
    elsewhere = rng.normal(-5, 1, (400, 2)).astype(np.float32)  # the data have moved
    for _ in range(20):
        codebook(elsewhere, training=True)
    assert float(codebook(elsewhere).perplexity) > 10
    left = Codebook(16, 2, decay=0.5, revive=0)
    left.codes.assign(codebook.codes)
    for _ in range(20):
        left(vectors, training=True)
    assert float(left(vectors).perplexity) < 3, "without it few codes are used"


def test_frequencies_are_a_law_and_the_sampler_draws_it():
    codebook = Codebook(4, 1)
    np.testing.assert_allclose(codebook.frequencies(), [0.25] * 4)  # before training
    codebook.counts.assign([5.0, 0.0, 2.0, 3.0])
    law = codebook.frequencies().numpy()
    np.testing.assert_allclose(law, [0.5, 0, 0.2, 0.3], atol=1e-5)
    assert law.sum() == pytest.approx(1, abs=1e-6) and (law > 0).all()
    uniform = np.float32([[0, 0.499], [0.501, 0.699], [0.701, np.nextafter(np.float32(1), np.float32(0))]])
    np.testing.assert_array_equal(codebook.tokens_from(uniform), [[0, 0], [2, 2], [3, 3]])
    drawn = codebook.tokens_from(np.random.default_rng(0).random(100_000, np.float32)).numpy()
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 1e5, law, atol=0.005)


@pytest.mark.parametrize("size", [2, 100])
def test_perplexity_of_uniform_usage_is_the_number_of_codes(size):
    codebook = Codebook(size, 1)
    codebook.codes.assign(np.arange(size, dtype=np.float32)[:, None])
    every = np.tile(np.arange(size, dtype=np.float32)[:, None], (3, 1))
    assert float(codebook(every).perplexity) == pytest.approx(size, rel=1e-4)
    assert float(codebook(np.zeros((5, 1), np.float32)).perplexity) == pytest.approx(1)


# --- the model -------------------------------------------------------------------------------------------------------


def test_gradient_passes_straight_through(seeded, digits):
    """At the encoder's output: the gradient at the code, plus that of the commitment alone."""
    model = small()
    image = tf.constant(digits[:5])
    vectors = tf.Variable(model.encoder({"image": image}))
    with tf.GradientTape(persistent=True) as tape:
        quantized = model.codebook(vectors)
        error = tf.reduce_mean(tf.square(model.decoder({"code": quantized.code}) - image))
        loss = error + 0.7 * quantized.commitment
    code = tf.Variable(model.codebook.lookup(quantized.token))
    with tf.GradientTape() as plain:
        error = tf.reduce_mean(tf.square(model.decoder({"code": code}) - image))
    at_code, pull = plain.gradient(error, code), 2 * (vectors - code) / tf.cast(tf.size(code), tf.float32)
    assert np.abs(at_code).max() > 1e-6 and np.abs(pull).max() > 1e-6
    np.testing.assert_allclose(tape.gradient(loss, vectors), at_code + 0.7 * pull, atol=1e-7)
    assert tape.gradient(loss, model.codebook.codes) is None


def test_codes_move_by_averages_and_by_no_optimizer(seeded, digits):
    model = small(revive=0)
    assert not model.codebook.trainable_variables
    model.compile(keras.optimizers.SGD(0.0))
    before, token = states(model.codebook)[2], model.encode(digits[:16])
    vectors = model.encoder.predict({"image": digits[:16]}, verbose=0)
    model.fit(digits[:16], batch_size=16, shuffle=False, verbose=0)
    after = states(model.codebook)[2]
    for k in range(7):
        mine = vectors[token == k]
        np.testing.assert_allclose(after[k], mine.mean(0) if len(mine) else before[k], rtol=1e-2, atol=1e-5)
    before = states(model.codebook)
    model.evaluate(digits[:16], verbose=0)
    model.predict(digits[:16], verbose=0)
    model.sample(2)
    assert all(np.array_equal(a, b) for a, b in zip(before, states(model.codebook), strict=True))


def test_terms_are_by_hand_and_the_commitment_has_its_weight(digits):
    model = small(commitment=3.0)
    model.compile()
    image = digits[:16]
    losses = model.evaluate(image, batch_size=16, verbose=0, return_dict=True)
    vectors = model.encoder({"image": image}).numpy()
    code = np.asarray(model.codebook.codes)[model.encode(image)]
    output = model.decoder({"code": code}).numpy()
    assert losses["reconstruction"] == pytest.approx(np.square(output - image).mean(), rel=1e-5)
    assert losses["commitment"] == pytest.approx(np.square(vectors - code).mean(), rel=1e-5)
    assert losses["loss"] == pytest.approx(losses["reconstruction"] + 3 * losses["commitment"], rel=1e-5)
    share = np.bincount(model.encode(image).ravel()) / 64
    share = share[share > 0]
    assert losses["perplexity"] == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-5)


def test_tokens_say_all_of_a_reconstruction(seeded, digits):
    model = small()
    model.compile()
    model.fit(digits, batch_size=32, epochs=2, verbose=0)
    token = model.encode(digits[:9])
    assert token.shape == (9, *model.token_shape) == (9, 2, 2) and token.dtype == np.int32
    image = model.decode(token)
    np.testing.assert_array_equal(image, model.reconstruct(digits[:9]))
    np.testing.assert_allclose(image, model(digits[:9]), atol=1e-6)
    np.testing.assert_allclose(image, model.predict(digits[:9], verbose=0), atol=1e-6)
    assert np.abs(image).max() <= 1
    code = np.asarray(model.codebook.codes)[token]
    np.testing.assert_allclose(image, np.clip(model.decoder({"code": code}), -1, 1), atol=1e-6)


def test_samples_are_decoded_tokens_of_the_running_frequencies(seeded):
    model = small(codes=4)
    model.codebook.counts.assign([0.0, 6.0, 0.0, 2.0])
    noise = np.float32([[[-0.99, 0.49], [0.51, 0.9]]])
    made = model.run("generate", noise=noise)["image"]
    np.testing.assert_allclose(made, model.decode(np.int32([[[1, 1], [3, 3]]])), atol=1e-6)


def test_everything_but_training_uses_the_average_of_the_networks_and_the_codes_as_they_are(seeded, digits):
    model = small(ema=0.5)
    model.compile()
    model.fit(digits, batch_size=64, epochs=2, verbose=0)

    def everything():
        return [model.sample(2), model.encode(digits[:2]), model.reconstruct(digits[:2]), model(digits[:2]).numpy()]

    before = everything()
    for variable in model.encoder.weights + model.decoder.weights:
        variable.assign(tf.zeros_like(variable))
    assert all(np.array_equal(a, b) for a, b in zip(before, everything(), strict=True))
    model.codebook.codes.assign(-model.codebook.codes)
    assert not np.array_equal(before[0], model.sample(2))


def test_measures_by_hand(seeded, digits):
    model, images = small(codes=8), digits[:40]
    test = keras_gen.data.Examples({"image": np.rint((images + 1) * 127.5).astype(np.uint8)})
    images = test.arrays["image"] / np.float32(127.5) - 1
    found = model.measures(test, test)
    assert found["mse_01"] == pytest.approx(np.square((model.reconstruct(images) - images) / 2).mean(), rel=1e-4)
    assert 1 <= found["perplexity"] <= 8
    assert (found["bits"], found["bits_per_pixel"]) == (4 * 3, 4 * 3 / 64)


def test_loss_falls_and_codes_are_used(seeded, digits):
    model = small(codes=16, width=16)
    model.compile(keras.optimizers.Adam(3e-3))
    history = model.fit(digits, batch_size=32, epochs=12, verbose=0).history
    assert history["reconstruction"][-1] < 0.6 * history["reconstruction"][0]
    assert history["perplexity"][-1] > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_shape": (30, 28, 1)}, "expected sides that 4 divides"),
        ({"codes": 0}, "codes is 0"),
        ({"code_dim": -1}, "code_dim is -1"),
        ({"decay": 1.0}, "decay is 1.0"),
        ({"revive": -1}, "revive is -1"),
    ],
)
def test_usage_errors(arguments, words):
    with pytest.raises(UsageError, match=words) as caught:
        small(**arguments)
    assert "\n" not in str(caught.value)


def test_an_overflow_in_half_precision_leaves_the_codes_alone(digits):
    model = make("vq_vae", dtype="mixed_float16")
    model.compile(run_eagerly=True)  # compiled, the same convolution does not overflow
    before = states(model.codebook)
    kernel = model.encoder.trainable_variables[0]
    kernel.assign(tf.fill(kernel.shape, -6e4))
    history = model.fit(np.full((8, *model.image_shape), -1, np.float32), batch_size=8, verbose=0).history
    assert np.isnan(history["loss"]).all()
    assert all(np.array_equal(a, b) for a, b in zip(before, states(model.codebook), strict=True))


# --- replicas --------------------------------------------------------------------------------------------------------

REPLICAS = """
import keras, numpy as np, tensorflow as tf, keras_gen
from keras_gen.layers.codebook import Codebook
from tiny import real_digits

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras_gen.VQVAE((8, 8, 1), codes=7, code_dim=3, width=6, blocks=1, revive=0.2, seed=0, ema=0.9)
        model.compile(keras.optimizers.SGD(0.05))
    images = real_digits(27)[0]  # the last batch has 3 rows
    history = model.fit(images, batch_size=8, epochs=3, verbose=0, validation_data=images[:11]).history
    return [np.asarray(weight) for weight in model.weights], history, model

two = keras_gen.distribution.strategy("mirrored", replicas=2)
(one, a, _), (other, b, model) = trained(keras_gen.distribution.strategy("one")), trained(two)
assert max(np.abs(u - v).max() for u, v in zip(one, other, strict=True)) < 1e-5
for name in a:
    np.testing.assert_allclose(a[name], b[name], rtol=1e-4, err_msg=name)
for state in (model.codebook.counts, model.codebook.sums, model.codebook.codes):
    first, second = (np.asarray(part) for part in two.experimental_local_results(state.value))
    assert np.array_equal(first, second) and np.abs(first).sum() > 0

# Codes that are set anew come from the rows of both replicas, however unevenly those are shared out.
vectors = tf.constant(np.random.default_rng(0).normal(size=(40, 2)), tf.float32)
def anew(strategy, bounds):
    with strategy.scope():
        codebook = Codebook(9, 2, revive=0.5)
        codebook.codes.assign(tf.fill((9, 2), 99.0) + tf.range(9.0)[:, None])  # the first takes all
    parts = strategy.experimental_distribute_values_from_function(
        lambda context: vectors[slice(*bounds[context.replica_id_in_sync_group])]
    )
    strategy.run(tf.function(lambda part: codebook(part, training=True).token), (parts,))
    return np.asarray(codebook.codes)
apart = anew(two, [(0, 31), (31, 40)])
np.testing.assert_allclose(apart, anew(keras_gen.distribution.strategy("one"), [(0, 40)]), rtol=1e-6)
rows = [int(np.abs(vectors - code).sum(-1).argmin()) for code in apart[1:]]
assert len(set(rows)) == 8 and min(rows) < 31 <= max(rows), rows
print("same")
"""


@pytest.mark.distributed
@pytest.mark.slow
def test_two_replicas_hold_one_codebook_that_is_that_of_one_device():
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", REPLICAS]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert "same" in out.stdout, out.stderr[-3000:]


BUGS = (
    Bug(
        "VQ-VAE: no gradient to the encoder",
        "layers/codebook.py",
        "code=vectors + tf.stop_gradient(code - vectors),",
        "code=code,",
        ("test_gradient_passes_straight_through",),
    ),
    Bug(
        "VQ-VAE: the commitment moves the codes",
        "layers/codebook.py",
        "tf.square(vectors - tf.stop_gradient(code))",
        "tf.square(tf.stop_gradient(vectors) - code)",
        ("test_gradient_passes_straight_through",),
    ),
    Bug(
        "VQ-VAE: the decay in place of what is left",
        "layers/codebook.py",
        "counts = self.decay * old[0] + (1 - self.decay) * counts",
        "counts = (1 - self.decay) * old[0] + self.decay * counts",
        ("test_codes_are_running_means_by_hand",),
    ),
)

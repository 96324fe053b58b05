"""StyleGAN2: styles, mixing, truncation and path lengths; what is lazy, and what moves once a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from killed import resumed
from planted import Bug
from tiny import batch_for, make

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.ops.penalties import path_lengths
from keras_gen.ops.random import SeedGenerator, mixed

SIZES = {"latent_dim": 6, "style_dim": 5, "depth": 2, "base": 32, "largest": 4}
PATH = {"path_length": 1.0, "path_every": 1, "path_decay": 0.5}
ROWS = {
    # What is lazy takes twice as long to trace: it is in a row of its own, and by itself below.
    "stylegan2": (
        "stylegan2",
        lambda: {"image_shape": (8, 8, 1), **SIZES, **PATH, "r1": 0.5, "r1_every": 1, "mixing": 0.5, "seed": 3},
    ),
    "stylegan2-lazy": (
        "stylegan2",
        lambda: {"image_shape": (8, 8, 1), **SIZES, **PATH, "r1_every": 3, "path_every": 3, "seed": 3},
    ),
    "stylegan2-classes": (
        "stylegan2",
        lambda: {
            **{"image_shape": (16, 16, 3), **SIZES, "num_classes": 10, "path_length": 0.0, "mixing": 0.0, "seed": 3},
            **{"augment": ("color",), "augment_target": 0.5},
        },
    ),
}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """A model whose noise has strengths, and whose mean of w is not 0."""
    made = make("stylegan2", path_every=3)
    for generator in (made.generator, made.ema_generator):
        for number in range(3):
            generator.get_layer("synthesis").get_layer(f"noise_{number}").strength.assign(0.3)
        generator.get_layer("mapping").get_layer("styles").mean.assign([0.5, -0.5, 1, 0, 0.2])
    return made


# --- mixing and the mean of w ----------------------------------------------------------------------------------------


def test_nine_of_ten_rows_are_mixed_from_a_layer_on_that_is_not_the_first():
    one, other = np.zeros((10_000, 6, 1), np.float32), np.ones((10_000, 6, 1), np.float32)
    styles = mixed(one, other, 0.9, SeedGenerator(1)).numpy()[..., 0]
    assert (np.diff(styles, axis=1) >= 0).all() and (styles[:, 0] == 0).all()
    changed = styles[styles[:, -1] == 1]
    assert len(changed) == pytest.approx(9000, abs=100)
    for layer in range(1, 6):  # equally often the first that has the other style
        assert np.mean((changed == 0).sum(axis=1) == layer) == pytest.approx(1 / 5, abs=0.02)
    assert (mixed(one, other, 0.0, SeedGenerator(1)) == one).numpy().all()


def test_the_mean_of_w_moves_once_a_step_and_belongs_to_the_average_of_weights():
    """Of a mapping that gives the same w to all latents."""
    model = make("stylegan2", ema=0.9, path_length=0.0, r1=0.0)
    mapping = model.generator.get_layer("mapping")
    for variable in mapping.trainable_variables:
        variable.assign(100 * tf.ones_like(variable) if len(variable.shape) == 1 else 0 * variable)
    w = mapping({"latent": normal(1, 6)}).numpy()[0, 0]
    for optimizer in (model.d_optimizer, model.g_optimizer):
        optimizer.learning_rate = 0.0
    model.fit(batch_for(model), batch_size=8, epochs=2, verbose=0)
    assert np.abs(w).min() > 0.5
    for generator in (model.generator, model.ema_generator):
        mean = generator.get_layer("mapping").get_layer("styles").mean
        np.testing.assert_allclose(mean, (1 - 0.998**4) * w, rtol=1e-3)


# --- signatures ------------------------------------------------------------------------------------------------------


def test_truncation_0_makes_one_image_of_all_latents_and_less_makes_them_more_alike(model):
    noise = {"noise": 0}
    assert np.ptp(model.sample(8, seed=0, truncation=0, **noise), axis=0).max() == 0
    spreads = [model.sample(64, seed=0, truncation=psi, **noise).std(axis=0).mean() for psi in (1.0, 0.7, 0.5)]
    assert spreads[0] > spreads[1] > spreads[2] > 0
    assert np.array_equal(model.sample(8, seed=0), model.sample(8, seed=0, truncation=1))
    assert not np.array_equal(model.sample(8, seed=0), model.sample(8, seed=0, noise=0))


def test_mapping_and_synthesis_are_the_parts_of_the_generator(model):
    latent, noise, psi = normal(4, 6), normal(4, 144, seed=1), np.float32([1, 0.7, 0.5, 0])
    style = model.run("map", latent=latent, truncation=psi)["style"]
    assert style.shape == (4, 4, 5)
    image = model.run("synthesize", style=10 * style, noise=noise)["image"]  # which are vectors, and no pictures
    assert np.abs(image).max() <= 1
    image = model.run("synthesize", style=style, noise=noise)["image"]
    whole = model.run("generate", latent=latent, noise=noise, truncation=psi)["image"]
    np.testing.assert_allclose(whole, image, atol=1e-6)


# --- path lengths ----------------------------------------------------------------------------------------------------


def test_path_lengths_of_a_linear_synthesis_are_the_norm_of_its_columns():
    """G(w) = A mean_k w_k: |A'y| / n, which is a sqrt(d / N) / n where columns are orthogonal of norm a."""
    d, n, side, rows, norm = 12, 3, 8, 4000, 5.0
    columns = np.linalg.qr(normal(side**2, d))[0] * norm
    matrix, y = tf.Variable(columns), normal(rows, side, side, 1, seed=2)
    styles = tf.constant(normal(rows, n, d))

    def synthesize(w):
        return tf.reshape(tf.matmul(tf.reduce_mean(w, axis=1), matrix, transpose_b=True), (-1, side, side, 1))

    with tf.GradientTape() as tape:
        found = path_lengths(synthesize, styles, y)
        value = tf.reduce_mean(tf.square(found - 0.7))
    assert float(tf.reduce_mean(tf.square(found))) == pytest.approx(norm**2 * d / side**2 / n**2, rel=0.02)
    slope = tape.gradient(value, matrix)
    with tf.GradientTape() as tape:
        closed = tf.norm(tf.matmul(y.reshape(rows, -1) / side, matrix), axis=1) / n
        value = tf.reduce_mean(tf.square(closed - 0.7))
    np.testing.assert_allclose(found, closed, rtol=1e-4)
    np.testing.assert_allclose(slope, tape.gradient(value, matrix), rtol=1e-3, atol=1e-5)


def test_the_mean_of_lengths_begins_at_the_first_and_moves_in_due_steps_only(model):
    data, seen = Batch(batch_for(model, 8)), []
    terms = []
    for step in range(7):
        batch = Batch({"image": tf.convert_to_tensor(data["image"])})
        styles, given = model.styles(batch, True)[::2], model.given(batch, True)
        directions = keras.random.normal((4, 8, 8, 1), seed=step)
        model.directions = lambda styles, training, directions=directions: directions
        half = {name: value[::2] for name, value in given.items()}
        seen.append(path_lengths(lambda w, half=half: model.painted(w, half, True), styles, directions).numpy())
        model.g_optimizer.iterations.assign(step)
        before = float(model.mean_length)
        terms.append(float(model.generator_terms(batch, True)["path"]))
        mean = {0: seen[0].mean()}.get(step, before + 0.5 * (seen[step].mean() - before))
        if step % 3:
            assert terms[-1] == 0 and float(model.mean_length) == before
        else:
            assert float(model.mean_length) == pytest.approx(mean, rel=1e-4)
            assert terms[-1] == pytest.approx(3 * np.mean((seen[step] - mean) ** 2), rel=1e-3)
    del model.directions
    assert len(seen[0]) == 4 and terms[3] > 0


# --- adaptive augmentation -------------------------------------------------------------------------------------------


def test_the_share_of_augmented_images_follows_the_signs_of_four_steps():
    model = make("stylegan2", augment=("color",), augment_target=0.6, r1=0.0, path_length=0.0)
    shares = []
    for step in range(12):
        model.d_optimizer.iterations.assign(step)
        sign = 1.0 if step < 8 else -1.0
        model.logit = lambda output, sign=sign: tf.zeros_like(output) + sign
        model.discriminator_loss(Batch({"image": tf.convert_to_tensor(batch_for(model, 8)["image"])}), True)
        shares.append(float(model.augment_probability) * 500_000)
    np.testing.assert_allclose(shares, [0] * 3 + [32] * 4 + [64] * 4 + [32], atol=1e-3)


@pytest.mark.slow
def test_killed_in_the_middle_of_a_lazy_interval_it_resumes_bit_equal(tmp_path):
    # A step after a save; steps 3 and 6 are due.
    shown = {"every": 5, "rows": 40, "batch_size": 8}
    whole, again, *_ = resumed(lambda: make("stylegan2-lazy"), tmp_path, 6, **shown)
    assert float(whole.mean_length) > 0 and float(whole.mean_length) == float(again.mean_length)


def test_arguments_out_of_range_are_refused():
    for given, says in (
        ({"mixing": 1.5}, "mixing is 1.5"),
        ({"path_length": -1.0}, "path_length is -1"),
        ({"path_decay": 0.0}, "path_decay 0"),
        ({"image_shape": (28, 28, 1)}, "32x32"),
        ({"augment_target": 0.6}, "augment_target is 0.6 with augment=\\(\\)"),
        ({"update": "alternating"}, "no argument 'update'"),
    ):
        with pytest.raises(UsageError, match=says):
            keras_gen.StyleGAN2(**{"image_shape": (8, 8, 1), **SIZES, **given})


def test_the_papers_settings():
    optimizer = keras_gen.StyleGAN2.paper_optimizer("d")
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.0, 0.99, 1e-8)
    assert float(optimizer.learning_rate) == pytest.approx(2e-3)


FILE, PATHS = "models/adversarial/stylegan2.py", "test_path_lengths_of_a_linear_synthesis_are_the_norm_of_its_columns"
LAZY = "test_the_mean_of_lengths_begins_at_the_first_and_moves_in_due_steps_only"
BUGS = [
    Bug(
        "mixing: the cut may be at the first layer",
        "ops/random.py",
        "keras.random.randint((rows, 1), 1, count, seed=seed)",
        "keras.random.randint((rows, 1), 0, count, seed=seed)",
        ("test_nine_of_ten_rows_are_mixed_from_a_layer_on_that_is_not_the_first",),
    ),
    Bug(
        "styles: the mean moves with the second latent, too",
        "models/adversarial/style_based.py",
        '"latent": other}, False)',
        '"latent": other}, True)',
        ("test_the_mean_of_w_moves_once_a_step_and_belongs_to_the_average_of_weights",),
    ),
    Bug(
        "styles: the mean is lost in the average of weights",
        "game/averages.py",
        "            mean.assign(weight)  # a state",
        "            pass  # a state",
        ("test_the_mean_of_w_moves_once_a_step_and_belongs_to_the_average_of_weights",),
    ),
    Bug(
        "path length: directions that are not divided",
        "ops/penalties.py",
        "tf.reduce_sum(synthesize(styles) * directions) / math.sqrt(height * width)",
        "tf.reduce_sum(synthesize(styles) * directions)",
        (PATHS,),
    ),
    Bug(
        "path length: the sum over styles",
        "ops/penalties.py",
        "tf.reduce_mean(tf.reduce_sum(tf.square(slope), axis=2), axis=1)",
        "tf.reduce_sum(tf.square(slope), axis=(1, 2))",
        (PATHS,),
    ),
    Bug(
        "path length: of first order",
        "ops/penalties.py",
        "slope = tf.cast(tape.gradient(along, styles), tf.float32)",
        "slope = tf.stop_gradient(tape.gradient(along, styles))",
        (PATHS,),
    ),
    Bug(
        "path length: the mean moves in each step",
        FILE,
        "self.mean_length.assign(tf.where(due, moved, known))",
        "self.mean_length.assign(moved)",
        (LAZY,),
    ),
    Bug(
        "adaptive augmentation: every step moves it by the signs so far",
        "models/adversarial/style_based.py",
        "is_due(ADAPTS, self.d_optimizer.iterations + 1)",
        "is_due(1, self.d_optimizer.iterations + 1)",
        ("test_the_share_of_augmented_images_follows_the_signs_of_four_steps",),
    ),
    Bug("path length: not times every", FILE, "float(every) * mean(", "mean(", (LAZY,)),
    Bug(
        "styles: psi and 1 - psi",
        "layers/style.py",
        "drawn = psi * styles + (1.0 - psi)",
        "drawn = (1.0 - psi) * styles + psi",
        ("test_truncation_0_makes_one_image_of_all_latents_and_less_makes_them_more_alike",),
    ),
]

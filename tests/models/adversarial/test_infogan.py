import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import real_digits, small_gan

import keras_gen
from keras_gen import latent
from keras_gen.data.examples import Examples
from keras_gen.game.batch import Batch
from keras_gen.models.adversarial.infogan import rank_correlation, slant_and_width

ROWS = {
    "infogan": (
        "infogan",
        lambda: {
            **small_gan(),
            "num_categories": 7,
            "continuous": 3,
            "info_weight": 0.5,
            "continuous_weight": 0.2,
            "architecture": "mlp",
            "norm": "none",
            "latent": "normal",
            "ema": 0.9,
        },
    ),
}


def small(architecture="mlp", **arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 5, "hidden": (16,), "norm": "none"}
    return keras_gen.InfoGAN(architecture=architecture, seed=0, **{**sizes, **arguments})


def head(model):
    return model.discriminator.get_layer("codes_output")


def test_the_papers_networks_for_mnist():
    """Chen et al., table 1: 1024 units on either side of maps of 7x7x128 and 14x14x64, and 128 in Q."""
    model = keras_gen.InfoGAN(image_shape=(28, 28, 1))
    units = [layer.units for layer in model.generator.layers if isinstance(layer, keras.layers.Dense)]
    assert units == [1024, 7 * 7 * 128]
    assert model.latent_dim == 62
    units = [layer.units for layer in model.discriminator.layers if isinstance(layer, keras.layers.Dense)]
    assert units[0] == 1024 and sorted(units[1:]) == [1, 10 + 2 * 2, 128]
    maps = [layer.output.shape[1:] for layer in model.discriminator.layers if isinstance(layer, keras.layers.Conv2D)]
    assert maps == [(14, 14, 64), (7, 7, 128)]


def test_codes_are_drawn_evenly_and_anew_in_each_step():
    model = small()
    first, second = (model.given(Batch(image=np.zeros((20_000, 8, 8, 1))), True) for _ in range(2))
    counts = np.bincount(first["category"].numpy(), minlength=10)
    assert len(counts) == 10 and np.square(counts - 2000).sum() / 2000 < 30  # chi-squared, 9 degrees of freedom
    code = first["code"].numpy()
    assert code.shape == (20_000, 2) and -1 <= code.min() < -0.99 and 0.99 < code.max() < 1
    np.testing.assert_allclose(np.cov(code.T), np.eye(2) / 3, atol=0.01)
    assert np.mean(first["category"] == second["category"]) < 0.2
    assert set(first) == {"latent", "category", "code"}
    assert set(small(continuous=0).given(Batch(image=np.zeros((2, 8, 8, 1))), True)) == {"latent", "category"}


def test_losses_by_hand():
    model = small(num_categories=3, continuous=1)
    output = np.float32([[9, 2, 0, -1, 0.5, 0.0], [-9, 0, 0, 0, -1.0, 2.0]])  # logit, 3 logits, mean, raw variance
    batch = Batch(
        image=np.zeros((2, 8, 8, 1), np.float32), category=tf.constant([0, 2]), code=tf.constant([[0.1], [0.9]])
    )
    batch.once("fake_logits", lambda: tf.constant(output))
    terms = {name: float(value) for name, value in model.surprise(batch, True).items()}
    nats = [np.log(np.exp([2, 0, -1]).sum()) - 2, np.log(3)]
    assert terms["info"] == pytest.approx(np.mean(nats), abs=1e-6)
    log_variance = -6 + np.log1p(np.exp(output[:, 5] + 6))
    gap = np.float32([0.1, 0.9]) - output[:, 4]
    nats = 0.5 * (np.log(2 * np.pi) + log_variance + gap**2 / np.exp(log_variance))
    assert terms["continuous"] == pytest.approx(nats.mean(), abs=1e-5)
    np.testing.assert_array_equal(model.logit(output), output[:, :1])


def test_bound_begins_at_zero_and_ends_below_the_entropy(digits):
    # Without running statistics, which after 100 steps are not yet those of generated images.
    model = small(architecture="conv", width=4, norm="batch", discriminator_norm="none")
    model.compile()
    before = model.evaluate(digits, verbose=0, return_dict=True)
    assert before["g_info"] == before["d_info"] and abs(math.log(10) - before["g_info"]) < 0.1
    model.fit(digits, epochs=12, batch_size=32, verbose=0)
    after = model.evaluate(digits, verbose=0, return_dict=True)["g_info"]
    assert 0 <= after < before["g_info"] - 1


def change(weight, factor):
    """Returns what a louder head Q changes in the weights of generator and first features after one step."""
    found = []
    for loudness in (1, factor):
        model = small(info_weight=weight, continuous_weight=weight)
        head(model).set_weights([loudness * value for value in head(model).get_weights()])
        rates = {f"{name}_optimizer": keras.optimizers.SGD(0.1) for name in "dg"}
        model.compile(**rates, run_eagerly=True)
        model.fit(real_digits(16)[0], batch_size=16, verbose=0)
        found.append([model.generator.trainable_variables[0], model.discriminator.trainable_variables[0]])
    return [float(tf.reduce_max(tf.abs(a - b))) for a, b in zip(*found, strict=True)]


def test_information_moves_generator_and_features_by_its_weight():
    assert min(change(1.0, 3.0)) > 1e-4
    assert change(0.0, 3.0) == [0, 0]


def test_the_generators_player_moves_the_head_and_the_discriminators_all_below_it():
    model = small(architecture="conv", width=4, norm="batch")
    d, g = (player.variables for player in model.players())
    of_head = [v for v in model.discriminator.trainable_variables if v.path.startswith("codes_")]
    assert len(of_head) == 5  # two kernels, one bias, scale and shift of a batch normalization
    of_generator = model.generator.trainable_variables
    assert {id(v) for v in g} == {id(v) for v in of_generator + of_head}
    assert {id(v) for v in d} == {id(v) for v in model.discriminator.trainable_variables} - {id(v) for v in of_head}


def test_each_code_is_moved_alone_and_read_back(digits):
    model = small(latent="normal")
    move = latent.decoder(model, name="code", seed=4)
    assert (move.dim, move.law) == (2, "uniform")
    codes = latent.traverse(np.zeros((1, 2)), 1, latent.span("uniform", 5))
    images = move(codes)[0]
    held = {name: value[0] for name, value in move.inputs(codes[0]).items()}
    again = model.sample(5, latent=held["latent"], category=held["category"], code=codes[0])
    np.testing.assert_allclose(images, again, atol=1e-6)
    assert np.abs(images - model.sample(5, latent=held["latent"], category=3, code=codes[0])).max() > 1e-4
    assert np.abs(np.diff(images, axis=0)).max(axis=(1, 2, 3)).min() > 1e-4
    found = model.run("infer", image=digits)
    assert {name: value.shape for name, value in found.items()} == {
        "category_probability": (256, 10),
        "code_mean": (256, 2),
        "code_log_variance": (256, 2),
    }
    np.testing.assert_allclose(found["category_probability"].sum(axis=1), 1, atol=1e-5)
    output = model.discriminator({"image": digits}).numpy()
    np.testing.assert_array_equal(found["category_probability"].argmax(1), output[:, 1:11].argmax(1))
    np.testing.assert_allclose(found["code_mean"], output[:, 11:13], atol=1e-5)
    assert found["code_log_variance"].min() > -6


# --- what the codes mean ---------------------------------------------------------------------------------------------


def bar(columns, rows=9, width=9):
    image = np.full((rows, width, 1), -1.0)
    image[np.arange(rows), columns] = 1
    return image


def test_slant_and_width_by_hand():
    upright, leaning = bar([4] * 9), bar([8, 7, 6, 5, 4, 3, 2, 1, 0])
    wide = np.maximum(np.roll(upright, -2, axis=1), np.roll(upright, 2, axis=1))
    slant, width = slant_and_width(np.stack([upright, leaning, leaning[:, ::-1], wide]))
    np.testing.assert_allclose(slant, [0, -1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(width, [0, 0, 0, 2], atol=1e-3)
    assert np.isfinite(slant_and_width(np.full((2, 4, 4, 3), -1.0))).all(), "an image without a figure"


def test_rank_correlation():
    x = np.random.default_rng(0).normal(size=50)
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1) and rank_correlation(x, -(x**3)) == pytest.approx(-1)
    assert rank_correlation(x, np.ones(50)) == 0


def by_hand():
    """Draws a category as a bright row, and leans the figure by a code; Q reads the rows and knows nothing more."""
    category, code = keras.Input((), dtype="int32", name="category"), keras.Input((1,), name="code")
    entry = keras.Input((1,), name="latent")
    rows = keras.layers.Dense(15, use_bias=False)(keras.ops.one_hot(category, 3))
    leaning = keras.layers.Dense(15, use_bias=False)(code)
    silent = keras.layers.Dense(15, use_bias=False, kernel_initializer="zeros")(entry)
    image = keras.layers.Reshape((3, 5, 1))(keras.layers.Add()([rows, leaning, silent]))
    generator = keras.Model({"latent": entry, "category": category, "code": code}, image)
    bright, lean = np.full((3, 3, 5), -0.5, np.float32), np.zeros((1, 3, 5), np.float32)
    for row in range(3):
        bright[row, row, 1:4] = 0.5
    lean[0, 0, [0, 4]] = 0.4, -0.4
    generator.layers[[layer.name for layer in generator.layers].index(rows._keras_history.operation.name)].set_weights(
        [bright.reshape(3, 15)]
    )
    leaning._keras_history.operation.set_weights([lean.reshape(1, 15)])
    image = keras.Input((3, 5, 1), name="image")
    flat = keras.layers.Flatten()(image)
    read = keras.layers.Dense(5, name="codes_output")
    whole = keras.layers.Concatenate()([keras.layers.Dense(1)(flat), read(flat)])
    weight = np.zeros((3, 5, 5), np.float32)
    for row in range(3):
        weight[row, 1:4, row] = 10
    read.set_weights([weight.reshape(15, 5), np.zeros(5, np.float32)])
    networks = {"generator": generator, "discriminator": keras.Model({"image": image}, whole)}
    return keras_gen.InfoGAN(**networks, latent_dim=1, num_categories=3, continuous=1)


def test_measures_by_hand():
    model = by_hand()
    pictures = model.sample(3, code=0.0)  # a row each
    train = Examples({"image": pictures[[0, 0, 0, 1, 1, 2]], "label": np.array([7, 7, 5, 5, 5, 7])})
    # The rows mean 7, 5 and 7 now.
    test = Examples({"image": pictures[[0, 1, 1, 2, 2]], "label": np.array([7, 5, 7, 5, 9])})
    found = model.measures(train, test)
    assert found["cluster_accuracy"] == pytest.approx(2 / 5)
    assert found["information"] == pytest.approx(math.log(3), abs=1e-6)
    assert found["slant_spearman"] == pytest.approx(1)
    assert 0 <= found["width_spearman"] <= 1
    head(model).set_weights([0 * value for value in head(model).get_weights()])
    found = model.measures(train, test)
    assert found["information"] == pytest.approx(0, abs=1e-6)
    assert found["cluster_accuracy"] == pytest.approx(2 / 5), "all are of one category, which means 5 or 7"


BUGS = (
    Bug(
        "InfoGAN: Q detached from G",
        "models/adversarial/infogan.py",
        'self.read(batch.once("fake_logits", None))',
        'self.read(call(self.discriminator, {"image": tf.stop_gradient(self.fake(batch, training))}, training))',
        ("test_information_moves_generator_and_features_by_its_weight",),
    ),
    Bug(
        "InfoGAN: the discriminator's player moves the head",
        "models/adversarial/infogan.py",
        "return tuple(layer for layer in self.discriminator.layers if layer not in head)",
        "return (self.discriminator,)",
        ("test_the_generators_player_moves_the_head_and_the_discriminators_all_below_it",),
    ),
    Bug(
        "InfoGAN: the information does not shape the features",
        "models/adversarial/infogan.py",
        "{**d, **codes}, {**g, **codes}",
        "{**d, **{name: 0.0 for name in codes}}, {**g, **codes}",
        ("test_information_moves_generator_and_features_by_its_weight",),
    ),
    Bug(
        "InfoGAN: Q reads codes of another draw",
        "models/adversarial/infogan.py",
        "given = self.given(batch, training)\n        logits",
        'given = self.given(Batch(image=batch["image"]), training)\n        logits',
        ("test_bound_begins_at_zero_and_ends_below_the_entropy",),
    ),
    Bug(
        "InfoGAN: standard deviation in place of the variance",
        "models/adversarial/infogan.py",
        'gaussian_log_likelihood(given["code"], means, log_variance)',
        'gaussian_log_likelihood(given["code"], means, 2 * log_variance)',
        ("test_losses_by_hand",),
    ),
)

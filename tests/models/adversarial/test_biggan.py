"""BigGAN: official numbers of weights, parts of the latent, gains, projection, standing statistics, accumulation."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import difference, make, real_digits

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.averages import statistics
from keras_gen.game.batch import Batch
from keras_gen.layers import ModulatedBatchNormalization, SelfAttention2D, SpectralDense
from keras_gen.networks import biggan
from keras_gen.ops.penalties import orthogonal


def small(**more):
    sizes = {"image_shape": (8, 8, 1), "num_classes": 11, "latent_dim": 6, "width": 2, "embedding": 5}
    game = {"attention": (8,), "orthogonal": 0.01, "n_critic": 1, "norm": "batch", "ema": 0.9, "seed": 3}
    return {**sizes, **game, **more}


ROWS = {
    "biggan": ("biggan", lambda: small()),
    "biggan-two-steps": (
        "biggan",
        lambda: small(image_shape=(16, 24, 3), latent_dim=9, attention=(16, 8), n_critic=3, adversarial="minimax"),
    ),
}


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def count(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def generator(**more):
    """Returns a small generator of 16x16 images and 3 parts of 2 coordinates, its biases and attention not 0."""
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (16, 16, 1), "latent_dim": 6, "num_classes": 4, "width": 2, "embedding": 3}
    return biggan.generator(**{**sizes, "initializer": "orthogonal", **more})


# --- the networks ----------------------------------------------------------------------------------------------------


def test_weights_of_32x32_are_as_many_as_the_official_ones():
    """The official table calls all maps of that discriminator 16x16, so that each of its blocks has attention."""
    given = {"image_shape": (32, 32, 3), "num_classes": 10, "width": 16, "initializer": "zeros"}
    assert count(biggan.generator(latent_dim=80, embedding=32, attention=(16,), **given)) == 302_788
    assert count(biggan.discriminator(attention=(16, 8), **given)) == 285_893


@pytest.mark.slow
def test_weights_of_128x128_are_as_many_as_the_official_ones():
    given = {"image_shape": (128, 128, 3), "num_classes": 1000, "width": 96, "attention": (64,), "initializer": "zeros"}
    assert count(biggan.generator(latent_dim=120, embedding=128, **given)) == 70_433_988
    assert count(biggan.discriminator(**given)) == 87_982_370


@pytest.mark.slow
@pytest.mark.parametrize("side", [16, 28, 32, 64, 128, 256, 512, 1024])
def test_every_size_builds_and_the_map_is_doubled_and_halved_back(side):
    model = keras_gen.BigGAN(image_shape=(side, side, 3), width=1, embedding=2)
    (base, _), grown, _ = biggan.channels(model.image_shape)
    assert model.latent_dim == 20 * len(grown) and base << (len(grown) - 1) == side
    (attention,) = [one for one in model.generator.layers if isinstance(one, SelfAttention2D)]
    assert attention.name == f"attention_{min(64, side // 2)}"
    assert model.sample(1).shape == (1, side, side, 3)


def test_channels_of_the_papers_sizes():
    assert biggan.channels((128, 128, 3)) == ((4, 4), (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16))
    assert biggan.channels((64, 96, 3)) == ((4, 6), (16, 16, 8, 4, 2), (1, 2, 4, 8, 16))
    assert biggan.channels((256, 256, 3))[1:] == ((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16))
    assert biggan.channels((512, 512, 3))[2] == (1, 1, 2, 4, 8, 8, 16, 16)
    assert biggan.channels((32, 32, 3))[1:] == ((4,) * 4, (4,) * 4) and biggan.channels((16, 16, 1))[1] == (4,) * 3


def test_a_part_of_the_latent_changes_nothing_before_its_block():
    network = generator()
    names = ["reshape", "block_1", "block_2"]
    first = next(layer.name for layer in network.layers if isinstance(layer, keras.layers.Reshape))
    maps = keras.Model(
        network.input, [network.get_layer(first).output, *(network.get_layer(n).output for n in names[1:])]
    )
    latent, label = noise(2, 6), np.int32([1, 3])
    before = maps({"latent": latent, "label": label})
    for part in range(3):
        changed = latent.copy()
        changed[:, 2 * part : 2 * part + 2] += 1
        after = maps({"latent": changed, "label": label})
        same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert same == [at < part for at in range(3)], f"part {part}"


def test_the_class_reaches_every_block_and_not_the_first_layer():
    network = generator()
    blocks = [network.get_layer(name).output for name in ("block_1", "block_2")]
    first = next(layer.output for layer in network.layers if isinstance(layer, keras.layers.Reshape))
    latent = np.repeat(noise(1, 6), 2, 0)
    maps = keras.Model(network.input, [first, *blocks])({"latent": latent, "label": np.int32([0, 1])})
    assert [np.array_equal(one[0], one[1]) for one in maps] == [True, False, False]
    assert network.get_layer("shared").embeddings.shape == (4, 3)


def test_with_maps_of_zeros_a_normalization_is_the_plain_one():
    network = generator()
    layers = [layer for layer in network.layers if isinstance(layer, ModulatedBatchNormalization)]
    assert len(layers) == 4
    maps = keras.Model(network.input, [[*layers[0].input, layers[0].output], [*layers[-1].input, layers[-1].output]])
    given = {"latent": noise(5, 6), "label": np.int32([0, 1, 2, 3, 0])}
    for x, gain, offset, y in maps(given):
        assert np.asarray(gain).std() > 0.01 and np.asarray(offset).std() > 0.01
        np.testing.assert_allclose(y, x / np.sqrt(1 + 1e-5) * gain[:, None, None] + offset[:, None, None], atol=1e-5)
    for layer in network.layers:
        if isinstance(layer, SpectralDense) and not layer.use_bias:
            layer.kernel.assign(tf.zeros_like(layer.kernel))
    for x, *_, y in maps(given):
        np.testing.assert_allclose(y, x / np.sqrt(1 + 1e-5), atol=1e-5)


def test_attention_that_is_not_trained_is_none_bit_for_bit():
    network, plain = generator(attention=(16, 8)), generator(attention=())
    inside = {id(w) for one in network.layers if isinstance(one, SelfAttention2D) for w in one.weights}
    plain.set_weights([np.asarray(weight) for weight in network.weights if id(weight) not in inside])
    given = {"latent": noise(3, 6), "label": np.int32([0, 1, 2])}
    np.testing.assert_array_equal(network(given), plain(given))
    network.get_layer("attention_8").gamma.assign(1.0)
    assert not np.array_equal(network(given), plain(given))


def test_logits_of_two_classes_differ_by_the_inner_product_of_features_and_classes():
    keras.utils.set_random_seed(0)
    network = biggan.discriminator((8, 8, 1), num_classes=5, width=2, initializer="orthogonal")
    given = {"image": np.repeat(noise(1, 8, 8, 1), 5, 0), "label": np.arange(5, dtype=np.int32)}
    features = keras.Model(network.input, network.get_layer("logit").input)(given).numpy()[0]
    layer = network.get_layer("of_class")
    vectors = np.asarray(layer.kernel) / float(layer.sigma())
    logits = network(given).numpy().ravel()
    np.testing.assert_allclose(logits - logits[0], (vectors - vectors[0]) @ features, atol=1e-5)
    assert np.abs(logits - logits[0])[1:].min() > 1e-4
    image = keras.Model(network.input, network.get_layer("logit").output)(given).numpy()[0]
    np.testing.assert_allclose(logits[2], image + vectors[2] @ features, atol=1e-5)


# --- the game --------------------------------------------------------------------------------------------------------


def test_the_papers_settings():
    model = make("biggan", n_critic=2)
    for player, rate in (("d", 2e-4), ("g", 5e-5)):
        optimizer = getattr(model, f"{player}_optimizer")
        assert float(optimizer.learning_rate) == pytest.approx(rate)
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.999)
    assert (model.adversarial, model.update) == ("hinge", "alternating")
    assert [player.steps for player in model.players()] == [2, 1]
    assert biggan.attended((128, 128, 3), None, model.largest) == (64,) and biggan.parts((128, 128, 3)) == 6
    with pytest.raises(UsageError, match="orthogonal is -1; expected a weight"):
        keras_gen.BigGAN(**small(orthogonal=-1))


def test_the_penalty_is_of_the_generators_kernels_without_the_classes_vectors():
    model = make("biggan", compiled=False)
    images, labels = real_digits(2)
    for variable in model.generator.trainable_variables:
        variable.assign_add(0.1 * noise(*variable.shape))
    with tf.GradientTape() as tape:
        term = model.generator_terms(Batch(image=images, label=labels), True)["orthogonal"]
    variables = model.generator.trainable_variables
    moved = [v for v, g in zip(variables, tape.gradient(term, variables), strict=True) if g is not None]
    rest = [v for v in variables if all(v is not one for one in moved)]
    assert [v.path for v in rest if len(v.shape) > 1] == ["shared/embeddings"]
    assert all(len(v.shape) > 1 for v in moved) and float(term) == pytest.approx(float(orthogonal(moved)), rel=1e-6)
    d, g = model.players()
    assert "orthogonal" not in d.terms and g.weights == {"orthogonal": 0.01}


def test_standing_statistics_are_means_over_batches_of_means_and_variances():
    model = make("biggan", compiled=False)
    model.ema_generator.set_weights([w + 0.1 * np.abs(noise(*w.shape)) for w in model.ema_generator.get_weights()])
    before, kept = [np.asarray(w) for w in model.weights], {id(w) for w in statistics(model.ema_generator)}
    held = [np.asarray(w) for w in statistics(model.ema_generator)]
    with model.served():
        model.standing_statistics(batches=3, batch_size=22, seed=5)
        found = [np.asarray(w) for w in statistics(model.ema_generator)]
    after = [np.asarray(w) for w in statistics(model.ema_generator)]
    assert difference(held, after) == 0 and difference(held, found) > 0.01
    model.standing_statistics(batches=3, batch_size=22, seed=5)
    for weight, old in zip(model.weights, before, strict=True):
        assert id(weight) in kept or np.array_equal(weight, old), f"{weight.path} has moved"

    twin = make("biggan", compiled=False).generator  # which normalizes by its batch, as a network in training
    twin.set_weights(model.ema_generator.get_weights())
    for layer in twin._flatten_layers():
        if hasattr(layer, "power_iterations"):
            layer.power_iterations = 0  # kernels are those of inference
    layers = [layer for layer in twin._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    holders = [layer for layer in twin.layers if isinstance(layer, (ModulatedBatchNormalization, type(layers[-1])))]
    outputs = [one.input[0] if isinstance(one.input, list) else one.input for one in holders]
    inside = keras.Model(twin.input, outputs)
    drawn, order = model.signatures()["generate"], np.random.default_rng(5).permutation(66)
    shapes = {name: drawn.inputs[name].shape.as_list() for name in ("latent", "label")}
    inputs = keras_gen.signatures.draws.sample_inputs(shapes, drawn.meta, 66, 5)
    assert np.bincount(inputs["label"]).tolist() == [6] * 11
    moments = []
    for part in np.split(order, 3):
        maps = inside({name: value[part] for name, value in inputs.items()}, training=True)
        moments.append([f(np.asarray(x, np.float64), axis=(0, 1, 2)) for x in maps for f in (np.mean, np.var)])
    expected = [np.mean(values, axis=0) for values in zip(*moments, strict=True)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


class FromImages(keras_gen.BigGAN):
    """Takes its latents from the images: parts of a batch draw other random numbers."""

    def generator_inputs(self, batch):
        return {"latent": 3.0 * tf.reshape(batch["image"], (-1, 64))[:, 20:26], "label": batch["label"]}


def test_a_batch_in_eight_parts_is_the_batch_at_once():
    made = []
    for parts in (1, 8):
        keras.utils.set_random_seed(0)
        model = FromImages(**small(ema=None))
        for layer in model.generator._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False  # statistics are of each part
        sgd = {f"{name}_optimizer": keras.optimizers.SGD(0.1) for name in "dg"}
        model.compile(**sgd, accumulate=parts, run_eagerly=True)
        before = model.get_weights()
        model.fit(*real_digits(32), batch_size=32, shuffle=False, verbose=0)
        made.append(model.get_weights())
        assert difference(before, made[-1]) > 1e-2
    assert difference(*made) < 1e-5


@pytest.mark.slow
def test_the_papers_model_takes_a_step_in_parts():
    model = keras_gen.BigGAN(n_critic=1, num_classes=1000, seed=0)
    assert (model.image_shape, model.latent_dim) == ((128, 128, 3), 120)
    model.compile(accumulate=2, run_eagerly=True)
    images, labels = real_digits(2)
    images = np.repeat(images.repeat(16, 1).repeat(16, 2), 3, 3)
    before = [np.asarray(variable) for variable in model.trainable_variables]
    history = model.fit(images, labels, batch_size=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    for old, variable in zip(before, model.trainable_variables, strict=True):
        waits = "attention" in variable.path  # for gamma to move
        assert waits or len(variable.shape) < 4 or (old != np.asarray(variable)).any(), variable.path


@pytest.mark.slow
def test_train_writes_a_generator_of_standing_statistics_and_goes_on_with_its_own(tmp_path, capsys):
    from keras_gen.cli.main import main

    sizes = ("width=1", "embedding=2", "n_critic=1", "ema=0.9")
    command = ["train", "biggan", "--output", str(tmp_path / "a"), "--batch-size", "32", "--accumulate", "2"]
    command += [word for size in sizes for word in ("--set", size)]
    assert main([*command, "--steps", "3"]) == 0
    model = keras_gen.load(tmp_path / "a")
    written = [np.asarray(weight) for weight in statistics(model.ema_generator)]
    model.standing_statistics()
    assert difference(written, [np.asarray(weight) for weight in statistics(model.ema_generator)]) < 1e-5
    assert main([*command, "--steps", "6"]) == 0
    command[3] = str(tmp_path / "b")
    assert main([*command, "--steps", "6"]) == 0
    one, other = (keras_gen.load(tmp_path / name).get_weights() for name in "ab")
    assert difference(one, other) == 0


@pytest.mark.slow
def test_it_reaches_the_built_in_operations_of_tflite(tmp_path):
    report = importlib.import_module("export.tflite").export(make("biggan", compiled=False), tmp_path)
    assert report["signatures"]["generate"]["max_error"] < 1e-4


BUGS = (
    Bug(
        "BigGAN: gain without 1",
        "networks/biggan.py",
        "[x, gain + 1.0, offset]",
        "[x, gain, offset]",
        ("test_with_maps_of_zeros_a_normalization_is_the_plain_one",),
    ),
    Bug(
        "BigGAN: one part of the latent for all blocks",
        "networks/biggan.py",
        "for part in others]",
        "for part in others[:1] * len(others)]",
        ("test_a_part_of_the_latent_changes_nothing_before_its_block",),
    ),
    Bug(
        "BigGAN: the first layer sees all of the latent",
        "networks/biggan.py",
        "first, *others = keras.ops.split(latent, len(grown), axis=1)",
        "_, *others = keras.ops.split(latent, len(grown), axis=1)",
        (
            "test_a_part_of_the_latent_changes_nothing_before_its_block",
            "test_weights_of_32x32_are_as_many_as_the_official_ones",
        ),
    ),
    Bug(
        "BigGAN: the discriminator's class beside a constant",
        "networks/biggan.py",
        "layers.Dot(axes=-1)([of_class, features])",
        "layers.Dot(axes=-1)([of_class, keras.ops.ones_like(features)])",
        ("test_logits_of_two_classes_differ_by_the_inner_product_of_features_and_classes",),
    ),
    Bug(
        "BigGAN: the penalty is of the classes' vectors, too",
        "models/adversarial/biggan.py",
        " and v is not shared[0]]",
        "]",
        ("test_the_penalty_is_of_the_generators_kernels_without_the_classes_vectors",),
    ),
    Bug(
        "BigGAN: statistics of the last batch",
        "game/averages.py",
        "[np.mean(values, axis=0) / share",
        "[values[-1] / share",
        ("test_standing_statistics_are_means_over_batches_of_means_and_variances",),
    ),
    Bug(
        "BigGAN: standing statistics of the trained generator for its average",
        "game/averages.py",
        "tf.convert_to_tensor(of.get(id(w), w))",
        "tf.convert_to_tensor(w)",
        ("test_standing_statistics_are_means_over_batches_of_means_and_variances",),
    ),
    Bug(
        "BigGAN: standing statistics of kernels that inference has not",
        "game/averages.py",
        "        with resting(network):",
        "        if True:",
        ("test_standing_statistics_are_means_over_batches_of_means_and_variances",),
    ),
    Bug(
        "BigGAN: training goes on with standing statistics",
        "models/adversarial/sagan.py",
        "                weight.assign(value)\n",
        "                pass\n",
        ("test_standing_statistics_are_means_over_batches_of_means_and_variances",),
    ),
    Bug(
        "BigGAN: gradients of parts are added as they are",
        "game/step.py",
        "weight = _fraction(part, batch, parts) if parts > 1 else 1.0",
        "weight = 1.0",
        ("test_a_batch_in_eight_parts_is_the_batch_at_once",),
    ),
)

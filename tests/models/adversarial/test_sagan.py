"""SAGAN: attention in both networks, a class in both or in none, and the paper's settings."""

import numpy as np
import pytest
from planted import Bug
from tiny import make

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.layers import ConditionalBatchNormalization, SelfAttention2D
from keras_gen.networks import biggan


def small(**more):
    sizes = {"image_shape": (8, 8, 1), "num_classes": 11, "latent_dim": 6, "width": 2, "attention": (8,)}
    return {**sizes, "ema": 0.9, "seed": 3, **more}


ROWS = {
    "sagan": ("sagan", lambda: small(initializer="orthogonal", adversarial="non_saturating")),
    "sagan-embedded": ("sagan", lambda: small(embedding=5)),
    "sagan-unlabelled": ("sagan", lambda: small(image_shape=(16, 16, 3), num_classes=None, norm="sync_batch")),
}


def of_kind(network, kind):
    return [layer for layer in network._flatten_layers() if isinstance(layer, kind)]


def test_both_networks_have_attention_at_the_papers_size_and_below_where_images_are_smaller():
    assert biggan.attended((128, 128, 3), None, keras_gen.SAGAN.largest) == (32,)
    assert biggan.attended((32, 32, 3), None, keras_gen.SAGAN.largest) == (16,)
    model = make("sagan-unlabelled", compiled=False)
    for network in (model.generator, model.discriminator):
        (attention,) = of_kind(network, SelfAttention2D)
        assert attention.name.startswith("attention_8") and attention.spectral
    assert not of_kind(make("sagan", compiled=False, attention=()).generator, SelfAttention2D)


def test_all_kernels_of_both_networks_are_spectrally_normalized():
    model = make("sagan", compiled=False)
    for network, count in ((model.generator, 9), (model.discriminator, 7)):
        kernels = [v for v in network.trainable_variables if v.path.endswith("kernel")]
        states = [v for v in network.non_trainable_variables if v.path.endswith("/u")]
        assert len(kernels) == len(states) == count


def test_the_class_reaches_both_networks_or_neither():
    model, other = make("sagan", compiled=False), make("sagan-unlabelled", compiled=False)
    tables = of_kind(model.generator, ConditionalBatchNormalization)
    assert [layer.num_classes for layer in tables] == [11, 11]
    assert set(model.discriminator.input) == {"image", "label"} and set(model.signatures()["generate"].inputs) == {
        "latent",
        "label",
        "truncation",
    }
    assert set(other.discriminator.input) == {"image"} and set(other.generator.input) == {"latent"}
    assert not of_kind(other.generator, ConditionalBatchNormalization) and not other.conditions()


def test_the_papers_settings():
    model = make("sagan", adversarial="hinge")
    assert (model.n_critic, model.update) == (1, "simultaneous")
    for player, rate in (("d", 4e-4), ("g", 1e-4)):
        optimizer = getattr(model, f"{player}_optimizer")
        assert float(optimizer.learning_rate) == pytest.approx(rate)
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.9)


def test_what_it_cannot_do_is_one_line():
    for wrong, words in (
        ({"image_shape": (9, 8, 1)}, "cannot be reached by doubling"),
        ({"image_shape": (4096, 4096, 3)}, "expected at most 1024 pixels"),
        ({"attention": (5,)}, r"attention is \[5\]; expected heights of maps that are even: 4, 8, or \[\]"),
        ({"embedding": 4, "latent_dim": 7}, "latent_dim is 7; expected 2 equal parts, such as 8"),
        ({"embedding": 4, "num_classes": None}, "embedding is 4 of no classes"),
        ({"norm": "layer"}, "norm='layer' is not known"),
        ({"initializer": "zero"}, "initializer='zero' is not known"),
    ):
        with pytest.raises(UsageError, match=words) as error:
            keras_gen.SAGAN(**small(**wrong))
        assert "\n" not in str(error.value)


def test_fakes_of_two_classes_differ_once_the_tables_do():
    model = make("sagan", compiled=False, ema=None)
    latent = np.ones((2, 6), np.float32)
    one, two = model.run("generate", latent=latent, label=np.int32([1, 2]), truncation=100.0)["image"]
    assert np.array_equal(one, two), "untrained tables are all alike"
    for layer in of_kind(model.generator, ConditionalBatchNormalization):
        layer.gamma.assign(np.random.default_rng(0).normal(size=layer.gamma.shape))
    one, two = model.run("generate", latent=latent, label=np.int32([1, 2]), truncation=100.0)["image"]
    assert np.abs(one - two).mean() > 1e-3


BUGS = (
    Bug(
        "SAGAN: the rates of the players changed over",
        "models/adversarial/sagan.py",
        '{"d": 4e-4, "g": 1e-4}',
        '{"g": 4e-4, "d": 1e-4}',
        ("test_the_papers_settings",),
    ),
    Bug(
        "SAGAN: attention in the generator only",
        "networks/biggan.py",
        "if x.shape[1] in attention:",
        "if False:",
        ("test_both_networks_have_attention_at_the_papers_size_and_below_where_images_are_smaller",),
    ),
)

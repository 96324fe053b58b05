"""Networks of style-based generators: the official counts, and which part of an image each input reaches."""

import math

import keras
import numpy as np
import pytest
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.networks import style_based

SMALL = {"base": 64, "largest": 8}


def count(network):
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


def made(image_shape, dim, depth, **sizes):
    """Returns generator and discriminator."""
    number = style_based.num_styles(image_shape)
    mapping = style_based.mapping(number, dim, dim, depth)
    whole = style_based.generator(mapping, style_based.synthesis(image_shape, dim, **sizes))
    return whole, style_based.discriminator(image_shape, **sizes)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    """Networks of 16x16 images with 5 coordinates of w, whose noise has no strength."""
    keras.utils.set_random_seed(0)
    return made((16, 16, 3), 5, 2, **SMALL)


def test_weights_are_as_many_as_officially_at_32x32():
    ours = made((32, 32, 1), 64, 4, base=2048, largest=64)
    assert [count(network) for network in ours] == [322_187, 337_153]


@pytest.mark.slow
def test_weights_are_as_many_as_officially_at_1024x1024():
    generator, discriminator = made((1024, 1024, 3), 512, 8)
    assert count(generator) == 30_370_060 and count(discriminator) == 29_012_513
    assert generator.get_layer("mapping").output.shape == (None, 18, 512)


@pytest.mark.slow
@pytest.mark.parametrize("side", [16, 64, 128, 256, 512])
def test_every_size_builds_and_judges_what_it_makes(side):
    shape = (side, side, 3)
    generator, discriminator = made(shape, 8, 2, base=4 * side, largest=16)
    noise = normal(4, style_based.noise_size(shape))
    image = generator({"latent": normal(4, 8), "noise": noise})
    assert image.shape == (4, *shape) and discriminator({"image": image}).shape == (4, 1)
    assert style_based.num_styles(shape) == 2 * math.log2(side) - 2


@pytest.mark.parametrize("shape", [(28, 28, 1), (64, 32, 3), (4, 4, 1)])
def test_other_sizes_are_refused_with_the_nearest(shape):
    with pytest.raises(UsageError, match=r"such as (32x32|64x64|8x8)"):
        style_based.sizes(shape)


def test_a_mapping_normalizes_latents_and_gives_every_layer_the_same_w(small):
    mapping = small[0].get_layer("mapping")
    styles = mapping({"latent": normal(6, 5)}).numpy()
    np.testing.assert_allclose(mapping({"latent": 7 * normal(6, 5)}), styles, atol=1e-5)
    assert styles.shape == (6, 6, 5) and (styles == styles[:, :1]).all() and styles.std() > 0.5


def test_the_class_stands_beside_the_latent_in_a_mapping_and_beside_the_features_in_a_judge(seeded):
    mapping = style_based.mapping(4, 5, 6, 2, num_classes=3)
    judge = style_based.discriminator((8, 8, 1), **SMALL, num_classes=3, depth=1)
    latent, image, label = normal(1, 5).repeat(3, 0), normal(1, 8, 8, 1).repeat(3, 0), np.arange(3)
    w, logit = mapping({"latent": latent, "label": label})[:, 0], judge({"image": image, "label": label})
    assert w.shape == (3, 6) and np.unique(np.round(w, 4), axis=0).shape == (3, 6)
    assert logit.shape == (3, 1) and len(np.unique(np.round(logit, 4))) == 3


def test_noise_of_no_strength_is_none_and_each_map_has_its_own_part(small):
    synthesis = small[0].get_layer("synthesis")
    size, style = style_based.noise_size((16, 16, 3)), normal(1, 6, 5)
    assert size == 16 + 2 * 64 + 2 * 256
    one, other = (synthesis({"style": style, "noise": normal(1, size, seed=seed)}).numpy() for seed in (0, 1))
    np.testing.assert_array_equal(one, other)
    ends = np.cumsum([16, 64, 64, 256, 256])
    for number, end in enumerate(ends):
        layer = synthesis.get_layer(f"noise_{number}")
        assert layer.start == (ends[number - 1] if number else 0)
        layer.strength.assign(1.0)
        noise = np.zeros((1, size), np.float32)
        noise[:, layer.start : end] = normal(1, end - layer.start)
        assert np.abs(synthesis({"style": style, "noise": noise}) - one).max() > 1e-3
        noise = np.ones((1, size), np.float32)
        noise[:, layer.start : end] = 0
        np.testing.assert_array_equal(synthesis({"style": style, "noise": noise}), one)
        layer.strength.assign(0.0)


def test_a_style_reaches_its_layer_and_those_after_it_only(small):
    synthesis = small[0].get_layer("synthesis")
    convolutions = [synthesis.get_layer(f"conv_{number}").output for number in range(5)]
    seen = keras.Model(synthesis.input, convolutions)
    noise, style = np.zeros((1, style_based.noise_size((16, 16, 3))), np.float32), normal(1, 6, 5)
    before = [np.asarray(x) for x in seen({"style": style, "noise": noise})]
    for number in range(5):
        other = style.copy()
        other[:, number] = 1.0
        after = [np.asarray(x) for x in seen({"style": other, "noise": noise})]
        assert [np.array_equal(a, b) for a, b in zip(before, after, strict=True)] == [n < number for n in range(5)]


def test_colors_are_not_demodulated(small):
    """An image is the sum of three, one of each size: colors three times as strong make it three times itself."""
    synthesis = keras.models.clone_model(small[0].get_layer("synthesis"))
    inputs = {"style": normal(2, 6, 5), "noise": np.zeros((2, 656), np.float32)}
    before, changed = synthesis(inputs), 0
    for layer in synthesis.layers:
        if getattr(layer, "filters", None) == 3:
            for variable in layer.affine.trainable_variables:
                variable.assign(3.0 * variable)
            changed += 1
    np.testing.assert_allclose(synthesis(inputs), 3 * before, atol=1e-4)
    assert changed == 3


def test_blocks_of_a_judge_keep_the_variance(seeded):
    """Of images that the blur leaves alone: the same number everywhere."""
    judge = style_based.discriminator((32, 32, 3), base=2048, largest=64)
    sums = [layer.output for layer in judge.layers if isinstance(layer, keras.layers.Add)]
    found = keras.Model(judge.input, sums)({"image": np.ones((1, 32, 32, 1), np.float32) * normal(64, 1, 1, 3)})
    assert [x.shape[1] for x in found] == [16, 8, 4]
    for x in found[:2]:
        middle = x[:, x.shape[1] // 2, x.shape[2] // 2]
        assert 0.5 < np.mean(np.square(middle)) < 1.5


BUGS = [
    Bug(
        "StyleGAN2: RGB demodulated",
        "networks/style_based.py",
        "ModulatedConv2D(image_shape[-1], 1, demodulate=False)",
        "ModulatedConv2D(image_shape[-1], 1)",
        ("test_colors_are_not_demodulated",),
    ),
    Bug(
        "StyleGAN2: bias in a skip",
        "networks/style_based.py",
        "EqualizedConv2D(wider, 1, use_bias=False, ",
        "EqualizedConv2D(wider, 1, ",
        ("test_weights_are_as_many_as_officially_at_32x32",),
    ),
    Bug(
        "StyleGAN2: all layers but the last take the first style",
        "networks/style_based.py",
        "([x, w[used]])\n            x = Bias",
        "([x, w[0]])\n            x = Bias",
        ("test_a_style_reaches_its_layer_and_those_after_it_only",),
    ),
    Bug(
        "StyleGAN2: one map of noise for all",
        "networks/style_based.py",
        "used + 1, start + size**2",
        "used + 1, start",
        ("test_noise_of_no_strength_is_none_and_each_map_has_its_own_part",),
    ),
]

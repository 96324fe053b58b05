"""SPADE: what the map does to a normalization, the networks by numbers, the losses by hand, styles, and a toy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.layers import InstanceNormalization, SpatiallyAdaptiveNormalization
from keras_gen.metrics.translation import of_maps
from keras_gen.networks import spade

NAMES = ("sky", "wall", "door")


def small(**more):
    sizes = {"image_shape": (8, 8, 1), "num_classes": 3, "latent_dim": 5, "width": 2, "hidden": 6, "levels": 1}
    losses = {"strided": 1, "scales": 1, "features": 4.0, "style": True, "kl": 0.5}
    return {**sizes, **losses, "class_names": NAMES, "seed": 3, **more}


ROWS = {
    "spade": ("spade", lambda: small(ema=0.9, ema_statistics="copied")),
    "spade-two-scales": ("spade", lambda: small(image_shape=(16, 24, 3), scales=3, levels=2)),
}


def uniform(number, side=8, classes=3):
    return np.repeat(np.eye(classes, dtype=np.float32)[number][None], side * side, 0).reshape(1, side, side, classes)


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


# --- the layer -------------------------------------------------------------------------------------------------------


def test_without_gamma_and_beta_it_is_the_plain_normalization():
    layer, x, segmentation = SpatiallyAdaptiveNormalization(4), noise(1, 4, 4, 3), uniform(1)
    layer([x, segmentation])
    for part in (layer.gamma, layer.beta):
        part.set_weights([0 * weight for weight in part.get_weights()])
    np.testing.assert_allclose(layer([x, segmentation]), InstanceNormalization()(x), atol=1e-6)
    layer.beta.set_weights([layer.beta.get_weights()[0], np.float32([1, 2, 3])])
    layer.gamma.set_weights([layer.gamma.get_weights()[0], np.float32([1, 1, 1])])
    np.testing.assert_allclose(layer([x, segmentation]), 2 * InstanceNormalization()(x) + [1, 2, 3], atol=1e-5)


def test_two_uniform_maps_differ_and_where_a_map_comes_before_the_normalization_they_do_not():
    layer, before, x = SpatiallyAdaptiveNormalization(8), keras.layers.Conv2D(3, 1), noise(1, 4, 4, 3)
    one, two = (np.asarray(layer([x, uniform(number)])) for number in (0, 1))
    assert np.abs(one - two).mean() > 0.05
    one, two = (InstanceNormalization()(x + before(uniform(number, 4))) for number in (0, 1))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_a_map_is_resized_to_the_nearest_pixel():
    """Every other column is of another class, and no feature may see a class that is neither."""
    layer, x = SpatiallyAdaptiveNormalization(8), noise(1, 4, 4, 3)
    striped = uniform(0)
    striped[:, :, 1::2] = uniform(2)[:, :, 1::2]
    np.testing.assert_allclose(layer([x, striped]), layer([x, uniform(0)]), atol=1e-6)


def test_sides_that_do_not_divide_the_map_are_one_line():
    with pytest.raises(UsageError, match="features are 3x3 and the map is 8x8"):
        SpatiallyAdaptiveNormalization(4)([noise(1, 3, 3, 2), uniform(0)])


# --- the networks ----------------------------------------------------------------------------------------------------


def weights_of(classes, blocks, width, hidden):
    """Counts the weights of residual blocks as the paper draws them, of (input, output) channels in units of width."""

    def normalization(channels):
        return 9 * classes * hidden + hidden + 2 * (9 * hidden * channels + channels)

    found = 0
    for before, after in blocks:
        before, after = before * width, after * width
        middle = min(before, after)
        found += normalization(before) + 9 * before * middle + normalization(middle) + 9 * middle * after
        found += normalization(before) + before * after if before != after else 0
    return found


PAPER = ((16, 16), (16, 16), (16, 16), (16, 8), (8, 4), (4, 2), (2, 1))


def test_the_generator_has_the_blocks_of_the_paper_s():
    """Of 36 channels of maps the authors' has 93.0 million weights, with a convolution of the map at its beginning."""
    published = weights_of(36, PAPER, 64, 128) + (9 * 36 + 1) * 1024 + 3 * (9 * 64 + 1)
    assert published == pytest.approx(93.0e6, rel=1e-3)
    network = spade.generator((256, 256, 3), 36, 7, width=1, hidden=2)
    first, last = (7 + 1) * 8 * 8 * 16, 3 * (9 + 1)
    states = sum(int(np.prod(v.shape)) for v in network.non_trainable_variables)  # of spectral normalization
    assert network.count_params() - states == weights_of(36, PAPER, 1, 2) + first + last


def test_a_map_reaches_the_image_and_so_does_the_latent():
    model = make("spade", compiled=False, ema=None)
    maps = np.zeros((2, 8, 8), np.int32)
    latent = noise(2, 5)
    sky, wall = (model.translate(maps + number, latent=latent) for number in (0, 1))
    assert np.abs(sky - wall).mean() > 0.01, "maps of one class"
    assert np.abs(sky[0] - sky[1]).mean() > 1e-3, "two latents"
    maps[:, 2:6, 2:6] = 2
    door = model.translate(maps, latent=latent)
    assert np.abs(door - sky)[:, 3:5, 3:5].mean() > np.abs(door - sky)[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean()
    trained = model.painted(maps, latent, training=True)  # which moves spectral normalization's vectors
    np.testing.assert_allclose(model.translate(maps, latent=latent), trained, atol=1e-5)


def test_a_second_discriminator_sees_map_and_image_at_half_the_size():
    network = spade.discriminator((16, 16, 3), 4, width=2, strided=1, scales=2)
    maps, image = np.random.default_rng(0).integers(0, 4, (1, 16, 16)), noise(1, 16, 16, 3)
    seen = network({"segmentation": maps, "image": image})
    whole, half = seen[:3], seen[3:]
    assert [tuple(one.shape) for one in whole] == [(1, 8, 8, 2), (1, 8, 8, 4), (1, 8, 8, 1)]
    assert [tuple(one.shape) for one in half] == [(1, 4, 4, 2), (1, 4, 4, 4), (1, 4, 4, 1)]
    for changed in ({"segmentation": (maps + 1) % 4, "image": image}, {"segmentation": maps, "image": -image}):
        for number in (2, 5):  # the logits
            assert not np.allclose(seen[number], network(changed)[number])


# --- the losses ------------------------------------------------------------------------------------------------------


def test_every_term_by_hand():
    model = make("spade", compiled=False, ema=None)
    image = np.full((2, 8, 8, 1), 0.5, np.float32)
    model.painted = lambda segmentation, latent, training: tf.constant(-image)
    model.encoder = lambda inputs, training: tf.constant(np.float32([[1, 0, 0, 0, 0] + [0.0] * 5] * 2))

    def judge(inputs, training):
        level = tf.reduce_mean(inputs["image"], axis=(1, 2, 3), keepdims=True)
        return [3 * level, level, level, 4 * level]  # one feature and the logits, at two scales

    model.discriminator, model.strided = judge, 0
    d, g = model.players()
    batch = Batch(segmentation=tf.zeros((2, 8, 8), tf.int32), image=tf.constant(image))
    hinge = [(1 - 0.5) + (1 - 0.5), 0 + 0]
    assert float(d.loss(batch, False)["adversarial"]) == pytest.approx(np.mean(hinge))
    terms = g.loss(batch, False)
    assert float(terms["adversarial"]) == pytest.approx(np.mean([0.5, 2.0]))
    assert float(terms["features"]) == pytest.approx(np.mean([3.0, 1.0]))
    assert float(terms["kl"]) == pytest.approx(0.5)
    assert float(g.total(terms)) == pytest.approx(1.25 + 4.0 * 2.0 + 0.5 * 0.5)


def test_without_a_style_there_is_no_encoder():
    model = make("spade", compiled=False, style=False, ema=0.9)
    assert set(model.signatures()) == {"generate"} and model.averaged == ("generator",)
    assert [player.terms for player in model.players()] == [(), ("adversarial", "features")]
    batch = Batch(segmentation=tf.zeros((2, 8, 8), tf.uint8), image=tf.constant(noise(2, 8, 8, 1)))
    losses = [player.losses(batch, False) for player in model.players()]
    assert [set(terms) for terms in losses] == [{"adversarial"}, {"adversarial", "features"}]


def test_an_image_lends_its_style_to_any_map():
    model = make("spade", compiled=False)
    maps, image = np.zeros((1, 8, 8), int), noise(2, 8, 8, 1) / 9
    one, two = (model.translate(maps, latent=model.encode(image[index : index + 1])) for index in (0, 1))
    assert model.encode(image).shape == (2, 5) and not np.allclose(one, two)


def test_both_players_have_the_rates_of_the_paper_s():
    model = make("spade")
    assert float(model.d_optimizer.learning_rate) == pytest.approx(4e-4)
    assert float(model.g_optimizer.learning_rate) == pytest.approx(1e-4)
    assert (model.g_optimizer.beta_1, model.g_optimizer.beta_2) == (0.0, 0.9)


def test_what_it_cannot_do_is_one_line():
    model = make("spade", compiled=False)
    with pytest.raises(UsageError, match="^'segmentation' was not given.*translate"):
        model.sample(4)
    with pytest.raises(UsageError, match="segmentation 3 is out of range; expected 0 to 2"):
        model.translate(np.full((1, 8, 8), 3))
    with pytest.raises(UsageError, match=r"expected \(any, 8, 8\)"):
        model.translate(np.zeros((1, 9, 8), int))
    for wrong, words in (
        ({"image_shape": (9, 8, 1)}, "expected even sides"),
        ({"levels": 2}, "8x8 pixels halve 1 times"),
        ({"strided": 3}, "expected at least 16 pixels"),
        ({"features": -1.0}, "features is -1.0"),
        ({"class_names": ("a", "b")}, "class_names holds 2 names"),
    ):
        with pytest.raises(UsageError, match=words):
            keras_gen.SPADE(**small(**wrong))


def test_baselines_of_maps_by_hand():
    maps = np.zeros((3, 4, 4), np.uint8)
    maps[1:, :2] = 1
    image = np.where(maps[..., None] == 1, 255, 0).astype(np.uint8)
    image[2] = 128
    train = keras_gen.data.Examples({"segmentation": maps, "image": image})
    test = keras_gen.data.Examples({"segmentation": maps[:2], "image": image[:2]})
    found = of_maps(lambda one: np.zeros((*one.shape, 1), np.float32), train, test)
    assert found["translated_l1"] == 1 and found["l1_of_own"] == 1
    assert found["nearest_map_l1"] == 0 and found["nearest_map_psnr"] == 100
    color = 0.5 * (255 + 128) / 127.5 - 1  # of class 1, between its two images; class 0 is black in most pixels
    assert found["class_color_l1"] == pytest.approx(8 * (1 - color) / 32, abs=1e-3)
    assert found["median_l1"] == pytest.approx(np.abs(np.median(image, 0) - image[:2]).mean() / 127.5, abs=1e-2)


# --- a toy -----------------------------------------------------------------------------------------------------------

COLORS = np.float32([[-0.8, -0.8, 0.8], [0.8, -0.8, -0.8], [-0.8, 0.8, -0.8], [0.8, 0.8, 0.8]])


def patches(count, seed):
    """Returns maps of four classes in rectangles, and images in which each class has a color, with noise."""
    rng = np.random.default_rng(seed)
    maps = np.repeat(np.repeat(rng.integers(0, 4, (count, 4, 4)), 4, 1), 4, 2)
    return maps, np.clip(COLORS[maps] + 0.1 * rng.standard_normal((count, 16, 16, 3)), -1, 1).astype(np.float32)


def mean_iou(maps, images):
    """Returns the mean over classes of intersection over union, where the nearest color tells the class."""
    seen = np.square(images[..., None, :] - COLORS).sum(-1).argmin(-1)
    return np.mean([((maps == k) & (seen == k)).sum() / ((maps == k) | (seen == k)).sum() for k in range(4)])


@pytest.mark.slow
def test_four_classes_of_fixed_colors_are_painted_where_they_are():
    keras.utils.set_random_seed(0)
    model = keras_gen.SPADE((16, 16, 3), 4, latent_dim=8, width=8, hidden=16, seed=0)
    model.compile()
    model.fit(*patches(512, 0), batch_size=16, epochs=14, verbose=0)
    maps, _ = patches(64, 1)
    assert mean_iou(maps, model.translate(maps)) >= 0.9
    assert mean_iou(np.roll(maps, 1, axis=0), model.translate(maps)) <= 0.4


BUGS = (
    Bug(
        "SPADE: labels at the input only",
        "layers/spade.py",
        "return self.normalization(x) * (1 + self.gamma(features)) + self.beta(features)",
        "return self.normalization(x + 0.1 * tf.reduce_mean(features, axis=-1, keepdims=True))",
        ("test_two_uniform_maps_differ_and_where_a_map_comes_before_the_normalization_they_do_not",),
    ),
    Bug(
        "SPADE: the map is filtered",
        "layers/spade.py",
        "features = self.shared(tf.cast(segmentation, x.dtype)[:, ::down, ::right])",
        'features = self.shared(tf.nn.avg_pool2d(tf.cast(segmentation, x.dtype), self.strides, self.strides, "SAME"))',
        ("test_a_map_is_resized_to_the_nearest_pixel",),
    ),
    Bug(
        "label maps: palette colors as classes",
        "data/legend.py",
        'values = np.asarray(image.convert("L") if image.mode == "1" else image)',
        'values = np.asarray(image.convert("L"))',
        ("data/test_label_maps.py::test_indices_of_an_indexed_map_are_classes_whatever_its_colors",),
    ),
    Bug(
        "label maps: images and maps joined by their order",
        "data/label_maps.py",
        "wanted[name, parts[name].partner[_stem(image)]] = image",
        "wanted[name, sorted(parts[name].partner.values())[len(wanted)]] = image",
        ("data/test_label_maps.py::test_images_and_maps_are_joined_by_their_names",),
    ),
)

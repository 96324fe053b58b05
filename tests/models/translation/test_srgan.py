"""SRGAN: its network by numbers, what it adds to a bilinear enlargement, every term by hand, stages and pieces."""

import numpy as np
import pytest
import tensorflow as tf
from killed import resumed
from planted import Bug
from tiny import batch_for, difference, make, real_digits

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.networks import upscaler
from keras_gen.ops.resample import resized, shrunk


def small(**more):
    sizes = {"image_shape": (8, 8, 1), "scale": 2, "width": 4, "blocks": 1, "kernel": 3, "strided": 1}
    return {**sizes, "adversarial": 0.25, "seed": 3, "ema": 0.9, "ema_statistics": "copied", **more}


ROWS = {"srgan": ("srgan", small)}


def drawn(model, seed=0):
    """Gives the generator's last layer weights, which are 0 at first."""
    for weight in model.generator.layers[-2].trainable_weights:
        weight.assign(0.1 * np.random.default_rng(seed).normal(size=weight.shape))
    return model


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def test_network_has_the_weights_of_the_paper_s():
    """Two layers of 9x9, 33 of 3x3, two that make pixels, a PReLU in each block and at both ends; no normalization."""
    body = 9 * 64 * 64 + 64
    ends = 81 * 3 * 64 + 64 + 81 * 64 * 3 + 3
    doubling = 9 * 64 * 256 + 256 + 64
    assert upscaler.upscaler(3, 4).count_params() == ends + 64 + 16 * (2 * body + 64) + body + 2 * doubling


@pytest.mark.parametrize("scale", [2, 4])
def test_what_is_not_learned_is_bilinear(scale):
    model = make("srgan", compiled=False, scale=scale)
    low = noise(2, 5, 7, 1)
    expected = resized(low, (5 * scale, 7 * scale), "bilinear")
    np.testing.assert_allclose(model.upscale(low), expected, atol=1e-6)


@pytest.mark.parametrize(("scale", "kernel", "blocks"), [(2, 3, 1), (4, 9, 2), (4, 5, 1)])
def test_a_pixel_depends_on_what_is_within_reach_and_on_nothing_else(scale, kernel, blocks):
    network = upscaler.upscaler(1, scale, 2, blocks, kernel)
    network.layers[-2].kernel.assign(tf.ones_like(network.layers[-2].kernel))
    reach = upscaler.reach(scale, blocks, kernel)
    middle = reach + 1
    image = tf.Variable(noise(1, 2 * middle + 1, 2 * middle + 1, 1))
    with tf.GradientTape() as tape:
        made = tf.reduce_sum(network({"source": image})[:, scale * middle : scale * (middle + 1)])
    seen = np.abs(tape.gradient(made, image)[0, :, :, 0]).max(axis=1) > 0
    first, last = np.flatnonzero(seen)[[0, -1]]
    assert middle - reach <= first <= middle - reach + 1 and middle + reach - 1 <= last <= middle + reach


@pytest.mark.parametrize(("scale", "sides"), [(2, (13, 40)), (4, (31, 1))])
def test_pieces_are_the_whole(scale, sides):
    model = drawn(make("srgan", compiled=False, scale=scale, ema=None))
    low = noise(2, *sides, 1)
    whole = model.upscale(low)
    assert whole.shape == (2, scale * sides[0], scale * sides[1], 1)
    assert np.abs(whole - resized(low, whole.shape[1:3], "bilinear")).max() > 0.01
    for tile in (7, 12, 1000):
        np.testing.assert_allclose(model.upscale(low, tile), whole, atol=1e-5)


def softplus(x):
    return np.log1p(np.exp(np.asarray(x, np.float64))).mean()


def test_every_term_by_hand():
    model = drawn(make("srgan", compiled=False, ema=None))
    image = real_digits(3)[0]
    batch, fake = Batch(image=tf.constant(image)), model.upscaled(shrunk(image, 2), False)
    real, false = (model.discriminator({"image": one}).numpy() for one in (image, fake))
    (d, _), (g, total) = ((player.loss(batch, False), player.total) for player in model.players())
    assert float(d["adversarial"]) == pytest.approx(softplus(false.mean() - real) + softplus(false - real.mean()))
    against = softplus(real.mean() - false) + softplus(real - false.mean())
    apart = np.abs(fake - image).mean()
    assert (float(g["adversarial"]), float(g["l1"])) == pytest.approx((against, apart), rel=1e-5)
    assert float(total(g)) == pytest.approx(0.25 * against + apart, rel=1e-5)


def test_the_generator_learns_from_the_discriminator():
    model = drawn(make("srgan", compiled=False, ema=None))
    with tf.GradientTape() as tape:
        loss = model.generator_loss(Batch(image=tf.constant(real_digits(3)[0])), True)["adversarial"]
    gradients = tape.gradient(loss, model.generator.trainable_variables)
    assert all(np.abs(one).max() > 0 for one in gradients)


def test_low_images_are_of_the_same_function_in_training_and_in_measuring():
    model = make("srgan", compiled=False, ema=None)
    image = real_digits(4)[0]
    loss = model.pixel_loss(Batch(image=tf.constant(image)), True)["l1"]
    part = type("Part", (), {"arrays": {"image": image}, "__len__": lambda self: 4})()
    assert model.measures(part, part)["upscaled_l1"] == pytest.approx(float(loss), rel=1e-5)
    assert model.measures(part, part)["upscaled_octave"] < 1, "a smooth enlargement is not as sharp"


def test_the_first_stage_moves_the_generator_alone():
    model = make("srgan", compiled=False)
    model.compile(stage="pixel")
    before = model.discriminator.get_weights()
    history = model.fit(batch_for(model), batch_size=8, verbose=0).history
    assert set(history) == {"loss", "g_loss", "g_l1"}
    assert difference(model.discriminator.get_weights(), before) == 0
    assert np.abs(model.generator.layers[-2].kernel).max() > 0


def test_without_a_judgment_there_is_one_stage():
    model = make("srgan", compiled=False, adversarial=0)
    model.compile()
    assert model.stages == (model.stage,) == ("pixel",) and [player.name for player in model.players()] == ["g"]


def test_input_output_and_truth_are_shown_beside_each_other():
    model = make("srgan", compiled=False)
    images = real_digits(7)[0]
    shown, columns = model.preview(keras_gen.data.Examples({"image": images}), n=12)
    assert shown.shape == (12, 8, 8, 1) and columns == 3
    low = shrunk(images[:4], 2).numpy()
    np.testing.assert_array_equal(shown[0, ::2, ::2], low[0])
    np.testing.assert_array_equal(shown[2], images[0])
    np.testing.assert_allclose(shown[1], model.upscale(low)[0], atol=1e-6)


def test_what_it_cannot_do_is_one_line():
    for wrong, words in (
        ({"scale": 3}, "scale is 3; expected 2 or 4"),
        ({"kernel": 4}, "kernel is 4; expected an odd number"),
        ({"adversarial": -1.0}, "adversarial is -1.0"),
        ({"image_shape": (9, 8, 1)}, "sides that the scale 2 divides: such as 8x8"),
    ):
        with pytest.raises(UsageError, match=words):
            keras_gen.SRGAN(**small(**wrong))
    model = make("srgan", compiled=False)
    with pytest.raises(UsageError, match="^'source' was not given.*upscale"):
        model.sample(4)
    with pytest.raises(UsageError, match="SRGAN makes images larger.*give it to upscale"):
        model.translate(noise(1, 8, 8, 1))
    with pytest.raises(UsageError, match="expected float32 in"):
        model.upscale(np.zeros((1, 8, 8, 1), np.uint8))
    with pytest.raises(UsageError, match="expected .n, H, W, C."):
        model.upscale(noise(8, 8))


@pytest.mark.slow
def test_a_run_killed_in_its_second_stage_ends_bit_equal(tmp_path):
    resumed(lambda: make("srgan", compiled=False), tmp_path, 6, stages=("pixel", "adversarial"))


BUGS = (
    Bug(
        "SRGAN: another order of channels and pixels",
        "layers/shuffle.py",
        "return tf.nn.depth_to_space(x, self.scale) if self.scale > 1 else x",
        "return tf.transpose(tf.nn.depth_to_space(tf.transpose(x, (0, 2, 1, 3)), self.scale), (0, 2, 1, 3))",
        ("layers/test_shuffle.py::test_every_channel_becomes_its_pixel",),
    ),
    Bug(
        "SRGAN: low images of another filter in measuring",
        "metrics/upscaling.py",
        "low = shrunk(real, scale)",
        'low = resized(real, [side // scale for side in real.shape[1:3]], "bilinear")',
        ("test_low_images_are_of_the_same_function_in_training_and_in_measuring",),
    ),
    Bug(
        "low images: another filter",
        "ops/resample.py",
        "small = tf.clip_by_value(resized(images, [side // scale for side in sides]), -1.0, 1.0)",
        'small = resized(images, [side // scale for side in sides], "bilinear")',
        ("ops/test_resample.py::test_low_images_are_pillow_s",),
    ),
    Bug(
        "SRGAN: the discriminator's judgment has no weight",
        "models/translation/srgan.py",
        'weights = {"adversarial": self.adversarial}',
        'weights = {"adversarial": 0.0}',
        ("test_every_term_by_hand",),
    ),
    Bug(
        "SRGAN: real and fake are not compared",
        "models/translation/srgan.py",
        "return mean(tf.nn.softplus(mean(others) - logits))",
        "return mean(tf.nn.softplus(-logits))",
        ("test_every_term_by_hand",),
    ),
    Bug(
        "SRGAN: pieces see less than the network",
        "networks/upscaler.py",
        "return pixels + 1 + 2 * blocks + kernel // 2",
        "return 1 + blocks + kernel // 2",
        ("test_pieces_are_the_whole", "test_a_pixel_depends_on_what_is_within_reach_and_on_nothing_else"),
    ),
)

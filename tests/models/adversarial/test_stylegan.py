"""StyleGAN: its numbers, the order in which a layer does things, what styles and noise change, and how it grows."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import batch_for, difference, make, real_digits

import keras_gen
from keras_gen.game.batch import Batch
from keras_gen.networks import progressive, style_based


def small(**more):
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 5, "style_dim": 4, "depth": 1, "base": 32, "largest": 6}
    return {**sizes, "fade_steps": 64, "mixing": 0.0, "r1": 2.0, "r1_every": 2, "ema": 0.9, "seed": 3, **more}


AUGMENTED = {"augment": ("translation",), "augment_target": 0.3}
ROWS = {
    "stylegan": ("stylegan", small),
    "stylegan-grown": ("stylegan", lambda: small(image_shape=(16, 16, 1), mixing=0.5, **AUGMENTED)),
}


def count(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def by_hand(side, colors=3, base=16384, largest=512, style=512):
    """Returns the weights of a synthesis: a constant, two layers a size with noise, bias and style, and colors."""
    widths = [min(base // one, largest) for one in (4 << index for index in range((side // 4).bit_length()))]
    layers = 2 * sum(width + width + 2 * width * (style + 1) for width in widths)
    first = widths[0]
    kernels = 9 * first * first + sum(9 * a * b + 9 * b * b for a, b in zip(widths, widths[1:], strict=False))
    return 16 * first + kernels + layers + sum(colors * width + colors for width in widths)


def test_networks_have_the_weights_of_the_authors():
    mapping = 8 * (512 * 512 + 512)
    assert by_hand(1024) + mapping == 26_219_627, "what the authors' program prints"
    sizes = {"base": 256, "largest": 40}
    assert count(progressive.synthesis((16, 16, 1), 7, **sizes)) == by_hand(16, 1, **sizes, style=7)


@pytest.mark.slow
@pytest.mark.parametrize("side", [16, 32, 64, 128, 256, 512, 1024])
def test_every_size_builds_with_the_weights_of_the_authors(side):
    synthesis = progressive.synthesis((side, side, 3))
    assert count(synthesis) == by_hand(side)
    mapping = style_based.mapping(synthesis.input["style"].shape[1])
    assert count(style_based.generator(mapping, synthesis)) == by_hand(side) + 8 * (512 * 512 + 512)


def drawn(model, seed=0):
    """Gives every weight that is trained a value of its own, strengths of noise too, in the average the same."""
    rng = np.random.default_rng(seed)
    for network in (model.generator, model.discriminator):
        for variable in network.trainable_variables:
            variable.assign((0.1 if "rgb" in variable.path else 1.0) * rng.normal(size=variable.shape))
    model.ema_generator.set_weights(model.generator.get_weights())
    return model


@pytest.fixture(scope="module")
def model():
    """A model of 16x16 pixels in its stage of 8x8, whose weights are drawn; tests leave them as they are."""
    model = drawn(make("stylegan-grown", compiled=False))
    model.compile(stage="8x8")
    return model


def test_a_layer_is_noise_bias_activation_instance_norm_and_style(model):
    synthesis = model.generator.get_layer("synthesis")
    rng = np.random.default_rng(0)
    style, noise = rng.normal(size=(2, 6, 4)), rng.normal(size=(2, synthesis.input["noise"].shape[1]))
    given = {"style": style.astype(np.float32), "noise": noise.astype(np.float32)}
    found = keras.Model(synthesis.input, synthesis.get_layer("style_0").output)(given)
    constant, strength, bias, kernel, offset = (
        np.asarray(v)
        for name in ("constant", "noise_0", "bias_0", "style_0")
        for v in synthesis.get_layer(name).trainable_variables
    )
    x = constant + noise[:, :16].reshape(2, 4, 4, 1) * strength + bias
    x = np.where(x > 0, x, 0.2 * x)
    x = (x - x.mean((1, 2), keepdims=True)) / x.std((1, 2), keepdims=True)
    scale, shift = np.split((style[:, 0] @ kernel / 2 + offset)[:, None, None], 2, axis=-1)
    np.testing.assert_allclose(found, (1 + scale) * x + shift, atol=1e-4)


def test_every_pixel_of_every_layer_has_a_number_of_noise_and_strengths_start_at_0():
    model = make("stylegan", compiled=False)
    assert model.noise_size == 2 * (16 + 64)
    style = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    noise = [np.random.default_rng(seed).normal(size=(2, 160)).astype(np.float32) for seed in (1, 2)]
    images = [model.run("synthesize", style=style, noise=one)["image"] for one in noise]
    assert np.array_equal(*images)
    synthesis = progressive.grown(drawn(model).generator.get_layer("synthesis"), "8x8", None)
    style, noise = tf.constant(style), tf.constant(noise[0])
    with tf.GradientTape() as tape:
        tape.watch(noise)
        image = tf.reduce_sum(synthesis({"style": style, "noise": noise}) ** 2)
    assert np.abs(tape.gradient(image, noise)).min() > 0, "none is left out"


def test_maps_are_blurred_after_they_were_doubled_and_before_they_are_halved():
    synthesis = progressive.synthesis((8, 8, 1), 3, base=32, largest=4)
    judge = progressive.discriminator((8, 8, 1), smooth=progressive.BLUR, base=32, largest=4)

    def after(network, name):
        layer = network.get_layer(name)
        return [type(node.operation).__name__ for node in layer._outbound_nodes]

    assert after(synthesis, "conv_8x8_a") == ["FIR"] and after(synthesis, "conv_8x8_b") == ["Noise"]
    assert after(judge, "judge_8x8_a") == ["FIR"] and after(judge, "judge_8x8_b") == ["AveragePooling2D"]
    fir = progressive.BLUR()
    line = fir(tf.reshape(tf.one_hot([3], 8), (1, 1, 8, 1)) * tf.ones((1, 3, 1, 1)))[0, 1, :, 0]
    np.testing.assert_allclose(line, [0, 0, 0.25, 0.5, 0.25, 0, 0, 0], atol=1e-7)


def test_truncation_draws_the_first_eight_styles_to_their_mean(model):
    other = make("stylegan", compiled=False, image_shape=(32, 32, 1))
    styles = other.ema_generator.get_layer("mapping").get_layer("styles")
    assert (styles.decay, styles.cutoff) == (0.995, 8)
    latent = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    far, near = (other.run("map", latent=latent, truncation=psi)["style"] for psi in (1.0, 0.25))
    assert far.shape == (3, 8, 4)
    np.testing.assert_allclose(near, 0.25 * far + 0.75 * np.asarray(styles.mean), atol=1e-6)
    sample = model.sample(4, truncation=0)
    assert np.ptp(model.run("map", latent=np.float32(sample[:, 0, :5, 0]), truncation=0)["style"], axis=0).max() == 0


def test_a_stage_begins_as_the_one_before_has_ended_bit_for_bit(model):
    image = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype(np.float32)

    def seen():
        judged = model.judge(model.images(Batch(image=tf.constant(image))), "real", Batch(), False)
        return model.sample(3), np.asarray(judged)

    assert model.stages == ("8x8", "16x16") and model.fading() is None
    sample, judged = seen()
    assert sample.shape == (3, 16, 16, 1) and np.abs(sample).max() < 1
    assert np.array_equal(sample, sample[:, ::2, ::2].repeat(2, 1).repeat(2, 2))
    named = [variable.path for player in model.players() for variable in player.variables]
    assert named and not any("16x16" in path or "_4x4" in path and ("rgb" in path or "see" in path) for path in named)
    model.compile(stage="16x16")
    try:
        assert all(np.array_equal(*pair) for pair in zip(seen(), (sample, judged), strict=True))
        model.d_optimizer.iterations.assign(32)
        model.discriminator_loss(Batch(image=tf.constant(image)), True)
        assert [float(model.fade(net).alpha) for net in (model.generator, model.discriminator)] == [0.5, 0.5]
    finally:
        for net in (model.generator, model.discriminator):
            model.fade(net).alpha.assign(0.0)
        model.compile(stage="8x8")


def test_the_penalty_is_of_images_of_the_stages_size():
    model = drawn(make("stylegan", compiled=False, image_shape=(16, 16, 1), r1_every=1, mixing=0))
    model.compile(stage="8x8")
    image = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype(np.float32)
    small = tf.Variable(image.reshape(3, 8, 2, 8, 2, 1).mean(axis=(2, 4)))
    with tf.GradientTape() as tape:
        logit = tf.reduce_sum(model.network("discriminator", False)({"image": small}))
    expected = 0.5 * np.sum(np.square(tape.gradient(logit, small))) / 3
    player = model.players()[0]
    assert float(player.losses(Batch(image=tf.constant(image)), False)["r1"]) == pytest.approx(expected, rel=1e-4)
    assert player.weights == {"r1": 2.0}


@pytest.mark.slow
def test_only_grown_layers_move():
    model = make("stylegan-grown", compiled=False)
    networks = (model.generator, model.discriminator)
    for stage in model.stages:
        before = [{v.path: np.asarray(v) for v in network.trainable_variables} for network in networks]
        model.compile(stage=stage)
        model.fit(batch_for(model, 32), batch_size=8, verbose=0)
        for network, old in zip(networks, before, strict=True):
            for variable in network.trainable_variables:
                numbers = ("_4/", "_5/") if network is model.generator else ()
                late = "16x16" in variable.path or any(word in variable.path for word in numbers)
                early = "_4x4" in variable.path and ("rgb" in variable.path or "see" in variable.path)
                moved = (np.asarray(variable) != old[variable.path]).any()
                assert moved == (not early and (stage == "16x16" or not late)), variable.path
    average, trained = (model.fade(net).alpha for net in (model.ema_generator, model.generator))
    assert float(average) == float(trained) == pytest.approx(3 / 64)


@pytest.mark.slow
def test_the_papers_networks_take_a_step_in_parts():
    model = keras_gen.StyleGAN(image_shape=(128, 128, 3), seed=0)
    model.compile(stage="128x128", accumulate=2)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 128, 128, 3)).astype(np.float32)
    history = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and int(model.g_optimizer.iterations) == 1


def test_the_papers_settings():
    model = keras_gen.StyleGAN(image_shape=(16, 16, 3), base=32)
    assert (model.r1, model.r1_every, model.mixing, model.depth) == (10, 1, 0.9, 8)
    assert model.fade_steps * 32 == 600_000 and model.update == "simultaneous"
    assert model.ema == pytest.approx(0.5 ** (32 / 10_000), abs=1e-5)
    model.stages = (*model.stages, "128x128", "1024x1024")
    for stage, rate in (("8x8", 1e-3), ("128x128", 1.5e-3), ("1024x1024", 3e-3)):
        model.stage = stage
        optimizer = model.paper_optimizer("g")
        assert float(optimizer.learning_rate) == pytest.approx(rate)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.0, 0.99, 1e-8)


def test_it_trains_on_images_of_a_stage():
    model = make("stylegan-grown", compiled=False)
    model.compile(stage="8x8", run_eagerly=True)
    before = model.generator.get_weights()
    history = model.fit(np.tile(real_digits(8)[0], (1, 2, 2, 1)), batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all() and difference(model.generator.get_weights(), before) > 0


BUGS = (
    Bug(
        "StyleGAN: style before the normalization of the next",
        "layers/style.py",
        "return (1.0 + scale) * self.normalization(x) + offset",
        "return self.normalization((1.0 + scale) * x + offset)",
        ("test_a_layer_is_noise_bias_activation_instance_norm_and_style",),
    ),
    Bug(
        "StyleGAN: all layers take the same noise",
        "networks/progressive.py",
        "Noise(start, per_channel=True",
        "Noise(0, per_channel=True",
        ("test_every_pixel_of_every_layer_has_a_number_of_noise_and_strengths_start_at_0",),
    ),
    Bug(
        "StyleGAN: maps are not blurred",
        "networks/progressive.py",
        'conv(x) if letter == "b" else BLUR()(conv(doubled(x)))',
        'conv(x) if letter == "b" else conv(doubled(x))',
        ("test_maps_are_blurred_after_they_were_doubled_and_before_they_are_halved",),
    ),
    Bug(
        "StyleGAN: the penalty is of the data as they are",
        "models/adversarial/gan.py",
        "image = self.images(batch)",
        'image = batch["image"]',
        ("test_the_penalty_is_of_images_of_the_stages_size",),
    ),
    Bug(
        "StyleGAN: the mean of styles is StyleGAN2's",
        "models/adversarial/stylegan.py",
        "style_decay=0.995",
        "style_decay=0.998",
        ("test_truncation_draws_the_first_eight_styles_to_their_mean",),
    ),
)

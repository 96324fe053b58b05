"""Networks that grow: their numbers, what fades in and how far, and what a stage leaves as it is."""

import numpy as np
import pytest
import tensorflow as tf
from killed import resumed
from planted import Bug
from tiny import batch_for, difference, make, real_digits

import keras_gen
from keras_gen.cli.settings import initialize
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.networks import progressive


def small(**more):
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 5, "base": 32, "largest": 6, "fade_steps": 64, "drift": 0.5}
    return {**sizes, "penalty_weight": 5.0, "ema": 0.9, "seed": 3, **more}


ROWS = {
    "progressive_gan": ("progressive_gan", lambda: small(update="simultaneous")),
    "progressive_gan-two": ("progressive_gan", lambda: small(n_critic=2)),
}


def count(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def by_hand(side, colors=3, base=16384, largest=512):
    """Returns the weights of the paper's table 2, of the generator and the discriminator, with channels as it says."""
    widths = [min(base // one, largest) for one in (4 << index for index in range((side // 4).bit_length()))]

    def conv(inputs, outputs, kernel=3):
        return kernel**2 * inputs * outputs + outputs

    first = widths[0]
    g = 512 * 16 * first + first + conv(first, first) + sum(conv(width, colors, 1) for width in widths)
    d = conv(first + 1, first) + conv(16 * first, first, 1) + first + 1
    d += sum(conv(colors, width, 1) for width in widths)
    for less, width in zip(widths, widths[1:], strict=False):
        g += conv(less, width) + conv(width, width)
        d += conv(width, width) + conv(width, less)
    return g, d


def both(side, colors=3, **sizes):
    laws = {"latent": ((None, 512), "normal")}
    shape = (side, side, colors)
    return count(progressive.generator(laws, shape, **sizes)), count(progressive.discriminator(shape, **sizes))


def test_networks_have_the_weights_of_the_papers_table():
    assert by_hand(1024) == (23_079_115, 23_087_249), "what the authors' programs print"
    assert both(16, 1, base=256, largest=40) == by_hand(16, 1, base=256, largest=40)


@pytest.mark.slow
@pytest.mark.parametrize("side", [16, 32, 64, 128, 256, 512, 1024])
def test_every_size_builds_with_the_weights_of_the_papers_table(side):
    assert both(side) == by_hand(side)


def test_sizes_come_from_doubling_the_smallest():
    assert progressive.sizes((28, 28, 1)) == ("7x7", "14x14", "28x28")
    assert progressive.sizes((48, 64, 3)) == ("6x8", "12x16", "24x32", "48x64")
    assert len(progressive.sizes((1024, 1024, 3))) == 9 and progressive.sizes((4, 4, 1)) == ("4x4",)
    with pytest.raises(UsageError, match=r"image_shape is \(9, 9, 1\); expected sides that come from doubling"):
        keras_gen.ProgressiveGAN(image_shape=(9, 9, 1))


def drawn(model, seed=0):
    """Gives every weight that is trained, biases too, a value of its own, in the average the same."""
    rng = np.random.default_rng(seed)
    for network in (model.generator, model.discriminator):
        for variable in network.trainable_variables:
            variable.assign((0.2 if "rgb" in variable.path else 1.0) * rng.normal(size=variable.shape))
    for name in model.averaged if model.ema else ():
        getattr(model, f"ema_{name}").set_weights(getattr(model, name).get_weights())
    return model


def fades(model):
    """Returns alpha of the generator, its average and the discriminator."""
    networks = (model.generator, model.ema_generator, model.discriminator)
    return [float(network.get_layer("fade_8x8").alpha) for network in networks]


def logits(model, images, training=False):
    return np.asarray(model.judge(model.images(Batch(image=tf.constant(images))), "real", Batch(), training))


def test_a_stage_begins_as_the_one_before_has_ended_bit_for_bit():
    model, images = drawn(make("progressive_gan-two", compiled=False)), real_digits(6)[0]
    model.compile(stage="4x4")
    sample, judged, trained = model.sample(5), logits(model, images), model.fake(Batch(image=images), True).shape
    model.compile(stage="8x8")
    assert fades(model) == [0, 0, 0] and trained == (6, 4, 4, 1)
    assert np.array_equal(model.sample(5), sample)
    assert np.array_equal(logits(model, images), judged)
    for network in (model.generator, model.ema_generator, model.discriminator):
        network.get_layer("fade_8x8").alpha.assign(0.5)
    assert np.abs(model.sample(5) - sample).max() > 0.1
    assert np.abs(logits(model, images) - judged).min() > 1e-3


def test_weights_of_another_run_are_those_of_all_stages(tmp_path):
    other = drawn(make("progressive_gan-two", compiled=False, image_shape=(16, 16, 1)))
    other.compile(stage="8x8")
    other.save(tmp_path / "model.keras")
    model = make("progressive_gan-two", compiled=False, image_shape=(16, 16, 1))
    initialize(model, tmp_path / "model.keras")
    assert difference(model.get_weights(), other.get_weights()) == 0


def test_in_half_precision_a_copy_in_float32_is_of_the_same_stage():
    model = make("progressive_gan-two", compiled=False, dtype="mixed_bfloat16")
    model.compile(stage="4x4")
    sample = model.float32().sample(2)
    assert np.array_equal(sample, sample[:, ::2, ::2].repeat(2, 1).repeat(2, 2))
    assert model.float32().stage == "4x4"


def test_in_every_stage_samples_have_the_full_size_with_pixels_repeated():
    model = drawn(make("progressive_gan-two", compiled=False, image_shape=(16, 16, 1)))
    for stage, factor in (("4x4", 4), ("8x8", 2), ("16x16", 1)):
        model.compile(stage=stage)
        sample = model.sample(3)
        assert sample.shape == model(np.zeros((3, 5), np.float32)).shape == (3, 16, 16, 1)
        assert np.array_equal(sample, sample[:, ::factor, ::factor].repeat(factor, 1).repeat(factor, 2))
        assert np.abs(sample).max() < 1 and len(np.unique(sample)) > 5
    model.ema_generator.get_layer("rgb_8x8").bias.assign([5.0])
    assert np.all(model.sample(3) == 1), "clipped"


def test_new_layers_count_by_the_discriminators_steps_in_both_networks():
    model = make("progressive_gan-two", compiled=False)
    batch = real_digits(4)[0]
    for stage, steps, weight in (("4x4", 3, 0.0), ("8x8", 0, 0.0), ("8x8", 16, 0.25), ("8x8", 640, 1.0)):
        model.compile(stage=stage)
        model.d_optimizer.iterations.assign(steps)
        model.discriminator_loss(Batch(image=tf.constant(batch)), True)
        assert fades(model)[0] == fades(model)[2] == weight
        model.d_optimizer.iterations.assign(7)
        model.discriminator_loss(Batch(image=tf.constant(batch)), False)
        assert fades(model)[0] == weight, "evaluation moves nothing"


def test_real_images_are_means_blended_with_their_own_coarser_selves():
    model = make("progressive_gan-two", compiled=False, image_shape=(16, 16, 1))
    image = np.random.default_rng(0).uniform(-1, 1, (3, 16, 16, 1)).astype(np.float32)

    def shrunk(image, factor):
        return image.reshape(3, 16 // factor, factor, 16 // factor, factor, 1).mean(axis=(2, 4))

    def seen():
        return model.real(Batch(image=tf.constant(image)), True).numpy()

    model.compile(stage="4x4")
    np.testing.assert_allclose(seen(), shrunk(image, 4), atol=1e-6)
    model.compile(stage="8x8")
    model.generator.get_layer("fade_8x8").alpha.assign(0.25)
    fine, coarse = shrunk(image, 2), shrunk(image, 4).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(seen(), 0.25 * fine + 0.75 * coarse, atol=1e-6)


def test_terms_of_the_critic_by_hand():
    model = drawn(make("progressive_gan-two", compiled=False))
    model.compile(stage="4x4")
    batch = Batch(image=tf.constant(real_digits(5)[0]))
    player = model.players()[0]
    terms = player.losses(batch, True)
    real, fake = (np.asarray(batch._made[f"{kind}_logits"]) for kind in ("real", "fake"))
    assert float(terms["adversarial"]) == pytest.approx(fake.mean() - real.mean(), rel=1e-5)
    assert float(terms["drift"]) == pytest.approx((real**2).mean(), rel=1e-5)
    total = fake.mean() - real.mean() + 5 * float(terms["penalty"]) + 0.5 * (real**2).mean()
    assert float(player.total(terms)) == pytest.approx(total, rel=1e-5)


def by_stage(network):
    """Returns the trained weights of layers that are named for the larger size, and the others."""
    of = {True: [], False: []}
    for variable in network.trainable_variables:
        of["8x8" in variable.path].append(np.asarray(variable))
    return of


def test_only_grown_layers_move_and_the_average_has_the_very_alpha(tmp_path):
    model = make("progressive_gan-two", compiled=False)
    networks = (model.generator, model.ema_generator, model.discriminator)
    for stage in model.stages:
        before = [(network.get_weights(), by_stage(network)) for network in networks[::2]]
        model.compile(stage=stage, run_eagerly=True)
        model.fit(batch_for(model, 24), batch_size=8, verbose=0)
        for network, (_, old) in zip(networks[::2], before, strict=True):
            new = by_stage(network)
            assert (difference(new[True], old[True]) > 0) == (stage == "8x8")
            assert difference(new[False], old[False]) > 0
    assert fades(model) == [pytest.approx(5 / 64)] * 3, "three rounds of two steps of the critic"
    model.save(tmp_path / "model.keras")
    again = keras_gen.load(tmp_path / "model.keras")
    assert fades(again) == fades(model) and again.stage == "8x8" and int(again.d_optimizer.iterations) == 6
    assert np.array_equal(again.sample(4), model.sample(4))


def test_what_has_faded_in_leaves_the_colors_of_before_out():
    model = drawn(make("progressive_gan-two", compiled=False))
    model.compile(stage="8x8")
    assert any("rgb_4x4" in weight.path for weight in model.inference("generator").weights)
    for network in (model.generator, model.ema_generator):
        network.get_layer("fade_8x8").alpha.assign(1.0)
    blended = model.grown(model.ema_generator)({"latent": tf.ones((2, 5))})
    net = model.inference("generator")
    assert not any("rgb_4x4" in weight.path or "alpha" in weight.path for weight in net.weights)
    assert np.array_equal(net({"latent": tf.ones((2, 5))}), np.clip(blended, -1, 1))


def test_the_papers_settings():
    model = keras_gen.ProgressiveGAN(image_shape=(8, 8, 3), base=32)
    assert (model.penalty_weight, model.drift, model.n_critic, model.ema) == (10, 1e-3, 1, 0.999)
    assert model.fade_steps * 16 == 600_000 and model.latent_dim == 512
    optimizer = model.paper_optimizer()
    assert (float(optimizer.learning_rate), optimizer.epsilon) == (pytest.approx(1e-3), 1e-8)
    assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.99)


@pytest.mark.slow
def test_the_papers_networks_take_a_step_in_parts():
    model = keras_gen.ProgressiveGAN(image_shape=(128, 128, 3), seed=0)
    model.compile(stage="128x128", accumulate=2)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 128, 128, 3)).astype(np.float32)
    history = model.fit(images, batch_size=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and int(model.d_optimizer.iterations) == 1


def test_stages_that_end_before_their_fade_are_refused_in_a_line():
    model = make("progressive_gan-two", compiled=False)
    model.check_steps(32)  # each of two steps of the critic
    with pytest.raises(UsageError, match="^31 steps of each stage end before .* after 64; .*--set fade_steps=31$"):
        model.check_steps(31)


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_a_fade_ends_bit_equal(tmp_path):
    _, again, *_ = resumed(lambda: make("progressive_gan", compiled=False), tmp_path, 7, stages=("4x4", "8x8"))
    assert fades(again) == [pytest.approx(9 / 64)] * 3


BUGS = (
    Bug(
        "growing: alpha in the generator only",
        "models/adversarial/growing.py",
        "for net in (self.generator, self.discriminator):",
        "for net in (self.generator,):",
        ("test_new_layers_count_by_the_discriminators_steps_in_both_networks",),
    ),
    Bug(
        "growing: alpha is averaged",
        "game/averages.py",
        "if weight.trainable or id(weight) in followed:",
        'if weight.trainable or id(weight) in followed or "alpha" in weight.path:',
        ("test_only_grown_layers_move_and_the_average_has_the_very_alpha",),
    ),
    Bug(
        "growing: all layers train from the first stage on",
        "models/adversarial/growing.py",
        "if self.stage is None and not shown:",
        "if not shown:",
        ("test_a_stage_begins_as_the_one_before_has_ended_bit_for_bit",),
    ),
    Bug(
        "growing: real images are not blended",
        "models/adversarial/growing.py",
        "if before is None:\n            return image\n        coarse",
        "if True:\n            return image\n        coarse",
        ("test_real_images_are_means_blended_with_their_own_coarser_selves",),
    ),
    Bug(
        "growing: a copy in float32 is of the last stage",
        "game/model.py",
        "twin.stage = self.stage",
        "pass",
        ("test_in_half_precision_a_copy_in_float32_is_of_the_same_stage",),
    ),
    Bug(
        "growing: weights of another run are those of its stage",
        "cli/settings.py",
        "    other.stage = model.stage",
        "    model.stage = other.stage",
        ("test_weights_of_another_run_are_those_of_all_stages",),
    ),
    Bug(
        "growing: evaluation fades, too",
        "models/adversarial/growing.py",
        "if training and self.fading():",
        "if self.fading():",
        ("test_new_layers_count_by_the_discriminators_steps_in_both_networks",),
    ),
    Bug(
        "growing: functions of the stage before are called",
        "game/model.py",
        "self._compiled_functions.clear()",
        "pass",
        ("test_in_every_stage_samples_have_the_full_size_with_pixels_repeated",),
    ),
    Bug(
        "growing: the discriminator looks past its fade",
        "networks/progressive.py",
        "if of is None or blended and index == top:",
        "if of is None:",
        ("test_a_stage_begins_as_the_one_before_has_ended_bit_for_bit",),
    ),
    Bug(
        "ProgressiveGAN: the drift is of all images' distance from 1",
        "models/adversarial/progressive_gan.py",
        '"drift": mean(tf.square(real))}',
        '"drift": mean(tf.square(real - 1.0))}',
        ("test_terms_of_the_critic_by_hand",),
    ),
)

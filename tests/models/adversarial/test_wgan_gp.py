"""The penalty: where it is taken, of what, and what a linear critic comes to under it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make, real_digits, small_gan

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game import config
from keras_gen.game.batch import Batch

ROWS = {
    "wgan_gp": (
        "wgan_gp",
        lambda: {
            **small_gan(),
            "penalty_weight": 5.0,
            "n_critic": 2,
            "architecture": "mlp",
            "norm": "none",
            "discriminator_norm": "spectral",
        },
    ),
}
# Further networks, for laws.
MORE = {
    "wgan_gp-conv": ("wgan_gp", lambda: {**small_gan(), "n_critic": 1}),
}


def linear(pixels=4, **arguments):
    """Returns a critic w.x, and a generator of constant images."""
    image = keras.Input((pixels, 1, 1), name="image")
    y = keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(image))
    latent = keras.Input((2,), name="latent")
    made = keras.layers.Dense(pixels, kernel_initializer="zeros")(latent)
    generator = keras.Model({"latent": latent}, keras.layers.Reshape((pixels, 1, 1))(made))
    return keras_gen.WGANGP(generator=generator, discriminator=keras.Model({"image": image}, y), seed=0, **arguments)


@pytest.mark.parametrize("norm", [0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_that_of_its_norm(norm):
    model = linear()
    kernel = np.float32([[1], [2], [-1], [0.5]])
    model.discriminator.set_weights([kernel / np.linalg.norm(kernel) * norm])
    batch = Batch(image=tf.random.stateless_uniform((6, 4, 1, 1), (1, 2), -1, 1))
    terms = model.discriminator_loss(batch, True)
    assert float(terms["penalty"]) == pytest.approx((norm - 1) ** 2, abs=1e-5)


@pytest.mark.parametrize("gap, weight, slope", [(1.0, 10.0, 1.05), (2.0, 10.0, 1.1), (2.0, 0.1, 11.0)])
def test_a_linear_critic_ends_at_the_slope_that_the_weight_allows(gap, weight, slope):
    """Its loss -w gap + weight (|w| - 1)^2 is smallest at |w| = 1 + gap / (2 weight)."""
    model = linear(1, penalty_weight=weight, n_critic=5)
    model.compile(d_optimizer=keras.optimizers.SGD(0.05), g_optimizer=keras.optimizers.SGD(0.0))
    model.discriminator.set_weights([np.float32([[0.3]])])
    data = tf.data.Dataset.from_tensors(tf.zeros((10, 1, 1, 1)) + 0.5 * gap).repeat()
    model.generator.layers[-2].bias.assign([-0.5 * gap])
    history = model.fit(data, steps_per_epoch=300, verbose=0).history
    assert abs(model.discriminator.get_weights()[0].item()) == pytest.approx(slope, rel=1e-3)
    found = model.evaluate(data.take(1), verbose=0, return_dict=True)
    assert -(found["d_loss"] - weight * found["d_penalty"]) == pytest.approx(gap * slope, rel=1e-3)
    assert np.isfinite(history["d_loss"]).all()


def test_slope_is_taken_between_each_real_image_and_one_fake():
    seen = {}

    class Watching(keras_gen.WGANGP):
        def judge(self, image, kind, batch, training):
            seen[kind] = image.numpy()
            return super().judge(image, kind, batch, training)

    model = make("wgan_gp-conv")
    model.__class__ = Watching
    model.discriminator_loss(Batch(image=tf.constant(real_digits(16)[0])), True)
    real, fake, between = (seen[kind].reshape(16, -1) for kind in ("real", "fake", "between"))
    weight = ((between - fake) * (real - fake)).sum(1) / ((real - fake) ** 2).sum(1)
    np.testing.assert_allclose(between, fake + weight[:, None] * (real - fake), atol=1e-5)
    assert 0 <= weight.min() < 0.3 and 0.7 < weight.max() <= 1 and len(np.unique(weight)) == 16


def test_gradient_penalty_trains_every_kernel_of_the_critic():
    model = make("wgan_gp-conv")
    batch = Batch(image=tf.constant(real_digits(16)[0]))
    with tf.GradientTape() as tape:
        penalty = model.discriminator_loss(batch, True)["penalty"]
    kernels = [v for v in model.discriminator.trainable_variables if v.path.endswith("kernel")]
    assert all(np.abs(g).max() > 0 for g in tape.gradient(penalty, kernels))


@pytest.mark.parametrize("norm", ["batch", "sync_batch"])
def test_batch_normalization_in_the_critic_is_refused(norm):
    with pytest.raises(UsageError, match="mixes the images of a batch"):
        keras_gen.WGANGP(image_shape=(8, 8, 1), discriminator_norm=norm)


def critic(*layers):
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *layers, keras.layers.Dense(1)])


def test_batch_normalization_inside_of_a_given_critic_is_refused():
    def batch(**more):
        return keras.layers.BatchNormalization(name="mixing", **more)

    for given in (critic(batch()), critic(keras.Sequential([batch(synchronized=True)]))):
        with pytest.raises(UsageError, match=r"^the discriminator's layer 'mixing' mixes the images of a batch[^\n]*$"):
            keras_gen.WGANGP(discriminator=given, image_shape=(8, 8, 1), width=2)
    for fine in (batch(trainable=False), keras.layers.LayerNormalization()):
        keras_gen.WGANGP(discriminator=critic(fine), image_shape=(8, 8, 1), width=2)


def test_a_file_of_before_may_hold_such_a_critic(tmp_path):
    with config.reading():  # as that version made it
        model = keras_gen.WGANGP(
            discriminator=critic(keras.layers.BatchNormalization()), image_shape=(8, 8, 1), width=2
        )
    model.save(tmp_path / "old.keras")
    assert np.array_equal(keras_gen.load(tmp_path / "old.keras").sample(2), model.sample(2))


def epsilons(model):
    kinds = (keras.layers.LayerNormalization, keras.layers.GroupNormalization)
    return [layer.epsilon for layer in model.discriminator.layers if isinstance(layer, kinds)]


def test_layer_normalization_makes_the_variance_one_where_it_was_small():
    """The kernels begin with a deviation of 0.02, which leaves maps of about the variance 1e-3."""
    keras.utils.set_random_seed(0)
    net = keras_gen.WGANGP(image_shape=(16, 16, 1)).discriminator
    norm = next(layer for layer in net.layers if isinstance(layer, keras.layers.GroupNormalization))
    maps = keras.Model(net.inputs, norm.output)(tf.random.stateless_uniform((8, 16, 16, 1), (1, 2), -1, 1))
    np.testing.assert_allclose(np.asarray(maps).reshape(8, -1).var(axis=1), 1, atol=0.02)


@pytest.mark.parametrize("architecture", ["mlp", "conv", "resnet"])
def test_layer_normalization_of_a_file_of_before_has_its_epsilon(architecture):
    sizes = {"image_shape": (8, 8, 1), "hidden": (3, 3), "width": 2, "architecture": architecture}
    model = keras_gen.WGANGP(**sizes, latent_dim=2)
    assert set(epsilons(model)) == {model.norm_epsilon} == {1e-5} and len(epsilons(model)) > 1
    before = {name: value for name, value in model.get_config().items() if name != "norm_epsilon"}
    again = keras_gen.WGANGP.from_config(before)
    assert set(epsilons(again)) == {1e-3} and again.get_config()["norm_epsilon"] == 1e-3
    with pytest.raises(UsageError, match="norm_epsilon is 0; expected a small number above 0"):
        keras_gen.WGANGP(**sizes, norm_epsilon=0)


def test_the_papers_settings():
    model = keras_gen.WGANGP(image_shape=(8, 8, 1), width=2)
    assert (model.penalty_weight, model.n_critic) == (10.0, 5)
    optimizer = model.paper_optimizer()
    assert (float(optimizer.learning_rate), optimizer.beta_1, optimizer.beta_2) == (pytest.approx(1e-4), 0.0, 0.9)


BUGS = (
    Bug(
        "layer normalization: its epsilon is not wired",
        "networks/conv.py",
        "normalized(x, kind, epsilon=epsilon)",
        "normalized(x, kind, epsilon=1e-3)",
        ("test_layer_normalization_makes_the_variance_one_where_it_was_small",),
    ),
    Bug(
        "WGAN-GP: one point for the whole batch",
        "models/adversarial/wgan_gp.py",
        "keras.random.uniform((tf.shape(real)[0], 1, 1, 1)",
        "keras.random.uniform((1, 1, 1, 1)",
        ("test_slope_is_taken_between_each_real_image_and_one_fake",),
    ),
    Bug(
        "WGAN-GP: the weight is not wired",
        "models/adversarial/wgan_gp.py",
        '{**d, "penalty": self.penalty_weight}',
        '{**d, "penalty": 10.0}',
        ("test_a_linear_critic_ends_at_the_slope_that_the_weight_allows[2.0-0.1-11.0]",),
    ),
)

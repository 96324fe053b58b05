"""The options that serve all games: each by hand, and what has none of it is left alone."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from one_weight import D, G, X, Z, game, moved, sigmoid, step
from planted import Bug
from scipy import stats
from tiny import difference, injected, make, real_digits

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch
from keras_gen.ops.augment import augment
from keras_gen.ops.random import UNTRUNCATED, truncated

ROWS = {
    "gan": (
        "gan",
        lambda: {
            "latent_dim": 6,
            "image_shape": (8, 8, 1),
            "hidden": (12, 10),
            "dropout": 0.1,
            "adversarial": "minimax",
            "latent": "uniform",
            "update": "alternating",
            "n_critic": 2,
            "label_smoothing": 0.1,
            "r1": 0.5,
            "r1_every": 3,
            "ema": 0.9,
            "ema_statistics": "copied",
            "seed": 3,
            "name": "mine",
        },
    ),
    "gan-resnet": (
        "gan",
        lambda: {
            "image_shape": (8, 8, 1),
            "architecture": "resnet",
            "width": 4,
            "norm": "sync_batch",
            "discriminator_norm": "layer",
            "norm_epsilon": 1e-4,
            "minibatch_stddev": True,
            "r1": 0.5,
            "r1_every": 2,
            "augment": ("color", "translation", "cutout"),
            "seed": 3,
        },
    ),
    "gan-injected": ("gan", lambda: {**injected(), "seed": 1}),
}


def softplus(x):
    return np.log1p(np.exp(x))


# --- arguments -------------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("mine")
class OwnNetworks(keras_gen.GAN):
    """A leaf that makes both networks, and has one argument for them by a name that its parent has, too."""

    settled = keras_gen.GAN.NETWORKS

    def __init__(self, width=6, **kwargs):
        generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(width), keras.layers.Dense(16)])
        generator.add(keras.layers.Reshape((4, 4, 1)))
        discriminator = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        super().__init__(generator, discriminator, latent_dim=3, **kwargs)


def test_the_arguments_of_the_networks_come_first_and_have_one_name():
    arguments = list(inspect.signature(keras_gen.GAN).parameters)
    networks = keras_gen.GAN.NETWORKS
    assert tuple(arguments[: len(networks)]) == networks
    game = ["adversarial", "latent", "update", "n_critic", "label_smoothing", "r1", "r1_every", "augment"]
    assert arguments[len(networks) :] == [*game, "kwargs"]


def test_a_leaf_settles_its_networks_in_one_word(tmp_path):
    model = OwnNetworks(width=5, r1=2.0, seed=1)
    kept = {"ema_statistics": "averaged"}
    assert model.get_config() == {"width": 5, "r1": 2.0, "seed": 1, "name": model.name, "dtype": "float32", **kept}
    model.save(tmp_path / "own.keras")
    again = keras_gen.load(tmp_path / "own.keras", custom_objects={"OwnNetworks": OwnNetworks})
    assert np.array_equal(again.sample(2), model.sample(2)) and again.sample(2).shape == (2, 4, 4, 1)
    for name in set(keras_gen.GAN.NETWORKS) - {"width"}:
        with pytest.raises(UsageError, match=f"OwnNetworks has no argument '{name}'"):
            OwnNetworks(**{name: None})
    with pytest.raises(UsageError, match="DCGAN has no argument 'architecture'"):
        keras_gen.DCGAN(architecture="mlp")


# --- label smoothing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adversarial", ["non_saturating", "minimax"])
def test_smoothing_is_the_cross_entropy_of_real_images_with_a_target_below_1(adversarial):
    model = game(label_smoothing=0.2, adversarial=adversarial)
    history = step(model)
    real, fake = D * X, D * G * Z
    by_hand = 0.8 * softplus(-real) + 0.2 * softplus(real) + softplus(fake)
    assert history["d_loss"][0] == pytest.approx(by_hand, abs=1e-6)
    # One-sided: the target of fakes stays 0. The gradient of the real part is that of the mixture of both targets.
    gradient = X * (0.2 * sigmoid(real) - 0.8 * sigmoid(-real)) + G * Z * sigmoid(fake)
    assert moved(model)[1] == pytest.approx(D - 0.1 * gradient, abs=1e-6)


def test_smoothing_is_of_training_and_of_cross_entropies():
    model = game(label_smoothing=0.2)
    batch = Batch(image=tf.fill((4, 1, 1, 1), X))
    plain = softplus(-D * X) + softplus(D * G * Z)
    assert float(model.discriminator_loss(batch, False)["adversarial"]) == pytest.approx(plain, abs=1e-6)
    for arguments in ({"label_smoothing": 0.1, "adversarial": "hinge"}, {"label_smoothing": 0.5}):
        with pytest.raises(UsageError, match=f"label_smoothing is {arguments['label_smoothing']}"):
            game(**arguments)


# --- R1 --------------------------------------------------------------------------------------------------------------


def test_r1_of_one_weight_is_half_its_square_times_gamma():
    model = game(r1=3.0, r1_every=1)
    history = step(model)
    assert history["d_r1"][0] == pytest.approx(D**2 / 2, abs=1e-6)
    assert history["d_loss"][0] == pytest.approx(softplus(-D * X) + softplus(D * G * Z) + 3 * D**2 / 2, abs=1e-5)
    plain = game()
    step(plain)
    assert moved(model)[1] == pytest.approx(moved(plain)[1] - 0.1 * 3.0 * D, abs=1e-6)
    assert moved(model)[0] == pytest.approx(moved(plain)[0], abs=1e-7), "a penalty moves the discriminator alone"


def test_lazy_r1_comes_every_so_many_steps_and_counts_as_often():
    model = game(r1=3.0, r1_every=4)
    model.compile(d_optimizer=keras.optimizers.SGD(0.0), g_optimizer=keras.optimizers.SGD(0.0))
    seen = [step(model)["d_r1"][0] for _ in range(9)]
    assert seen == pytest.approx([4 * D**2 / 2 if k % 4 == 0 else 0 for k in range(9)], abs=1e-5)
    found = model.evaluate(np.full((4, 1, 1, 1), X, np.float32), verbose=0, return_dict=True)
    assert found["d_r1"] == pytest.approx(D**2 / 2, abs=1e-6), "in an evaluation it is the penalty itself"


def test_r1_moves_no_running_statistics_and_trains_with_every_norm():
    for norm in ("batch", "spectral", "layer"):
        model = keras_gen.DCGAN((8, 8, 1), 3, width=2, discriminator_norm=norm, r1=1.0, r1_every=1, seed=0)
        batch = Batch(image=tf.convert_to_tensor(real_digits(8)[0]))
        model.compile()
        before = model.discriminator.get_weights()
        model.discriminator_terms(batch, True)
        assert difference(before, model.discriminator.get_weights()) == 0
        assert np.isfinite(model.fit(real_digits(8)[0], batch_size=4, verbose=0).history["d_r1"]).all()


def augmented(name="gan", **arguments):
    """Returns a game whose discriminator is the same in training as in inference, and a batch for it."""
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "architecture": "mlp", "hidden": (5,), "latent_dim": 3, "norm": "none"}
    more = {"n_critic": 1, "discriminator_norm": "none"} if name == "rob_gan" else {}
    model = keras_gen.get(name, **sizes, dropout=0.0, seed=0, **more, **arguments)
    model.compile()
    images, labels = real_digits(8)
    return model, Batch(image=tf.convert_to_tensor(images), label=tf.convert_to_tensor(labels))


@pytest.mark.parametrize("name", ["gan", "rob_gan"])
def test_r1_is_the_slope_at_real_images_through_the_augmentation_that_the_loss_saw(name):
    model, batch = augmented(name, augment=("color", "translation", "cutout"), r1=1.0, r1_every=1)
    start = np.asarray(model.seed_generator.state)
    found = float(model.discriminator_loss(batch, True)["r1"])
    after = np.asarray(model.seed_generator.state)
    model.seed_generator.state.assign(start)
    with tf.GradientTape() as tape:
        tape.watch(batch["image"])
        seen = augment(batch["image"], model.augment, model.seed_generator)
        logit = model.logit(model.discriminator({"image": seen}))
    slope = tape.gradient(logit, batch["image"])
    expected = 0.5 * np.square(slope).sum(axis=(1, 2, 3)).mean()
    assert found == pytest.approx(expected, rel=1e-5)
    assert float(model.discriminator_loss(Batch(batch), False)["r1"]) != pytest.approx(expected, rel=0.05)
    model.seed_generator.state.assign(start)
    model.r1 = 0.0
    model.discriminator_loss(Batch(batch), True)
    assert np.array_equal(after, model.seed_generator.state), "the penalty draws nothing of its own"


def test_lazy_r1_of_augmented_images_draws_in_no_step():
    states = []
    for r1 in (1.0, 0.0):
        model, _ = augmented(augment=("color",), r1=r1, r1_every=2)
        losses = model.fit(real_digits(16)[0], batch_size=8, verbose=0).history
        assert np.isfinite(losses["d_loss"]).all()
        states.append(np.asarray(model.seed_generator.state))
    assert np.array_equal(*states)


# --- augmentation ----------------------------------------------------------------------------------------------------


def test_all_that_the_discriminator_sees_in_training_is_augmented_and_nothing_in_inference(monkeypatch):
    import keras_gen.models.adversarial.gan as module

    seen = []
    monkeypatch.setattr(module, "augment", lambda image, kinds, *_: seen.append(kinds) or 0.0 * image)
    model = keras_gen.GAN(image_shape=(8, 8, 1), hidden=(5,), latent_dim=3, augment=("cutout",), dropout=0.0, seed=0)
    batch = Batch(image=tf.convert_to_tensor(real_digits(8)[0]))
    blank = float(model.discriminator_loss(batch, True)["adversarial"])
    assert seen == [("cutout",)] * 2
    assert blank == pytest.approx(2 * np.log(2), abs=1e-6), "black images of both kinds, whose logit is 0"
    assert float(model.discriminator_loss(Batch(batch), False)["adversarial"]) != pytest.approx(blank, abs=1e-4)
    assert len(seen) == 2


def test_gradient_passes_through_the_augmentation_to_the_generator():
    model = keras_gen.GAN(image_shape=(8, 8, 1), hidden=(5,), latent_dim=3, augment=("color", "translation"), seed=0)
    with tf.GradientTape() as tape:
        loss = model.generator_loss(Batch(image=tf.zeros((8, 8, 8, 1))), True)["adversarial"]
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, model.generator.trainable_variables))


# --- truncation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [0.1, 0.5, 1.0, 2.0, 4.0])
def test_truncated_latents_follow_the_law_cut_off_at_the_bound(bound):
    latents = np.random.default_rng(0).standard_normal((50_000, 2), np.float32)
    cut = truncated(tf.constant(latents), tf.fill((len(latents),), bound)).numpy()
    assert np.abs(cut).max() < bound
    assert stats.kstest(cut.ravel(), stats.truncnorm(-bound, bound).cdf).pvalue > 0.01
    assert np.diff(cut[:, 0][np.argsort(latents[:, 0])]).min() > -1e-4, "the order is kept"


def test_without_a_bound_nothing_changes_and_zero_has_a_gradient():
    latents = tf.constant(np.random.default_rng(0).standard_normal((500, 3), np.float32) * 3)
    assert np.array_equal(truncated(latents, tf.fill((500,), UNTRUNCATED)), latents)
    zero = tf.Variable([[0.0, 1e-4, -1e-4]])
    with tf.GradientTape() as tape:
        cut = truncated(zero, tf.constant([0.5]))
    slope = tape.gradient(cut, zero).numpy()
    np.testing.assert_allclose(slope, 2 * stats.norm.cdf(0.5) - 1, rtol=5e-3)
    np.testing.assert_allclose(cut, zero * (2 * stats.norm.cdf(0.5) - 1), atol=1e-7)


def test_samples_take_truncation_and_those_of_uniform_latents_do_not():
    model = make("gan-injected", compiled=False)
    plain = model.sample(64, seed=1)
    assert np.array_equal(plain, model.sample(64, seed=1, truncation=UNTRUNCATED))
    cut = [model.sample(64, seed=1, truncation=bound) for bound in (0.1, 1.0)]
    assert cut[0].std(axis=0).mean() < cut[1].std(axis=0).mean() < plain.std(axis=0).mean()
    mixed = model.sample(2, seed=1, truncation=[0.1, UNTRUNCATED])
    np.testing.assert_allclose(mixed[1], plain[1], atol=1e-6)
    with pytest.raises(UsageError, match="truncation 0.5 was given to a sampler without truncation"):
        make("gan", compiled=False).sample(2, truncation=0.5)
    with pytest.raises(UsageError, match=r"truncation has shape \(3,\); expected what fits \(2,\)"):
        model.sample(2, truncation=[1, 2, 3])


def test_exported_files_truncate_alike(tmp_path):
    from export import onnx, tflite
    from keras_gen.signatures.exported import open_file

    model = make("gan-injected", compiled=False)
    onnx.export(model, tmp_path)
    tflite.export(model, tmp_path)
    for path in (tmp_path / "generate.onnx", tmp_path / "model.tflite"):
        for bound in (0.2, 0.7, 2.0):
            found = open_file(path).sample(33, seed=7, truncation=bound)["image"]
            np.testing.assert_allclose(found, model.sample(33, seed=7, truncation=bound), atol=1e-4)


# --- accumulation ----------------------------------------------------------------------------------------------------


class FromImages(keras_gen.GAN):
    """Takes its latents from the images: parts of a batch draw other random numbers."""

    def generator_inputs(self, batch):
        return {"latent": tf.reshape(batch["image"], (-1, 64))[:, :5]}


def accumulated(parts, rows=24, **arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "hidden": (9,), "latent_dim": 5}
    model = FromImages(**sizes, dropout=0.0, ema=0.9, seed=1, **arguments)
    adam = {f"{name}_optimizer": keras.optimizers.Adam(1e-2) for name in "dg"}
    model.compile(**adam, accumulate=parts)
    history = model.fit(real_digits(rows)[0], batch_size=12, epochs=3, shuffle=False, verbose=0).history
    return model.get_weights(), [history[name] for name in ("d_loss", "g_loss", "loss")], model


@pytest.mark.parametrize(
    ("parts", "update", "rows"),
    [
        (2, "alternating", 24),
        (3, "simultaneous", 31),
        *(
            pytest.param(parts, update, rows, marks=pytest.mark.slow)
            for parts, rows in ((2, 31), (3, 24), (5, 24), (5, 31))  # of 31 rows the last batch has 7
            for update in ("simultaneous", "alternating")
        ),
    ],
)
def test_parts_of_a_batch_train_as_the_whole(parts, update, rows):
    whole, whole_losses, _ = accumulated(1, rows, update=update)
    ours, losses, model = accumulated(parts, rows, update=update)
    assert difference(whole, ours) < 1e-5
    np.testing.assert_allclose(losses, whole_losses, atol=1e-5)
    assert int(model.d_optimizer.iterations) == 3 * -(-rows // 12), "one update for a batch"


def test_parts_survive_a_save(tmp_path):
    *_, model = accumulated(3)
    model.save(tmp_path / "model.keras")
    again = keras_gen.load(tmp_path / "model.keras", custom_objects={"FromImages": FromImages})
    assert again.get_compile_config()["accumulate"] == 3
    with pytest.raises(UsageError, match="accumulate is 0"):
        model.compile(accumulate=0)


# --- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["none", "batch", "sync_batch", "layer", "spectral"])
@pytest.mark.parametrize("architecture", ["mlp", "conv", "resnet"])
def test_every_architecture_takes_every_norm(architecture, norm):
    model = keras_gen.GAN(
        image_shape=(16, 16, 3), latent_dim=3, architecture=architecture, hidden=(5,), width=2, discriminator_norm=norm
    )
    kinds = {type(layer).__name__ for layer in model.discriminator._flatten_layers()}
    expected = {
        "none": set(),
        "batch": {"BatchNormalization"},
        "sync_batch": {"BatchNormalization"},
        "layer": {"LayerNormalization"} if architecture == "mlp" else {"LayerNormalization", "GroupNormalization"},
        "spectral": {"SpectralDense"} if architecture == "mlp" else {"SpectralDense", "SpectralConv2D"},
    }[norm]
    assert {kind for kind in kinds if "Normalization" in kind or "Spectral" in kind} == expected
    if norm == "spectral":
        assert not {"Dense", "Conv2D"} & kinds, "every layer with a kernel is normalized"


@pytest.mark.parametrize("architecture", ["mlp", "conv", "resnet"])
def test_dense_layers_come_first_in_the_generator_and_in_reverse_last_in_the_discriminator(architecture):
    def dense_layers(**hidden):
        model = keras_gen.GAN(image_shape=(8, 8, 1), latent_dim=3, architecture=architecture, width=2, **hidden)
        networks = (model.generator, model.discriminator)
        return [[layer.units for layer in net.layers if isinstance(layer, keras.layers.Dense)] for net in networks]

    bare = dense_layers(hidden=())
    assert dense_layers(hidden=[5, 7]) == [[5, 7, *bare[0]], [7, 5, *bare[1]]]
    assert dense_layers() == ([[256, 512, *bare[0]], [512, 256, *bare[1]]] if architecture == "mlp" else bare)


@pytest.mark.parametrize("hidden", [5, "5", [5, 0], [2.5]])
def test_widths_that_are_none_are_refused(hidden):
    with pytest.raises(UsageError, match=r"hidden is .*; expected a (list of )?whole number"):
        keras_gen.GAN(image_shape=(8, 8, 1), hidden=hidden)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 48, 3)])
def test_residual_networks_take_any_size_that_doubling_reaches(shape):
    model = keras_gen.GAN(image_shape=shape, latent_dim=3, architecture="resnet", width=2)
    assert model.generator.output_shape == (None, *shape)
    assert model.discriminator({"image": np.zeros((2, *shape), np.float32)}).shape == (2, 1)


def test_the_papers_32x32_residual_networks():
    """Miyato et al., table 4: from 4x4 maps of 256 channels up to 32x32; then down to 8x8 of 128, and two more."""
    model = keras_gen.SNGAN(image_shape=(32, 32, 3))
    maps = [layer.output.shape[1:] for layer in model.generator.layers if isinstance(layer, keras.layers.Add)]
    assert maps == [(8, 8, 256), (16, 16, 256), (32, 32, 256)]
    maps = [layer.output.shape[1:] for layer in model.discriminator.layers if isinstance(layer, keras.layers.Add)]
    assert maps == [(16, 16, 128), (8, 8, 128), (8, 8, 128), (8, 8, 128)]


def test_minibatch_deviation_tells_a_batch_of_copies_from_one_of_many():
    model = keras_gen.GAN(image_shape=(8, 8, 1), hidden=(5,), latent_dim=3, minibatch_stddev=True, seed=0)
    images = real_digits(8)[0]
    alone, among = np.repeat(images[:1], 8, 0), images
    one, other = (float(model.discriminator({"image": batch})[0, 0]) for batch in (alone, among))
    assert abs(one - other) > 1e-4


BUGS = (
    Bug(
        "R1: of images that are not augmented",
        "models/adversarial/gan.py",
        'seen = self.augmented(image, "r1", batch, training)',
        "seen = image",
        ("test_r1_is_the_slope_at_real_images_through_the_augmentation_that_the_loss_saw[gan]",),
    ),
    Bug(
        "R1: of an augmentation of its own",
        "models/adversarial/gan.py",
        'batch.once(f"{of}_augmentation"',
        'batch.once(f"{kind}_augmentation"',
        ("test_r1_is_the_slope_at_real_images_through_the_augmentation_that_the_loss_saw[gan]",),
    ),
    Bug(
        "GAN: the discriminator moves the generator",
        "models/adversarial/gan.py",
        'return (self.discriminator,) if player == "d" else (self.generator,)',
        'return (self.discriminator, self.generator) if player == "d" else (self.generator,)',
        ("contract/test_every.py::test_each_player_moves_all_of_its_own_variables_and_none_of_anothers[gan-resnet]",),
    ),
    Bug(
        "GAN: smoothing of both sides",
        "models/adversarial/gan.py",
        "loss += self.label_smoothing * mean(real)",
        "loss += self.label_smoothing * (mean(real) - mean(fake))",
        ("test_smoothing_is_the_cross_entropy_of_real_images_with_a_target_below_1[non_saturating]",),
    ),
    Bug(
        "R1: lazy, and not as often",
        "ops/penalties.py",
        "lambda: float(every) * penalty()",
        "lambda: penalty()",
        ("test_lazy_r1_comes_every_so_many_steps_and_counts_as_often",),
    ),
    Bug(
        "augmentation: of real images only",
        "models/adversarial/gan.py",
        "if not self.augment or not training:",
        "if not self.augment or not training or kind == 'fake':",
        ("test_all_that_the_discriminator_sees_in_training_is_augmented_and_nothing_in_inference",),
    ),
    Bug(
        "truncation: latents are only made smaller",
        "ops/random.py",
        "ratio = tf.where(bound < UNTRUNCATED, tf.sqrt(y / x), 1.0)",
        "ratio = tf.where(bound < UNTRUNCATED, bound / 3.0, 1.0)",
        ("test_truncated_latents_follow_the_law_cut_off_at_the_bound[1.0]",),
    ),
    Bug(
        "accumulation: a sum in place of the mean",
        "game/step.py",
        "weight = _fraction(part, batch, parts) if parts > 1 else 1.0",
        "weight = 1.0",
        ("test_parts_of_a_batch_train_as_the_whole[3-simultaneous-31]",),
    ),
    Bug(
        "accumulation: the last part alone",
        "game/step.py",
        "gradients[number] = _added(gradients[number], tape.gradient(loss, player.variables))",
        "gradients[number] = tape.gradient(loss, player.variables)",
        ("test_parts_of_a_batch_train_as_the_whole[3-alternating-24]",),
    ),
    Bug(
        "dense layers: in the discriminator as in the generator",
        "networks/adversarial.py",
        '**{**sizes, "hidden": sizes["hidden"][::-1]}',
        "**sizes",
        ("test_dense_layers_come_first_in_the_generator_and_in_reverse_last_in_the_discriminator[conv]",),
    ),
)

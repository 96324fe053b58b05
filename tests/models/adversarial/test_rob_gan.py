import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from planted import Bug
from tiny import difference, everything, real_digits, small_gan

import keras_gen
from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch


def labelled_networks():
    """Returns an injected generator that takes a label, and a discriminator that tells 10 classes, too."""
    latent, label = keras.Input((5,), name="latent"), keras.Input((), dtype="int32", name="label")
    x = layers.Concatenate()([latent, layers.Flatten()(layers.Embedding(10, 3)(label))])
    x = layers.Reshape((8, 8, 1))(layers.Dense(64, activation="tanh")(layers.Dense(16, activation="relu")(x)))
    image = keras.Input((8, 8, 1), name="image")
    y = layers.Dense(16, activation="relu")(layers.Flatten()(image))
    generator = keras.Model({"latent": latent, "label": label}, x)
    return {"generator": generator, "discriminator": keras.Model({"image": image}, layers.Dense(11)(y))}


ROWS = {
    "rob_gan": (
        "rob_gan",
        lambda: {
            **small_gan(),
            "num_classes": 11,
            "class_weight": 0.5,
            "epsilon": 0.2,
            "attack_steps": 2,
            "attack_step_size": 0.15,
            "n_critic": 1,
            "architecture": "conv",
            "norm": "batch",
            "discriminator_norm": "layer",
            "update": "simultaneous",
            "ema": 0.9,
        },
    ),
    "rob_gan-free": (
        "rob_gan",
        lambda: {
            **labelled_networks(),
            "attack": "free",
            "replays": 3,
            "epsilon": 0.3,
            "attack_step_size": 0.2,
            "n_critic": 1,
            "dropout": 0.1,
            "seed": 3,
        },
    ),
}

SIZES = {"image_shape": (8, 8, 1), "latent_dim": 3, "architecture": "mlp", "hidden": (16,), "n_critic": 1, "seed": 0}


class Plain(keras_gen.ACGAN):
    """The game of Rob-GAN's losses, written without its code: no attack, the class of real images for D."""

    @staticmethod
    def paper_optimizer():
        return keras.optimizers.Adam(2e-4, beta_1=0.0, beta_2=0.9)

    def discriminator_terms(self, batch, training):
        return {"class": self.class_loss("real", batch, training)}


def small(cls=keras_gen.RobGAN, **arguments):
    keras.utils.set_random_seed(0)
    model = cls(**{**SIZES, **arguments})
    model.compile()
    return model


def data(count=32):
    images, labels = real_digits(count)
    return (0.6 * images).astype(np.float32), labels  # no attack of 0.3 meets the border of the range


def linear(attack="pgd", **arguments):
    """A discriminator of one dense layer for two classes, and a generator of one."""
    keras.utils.set_random_seed(0)
    latent, label = keras.Input((3,), name="latent"), keras.Input((), dtype="int32", name="label")
    x = layers.Reshape((8, 8, 1))(layers.Dense(64, activation="tanh")(latent))
    generator = keras.Model({"latent": latent, "label": label}, x)
    image = keras.Input((8, 8, 1), name="image")
    kernel = keras.initializers.RandomNormal(stddev=0.2, seed=3)
    dense = layers.Dense(3, use_bias=False, kernel_initializer=kernel)
    discriminator = keras.Model({"image": image}, dense(layers.Flatten()(image)))
    given = {"generator": generator, "discriminator": discriminator, "latent_dim": 3, "num_classes": 2, "seed": 0}
    model = keras_gen.RobGAN(**{**given, "attack": attack, "n_critic": 1, **arguments})
    model.compile(d_optimizer=keras.optimizers.SGD(0.0), g_optimizer=keras.optimizers.SGD(0.0))
    return model


def slope(model, image, label):
    """The gradient of -log p(real) - log p(class), of each image of a linear discriminator, by hand."""
    w = np.asarray(model.discriminator.trainable_variables[0], np.float64)  # (64, 3)
    logits = image.reshape(len(image), -1) @ w
    classes = np.exp(logits[:, 1:]) / np.exp(logits[:, 1:]).sum(axis=1, keepdims=True)
    of_logits = np.concatenate([-1 / (1 + np.exp(logits[:, :1])), classes - np.eye(2)[label]], axis=1)
    return (of_logits @ w.T).reshape(image.shape)


def test_attack_goes_against_the_source_and_the_class_at_once():
    model, (images, labels) = linear(epsilon=0.05, attack_steps=1, attack_step_size=0.05), data(16)
    batch = Batch(image=tf.constant(images), label=tf.constant(labels % 2))
    expected = images + 0.05 * np.sign(slope(model, images, labels % 2))
    np.testing.assert_allclose(model.real(batch, True), expected, atol=1e-6)


def test_discriminator_sees_attacked_images_in_both_of_its_terms_and_clean_ones_in_evaluation():
    model, (images, labels) = linear(epsilon=0.3, attack_step_size=0.1), data(16)
    batch = Batch(image=tf.constant(images), label=tf.constant(labels % 2))
    seen = {}
    for training in (True, False):
        terms = model.discriminator_loss(Batch(batch), training)
        image = np.asarray(model.real(Batch(batch), training))
        logits = image.reshape(16, -1) @ np.asarray(model.discriminator.trainable_variables[0])
        right = logits[:, 1:] - np.log(np.exp(logits[:, 1:]).sum(axis=1, keepdims=True))
        seen[training] = float(terms["class"])
        assert seen[training] == pytest.approx(-right[np.arange(16), labels % 2].mean(), abs=1e-5)
        assert (np.abs(image - images).max() > 0.29) == training
    assert seen[True] > seen[False] + 0.5
    np.testing.assert_array_equal(model.real(Batch(batch), False), images)


def test_class_of_fakes_is_in_the_generators_loss_alone():
    model, (images, labels) = small(epsilon=0.0), data(16)
    batch = Batch(image=tf.constant(images), label=tf.constant(labels))
    terms = model.discriminator_loss(batch, False)
    assert float(terms["class"]) == pytest.approx(float(model.class_loss("real", batch, False)))
    assert float(model.generator_loss(batch, False)["class"]) == pytest.approx(
        float(model.class_loss("fake", batch, False))
    )


@pytest.mark.parametrize(
    "attack, update",
    [
        ("pgd", "simultaneous"),
        pytest.param("pgd", "alternating", marks=pytest.mark.slow),
        pytest.param("free", "alternating", marks=pytest.mark.slow),
    ],
)
def test_without_epsilon_it_is_bit_equal_to_the_plain_game_of_the_same_losses(attack, update):
    norms = {"norm": "conditional_batch", "discriminator_norm": "none", "dropout": 0.0, "update": update}
    robust, plain = small(epsilon=0.0, attack=attack, replays=1, **norms), small(Plain, **norms)
    before = robust.get_weights()
    for model in (robust, plain):
        model.fit(*data(), batch_size=8, epochs=2, verbose=0)
    assert difference(everything(robust), everything(plain)) == 0
    assert difference(robust.get_weights(), before) > 1e-4


def test_no_gradient_of_the_discriminators_loss_flows_through_the_attack():
    """It is the one on images that were attacked beforehand, and then are nothing but data."""
    model, (images, labels) = linear(epsilon=0.3, attack_step_size=0.05), data(8)
    batch, weights = (
        Batch(image=tf.constant(images), label=tf.constant(labels % 2)),
        model.discriminator.trainable_variables,
    )
    attacked = np.asarray(model.real(Batch(batch), True))
    draws = model.seed_generator.state
    before = np.asarray(draws).copy()
    with tf.GradientTape() as tape:
        loss = sum(model.discriminator_loss(Batch(batch), True).values())
    draws.assign(before)
    with tf.GradientTape() as same:
        given = Batch(image=attacked, label=batch["label"])
        given.once("attacked", lambda: tf.constant(attacked))
        plain = sum(model.discriminator_loss(given, True).values())
    np.testing.assert_allclose(loss, plain, atol=1e-6)
    for one, other in zip(tape.gradient(loss, weights), same.gradient(plain, weights), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_attack_sees_the_discriminator_in_inference_and_moves_none_of_its_statistics():
    model, (images, labels) = (
        small(architecture="conv", width=4, discriminator_norm="batch", dropout=0.5, epsilon=0.1),
        data(8),
    )
    before = model.discriminator.get_weights()
    batch = Batch(image=tf.constant(images), label=tf.constant(labels))
    first = np.asarray(model.real(batch, True))
    assert difference(model.discriminator.get_weights(), before) == 0
    np.testing.assert_array_equal(model.real(Batch(batch), True), first)
    assert model.real(batch, True) is model.real(batch, True)  # found once in a step


# --- free training ---------------------------------------------------------------------------------------------------


def test_every_replay_starts_from_the_change_that_the_former_one_left():
    """By hand, on a discriminator that does not move: each replay adds one signed step of its own gradient."""
    epsilon, step = 0.3, 0.2
    model, (images, labels) = linear("free", replays=3, epsilon=epsilon, attack_step_size=step), data(16)
    part, seen = Batch(image=tf.constant(images), label=tf.constant(labels % 2)), []
    for _ in range(3):
        model.discriminator_loss(part, True)
        seen.append(np.asarray(model.real(part, True)))
        part = part.again()
    first = seen[0] - images
    assert -epsilon <= first.min() < -0.9 * epsilon and 0.9 * epsilon < first.max() <= epsilon  # uniform
    assert abs(first.mean()) < 0.1 * epsilon
    change = first
    for image in seen:
        np.testing.assert_allclose(image, images + change, atol=1e-6)
        change = np.clip(change + step * np.sign(slope(model, image, labels % 2)), -epsilon, epsilon)
    assert np.abs(np.abs(seen[2] - images) - epsilon).max() < 2 * step


@pytest.mark.parametrize("eagerly", [False, True])
def test_discriminator_moves_replays_times_as_often_on_the_same_rows(eagerly):
    model = small(attack="free", replays=3, n_critic=2, epsilon=0.1, attack_step_size=0.1)
    seen, loss = [], model.discriminator_loss

    def spied(batch, training):
        tf.py_function(lambda rows: seen.append(rows.numpy().tolist()), [batch["label"]], [])
        return loss(batch, training)

    model.discriminator_loss = spied
    model.compile(run_eagerly=eagerly)
    images, labels = data(32)
    model.fit(images, labels, batch_size=16, epochs=1, verbose=0)
    assert int(model.d_optimizer.iterations) == 3 * 2 * int(model.g_optimizer.iterations) == 3 * 2 * 2
    assert len(seen) == 12 and all(len(rows) == 8 for rows in seen)
    assert sorted(map(tuple, seen[0::3])) == sorted(map(tuple, seen[1::3])) == sorted(map(tuple, seen[2::3]))


def test_free_training_compiled_and_eager_agree_and_evaluation_is_of_clean_images():
    models = [small(attack="free", replays=2, epsilon=0.2, attack_step_size=0.2) for _ in range(2)]
    models[1].compile(run_eagerly=True)
    for model in models:
        model.fit(*data(), batch_size=8, epochs=1, verbose=0)
    assert difference(*(model.get_weights() for model in models)) < 1e-4
    plain = small(epsilon=0.0, attack="pgd")
    plain.set_weights(models[0].get_weights())
    found, expected = (m.evaluate(*data(), verbose=0, return_dict=True) for m in (models[0], plain))
    assert found["d_loss"] == expected["d_loss"] and found["d_class"] == expected["d_class"]


@pytest.mark.parametrize("parts", [1, 2])
def test_the_change_grows_from_replay_to_replay_in_every_part_of_a_batch(parts):
    model, seen = small(attack="free", replays=3, epsilon=0.5, attack_step_size=0.1), []
    moved = model.moved

    def spied(image, batch):
        tf.py_function(lambda *both: seen.append([one.numpy() for one in both]), [image, moved(image, batch)], [])
        return moved(image, batch)

    model.moved = spied
    model.compile(accumulate=parts, run_eagerly=True)
    images, labels = data(16)
    model.fit(images * 0.0, labels, batch_size=16, epochs=1, verbose=0)
    changes = [[attacked - image for image, attacked in seen[part::parts]] for part in range(parts)]
    for part in changes:
        assert len(part) == 3
        for before, after in zip(part, part[1:], strict=False):
            assert 0 < np.abs(after - before).max() < 0.1 + 1e-5  # one step of the attack, not a new beginning


@pytest.mark.parametrize("attack", ["pgd", "free"])
def test_it_trains_in_parts(attack):
    model = small(attack=attack, epsilon=0.1)
    model.compile(accumulate=2)
    history = model.fit(*data(), batch_size=16, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_free_training_replays_each_batch_twice_for_one_step_of_the_generator():
    sizes = {name: value for name, value in SIZES.items() if name != "n_critic"}
    model = keras_gen.RobGAN(**sizes, attack="free")
    model.compile()
    model.fit(*data(), batch_size=16, verbose=0)
    assert [int(getattr(model, f"{name}_optimizer").iterations) for name in "dg"] == [4, 2]
    assert keras_gen.RobGAN(**sizes).n_critic == 5
    before = {name: value for name, value in model.get_config().items() if name != "n_critic"}
    assert keras_gen.RobGAN.from_config(before).n_critic == 5, "a file of before"
    assert keras_gen.RobGAN.from_config(model.get_config()).n_critic == 1


# --- robustness ------------------------------------------------------------------------------------------------------


def digits_sets():
    images, labels = real_digits(1797)
    gray = np.rint((images + 1) * 127.5).astype(np.uint8)
    parts = [slice(0, 1400), slice(1400, None)]
    return [Examples({"image": gray[part], "label": labels[part]}, name="digits") for part in parts]


@pytest.mark.slow
def test_its_classifier_resists_where_that_of_acgan_does_not():
    """Real 8x8 digits, of 16 gray levels: both have the networks and the training, the attack is all that differs."""
    train, test = digits_sets()
    images, labels = train.arrays["image"] / np.float32(127.5) - 1, train.arrays["label"]
    found = {}
    for name, epsilon in (("plain", 0.0), ("robust", 0.5)):
        model = small(hidden=(128,), epsilon=epsilon, attack_step_size=0.2, attack_steps=3)
        model.compile(d_optimizer=keras.optimizers.Adam(2e-3, beta_1=0.5))
        model.fit(images, labels, batch_size=64, epochs=20, verbose=0)
        found[name] = model.measures(train, test, seed=0)
    assert found["plain"]["clean_accuracy"] > 0.9 and found["robust"]["clean_accuracy"] > 0.8
    assert found["robust"]["robust_accuracy"] > found["plain"]["robust_accuracy"] + 0.2
    assert found["robust"]["robust_accuracy_search"] > found["plain"]["robust_accuracy_search"] + 0.1
    # The search, which no masking misleads, finds no more than the gradient does.
    assert found["robust"]["robust_accuracy_search"] > found["robust"]["robust_accuracy"] - 0.05


def test_acgan_has_the_same_measures():
    train, test = digits_sets()
    found = keras_gen.ACGAN(**SIZES).measures(train, test, seed=0)
    assert set(found) == {"clean_accuracy", "robust_accuracy", "robust_accuracy_search"}
    assert all(0 <= value <= 1 for value in found.values())


def test_refusals():
    cases = {
        "epsilon is -0.1": {"epsilon": -0.1},
        "attack_step_size 0": {"attack_step_size": 0},
        "attack_steps is 0": {"attack_steps": 0},
        "replays is 0": {"replays": 0},
        "did you mean 'free'": {"attack": "fre"},
        "give update='alternating'": {"attack": "free", "update": "simultaneous"},
    }
    for words, arguments in cases.items():
        with pytest.raises(UsageError) as caught:
            keras_gen.RobGAN(**{**SIZES, **arguments})
        assert words in str(caught.value)


BUGS = (
    Bug(
        "Rob-GAN: the class of fakes in the discriminator's loss",
        "models/adversarial/rob_gan.py",
        '"class": self.class_loss("real", batch, training)}',
        "}",
        ("test_class_of_fakes_is_in_the_generators_loss_alone",),
    ),
    Bug(
        "Rob-GAN: attacks in evaluation",
        "models/adversarial/rob_gan.py",
        "if not training or not self.epsilon:\n            return image",
        "if not self.epsilon:\n            return image",
        ("test_discriminator_sees_attacked_images_in_both_of_its_terms_and_clean_ones_in_evaluation",),
    ),
    Bug(
        "FastGAN: parts of a batch begin anew in each replay",
        "game/batch.py",
        "some.carried = self.carried.setdefault((index, parts), {})",
        "pass",
        ("test_the_change_grows_from_replay_to_replay_in_every_part_of_a_batch[2]",),
    ),
    Bug(
        "FastGAN: no replay",
        "models/adversarial/rob_gan.py",
        'd._replace(replays=self.replays) if self.attack == "free" else d',
        "d",
        ("test_discriminator_moves_replays_times_as_often_on_the_same_rows",),
    ),
    Bug(
        "FastGAN: the change begins anew",
        "game/batch.py",
        "same.carried = self.carried",
        "pass",
        ("test_every_replay_starts_from_the_change_that_the_former_one_left",),
    ),
)

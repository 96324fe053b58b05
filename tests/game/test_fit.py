"""What `fit`, `compile` and the constructor refuse, and how they say it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import difference, injected, make, networks, real_digits, small_gpt, weights

import keras_gen
from keras_gen.errors import DamagedError, UsageError


@pytest.fixture
def model():
    return make("gan-injected")


def critic(shape):
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])


def sharing():
    """A game whose two networks hold one layer."""
    layer = keras.layers.Dense(64)
    generator = keras.Sequential([keras.Input((64,)), layer, keras.layers.Reshape((8, 8, 1))])
    judge = [keras.Input((8, 8, 1)), keras.layers.Flatten(), layer, keras.layers.Dense(1)]
    return keras_gen.GAN(generator, keras.Sequential(judge))


def one_line(error):
    text = str(error.value)
    assert "\n" not in text and len(text) <= 200, text


GOOD = real_digits(16)[0]
NAN = GOOD.copy()
NAN[3, 2, 2] = np.nan


@pytest.mark.parametrize(
    "x, kind, says",
    [
        (
            (GOOD * 127.5 + 127.5).astype(np.uint8),
            UsageError,
            r"uint8 from 0 to 255.*x.astype\('float32'\) / 127.5 - 1",
        ),
        (GOOD * 127.5 + 127.5, UsageError, r"float32 from 0 to 255.*127.5 - 1"),
        (NAN, DamagedError, "NaN.*row 3"),
        (np.moveaxis(GOOD, -1, 1), UsageError, r"\(batch, 1, 8, 8\).*expects \(batch, 8, 8, 1\).*moveaxis"),
        (GOOD[:, :4], UsageError, r"\(batch, 4, 8, 1\).*expects \(batch, 8, 8, 1\)"),
        (GOOD[:0], UsageError, "empty"),
        ({"picture": GOOD}, UsageError, "'image' is missing: the data holds 'picture'"),
        ({"image": GOOD, "label": np.zeros(3, np.int32)}, UsageError, "differ in length"),
        (17, UsageError, "int is not known"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused_before_the_first_step(model, x, kind, says):
    with pytest.raises(kind, match=says) as error:
        model.fit(x, batch_size=8, verbose=0)
    one_line(error)
    assert int(model.d_optimizer.iterations) == 0
    if isinstance(x, np.ndarray) and len(x):
        with pytest.raises(kind, match=says) as error:
            model.fit(tf.data.Dataset.from_tensor_slices(x).batch(8), verbose=0)
        one_line(error)
        with pytest.raises(kind, match=says):
            model.fit((x[i : i + 8] for i in (0, 8)), verbose=0)
        assert int(model.d_optimizer.iterations) == 0


def test_an_empty_data_set_and_an_empty_generator_are_refused(model):
    for empty in (tf.data.Dataset.from_tensor_slices(GOOD).take(0).batch(8), (x for x in ())):
        with pytest.raises(UsageError, match="empty"):
            model.fit(empty, verbose=0)


def test_a_filtered_data_set_that_turns_out_empty_is_an_error(model):
    dataset = tf.data.Dataset.from_tensor_slices(GOOD).filter(lambda x: False).batch(8)
    with pytest.raises(UsageError, match="empty"), pytest.warns(UserWarning, match="ran out of data"):
        model.fit(dataset, verbose=0)


def test_images_in_zero_to_one_are_warned_of_once(model):
    with pytest.warns(UserWarning, match=r"lies in \[0, 1\]"):
        model.fit(0.5 * (GOOD + 1), batch_size=8, verbose=0)


def test_a_one_shot_generator_is_never_consumed_twice(model):
    drawn = []

    def images():
        for index in range(4):
            drawn.append(index)
            yield GOOD[4 * index : 4 * index + 4]

    model.fit(images(), verbose=0)
    assert drawn == [0, 1, 2, 3] and int(model.d_optimizer.iterations) == 4
    stream = images()
    dataset = tf.data.Dataset.from_generator(lambda: stream, output_signature=tf.TensorSpec((None, 8, 8, 1)))
    drawn.clear()
    model.fit(dataset, verbose=0)
    assert drawn == [0, 1, 2, 3] and int(model.d_optimizer.iterations) == 8


@pytest.mark.parametrize("name", ["sample_weight", "class_weight"])
def test_weights_are_refused_by_name(model, name):
    with pytest.raises(UsageError, match=name) as error:
        model.fit(GOOD, verbose=0, **{name: np.ones(16)})
    one_line(error)
    with pytest.raises(UsageError, match="sample_weight"):
        model.fit(tf.data.Dataset.from_tensor_slices((GOOD, np.zeros(16), np.ones(16))).batch(8), verbose=0)


def test_a_batch_smaller_than_the_critic_steps_is_refused():
    model = keras_gen.GAN(*networks(), latent_dim=5, n_critic=5)
    model.compile()
    with pytest.raises(UsageError, match="batch of 4 cannot be split into 5"):
        model.fit(GOOD, batch_size=4, verbose=0)


def test_fit_before_compile_is_one_line():
    with pytest.raises(UsageError, match=r"call compile\(\)"):
        make("vae", compiled=False).fit(GOOD)


def test_the_order_is_new_each_epoch_and_the_same_in_each_run(model):
    seen = []

    class Watching(keras_gen.VAE):
        def observed(self, image, training):
            seen.append(image.numpy()[:, 0, 0, 0].tolist())
            return super().observed(image, training)

    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(12, 1, 1, 1) * np.ones((1, 8, 8, 1), np.float32)
    for _ in range(2):
        one = Watching(image_shape=(8, 8, 1), hidden=(4,), latent_dim=2, seed=1)
        one.compile(run_eagerly=True)
        one.fit(x, batch_size=12, epochs=2, verbose=0)
    assert seen[0] != seen[1] and seen[:2] == seen[2:]
    assert sorted(seen[0]) == sorted(x[:, 0, 0, 0].tolist())


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: keras_gen.get("dcgna"), "did you mean 'dcgan'"),
        (lambda: keras_gen.get("vae", latent_dims=3), "no argument 'latent_dims'; did you mean 'latent_dim'"),
        (lambda: keras_gen.get("gan", adversarial="hing"), "did you mean 'hinge'"),
        (lambda: keras_gen.get("vae", ema=1.5), "ema is 1.5"),
        (lambda: keras_gen.get("gan", n_critic=0), "n_critic is 0"),
        (lambda: keras_gen.get("vae", latent_dim=0), "latent_dim is 0"),
        (lambda: keras_gen.get("vae", samples=2.5), "samples is 2.5"),
        (lambda: keras_gen.GAN(**{**injected(), "image_shape": (4, 4, 1)}), r"\(4, 4, 1\), but the generator makes"),
        (lambda: keras_gen.GAN(networks()[0], critic((4, 4, 1))), r"makes images \(8, 8, 1\).*expects \(4, 4, 1\)"),
        (lambda: sharing(), "share .*kernel"),
        (lambda: make("vae").log_prob(np.zeros((2, 4, 4, 1), np.float32)), "expects .batch, 8, 8, 1"),
        (lambda: make("vae").compile(optimiser="adam"), "no argument 'optimiser'.*did you mean 'optimizer'"),
        (lambda: make("gan").compile(optimizer="adam"), "no argument 'optimizer'.*'d_optimizer'"),
        (lambda: make("gan").compile(d_optimizer="adamm"), "d_optimizer='adamm'.*did you mean 'Adam"),
        (lambda: make("vae").compile(loss="mse"), "no argument 'loss'"),
        (lambda: make("gan").sample(0), "at least 1"),
        (lambda: make("gan").sample(1, label=3), "has no labels"),
    ],
)
def test_wrong_words_are_one_line_with_the_near_misses(call, says):
    with pytest.raises(UsageError, match=says) as error:
        call()
    one_line(error)


def test_one_optimizer_instance_for_two_players_is_refused():
    adam = keras.optimizers.Adam()
    with pytest.raises(UsageError, match="each its own"):
        make("gan").compile(d_optimizer=adam, g_optimizer=adam)


def test_compile_takes_instances_names_and_configurations(tmp_path):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = make("gan-injected")
    model.compile(d_optimizer="rmsprop", g_optimizer=keras.optimizers.serialize(keras.optimizers.SGD(schedule)))
    assert isinstance(model.d_optimizer, keras.optimizers.RMSprop)
    model.save(tmp_path / "m.keras")
    again = keras_gen.load(tmp_path / "m.keras")
    assert isinstance(again.d_optimizer, keras.optimizers.RMSprop)
    assert float(again.g_optimizer.learning_rate) == pytest.approx(0.1)


def test_callbacks_have_a_total_loss_to_hold(model):
    class Poison(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 1:
                bias = self.model.discriminator.trainable_variables[-1]  # behind the ReLU, which swallows NaN
                bias.assign(np.full(bias.shape, np.nan, np.float32))

    model.fit(GOOD, batch_size=2, verbose=0, callbacks=[Poison(), keras.callbacks.TerminateOnNaN()])
    assert int(model.d_optimizer.iterations) == 2


def test_learning_rate_callbacks_name_their_player():
    halve = lambda epoch, rate: rate * 0.5  # noqa: E731
    game, vae = make("gan-injected"), make("vae")
    before = float(game.g_optimizer.learning_rate), float(game.d_optimizer.learning_rate)
    game.fit(GOOD, batch_size=8, verbose=0, callbacks=[keras_gen.callbacks.LearningRateScheduler(halve, player="g")])
    assert float(game.g_optimizer.learning_rate) == pytest.approx(before[0] / 2)
    assert float(game.d_optimizer.learning_rate) == pytest.approx(before[1])
    game.fit(
        GOOD,
        batch_size=8,
        epochs=3,
        verbose=0,
        callbacks=[
            keras_gen.callbacks.ReduceLROnPlateau(monitor="d_loss", mode="min", patience=1, min_delta=1e9, player="d")
        ],
    )
    assert float(game.d_optimizer.learning_rate) < before[1]
    assert keras_gen.callbacks.ReduceLROnPlateau(monitor="val_g_loss", player="g").mode == "min"
    with pytest.raises(UsageError, match="'d_real' nothing says what is better; give mode="):
        keras_gen.callbacks.ReduceLROnPlateau(monitor="d_real", player="d")
    vae.fit(GOOD, batch_size=8, verbose=0, callbacks=[keras.callbacks.LearningRateScheduler(halve)])
    assert float(vae.optimizer.learning_rate) == pytest.approx(5e-4)
    with pytest.raises(UsageError, match="player 'x'.*'d', 'g'"):
        game.fit(GOOD, verbose=0, callbacks=[keras_gen.callbacks.LearningRateScheduler(halve, player="x")])
    with pytest.raises(UsageError, match="player ''.*'d', 'g'"):
        game.fit(GOOD, verbose=0, callbacks=[keras_gen.callbacks.LearningRateScheduler(halve)])


def test_tokens_and_the_next_ones_are_rows_of_tokens_for_gpt():
    rows = np.random.default_rng(0).integers(0, 17, (16, 9)).astype(np.int32)
    model = small_gpt(17, 8)
    model.compile()
    with pytest.raises(UsageError, match=r"y has shape \(batch, 8\), that of the tokens: .* 9 tokens, without y"):
        model.fit(rows[:, :-1], rows[:, 1:], verbose=0)


def test_images_and_labels_may_come_as_one_tuple_or_list():
    images, labels = real_digits(16)
    for both in ((images, labels), [images, labels]):
        history = make("vae").fit(both, batch_size=8, verbose=0, validation_data=both).history
        assert {"loss", "val_loss"} <= set(history)
    make("vae").fit(images, validation_data=(images,), verbose=0)
    with pytest.raises(UsageError, match="sample_weight"):
        make("vae").fit((images, labels, labels), verbose=0)


def test_many_fits_of_one_epoch_are_one_fit_of_many():
    one, many = make("vae"), make("vae")
    one.fit(GOOD, batch_size=4, epochs=3, verbose=0)
    for _ in range(3):
        many.fit(GOOD, batch_size=4, epochs=1, verbose=0)
    assert difference(weights(one), weights(many)) == 0


def test_a_short_last_batch_serves_every_step_of_a_critic():
    model = keras_gen.GAN(image_shape=(8, 8, 1), hidden=(4,), n_critic=5)
    model.compile()
    images = real_digits(34)[0]
    model.fit(images, batch_size=16, verbose=0)
    assert int(model.d_optimizer.iterations) == 10  # 2 rows are too few for 5 steps: left out
    model.fit(tf.data.Dataset.from_tensor_slices(images).batch(16), verbose=0)
    assert int(model.d_optimizer.iterations) == 25  # another data set is taken whole, and its rows are shared
    assert all(np.isfinite(value).all() for value in weights(model))


def test_an_evaluation_is_checked_too(model):
    with pytest.raises(UsageError, match="from 0 to 255") as error:
        model.evaluate(tf.data.Dataset.from_tensor_slices(GOOD * 127.5 + 127.5).batch(8), verbose=0)
    one_line(error)


def test_the_seed_is_of_all_draws():
    histories = []
    for noise in (1, 2):
        model = make("gan-injected", seed=4)
        keras.utils.set_random_seed(noise)  # the process's own seed must not matter any more
        histories.append(model.fit(GOOD, batch_size=8, verbose=0).history)
    assert histories[0] == histories[1]
    again = make("gan-injected", seed=5).fit(GOOD, batch_size=8, verbose=0).history
    assert again != histories[0]


def test_validation_split_and_data(model):
    history = model.fit(GOOD, batch_size=8, validation_split=0.25, verbose=0).history
    assert {"val_d_loss", "val_g_loss", "val_loss"} <= set(history)
    with pytest.raises(UsageError, match="validation_split is 1.5"):
        model.fit(GOOD, validation_split=1.5, verbose=0)


@pytest.mark.parametrize("plain", [False, True], ids=["named", "plain"])
def test_injected_networks_may_take_named_or_plain_inputs(plain):
    if plain:
        generator = keras.Sequential([keras.layers.Dense(64, activation="tanh"), keras.layers.Reshape((8, 8, 1))])
        discriminator = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
        model = keras_gen.GAN(generator, discriminator, latent_dim=4)
    else:
        model = keras_gen.GAN(*networks())
    assert model.image_shape == (8, 8, 1) and model.latent_dim == (4 if plain else 5)
    model.compile()
    model.fit(GOOD, verbose=0)
    assert model.sample(2).shape == (2, 8, 8, 1)
    assert model.predict(np.zeros((2, model.latent_dim), np.float32), verbose=0).shape == (2, 8, 8, 1)


def test_nothing_is_traced_again_after_the_first_epoch():
    traces, by_epoch = [], []

    class Counting(keras_gen.VAE):
        def negative_elbo(self, batch, training):
            traces.append(training)
            return super().negative_elbo(batch, training)

    model = Counting(image_shape=(8, 8, 1), hidden=(4,), latent_dim=2, seed=0)
    model.compile()
    model.fit(
        real_digits(34)[0],  # the last batch is shorter
        batch_size=8,
        epochs=3,
        verbose=0,
        validation_data=real_digits(10)[0],
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: by_epoch.append(len(traces)))],
    )
    assert by_epoch[0] > 0 and by_epoch[0] == by_epoch[1] == by_epoch[2]


BUGS = (
    Bug(
        "files: no random states",
        "game/model.py",
        'generator.state.assign(np.asarray(store[f"seed_{index}"]))',
        "pass",
        ("contract/test_every.py::test_every_argument_and_weight_survives_a_save_and_one_more_step_is_bit_equal[vae]",),
    ),
)

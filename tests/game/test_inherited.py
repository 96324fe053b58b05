"""What models inherit from `keras.Model`, after `fit` and after `load`: it works, or one line says what to call."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import difference, real_digits, weights

import keras_gen
from keras_gen.errors import DamagedError, UsageError

IMAGES, LABELS = real_digits(16)
SIZES = {
    "vae": {"hidden": (4,), "latent_dim": 2},
    "conditional_vae": {"hidden": (4,), "latent_dim": 2},
    "cgan": {"hidden": (4,), "latent_dim": 2},
}


@pytest.fixture(scope="module", params=SIZES)
def models(request, tmp_path_factory):
    """A model after `fit`, and the same after `load`."""
    model = keras_gen.get(request.param, image_shape=(8, 8, 1), seed=0, **SIZES[request.param])
    model.compile()
    model.fit(IMAGES, LABELS, verbose=0)
    path = tmp_path_factory.mktemp("models") / "m.keras"
    model.save(path)
    return model, keras_gen.load(path)


def one_line(call, says="."):
    with pytest.raises(UsageError, match=says) as error:
        call()
    text = str(error.value)
    assert "\n" not in text and len(text) <= 260, text


def test_what_is_asked_of_one_batch_is_checked_as_in_fit(models):
    for model in models:
        for call in (model.train_on_batch, model.test_on_batch):
            assert "loss" in call(IMAGES, LABELS, return_dict=True)
            assert len(call(IMAGES[..., 0], np.eye(10)[LABELS])) == len(model.metrics)
            one_line(lambda: call(127.5 * IMAGES + 127.5, LABELS), "127.5 - 1")  # noqa: B023
            one_line(lambda: call(IMAGES, LABELS, sample_weight=LABELS), "sample_weight")  # noqa: B023
            with pytest.raises(DamagedError, match="row 0"):
                call(np.full_like(IMAGES, np.nan), LABELS)
        assert "loss" in model.train_step((IMAGES, LABELS)) and "loss" in model.test_step((IMAGES, LABELS))


def test_predict_does_what_call_does_or_names_what_to_call(models):
    for model in models:
        latent = np.zeros((3, 2), np.float32)
        if isinstance(model, keras_gen.GAN):
            good, bad = {"latent": latent, "label": LABELS[:3]}, {"latent": IMAGES[:3], "label": LABELS[:3]}
        else:
            good, bad = {"image": IMAGES[:3], "label": LABELS[:3]}, latent
        made = model({name: tf.constant(value) for name, value in good.items()})
        for call in (lambda x: model.predict(x, verbose=0), model.predict_on_batch):  # noqa: B023
            np.testing.assert_allclose(call(good), made, atol=1e-6)
        batched = tf.data.Dataset.from_tensor_slices(good).batch(3)
        np.testing.assert_allclose(model.predict(batched, verbose=0), made, atol=1e-6)
        for call in (model.predict, model.predict_on_batch, model, lambda x: model.predict_step((x,))):  # noqa: B023
            one_line(lambda: call(bad), r"does not take .*use sample\(n\), run")  # noqa: B023
        one_line(lambda: model.predict(tf.data.Dataset.from_tensors(latent[:, :1])), r"use sample\(n\)")  # noqa: B023


def test_weights_and_configurations_go_and_come(models, tmp_path):
    for model in models:
        model.save_weights(tmp_path / "m.weights.h5")
        again = keras.models.clone_model(model)
        again.load_weights(tmp_path / "m.weights.h5")
        assert type(keras.models.model_from_json(model.to_json())) is type(model)
        model.set_weights(model.get_weights())
        assert np.array_equal(again.sample(2), model.sample(2))
        assert model.count_params() and model.get_layer(index=0) and model.get_metrics_result()
        model.reset_metrics()
        model.summary(print_fn=lambda *_, **__: None)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda model: model.export("folder"), "keras-gen export"),
        (lambda model: model.quantize("int8"), "keras-gen export"),
        (lambda model: model.compute_loss(IMAGES), "evaluate"),
        (lambda model: model.stateless_compute_loss([], [], []), "evaluate"),
        (lambda model: model.compute_output_shape((None, 8, 8, 1)), "signatures"),
    ],
)
def test_what_a_game_cannot_do_names_what_can(models, call, says):
    for model in models:
        one_line(lambda: call(model), says)  # noqa: B023


def test_the_state_of_a_game_is_saved_and_not_a_tree(models):
    for model in models:
        if len(model.players()) > 1:
            one_line(model.get_state_tree, "save")
            one_line(lambda: model.set_state_tree({}), "save")  # noqa: B023
        else:
            before = weights(model)
            model.set_state_tree(model.get_state_tree())
            assert difference(before, weights(model)) == 0


@pytest.mark.parametrize(
    "callback, says",
    [
        (
            keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate),
            r"'d', 'g'.*LearningRateScheduler\(.*player=",
        ),
        (keras.callbacks.ReduceLROnPlateau(monitor="loss"), r"'d', 'g'.*ReduceLROnPlateau\(.*player="),
        (keras.callbacks.SwapEMAWeights(), "ema=0.999"),
        (keras.callbacks.TensorBoard("logs", write_steps_per_second=True), "leave it out"),
    ],
)
def test_keras_callbacks_of_one_optimizer_name_those_of_a_player(models, callback, says):
    model = models[0]
    if len(model.players()) > 1:
        one_line(lambda: model.fit(IMAGES, LABELS, verbose=0, callbacks=[callback]), says)
    elif "player" in says:
        model.fit(IMAGES, LABELS, verbose=0, callbacks=[callback])

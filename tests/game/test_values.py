"""Inference looks at values as `fit` does: it refuses images of another range, NaN, and classes that there are not."""

import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make, real_digits, refused

from keras_gen import latent
from keras_gen.errors import DamagedError

IMAGES, LABELS = real_digits(12)
BYTES = (127.5 * (IMAGES + 1)).astype(np.uint8)
SCALED = r"127\.5 - 1"

INFERENCE = {
    "encode": lambda model, x: model.encode(x),
    "reconstruct": lambda model, x: model.reconstruct(x),
    "run": lambda model, x: model.run("encode", image=x),
    "log_prob": lambda model, x: model.log_prob(x),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict by name": lambda model, x: model.predict({"image": x}, verbose=0),
    "predict of pairs": lambda model, x: model.predict(tf.data.Dataset.from_tensor_slices((x, LABELS)).batch(6)),
    "predict of tf.data": lambda model, x: model.predict(tf.data.Dataset.from_tensor_slices(x).batch(6), verbose=0),
    "predict of a generator": lambda model, x: model.predict((x[at : at + 6] for at in (0, 6)), verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "call": lambda model, x: model(x),
    "project": lambda model, x: latent.project(model, x, steps=1, starts=1),
    "latent.reconstruct": lambda model, x: latent.reconstruct(model, x),
}


@pytest.fixture(scope="module")
def vae():
    return make("vae")


@pytest.fixture(scope="module")
def conditional():
    return make("conditional_vae")


@pytest.fixture(scope="module")
def cgan():
    return make("cgan")


@pytest.mark.parametrize("call", INFERENCE.values(), ids=INFERENCE)
def test_every_way_to_a_network_refuses_another_range_and_nan_in_any_row(vae, call):
    bright, broken = IMAGES.copy(), IMAGES.copy()
    bright[9], broken[9, 2, 2] = BYTES[9], np.nan
    refused(lambda: call(vae, BYTES), SCALED)
    refused(lambda: call(vae, BYTES.astype(np.float32)), SCALED)
    refused(lambda: call(vae, bright), r"row (9|3 of batch 1) ")
    refused(lambda: call(vae, broken), r"row (9|3 of batch 1) ", DamagedError)
    with pytest.warns(UserWarning, match=r"x \* 2 - 1"):
        call(vae, (IMAGES + 1) / 2)
    call(vae, IMAGES)


def test_latents_that_are_no_numbers_are_refused(vae, cgan):
    nowhere = np.full((2, 100), np.nan, np.float32)
    refused(lambda: vae.decode(nowhere[:, : vae.latent_dim]), "NaN", DamagedError)
    refused(lambda: latent.decoder(vae)(nowhere[:, : vae.latent_dim]), "NaN", DamagedError)
    given = {"latent": nowhere[:, : cgan.latent_dim], "label": LABELS[:2]}
    refused(lambda: cgan.run("generate", truncation=100, **given), "NaN", DamagedError)
    refused(lambda: cgan.predict(given, verbose=0), "NaN", DamagedError)


def test_noise_of_a_denoising_autoencoder_is_of_its_range():
    model = make("denoising_autoencoder", image_shape=(8, 8, 1), corruption="gaussian", amount=0.5)
    assert np.abs(model.corrupt(IMAGES)).max() > 1.5
    model.reconstruct(model.corrupt(IMAGES)), model.predict(model.corrupt(IMAGES), verbose=0)
    refused(lambda: model.reconstruct(BYTES), SCALED)
    refused(lambda: model.predict(BYTES.astype(np.float32), verbose=0), SCALED)


PREDICT = {
    "arrays": lambda given: given,
    "tf.data": lambda given: tf.data.Dataset.from_tensor_slices(given).batch(6),
    "generator": lambda given: ({name: value[at : at + 6] for name, value in given.items()} for at in (0, 6)),
}


@pytest.mark.parametrize("form", PREDICT.values(), ids=PREDICT)
@pytest.mark.parametrize(
    "wrong, says", [(99, "label 99 is out of range"), (-1, "label -1"), (3.5, "'label' holds 3.5")]
)
def test_predict_refuses_classes_that_there_are_not(conditional, cgan, form, wrong, says):
    labels = np.where(np.arange(12) == 9, wrong, LABELS)
    for model, name, value in ((conditional, "image", IMAGES), (cgan, "latent", np.zeros((12, cgan.latent_dim), "f"))):
        refused(lambda: model.predict(form({name: value, "label": labels}), verbose=0), says)  # noqa: B023
    refused(lambda: conditional.predict_on_batch({"image": IMAGES, "label": labels}), says)


def test_predict_takes_classes_in_the_forms_of_fit():
    model = make("conditional_vae", num_classes=10, class_names=tuple("abcdefghij"))
    made = model.predict({"image": IMAGES, "label": LABELS}, verbose=0)
    for same in (LABELS[:, None], np.eye(10)[LABELS], np.array([*"abcdefghij"])[LABELS], LABELS.astype(float)):
        np.testing.assert_array_equal(model.predict({"image": IMAGES[..., 0], "label": same}, verbose=0), made)
    refused(lambda: model.predict({"image": IMAGES[:0], "label": LABELS[:0]}), "at least one row")


BUGS = [
    Bug(
        "inference takes any range",
        "game/inference.py",
        "    check_values(arrays, meta=meta)\n",
        "",
        ("test_every_way_to_a_network_refuses_another_range_and_nan_in_any_row",),
    ),
]

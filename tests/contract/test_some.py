"""What every model must do, too, and where one of each family stands for the others unless slow tests run."""

import collect
import keras
import numpy as np
import pytest
import tensorflow as tf
from killed import resumed
from tiny import batch_for, difference, given, make

import keras_gen
from export import tflite
from keras_gen.signatures.exported import open_file

FAMILIES = {path.parent.name for path in collect.modules_of_models().values()}


def one_a_family(rows, **chosen):
    """Parametrizes with rows, of which all but those chosen, one for each family, are slow."""
    assert set(chosen) == FAMILIES and set(chosen.values()) <= set(rows)
    for family, row in chosen.items():
        assert collect.modules_of_models()[row.partition("-")[0]].parent.name == family, row
    marks = {row: () if row in chosen.values() else pytest.mark.slow for row in rows}
    return pytest.mark.parametrize("row", [pytest.param(row, marks=marks[row]) for row in rows])


@one_a_family(
    keras_gen.names(), autoencoders="vae", autoregressive="pixel_cnn", adversarial="acgan", translation="pix2pix"
)
def test_fit_takes_what_keras_users_pass(row):
    model = make(row)
    batch = batch_for(model)
    image, label = (batch[name] for name in model.data_names)
    forms = [
        (image, label),
        (batch, None),
        (tf.data.Dataset.from_tensor_slices((image, label)).batch(8), None),
        (tf.data.Dataset.from_tensor_slices(batch).batch(8), None),
    ]
    both = set(model.data_names) <= set(model.expects())
    if not both:
        forms += [
            (image, None),
            (tf.data.Dataset.from_tensor_slices(image).batch(8), None),
            ((part for part in [image[:8], image[8:]]), None),
        ]
    for x, y in forms:
        history = model.fit(x, y, batch_size=8, epochs=1, verbose=0).history
        assert np.isfinite(history["loss"]).all()
    held_out = (image[:8], label[:8]) if both else image[:8]
    history = model.fit(image, label if both else None, batch_size=8, verbose=0, validation_data=held_out).history
    assert {f"val_{name}" for name in history if not name.startswith("val_")} <= set(history)


@one_a_family(
    collect.rows(), autoencoders="vae", autoregressive="pixel_cnn", adversarial="dcgan", translation="pix2pix"
)
def test_an_interrupted_fit_ends_bit_identical_to_an_uninterrupted_one(row, tmp_path):
    shown = {"rows": 40, "batch_size": 8, "epochs": 3}
    *_, expected, found = resumed(lambda: make(row), tmp_path, 9, **shown)  # in the second epoch, a step after a save
    assert found["loss"] == expected["loss"][1:]


@one_a_family(
    collect.rows(), autoencoders="vae", autoregressive="pixel_cnn", adversarial="dcgan", translation="pix2pix"
)
def test_every_signature_exports_to_tflite_and_samples_alike(row, tmp_path):
    model = make(row, compiled=False)
    tflite.export(model, tmp_path)
    sampler = next((name for name, signature in model.signatures().items() if "sample" in signature.meta), None)
    if sampler is None:
        assert row.startswith("gpt"), "its loop is outside of the file: see examples/test_run_gpt_onnx.py"
        return
    images = given(model, 5)
    drawn = open_file(tmp_path / "model.tflite").sample(5, seed=7, **images)["image"]
    np.testing.assert_allclose(drawn, model.sample(5, seed=7, **images), atol=model.signatures()[sampler].atol)


@one_a_family(
    keras_gen.names(), autoencoders="vae", autoregressive="pixel_cnn", adversarial="bigan", translation="pix2pix"
)
def test_mixed_float16_trains_every_player_and_exports_in_float32(row, tmp_path):
    _check_precision(row, "mixed_float16", tmp_path)


@pytest.mark.slow  # as float16, but that no loss is scaled
@one_a_family(
    keras_gen.names(), autoencoders="vq_vae", autoregressive="pixel_cnn", adversarial="sngan", translation="pix2pix"
)
def test_mixed_bfloat16_trains_every_player_and_exports_in_float32(row, tmp_path):
    _check_precision(row, "mixed_bfloat16", tmp_path)


def _check_precision(row, precision, tmp_path):
    model = make(row, dtype=precision)
    history = model.fit(batch_for(model), batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    scaled = [
        isinstance(getattr(model, p.prefixed("optimizer")), keras.optimizers.LossScaleOptimizer)
        for p in model.players()
    ]
    assert all(scaled) if precision == "mixed_float16" else not any(scaled)
    assert any(layer.compute_dtype != "float32" for layer in model._flatten_layers())
    twin = model.float32()
    assert all(layer.compute_dtype == "float32" for layer in twin._flatten_layers())
    assert difference([np.asarray(v) for v in twin.weights], [np.asarray(v) for v in model.weights]) == 0
    if model.density == "exact":  # what is drawn value by value differs wherever a draw is close
        example = model.signatures()["logits"].example(3)
        ours, theirs = (one.run("logits", **example)["logits"] for one in (twin, model))
        assert 0 < np.abs(ours - theirs).max() < 0.1 * np.ptp(ours)
    else:
        images = given(model, 3)
        np.testing.assert_allclose(twin.sample(3, **images), model.sample(3, **images), atol=0.05)
    model.save(tmp_path / "model.keras")
    assert keras_gen.load(tmp_path / "model.keras").dtype_policy.name == precision

"""File formats are kept: files of the version before the rooms were laid anew load, go on and sample the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import difference, real_digits

import keras_gen
from keras_gen.callbacks import Checkpoint

KEPT = Path(__file__).with_name("kept")


@pytest.fixture(scope="module")
def expected():
    with np.load(KEPT / "samples.npz") as held:
        return dict(held)


@pytest.mark.parametrize("name", ["dcgan", "gpt"])
def test_a_keras_file_samples_the_same(name, expected):
    model = keras_gen.load(KEPT / f"{name}.keras")
    assert model.compiled and type(model) is type(keras_gen.get(name))
    # Another machine may order a sum otherwise; tokens are whole.
    np.testing.assert_allclose(model.sample(3, seed=1), expected[name], atol=1e-5)


@pytest.mark.parametrize("file", ["generate.onnx", "model.tflite"])
def test_an_exported_file_samples_the_same(file, expected):
    found = keras_gen.exported.open_file(KEPT / file).sample(3, seed=1)
    np.testing.assert_allclose(found["image"], expected["dcgan"], atol=1e-4)


def test_a_checkpoint_goes_on(tmp_path):
    shutil.copy(KEPT / "step-000000004.npz", tmp_path)
    images = real_digits(32)[0]
    kept, model = keras_gen.load(KEPT / "dcgan.keras"), keras_gen.load(KEPT / "dcgan.keras")
    for variable in model.trainable_variables:
        variable.assign(variable + 1.0)
    keeper = Checkpoint(tmp_path, every=None)
    model.fit(images, batch_size=16, epochs=2, verbose=0, callbacks=[keeper])
    assert keeper.steps_done == 4
    assert difference(model.get_weights(), kept.get_weights()) == 0
    model.fit(images, batch_size=16, epochs=3, verbose=0, callbacks=[keeper])
    assert keeper.steps_done == 6 and difference(model.get_weights(), kept.get_weights()) > 0

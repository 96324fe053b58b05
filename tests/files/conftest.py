"""The real thing, from which every hostile file is made by one change."""

import zipfile

import keras
import pytest
from archives import networks

import keras_gen


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Returns a saved model: the real thing, from which every hostile file is made by one change."""
    generator, discriminator = networks()
    model = keras_gen.get("gan", generator=generator, discriminator=discriminator, seed=2**40)
    schedules = keras.optimizers.schedules
    model.compile(
        d_optimizer=keras.optimizers.Adam(schedules.CosineDecay(1e-3, 3_000_000), beta_1=0.5, clipnorm=1.0),
        g_optimizer=keras.optimizers.RMSprop(schedules.PiecewiseConstantDecay([100, 200], [1e-3, 5e-4, 1e-4])),
    )
    path = tmp_path_factory.mktemp("archive") / "gan.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def members(saved):
    """Returns the saved model's members."""
    with zipfile.ZipFile(saved) as file:
        return {name: file.read(name) for name in file.namelist()}

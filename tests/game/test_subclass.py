"""A user's own subclass of a model keeps its arguments, networks and variables."""

import keras
import numpy as np
import pytest
from tiny import difference, real_digits, weights

import keras_gen


@keras.saving.register_keras_serializable("mine")
class Wider(keras_gen.DCGAN):
    def __init__(self, extra=3, layers=(), **options):
        super().__init__(**options)
        self.extra, self.more = extra, list(layers)
        self.head = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        self.scale = self.add_weight(shape=(2,), name="scale")
        self.build()


@keras.saving.register_keras_serializable("mine")
class Fixed(keras_gen.VAE):
    def __init__(self, width=3):
        super().__init__(image_shape=(8, 8, 1), hidden=(width,))


def test_arguments_networks_and_variables_of_a_subclass_survive_a_save(tmp_path):
    model = Wider(4, [keras.layers.Dense(5)], image_shape=(8, 8, 1), width=2, ema=0.9)
    model.scale.assign([7.0, 8.0])
    model.compile()
    model.fit(real_digits(32)[0], verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras_gen.load(tmp_path / "m.keras", custom_objects={"Wider": Wider})
    assert again.extra == 4 and again.more[0].units == 5 and again.ema == 0.9
    assert difference(weights(model), weights(again)) == 0
    assert again.scale.numpy().tolist() == [7.0, 8.0]


def test_a_constructor_that_passes_nothing_on(tmp_path):
    model = Fixed(5)
    model.save(tmp_path / "m.keras")
    again = keras_gen.load(tmp_path / "m.keras", custom_objects={"Fixed": Fixed})
    assert again.get_config() == {"width": 5} and np.array_equal(again.sample(2), model.sample(2))
    with pytest.raises(keras_gen.errors.UsageError, match="no argument 'name'"):
        Fixed(name="mine")

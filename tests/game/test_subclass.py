"""A user's own subclass of a model keeps its arguments, networks and variables."""

import keras
import numpy as np
import pytest
from planted import Bug
from tiny import difference, real_digits, weights

import keras_gen
from keras_gen.game.player import Player


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


class Slow(keras_gen.GAN):
    @staticmethod
    def paper_optimizer():
        return keras.optimizers.SGD(0.5)


class Apart(keras_gen.GAN):
    def paper_optimizer(self, player):
        return keras.optimizers.SGD({"d": 0.25, "g": 0.75}[player])


def test_the_papers_optimizer_may_be_one_for_both_players_or_one_for_each():
    for cls, rates in ((Slow, (0.5, 0.5)), (Apart, (0.25, 0.75))):
        model = cls(image_shape=(4, 4, 1), hidden=(3,), latent_dim=2)
        model.compile()
        assert (float(model.d_optimizer.learning_rate), float(model.g_optimizer.learning_rate)) == rates
    for made in (keras.optimizers.Adam, lambda player="nobody": keras.optimizers.SGD({"": 1.0}[player])):
        assert isinstance(Player("", (), None, made).paper_optimizer(), keras.optimizers.Optimizer)


BUGS = (
    Bug(
        "players: the paper's optimizer of the other player",
        "game/player.py",
        "self.optimizer(player=self.name) if told",
        'self.optimizer(player="g") if told',
        ("test_the_papers_optimizer_may_be_one_for_both_players_or_one_for_each",),
    ),
)

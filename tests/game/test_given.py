"""What a game is given, networks and rules: what does not fit is said in one line, where it is given."""

import keras
import numpy as np
import pytest
from one_weight import OneWeight, game, step
from tiny import networks

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.config import constructor_arguments
from keras_gen.registry import model_class

LEAVES = [name for name in keras_gen.names() if name != "gan" and issubclass(model_class(name), keras_gen.GAN)]
LEAVES = [name for name in LEAVES if "generator" in constructor_arguments(model_class(name))]


@pytest.mark.parametrize("name", LEAVES)
def test_a_leaf_takes_networks_by_name_alone(name):
    for given in (networks(), networks()[:1]):
        with pytest.raises(UsageError, match=r"^[^\n]*give networks by name: [^\n]*generator=, discriminator=$"):
            model_class(name)(*given)


def test_what_is_no_network_is_not_given_by_too_many_or_as_another_argument():
    generator, discriminator = networks()
    keras_gen.GAN(generator, discriminator, latent_dim=5)  # its first two arguments
    with pytest.raises(UsageError, match="WGANGP was given the network .* as n_critic; give networks by name"):
        keras_gen.WGANGP(n_critic=discriminator)
    for call in (lambda: keras_gen.WGAN(*range(30)), lambda: keras_gen.WGAN(0.01, clip=0.02)):
        with pytest.raises(UsageError, match=r"^WGAN cannot take this: [^\n]*$"):
            call()


def two_outputs(generator, as_dict=False):
    made = {"a": generator.output, "b": generator.output} if as_dict else [generator.output, generator.output]
    return keras.Model(generator.input, made)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda g, d: (two_outputs(g), d), "the generator's outputs are 2, list; expected one tensor"),
        (lambda g, d: (two_outputs(g, True), d), "the generator's outputs are 2, dict; expected one tensor"),
        (lambda g, d: (g, two_outputs(d)), "the discriminator gives 2 outputs; expected one tensor"),
        (lambda g, d: (keras.Sequential([g, keras.layers.Flatten()]), d), r"of shape \(1, 64\); expected one tensor"),
        (lambda g, d: (d, g), "takes 'image' and not 'latent'"),
        (lambda g, d: (keras.Sequential(d.layers), g), "the generator cannot take latent"),
    ],
    ids=["list", "dict", "logits", "flat", "swapped", "swapped plain"],
)
def test_networks_of_another_kind_are_said_in_one_line(change, said):
    generator, discriminator = change(*networks())
    with pytest.raises(UsageError, match=said) as caught:
        keras_gen.GAN(generator, discriminator, latent_dim=5)
    assert "\n" not in str(caught.value)


def test_several_steps_are_not_simultaneous():
    for cls in (keras_gen.GAN, keras_gen.WGAN, keras_gen.CGAN):
        with pytest.raises(UsageError, match="n_critic is 2 with update='simultaneous'; give update='alternating'"):
            cls(image_shape=(8, 8, 1), update="simultaneous", n_critic=2)
    size = {"image_shape": (8, 8, 1), "hidden": (4,)}
    assert [keras_gen.GAN(**size, n_critic=n).update for n in (1, 2)] == ["simultaneous", "alternating"]
    old = keras_gen.GAN.from_config({**size, "update": "simultaneous", "n_critic": 2})
    assert old.update == "alternating", "a file of before is trained as before"

    class Several(OneWeight):
        def players(self):
            d, g = super().players()
            return d._replace(steps=2), g

    model = game()
    model.__class__ = Several
    with pytest.raises(UsageError, match="player 'd' takes 2 steps, and update = 'simultaneous' has one"):
        step(model)


@pytest.mark.parametrize(
    "given, says",
    [
        (("a", "a", "b"), "'a' twice"),
        (("a ", " a", "b"), "'a' twice"),
        (("a", "", "b"), "holds ''"),
        (("1", 1, "b"), "'1' twice"),
        ("abc", "is 'abc'; expected a list"),
        ("a,b,c", "is 'a,b,c'; expected a list"),
        (b"abc", "expected a list"),
        ({"a", "b", "c"}, "expected a list"),
        ({"a": 0, "b": 1, "c": 2}, "expected a list"),
        (5, "is 5; expected a list"),
        (("a", "b"), "give one for each class"),
    ],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value),  # sets have no order
)
def test_names_of_classes_are_a_list_of_different_names(given, says):
    sizes = {"image_shape": (8, 8, 1), "hidden": (4,), "latent_dim": 2, "num_classes": 3}
    with pytest.raises(UsageError, match=rf"^class_names [^\n]*{says}[^\n]*$"):
        keras_gen.get("conditional_vae", **sizes, class_names=given)
    for fine in (("a", "b", "c"), ["a", "b", "c"], np.array(["a", "b", "c"]), ("a", "A", 3)):
        assert keras_gen.get("conditional_vae", **sizes, class_names=fine).class_names == tuple(map(str, fine))


def test_text_is_a_name_first_and_a_number_is_an_index():
    sizes = {"image_shape": (8, 8, 1), "hidden": (4,), "latent_dim": 2, "num_classes": 3}
    model = keras_gen.get("conditional_vae", **sizes, class_names=("cat", "2", "dog"))

    def drawn(label):
        return model.sample(2, seed=0, label=label)

    cat, two, dog = (drawn(index) for index in range(3))
    for text, same in (("cat", cat), ("2", two), ("dog", dog), ("1", two), (["2", "2"], two), ([2, 2], dog)):
        np.testing.assert_array_equal(drawn(text), same)

"""Labels reach both networks, and what each option makes of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import real_digits, small_gan

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch

ROWS = {
    "cgan": (
        "cgan",
        lambda: {
            **small_gan(),
            "num_classes": 11,
            "projection": True,
            "architecture": "mlp",
            "norm": "conditional_batch",
            "discriminator_norm": "spectral",
        },
    ),
}

OPTIONS = [
    {"architecture": "mlp", "norm": "none"},
    pytest.param({"architecture": "conv", "norm": "none"}, marks=pytest.mark.slow),
    pytest.param({"architecture": "conv", "norm": "conditional_batch"}, marks=pytest.mark.slow),
    pytest.param({"architecture": "conv", "norm": "none", "projection": True}, marks=pytest.mark.slow),
    {"architecture": "resnet", "norm": "conditional_batch", "discriminator_norm": "spectral", "projection": True},
]


def small(**arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 3, "hidden": (16,), "width": 4}
    return keras_gen.CGAN(seed=0, **{**sizes, **arguments})


def label_of(network):
    """Returns the network's output for each of ten labels, all else being equal."""
    name = "image" if "image" in network.input else "latent"
    first = tf.random.stateless_uniform((1, *network.input[name].shape[1:]), (1, 2), -1, 1)
    return network({name: tf.repeat(first, 10, 0), "label": tf.range(10)}, training=False).numpy().reshape(10, -1)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_both_networks_use_the_label(options):
    model = small(**options)
    model.compile(d_optimizer=keras.optimizers.Adam(0.01), g_optimizer=keras.optimizers.Adam(0.01))
    images, labels = real_digits(64)
    model.fit(images, labels, batch_size=16, epochs=2, verbose=0)  # conditional scales are equal at first
    for network in (model.generator, model.discriminator):
        outputs = label_of(network)
        assert min(np.abs(outputs[i] - outputs[j]).max() for i in range(10) for j in range(i)) > 1e-6


def test_fakes_are_made_for_the_labels_of_the_batch_and_judged_with_them():
    seen = []

    class Watching(keras_gen.CGAN):
        def generator_inputs(self, batch):
            given = super().generator_inputs(batch)
            seen.append(given["label"].numpy().tolist())
            return given

        def discriminator_inputs(self, image, kind, batch, training):
            given = super().discriminator_inputs(image, kind, batch, training)
            seen.append((kind, given["label"].numpy().tolist()))
            return given

    model = small()
    model.__class__ = Watching
    images, labels = real_digits(5)
    model.discriminator_loss(Batch(image=tf.constant(images), label=tf.constant(labels)), True)
    assert [one[1] if isinstance(one, tuple) else one for one in seen] == [labels.tolist()] * len(seen)
    assert {one[0] for one in seen if isinstance(one, tuple)} == {"real", "fake"}


def test_projection_is_the_inner_product_of_features_and_class():
    model = small(projection=True, architecture="mlp", norm="none")
    net = model.discriminator
    dot = next(layer for layer in net.layers if isinstance(layer, keras.layers.Dot))
    of_class, features = (part.numpy() for part in keras.Model(net.input, dot.input)(two_classes()))
    logits = net(two_classes(), training=False).numpy().ravel()
    np.testing.assert_array_equal(features[0], features[1])
    assert logits[0] - logits[1] == pytest.approx((of_class[0] - of_class[1]) @ features[0], abs=1e-5)
    assert abs(logits[0] - logits[1]) > 1e-4


def two_classes():
    return {"image": tf.repeat(real_digits(1)[0], 2, 0), "label": tf.constant([3, 8])}


def test_labels_are_asked_for_and_checked(digits):
    model = small()
    model.compile()
    with pytest.raises(UsageError, match="'label' is missing"):
        model.fit(digits, verbose=0)
    with pytest.raises(UsageError, match="expected whole numbers from 0 to 9"):
        model.fit(digits, np.full(len(digits), 10), verbose=0)
    with pytest.raises(UsageError, match="label 10 is out of range"):
        model.sample(1, label=10)
    with pytest.raises(UsageError, match="norm='conditional_batch' needs a model with labels"):
        keras_gen.DCGAN(image_shape=(8, 8, 1), norm="conditional_batch")


def test_signature_names_the_classes_and_truncation():
    signature = small(num_classes=7).signatures()["generate"]
    assert signature.meta["label.law"] == "classes 7" and signature.meta["truncation.law"] == "constant 100"
    assert signature.inputs["label"] == tf.TensorSpec((None,), tf.int32)
    assert signature.inputs["truncation"] == tf.TensorSpec((None,), tf.float32)


BUGS = (
    Bug(
        "cGAN: the label for the discriminator only",
        "networks/build.py",
        "parts.append(keras.ops.one_hot(inputs[name], classes) if classes else inputs[name])",
        "parts.append(0.0 * keras.ops.one_hot(inputs[name], classes) if classes else inputs[name])",
        ("test_both_networks_use_the_label[mlp-none]",),
    ),
    Bug(
        "cGAN: fakes of other labels",
        "models/adversarial/gan.py",
        "{name: value for name, value in self",
        '{name: value[:: 1 if kind == "real" else -1] for name, value in self',
        ("test_fakes_are_made_for_the_labels_of_the_batch_and_judged_with_them",),
    ),
)

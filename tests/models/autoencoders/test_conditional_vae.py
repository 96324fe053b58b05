import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make, real_digits, small_vae

import keras_gen
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch

ROWS = {
    "conditional_vae": (
        "conditional_vae",
        lambda: {
            **small_vae(),
            "num_classes": 11,
            "class_names": tuple("abcdefghijk"),
            "label_layers": "first",
        },
    ),
    "conditional_vae-mlp": (
        "conditional_vae",
        lambda: {"image_shape": (8, 16, 3), "latent_dim": 3, "hidden": (9,), "num_classes": 12, "seed": 5},
    ),
}

CLASSES = 10


def small(architecture="mlp", **arguments):
    keras.utils.set_random_seed(0)
    sizes = {"image_shape": (8, 8, 1), "latent_dim": 3, "hidden": (16,), "width": 4, "num_classes": CLASSES}
    return keras_gen.ConditionalVAE(architecture=architecture, seed=0, **{**sizes, **arguments})


def label_rows(network):
    """Returns the first kernel of a network, whose last rows are those of the classes."""
    kernel = network.trainable_variables[0]
    assert kernel.shape[0] in (CLASSES, 64 + CLASSES, 3 + CLASSES)
    return kernel


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_gradient_reaches_the_classes_of_the_batch_in_both_networks_and_no_others(architecture):
    model, (images, _) = small(architecture), real_digits(8)
    labels = tf.constant([0, 0, 3, 3, 3, 7, 7, 7])
    with tf.GradientTape() as tape:
        terms = model.negative_elbo(Batch(image=images, label=labels), True)
    kernels = [label_rows(model.encoder), label_rows(model.decoder)]
    for gradient in tape.gradient(terms["reconstruction"], kernels):
        by_class = np.abs(gradient.numpy()[-CLASSES:]).sum(axis=1)
        assert set(np.flatnonzero(by_class)) == {0, 3, 7}


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_labels_reach_later_layers_than_the_first_and_those_of_a_file_of_before_do_not(architecture, digits):
    new = small(architecture, hidden=(16, 9))
    before = {name: value for name, value in new.get_config().items() if name != "label_layers"}
    for model in (new, keras_gen.ConditionalVAE.from_config(before)):
        for network in (model.encoder, model.decoder):
            kernel = label_rows(network)
            kernel.assign(tf.concat([kernel[:-CLASSES], tf.zeros((CLASSES, kernel.shape[1]))], axis=0))
        (codes, others), (made, changed) = (
            [function(given, label=label) for label in (3, 4)]
            for function, given in ((model.encode, digits[:5]), (model.decode, np.ones((5, 3), np.float32)))
        )
        for one, other in ((codes, others), (made, changed)):
            assert (np.abs(one - other).max() > 1e-4) == (model is new)
    with pytest.raises(UsageError, match="label_layers"):
        small(label_layers="last")


def test_loss_by_hand_of_a_code_and_an_image_for_each_class():
    """Linear networks that see the label alone: a mean of the code, and logits of the image, for each class."""
    model = small(hidden=(), latent_dim=2, image_shape=(1, 2, 1), num_classes=3, binarize="none")
    encoder, decoder = model.encoder.trainable_variables, model.decoder.trainable_variables
    for variable in encoder + decoder:
        variable.assign(tf.zeros_like(variable))
    means, logits = np.float32([[0, 0], [1, 2], [3, 0]]), np.float32([[0, 0], [2, -2], [-1, -1]])
    encoder[0].assign(np.concatenate([np.zeros((2, 4)), np.concatenate([means, 0 * means], axis=1)]))
    decoder[0].assign(np.concatenate([np.zeros((2, 2)), logits]))
    model.compile()
    image = np.float32([1, -1]).reshape(1, 1, 2, 1)
    for label, kl in enumerate((0, 2.5, 4.5)):
        found = model.evaluate(image, np.array([label]), verbose=0, return_dict=True)
        nats = np.log1p(np.exp(-logits[label, 0])) + np.log1p(np.exp(logits[label, 1]))
        assert found["kl"] == pytest.approx(kl, abs=1e-6)
        assert found["reconstruction"] == pytest.approx(nats, abs=1e-6)
        assert found["loss"] == pytest.approx(nats + kl, abs=1e-5)
        # The posterior is a Gaussian of this mean, the decoder does not see z: the importance weights have mean p(x).
        assert model.log_prob(image, samples=20_000, label=label) == pytest.approx(-nats, abs=0.3)


def test_every_draw_of_a_code_is_decoded_with_the_label_of_its_image():
    """Two images, each black where its class is black: with the other's label a pixel would cost 8 nats and more."""
    model = small(hidden=(), latent_dim=2, image_shape=(1, 2, 1), num_classes=2, samples=3, binarize="none")
    for variable in model.decoder.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    model.decoder.trainable_variables[0].assign([[0, 0], [0, 0], [8, -8], [-8, 8]])
    batch = Batch(image=tf.reshape([1.0, -1.0, -1.0, 1.0], (2, 1, 2, 1)), label=tf.constant([0, 1]))
    assert float(model.negative_elbo(batch, True)["reconstruction"]) < 0.001


def test_every_function_takes_one_label_for_all_or_one_for_each(digits):
    model, labels = make("conditional_vae-mlp", image_shape=(8, 8, 1)), np.full(5, 3)
    images = digits[:5]
    codes = model.encode(images, label=3)
    np.testing.assert_array_equal(codes, model.encode(images, label=labels))
    np.testing.assert_array_equal(model.decode(codes, label=3), model.decode(codes, label=labels))
    made = model.reconstruct(images, label=labels)
    np.testing.assert_allclose(made, model.decode(codes, label=3), atol=1e-6)
    np.testing.assert_allclose(made, model.predict({"image": images, "label": labels}, verbose=0), atol=1e-6)
    np.testing.assert_array_equal(
        model.log_prob(images, samples=2, label=3), model.log_prob(images, samples=2, label=labels, batch_size=500)
    )
    np.testing.assert_array_equal(model.sample(5, label=3), model.sample(5, label=labels))
    for call in (model.encode, model.reconstruct, lambda x, label: model.log_prob(x, samples=2, label=label)):
        assert np.abs(call(images, label=3) - call(images, label=4)).max() > 1e-6
    assert np.abs(model.decode(codes, label=3) - model.decode(codes, label=4)).max() > 1e-6
    assert np.abs(model.sample(5, label=3) - model.sample(5, label=4)).max() > 1e-6


def test_signatures_name_the_classes():
    for signature in make("conditional_vae").signatures().values():
        assert signature.meta["label.law"] == "classes 11"
        assert signature.inputs["label"] == tf.TensorSpec((None,), tf.int32)
        assert signature.example(13)["label"].tolist() == [*range(11), 0, 1]


def test_training_asks_for_labels_and_for_no_others_than_there_are_classes(digits):
    model = small(num_classes=3)
    model.compile()
    labels = np.arange(256) % 3
    cases = {
        "'label' is missing": lambda: model.fit(digits, verbose=0),
        "'label' is int64 from 0 to 3; expected whole numbers from 0 to 2": lambda: model.fit(
            digits, np.r_[labels[:-1], 3], verbose=0
        ),
        "from -1 to 1": lambda: model.fit(digits, labels - 1, verbose=0),
        "from 1 to 3": lambda: model.fit(tf.data.Dataset.from_tensor_slices((digits, labels + 1)).batch(16), verbose=0),
        "'log_prob' takes 'label', which was not given": lambda: model.log_prob(digits),
        "from 3 to 3": lambda: model.log_prob(digits, label=3),
        "'encode' takes 'label'": lambda: model.encode(digits),
        "label 4 is out of range; expected 0 to 2": lambda: model.reconstruct(digits, label=4),
        "expected 0 to 2": lambda: model.sample(4, label=3),
        "'log_prob' has no input 'lable'; did you mean 'label'": lambda: model.log_prob(digits, lable=1),
    }
    for words, call in cases.items():
        with pytest.raises(UsageError) as caught:
            call()
        assert words in str(caught.value) and "\n" not in str(caught.value)
    model.fit(digits, labels, verbose=0)


BUGS = (
    Bug(
        "conditional VAE: the decoder sees labels in its first layer alone",
        "networks/build.py",
        'if not label or label_layers == "first":',
        "if True:",
        ("test_labels_reach_later_layers_than_the_first_and_those_of_a_file_of_before_do_not[mlp]",),
    ),
    Bug(
        "conditional VAE: any label will do",
        "networks/build.py",
        "code = keras.ops.one_hot(label, num_classes)",
        "code = 0.0 * keras.ops.one_hot(label, num_classes)",
        ("test_gradient_reaches_the_classes_of_the_batch_in_both_networks_and_no_others",),
    ),
)

"""Attention between pixels: nothing at first, by hand afterwards."""

import keras
import numpy as np
import pytest
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.layers import SelfAttention2D, SpectralConv2D


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("spectral", [False, True])
def test_a_new_layer_changes_nothing_bit_for_bit(spectral):
    layer, x = SelfAttention2D(spectral), normal(3, 4, 6, 16)
    for training in (False, True):
        np.testing.assert_array_equal(layer(x, training=training), x)
    layer.gamma.assign(0.5)
    assert np.abs(np.asarray(layer(x)) - x).mean() > 1e-3


def test_it_is_attention_of_pixels_to_maxima_of_four_by_hand():
    layer, x = SelfAttention2D(), normal(2, 4, 6, 16)
    layer.build(x.shape)
    layer.gamma.assign(0.7)
    kernels = {name: np.asarray(getattr(layer, name).kernel)[0, 0] for name in ("theta", "phi", "g", "o")}
    assert {name: kernel.shape for name, kernel in kernels.items()} == {
        "theta": (16, 2),
        "phi": (16, 2),
        "g": (16, 8),
        "o": (8, 16),
    }
    assert len(layer.trainable_weights) == 5, "no biases"
    assert not np.allclose(kernels["theta"], kernels["phi"]), "each kernel is drawn for itself"

    def pooled(maps):
        return maps.reshape(2, 2, 2, 3, 2, -1).max(axis=(2, 4)).reshape(2, 6, -1)

    asks = (x @ kernels["theta"]).reshape(2, 24, -1)
    scores = asks @ pooled(x @ kernels["phi"]).transpose(0, 2, 1)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    taken = (shares @ pooled(x @ kernels["g"])).reshape(2, 4, 6, 8) @ kernels["o"]
    np.testing.assert_allclose(layer(x), x + 0.7 * taken, atol=1e-5)


def test_spectral_kernels_have_a_largest_singular_value_of_1(tmp_path):
    image = keras.Input((4, 4, 16))
    model = keras.Model(image, SelfAttention2D(spectral=True, kernel_initializer="orthogonal")(image))
    layer = model.layers[-1]
    for name in ("theta", "phi", "g", "o"):
        part = getattr(layer, name)
        assert isinstance(part, SpectralConv2D)
        kernel = np.asarray(part.kernel)[0, 0]
        np.testing.assert_allclose(np.linalg.svd(kernel, compute_uv=False), 1, atol=1e-5)
    layer.gamma.assign(0.7)
    x = normal(2, 4, 4, 16)
    before = model(x)
    layer.theta.kernel.assign(3 * layer.theta.kernel)
    np.testing.assert_allclose(model(x), before, atol=1e-5)
    model(x, training=True)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(x), model(x))


def test_a_map_that_cannot_be_halved_is_one_line():
    with pytest.raises(UsageError, match="^a map of 3x4 cannot be halved; attention expects even sides[^\n]*$"):
        SelfAttention2D()(normal(1, 3, 4, 8))


BUGS = (
    Bug(
        "attention of pixels: gamma begins at 1",
        "layers/attention2d.py",
        'shape=(), initializer="zeros"',
        'shape=(), initializer="ones"',
        ("test_a_new_layer_changes_nothing_bit_for_bit",),
    ),
    Bug(
        "attention of pixels: what is given is not halved with what is found",
        "layers/attention2d.py",
        "return tf.nn.max_pool2d(x, 2, 2, ",
        "return tf.nn.avg_pool2d(x, 2, 2, ",
        ("test_it_is_attention_of_pixels_to_maxima_of_four_by_hand",),
    ),
    Bug(
        "attention of pixels: shares over those that ask",
        "layers/attention2d.py",
        "tf.nn.softmax(scores)",
        "tf.nn.softmax(scores, axis=1)",
        ("test_it_is_attention_of_pixels_to_maxima_of_four_by_hand",),
    ),
)

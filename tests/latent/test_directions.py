"""Directions that change images most: exact for a linear decoder, and what moving along them does to latents."""

import keras
import numpy as np
import pytest
from keras import layers
from tiny import make

import export.onnx
import export.tflite
import keras_gen
from keras_gen import latent
from keras_gen.errors import UsageError

DIM = 5


@pytest.fixture(scope="module", params=["normal", "uniform"])
def linear(request):
    """Returns a decoder whose image is W z + b, and W (d, pixels)."""
    given = keras.Input((DIM,), name="latent")
    dense = layers.Dense(64)
    generator = keras.Model({"latent": given}, layers.Reshape((8, 8, 1))(dense(given)))
    image = keras.Input((8, 8, 1), name="image")
    discriminator = keras.Model({"image": image}, layers.Dense(1)(layers.Flatten()(image)))
    model = keras_gen.GAN(generator, discriminator, latent_dim=DIM, latent=request.param)
    rng = np.random.default_rng(0)
    # Singular values 1, 1/2, ..., so that all directions are well apart.
    turn, _ = np.linalg.qr(rng.normal(size=(DIM, DIM)))
    across, _ = np.linalg.qr(rng.normal(size=(64, DIM)))
    weights = (turn * 0.5 ** np.arange(DIM)) @ across.T
    dense.set_weights([weights.astype(np.float32), rng.normal(size=64).astype(np.float32)])
    return latent.decoder(model), weights


def test_of_a_linear_decoder_they_are_the_right_singular_vectors(linear):
    decode, weights = linear
    found = latent.directions(decode, n=DIM, samples=100, seed=3)
    _, singular, right = np.linalg.svd(weights.T)
    wanted = right * np.sign(right[np.arange(DIM), np.abs(right).argmax(axis=1)])[:, None]
    np.testing.assert_allclose(found.vectors, wanted, atol=1e-5)
    # Every direction has the same variance before the decoder: after it, that of its singular value.
    np.testing.assert_allclose(found.shares, np.square(singular) / np.square(singular).sum(), rtol=1e-4)


def test_the_first_changes_images_more_than_any_coordinate(linear):
    decode, _ = linear
    first = latent.directions(decode, n=1).vectors
    start = decode.draw(1, seed=1)[0]

    def change(vector):
        ends = decode(latent.along(start, vector, [[-1], [1]]))
        return np.linalg.norm(ends[1] - ends[0])

    assert change(first) > 1.2 * max(change(np.eye(DIM)[[axis]]) for axis in range(DIM))


def test_a_nonlinear_decoder_gives_unit_vectors_at_right_angles_and_the_same_twice():
    decode = latent.decoder(make("vae"))
    one, other = (latent.directions(decode, n=3, seed=2) for _ in range(2))
    np.testing.assert_allclose(one.vectors @ one.vectors.T, np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(one.vectors, other.vectors)
    assert (one.vectors.max(axis=1) == np.abs(one.vectors).max(axis=1)).all(), "the largest coordinate is positive"
    assert 1 >= one.shares[0] >= one.shares[1] >= one.shares[2] >= 0 and one.shares.sum() <= 1


def test_all_runtimes_find_the_same(tmp_path):
    model = make("vae")
    export.onnx.export(model, tmp_path)
    export.tflite.export(model, tmp_path)
    wanted = latent.directions(latent.decoder(model), n=2)
    for name in ("decode.onnx", "model.tflite"):
        found = latent.directions(latent.decoder(tmp_path / name), n=2)
        np.testing.assert_allclose(found.vectors, wanted.vectors, atol=1e-3)


def test_directions_are_those_of_the_class():
    decode = latent.decoder(make("conditional_vae"))
    one, other = (latent.directions(decode, label=label).vectors for label in (0, 1))
    assert np.abs(one - other).max() > 1e-3


def test_along_sets_components_and_leaves_what_is_at_right_angles():
    rng = np.random.default_rng(1)
    vectors, z = np.linalg.qr(rng.normal(size=(6, 6)))[0], rng.normal(size=6)
    components = rng.normal(size=(3, 4, 2))
    moved = latent.along(z, vectors[:2], components)
    assert moved.shape == (3, 4, 6) and moved.dtype == np.float32
    np.testing.assert_allclose(moved @ vectors[:2].T, components, atol=1e-5)
    np.testing.assert_allclose(moved @ vectors[2:].T, np.broadcast_to(z @ vectors[2:].T, (3, 4, 4)), atol=1e-5)


def test_along_coordinates_is_traverse_and_manifold():
    z = np.random.default_rng(2).normal(size=(4, 5))
    values = latent.span("normal", 7)
    ours = latent.along(z[:, None], np.eye(5)[[3]], values[:, None])
    np.testing.assert_allclose(ours, latent.traverse(z, 3, values), atol=1e-6)
    right, up = np.meshgrid(latent.quantiles("normal", 4), latent.quantiles("normal", 4)[::-1])
    ours = latent.along(z[0], np.eye(5)[[2, 0]], np.stack([right, up], axis=-1))
    np.testing.assert_allclose(ours, latent.manifold(4, "normal", z[0], (2, 0)), atol=1e-6)


def test_uniform_latents_stay_in_their_range():
    rng = np.random.default_rng(3)
    vectors = np.linalg.qr(rng.normal(size=(64, 64)))[0][:2]
    start = rng.uniform(-1, 1, 64)
    far = latent.reach("uniform", vectors)
    values = np.linspace(-far, far, 5)[:, None]
    assert np.abs(latent.along(start, vectors[:1], values)).max() > 1
    kept = latent.along(start, vectors[:1], values, "uniform")
    assert np.abs(kept).max() <= 1
    assert np.abs(latent.along(np.zeros(64), vectors[:1], values)).max() <= 1, "from the center nothing is cut"
    np.testing.assert_allclose(kept @ vectors[0], values[:, 0], atol=0.25)


def test_reach_is_three_standard_deviations_or_the_end_of_the_range():
    assert latent.reach("normal", np.eye(3)) == latent.REACH["normal"] == 3
    assert latent.reach("uniform", np.eye(3)) == latent.REACH["uniform"] == 1
    assert latent.reach("uniform", np.full((1, 4), 0.5)) == pytest.approx(3**0.5)
    assert latent.reach("uniform", [[0.8, 0.6]]) == pytest.approx(1.25)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda decode: latent.directions(decode, n=4), "n is 4, and there are 3"),
        (lambda decode: latent.directions(decode, n=0), "n is 0"),
        (lambda decode: latent.directions(decode, samples=4), "samples is 4; expected a whole number of at least 5"),
        (lambda decode: latent.directions(decode, label=1), "no labels"),
        (lambda _: latent.along(np.zeros(3), np.eye(4), np.zeros((1, 4))), "(3,)"),
        (lambda _: latent.along(np.zeros(4), np.eye(4), np.zeros((1, 2))), "(1, 2)"),
        (lambda _: latent.reach("classes 3", np.eye(4)), "classes 3"),
    ],
)
def test_errors_name_what_was_expected(call, words):
    with pytest.raises(UsageError) as caught:
        call(latent.decoder(make("vae")))
    assert words in str(caught.value)

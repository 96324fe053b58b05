"""Latent tools: closed forms, what a linear decoder lets one know exactly, the same images from all three runtimes."""

from statistics import NormalDist

import keras
import numpy as np
import pytest
from tiny import make, real_digits

import export.onnx
import export.tflite
import keras_gen
from keras_gen import latent
from keras_gen.errors import UsageError
from keras_gen.signatures import exported

RNG = np.random.default_rng(0)


def linear_gan(law="normal", dim=4, seed=0):
    """A GAN whose generator is a known matrix (dim, 64)."""
    inputs = keras.Input((dim,), name="latent")
    generator = keras.Model(
        {"latent": inputs}, keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64, use_bias=False)(inputs))
    )
    image = keras.Input((8, 8, 1), name="image")
    discriminator = keras.Model({"image": image}, keras.layers.Dense(1)(keras.layers.Flatten()(image)))
    weight = np.random.default_rng(seed).normal(0, 0.1, (dim, 64)).astype(np.float32)
    generator.set_weights([weight])
    return keras_gen.GAN(generator, discriminator, latent=law), weight


# --- interpolation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [latent.lerp, latent.slerp])
def test_ends_are_exact(how):
    start, end = RNG.normal(size=(2, 5, 7)).astype(np.float32)
    np.testing.assert_array_equal(how(start, end, 0), start)
    np.testing.assert_array_equal(how(start, end, 1), end)
    way = latent.interpolate(start, end, 6, how.__name__)
    assert way.shape == (5, 6, 7) and way.dtype == np.float32
    np.testing.assert_array_equal(way[:, 0], start)
    np.testing.assert_array_equal(way[:, -1], end)


def test_lerp_by_hand():
    np.testing.assert_allclose(latent.lerp([0.0, 4.0], [2.0, 0.0], 0.25), [0.5, 3.0])
    np.testing.assert_allclose(latent.lerp([[0.0], [8.0]], [[1.0], [16.0]], [0.5, 0.25]), [[0.5], [10.0]])


def test_slerp_is_the_closed_form_and_stays_on_the_sphere():
    start, end = RNG.normal(size=(2, 9))
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    angle = np.arccos(start @ end)
    t = np.linspace(0, 1, 11)[:, None]
    wanted = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)
    way = latent.slerp(start, end, t[:, 0])
    np.testing.assert_allclose(way, wanted, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(way[5], (start + end) / np.linalg.norm(start + end), atol=1e-6)


def test_slerp_turns_at_constant_speed_and_changes_the_norm_linearly():
    way = latent.slerp([3.0, 0.0], [0.0, 5.0], np.linspace(0, 1, 4))
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), [3, 3 + 2 / 3, 3 + 4 / 3, 5], rtol=1e-6)
    np.testing.assert_allclose(np.degrees(np.arctan2(way[:, 1], way[:, 0])), [0, 30, 60, 90], atol=1e-4)


def test_slerp_of_parallel_opposite_and_zero_latents():
    vector = np.array([1.0, 2.0, 2.0])
    np.testing.assert_allclose(latent.slerp(vector, 3 * vector, 0.5), 2 * vector, rtol=1e-6)
    np.testing.assert_allclose(latent.slerp(vector, vector * (1 + 1e-9), 0.3), vector, rtol=1e-6)
    half = latent.slerp(vector, -vector, 0.5)
    assert np.linalg.norm(half) == pytest.approx(3, rel=1e-6) and half @ vector == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(latent.slerp(vector, 0 * vector, 0.25), 0.75 * vector, rtol=1e-6)
    np.testing.assert_allclose(latent.slerp(0 * vector, vector, 0.25), 0.25 * vector, rtol=1e-6)
    assert not latent.slerp(0 * vector, 0 * vector, 0.5).any()
    assert np.isfinite(latent.slerp([2.0], [-2.0], np.linspace(0, 1, 5))).all()


def test_slerp_keeps_the_norm_of_normal_latents_and_lerp_does_not():
    start, end = np.random.default_rng(1).normal(size=(2, 500, 100))
    spherical, straight = (np.linalg.norm(how(start, end, 0.5), axis=1).mean() for how in (latent.slerp, latent.lerp))
    assert spherical == pytest.approx(10, rel=0.01) and straight == pytest.approx(10 / np.sqrt(2), rel=0.01)


# --- grids -----------------------------------------------------------------------------------------------------------


def test_traversal_moves_one_coordinate():
    start = RNG.normal(size=(3, 5)).astype(np.float32)
    moved = latent.traverse(start, 2, [-1, 0.5])
    assert moved.shape == (3, 2, 5)
    np.testing.assert_array_equal(moved[:, :, 2], [[-1, 0.5]] * 3)
    np.testing.assert_array_equal(np.delete(moved, 2, -1), np.delete(start, 2, -1)[:, None].repeat(2, 1))
    np.testing.assert_allclose(latent.span("normal", 3), [-3, 0, 3])
    np.testing.assert_allclose(latent.span("uniform", 5, 0.5), [-0.5, -0.25, 0, 0.25, 0.5])


def test_quantiles_share_the_probability():
    normal = latent.quantiles("normal", 10)
    np.testing.assert_allclose([NormalDist().cdf(value) for value in normal], np.arange(0.05, 1, 0.1), atol=1e-6)
    np.testing.assert_allclose(latent.quantiles("normal", 4), [-1.150349, -0.318639, 0.318639, 1.150349], atol=1e-6)
    np.testing.assert_allclose(latent.quantiles("uniform", 4), [-0.75, -0.25, 0.25, 0.75])


def test_manifold_rises_to_the_right_and_upward():
    square = latent.manifold(3, "uniform", [9.0, 8.0, 7.0], axes=(2, 0))
    assert square.shape == (3, 3, 3) and (square[..., 1] == 8).all()
    np.testing.assert_allclose(square[0, :, 2], [-2 / 3, 0, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(square[:, 0, 0], [2 / 3, 0, -2 / 3], rtol=1e-6)


def test_style_grid_crosses_rows_and_columns():
    rows, columns = np.zeros((2, 4)), np.arange(1, 4)[:, None] * np.ones((3, 4))
    grid = latent.style_grid(rows + [[10], [20]], columns, [1, 3])
    np.testing.assert_array_equal(grid[1, 2], [20, 3, 20, 3])
    layers = latent.style_grid(RNG.normal(size=(2, 5, 8)), RNG.normal(size=(3, 5, 8)), range(2))
    assert layers.shape == (2, 3, 5, 8) and (layers[0, 1, :2] == layers[1, 1, :2]).all()
    assert (layers[0, 0, 2:] == layers[0, 1, 2:]).all()


# --- arithmetic and attributes ---------------------------------------------------------------------------------------


def test_arithmetic_on_means():
    king, man, woman = [[4.0, 0.0], [6.0, 2.0]], [1.0, 1.0], [[0.0, 3.0]]
    np.testing.assert_allclose(latent.arithmetic([king, woman], [man]), [4, 3])
    np.testing.assert_allclose(latent.arithmetic([king]), [5, 1])


@pytest.mark.parametrize("method", ["means", "logistic"])
def test_attribute_direction_recovers_what_was_planted_in_a_linear_decoder(method):
    """The attribute is whether the first pixel is bright: in a linear decoder, which side of a plane a latent is on."""
    model, weight = linear_gan(dim=6)
    decode = latent.decoder(model)
    latents = decode.draw(4000, seed=1)
    direction = latent.attribute_direction(latents, decode(latents)[:, 0, 0, 0] > 0, method)
    planted = weight[:, 0] / np.linalg.norm(weight[:, 0])
    assert direction @ planted / np.linalg.norm(direction) > 0.99
    # Between the means of the two halves of a normal law lie 2 sqrt(2 / pi).
    assert np.linalg.norm(direction) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=0.05)
    moved = latent.move(latents[:50], direction, [-4, 0, 4])
    assert moved.shape == (50, 3, 6)
    pixel = decode(moved)[..., 0, 0, 0]
    assert (pixel[:, 0] < 0).all() and (pixel[:, 2] > 0).all()
    np.testing.assert_array_equal(moved[:, 1], latents[:50])


def test_logistic_direction_leaves_a_correlated_coordinate_alone():
    """The second coordinate goes along with the first, and the label depends on the first alone."""
    first = RNG.normal(size=3000)
    latents = np.stack([first, 0.8 * first + 0.6 * RNG.normal(size=3000)], 1)
    means, logistic = (latent.attribute_direction(latents, first > 0, method) for method in ("means", "logistic"))
    assert means[1] / means[0] == pytest.approx(0.8, abs=0.1)
    assert abs(logistic[1] / logistic[0]) < 0.05


# --- projection ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_projection_recovers_the_latents_of_a_linear_generator(law):
    model, _ = linear_gan(law)
    decode = latent.decoder(model)
    wanted = decode.draw(3, seed=5)
    found = latent.project(model, decode(wanted), starts=2)
    np.testing.assert_allclose(found.latents, wanted, atol=1e-3)
    assert found.latents.dtype == np.float32 and found.errors.shape == (3,) and found.errors.max() < 1e-6
    np.testing.assert_array_equal(found.way[:, -1], found.latents)
    starts = decode.draw(2, seed=0)
    assert all((way[0] == starts).all(axis=1).any() for way in found.way), "each begins with one of the draws"


def test_projection_keeps_the_best_start_in_its_range_and_repeats():
    model, _ = linear_gan("uniform")
    outside = latent.decoder(model)(np.full((2, 4), 1.5, np.float32))
    found = latent.project(model, outside, steps=20)
    assert abs(found.latents).max() <= 1
    again = latent.project(model, outside, steps=20, batch_size=1)
    np.testing.assert_allclose(again.latents, found.latents, atol=1e-5)
    one = latent.project(model, outside, steps=3, starts=1)
    assert (latent.project(model, outside, steps=3, starts=4).errors <= one.errors + 1e-6).all()


def test_errors_of_a_projection_are_of_its_latents():
    model = make("vae")
    images = real_digits(3)[0]
    found = latent.project(model, images, steps=5, starts=2, seed=1)
    made = latent.decoder(model)(found.latents)
    np.testing.assert_allclose(found.errors, np.square(made - images).mean((1, 2, 3)), rtol=1e-4)


# --- models and files ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A VAE and a GAN of uniform latents, and their exported files."""
    found = {}
    for row in ("vae", "gan"):
        model, folder = make(row), tmp_path_factory.mktemp(row)
        model.save(folder / "model.keras")
        export.onnx.export(model, folder)
        export.tflite.export(model, folder)
        found[row] = model, folder
    return found


@pytest.mark.parametrize(("row", "sampler"), [("vae", "decode"), ("gan", "generate")])
def test_all_runtimes_make_the_same_grids(files, row, sampler):
    model, folder = files[row]
    sources = [model, folder, folder / f"{sampler}.onnx", str(folder / "model.tflite")]
    decoders = [latent.decoder(source) for source in sources]
    start, end = decoders[0].draw(2, seed=4)
    np.testing.assert_array_equal(decoders[0](np.stack([start, end])), model.sample(2, seed=4))
    law = {"vae": "normal", "gan": "uniform"}[row]
    grids = [
        latent.interpolate(start, end, 5),
        latent.manifold(4, law, start),
        np.stack([latent.traverse(start, axis, latent.span(law, 3)) for axis in range(3)]),
        latent.arithmetic([start, end], [0.5 * start]),
    ]
    for grid in grids:
        wanted = decoders[0](grid)
        assert wanted.shape == (*grid.shape[:-1], 8, 8, 1) and np.ptp(wanted) > 0
        for decode in decoders[1:]:
            assert (decode.law, decode.dim) == (law, model.latent_dim)
            np.testing.assert_allclose(decode(grid, batch_size=3), wanted, atol=1e-4)
            np.testing.assert_array_equal(decode.draw(2, seed=4), [start, end])


def test_encoders_agree_and_the_onnx_decoder_finds_the_encoder_beside_it(files):
    model, folder = files["vae"]
    images = real_digits(7)[0]
    wanted = latent.encoder(model)(images)
    np.testing.assert_allclose(wanted, model.signatures()["encode"].fn(image=images)["mean"], atol=1e-5)
    for name in ("encode.onnx", "decode.onnx", "model.tflite"):
        source = exported.open_file(folder / name)
        np.testing.assert_allclose(latent.encoder(source)(images, batch_size=2), wanted, atol=1e-4)
        np.testing.assert_allclose(latent.reconstruct(source, images), model(images), atol=1e-4)


class Conditional:
    """Signatures of a conditional model: the image is filled with latent + 10 label + 100 code."""

    def signatures(self):
        import tensorflow as tf

        def generate(latent, label, code):
            value = latent + 10 * tf.cast(label, tf.float32)[:, None] + 100 * code
            return {"image": value[:, None, None, :1] * tf.ones((1, 2, 2, 1))}

        inputs = {
            "latent": tf.TensorSpec((None, 3), tf.float32),
            "label": tf.TensorSpec((None,), tf.int32),
            "code": tf.TensorSpec((None, 1), tf.float32),
        }
        meta = {"sample": "image", "latent.law": "normal", "label.law": "classes 5", "code.law": "uniform"}
        meta["image.range"] = "[-200, 200]"
        return {"generate": keras_gen.Signature(generate, inputs, None, meta)}


def test_what_does_not_move_is_held():
    decode = latent.decoder(Conditional())
    values = decode(np.zeros((2, 4, 3)))[..., 0, 0, 0]
    assert values.shape == (2, 4) and np.ptp(values) == 0
    np.testing.assert_allclose(decode(np.zeros((2, 4, 3)), label=3)[..., 0, 0, 0] - values, 30, rtol=1e-4)
    mixed = decode(np.zeros((2, 4, 3)), label=[0, 1, 2, 3])[..., 0, 0, 0] - values
    np.testing.assert_allclose(mixed, [[0, 10, 20, 30]] * 2, atol=1e-4)
    code = latent.decoder(Conditional(), "code", seed=1)
    assert (code.dim, code.law) == (1, "uniform")
    np.testing.assert_allclose(np.diff(code(np.array([[0.0], [0.5], [1.0]]))[:, 0, 0, 0]), 50, rtol=1e-4)
    found = latent.project(Conditional(), decode(np.ones((1, 3)), label=2), label=2, steps=200, starts=1)
    assert found.latents[0, 0] == pytest.approx(1, abs=1e-2)


def test_usage_errors_are_one_line_and_say_what_to_do(files):
    model, folder = files["gan"]
    decode = latent.decoder(model)
    images = np.zeros((2, 8, 8, 1), np.float32)
    cases = [
        (lambda: latent.interpolate([1.0], [2.0], 5, "slurp"), "did you mean 'slerp'"),
        (lambda: latent.interpolate([1.0], [2.0], 1), "steps is 1"),
        (lambda: latent.lerp([1.0], [1.0, 2.0], 0.5), "(1,) and (2,)"),
        (lambda: latent.traverse([1.0], 1, [0]), "coordinate 1 does not exist"),
        (lambda: latent.manifold(3, "normal", [0.0, 0.0], (1, 1)), "two different axes"),
        (lambda: latent.quantiles("classes 3", 3), "'classes 3'"),
        (lambda: latent.arithmetic([]), "no group"),
        (lambda: latent.attribute_direction(np.zeros((3, 2)), [1, 1, 1]), "with and without"),
        (lambda: latent.attribute_direction(np.eye(2), [0, 1], "mean"), "did you mean 'means'"),
        (lambda: latent.style_grid(np.zeros((2, 3)), np.zeros((2, 4)), [0]), "(2, 3)"),
        (lambda: latent.encoder(model), "has no 'encode', only generate"),
        (lambda: latent.decoder(folder / "generate.onnx", "code"), "input 'code'"),
        (lambda: latent.decoder(3), "int has no signatures"),
        (lambda: latent.project(folder / "generate.onnx", images), "no gradients"),
        (lambda: latent.project(exported.open_file(folder / "model.tflite"), images), "no gradients"),
        (lambda: latent.project(model, images[:, :4]), "expected ('n', 8, 8, 1)"),
        (lambda: decode(np.zeros((2, 5))), "expected (..., 6)"),
        (lambda: decode(np.zeros((2, 6)), label=1), "no labels; leave it out"),
        (lambda: latent.decoder(Conditional())(np.zeros((1, 3)), label=5), "0 to 4"),
    ]
    for call, words in cases:
        with pytest.raises(UsageError) as caught:
            call()
        text = str(caught.value)
        assert words in text and "\n" not in text and len(text) < 200, text

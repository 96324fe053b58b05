import numpy as np
import pytest
import tensorflow as tf
from planted import Bug

from keras_gen.errors import UsageError
from keras_gen.ops.augment import KINDS, adapted, augment
from keras_gen.ops.random import SeedGenerator


def uniform(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def drawn(image, *kinds, seed=0):
    return augment(tf.constant(image), kinds, SeedGenerator(seed)).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(9, 8, 8, 1), (9, 12, 20, 3)])
def test_every_image_has_draws_of_its_own_and_the_seed_says_which(kind, shape):
    image = np.repeat(uniform(1, *shape[1:]), 60, axis=0)
    one, same, other = (drawn(image, kind, seed=seed) for seed in (0, 0, 1))
    assert one.shape == image.shape and one.dtype == np.float32
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    assert len(np.unique(one.reshape(60, -1), axis=0)) > 5
    seed = SeedGenerator(0)
    assert not np.array_equal(augment(image, (kind,), seed), augment(image, (kind,), seed)), "a call draws anew"


def test_nothing_asked_changes_nothing_and_kinds_add_up_in_their_order():
    image = uniform(5, 8, 8, 3)
    assert np.array_equal(drawn(image), image)
    seed, result = SeedGenerator(0), image
    for kind in ("cutout", "color"):
        result = augment(result, (kind,), seed)
    assert np.array_equal(drawn(image, "cutout", "color"), result)
    assert not np.array_equal(drawn(image, "color", "cutout"), result)


def test_each_kind_changes_an_image_with_the_probability():
    image = np.repeat(uniform(1, 8, 8, 3), 2000, axis=0)
    for share in (0.0, 0.3, 1.0):
        result = augment(tf.constant(image), ("color",), SeedGenerator(0), tf.constant(share)).numpy()
        changed = np.abs(result - image).max(axis=(1, 2, 3)) > 0
        assert changed.mean() == pytest.approx(share, abs=0.03 * (0 < share < 1))
    both = augment(tf.constant(image), ("color", "cutout"), SeedGenerator(0), tf.constant(0.5)).numpy()
    cut = (both == 0).any(axis=(1, 2, 3))  # apart from each other
    kept = (both == image).any(axis=(1, 2, 3))
    for found, expected in ((cut, 0.5), (kept, 0.5), (cut & kept, 0.25)):
        assert found.mean() == pytest.approx(expected, abs=0.05)


def test_the_probability_goes_to_the_target_by_one_in_half_a_million_images():
    share, due = tf.constant(0.5), tf.constant(True)
    for total, way in ((19.0, -1), (23.0, 1)):  # of 32 images: means of 0.59 and 0.72
        moved, signs = adapted(share, tf.constant([total, 32.0]), due, 0.6)
        assert float(moved) == pytest.approx(0.5 + way * 32 / 500_000, abs=1e-7) and signs.numpy().tolist() == [0, 0]
    same, signs = adapted(share, tf.constant([19.0, 32.0]), tf.constant(False), 0.6)
    assert float(same) == 0.5 and signs.numpy().tolist() == [19, 32]
    for start, total in ((0.0, -32.0), (1.0, 32.0)):
        assert float(adapted(tf.constant(start), tf.constant([total, 32.0]), due, 0.6)[0]) == start


@pytest.mark.parametrize("height, width, up, left", [(16, 24, 2, 3), (28, 8, 4, 1), (3, 3, 0, 0)])
def test_translation_moves_by_every_shift_up_to_an_eighth(height, width, up, left):
    image = uniform(600, height, width, 2)
    result, seen = drawn(image, "translation"), np.zeros((2 * up + 1, 2 * left + 1), int)
    padded = np.pad(image, [(0, 0), (up, up), (left, left), (0, 0)])
    for before, after in zip(padded, result, strict=True):
        fits = [
            (down, right)
            for down in range(2 * up + 1)
            for right in range(2 * left + 1)
            if np.array_equal(before[down : down + height, right : right + width], after)
        ]
        assert len(fits) == 1
        seen[fits[0]] += 1
    expected = 600 / seen.size
    assert seen.min() > 0 and (np.abs(seen - expected) < 5 * np.sqrt(expected) + 1).all()


@pytest.mark.parametrize("height, width", [(8, 12), (6, 10), (5, 7)])
def test_cutout_clears_a_box_of_half_the_size(height, width):
    side = {5: 3, 6: 3, 7: 4, 8: 4, 10: 5, 12: 6}  # odd halves are rounded up
    image = np.ones((3000, height, width, 2), np.float32)
    result = drawn(image, "cutout")
    assert set(np.unique(result)) == {0, 1} and np.array_equal(result[..., 0], result[..., 1])
    for axis, size in ((2, height), (1, width)):
        half = side[size]
        boxes = {tuple(np.flatnonzero(gone)) for gone in (result[..., 0] == 0).any(axis=axis)}
        centers = range(size + 1) if half % 2 == 0 else range(size)
        expected = {tuple(k for k in range(c - half // 2, c - half // 2 + half) if 0 <= k < size) for c in centers}
        assert boxes == expected
    rows, columns = (result[..., 0] == 0).any(2), (result[..., 0] == 0).any(1)
    assert np.array_equal(result[..., 0] == 0, rows[:, :, None] & columns[:, None, :])
    content = uniform(50, height, width, 1)
    kept = drawn(content, "cutout")
    assert np.array_equal(kept[kept != 0], content[kept != 0])


def test_color_by_its_three_factors():
    """They can be read off an image again: its mean, its mean per pixel and its colors."""
    image = np.repeat(uniform(1, 6, 6, 3), 4000, axis=0)
    result = drawn(image, "color").astype(np.float64)
    image = image.astype(np.float64)
    gray, new_gray = image.mean(-1), result.mean(-1)
    brightness = new_gray.mean((1, 2)) - gray.mean((1, 2))
    contrast = new_gray.std((1, 2)) / gray.std((1, 2))
    saturation = (result - new_gray[..., None]).std((1, 2, 3)) / (image - gray[..., None]).std((1, 2, 3)) / contrast
    for found, least, most in ((brightness, -0.5, 0.5), (contrast, 0.5, 1.5), (saturation, 0, 2)):
        assert least - 1e-5 <= found.min() and found.max() <= most + 1e-5
        assert found.mean() == pytest.approx((least + most) / 2, abs=0.03 * (most - least))
        assert found.std() == pytest.approx((most - least) / np.sqrt(12), rel=0.05)
    assert np.abs(np.corrcoef([brightness, contrast, saturation]) - np.eye(3)).max() < 0.06
    # Nothing else happens: the image is made of these three numbers.
    mean, pixel = image.mean((1, 2, 3), keepdims=True), gray[..., None]
    b, c, s = (value[:, None, None, None] for value in (brightness, contrast, saturation))
    np.testing.assert_allclose(mean + b + c * (pixel - mean + s * (image - pixel)), result, atol=1e-5)


def test_color_leaves_gray_images_gray():
    image = uniform(50, 6, 6, 1)
    result = drawn(image, "color")
    for before, after in zip(image, result, strict=True):
        slope, offset = np.polyfit(before.ravel(), after.ravel(), 1)
        np.testing.assert_allclose(slope * before + offset, after, atol=1e-5)
        assert 0.5 - 1e-5 <= slope <= 1.5 + 1e-5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_passes_to_the_image_once_and_twice(kind, channels):
    """Along any direction the output changes by what the gradient says: all kinds are linear but for an offset."""
    image, direction = tf.Variable(uniform(7, 8, 8, channels)), uniform(7, 8, 8, channels)
    weight = np.random.default_rng(1).normal(size=image.shape).astype(np.float32)
    with tf.GradientTape() as outer, tf.GradientTape() as tape:
        value = tf.reduce_sum(weight * augment(image, (kind,), SeedGenerator(0)), axis=(1, 2, 3))
        gradient = tape.gradient(tf.reduce_sum(tf.square(value)), image)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(weight * augment(image, (kind,), SeedGenerator(0)))
    slope = tape.gradient(total, image)
    moved = tf.reduce_sum(weight * augment(image + direction, (kind,), SeedGenerator(0))) - total
    assert float(moved) == pytest.approx(float(tf.reduce_sum(slope * direction)), rel=1e-3, abs=1e-3)
    assert np.abs(slope).max(axis=(1, 2, 3)).min() > 0
    assert np.abs(outer.gradient(gradient, image)).max() > 0


@pytest.mark.parametrize("kind", ["translation", "cutout"])
def test_gradient_is_one_where_a_pixel_is_kept(kind):
    image = tf.Variable(1 + np.random.default_rng(0).random((20, 16, 16, 1), np.float32))
    with tf.GradientTape() as tape:
        result = augment(image, (kind,), SeedGenerator(0))
    gradient = tape.gradient(result, image).numpy()
    assert set(np.unique(gradient)) == {0, 1}
    for before, after, passed in zip(image.numpy(), result.numpy(), gradient, strict=True):
        assert set(before[passed == 1]) == set(after[after != 0])


def test_a_traced_function_draws_anew_at_any_batch():
    seed = SeedGenerator(0)
    run = tf.function(
        lambda image: augment(image, KINDS, seed), input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)]
    )
    image = uniform(5, 8, 8, 3)
    assert not np.array_equal(run(image), run(image))
    assert run(image[:2]).shape == (2, 8, 8, 3)
    state = np.asarray(seed.state)
    one = run(image).numpy()
    seed.state.assign(state)
    assert np.array_equal(one, run(image))


def test_unknown_kinds_raise():
    with pytest.raises(UsageError, match="kinds='colour' is not known; did you mean 'color'"):
        drawn(uniform(1, 8, 8, 1), "colour")


BUGS = (
    Bug(
        "augmentation: one draw for all images",
        "ops/augment.py",
        "keras.random.uniform((tf.shape(image)[0], 1, 1, 1),",
        "tf.ones((tf.shape(image)[0], 1, 1, 1)) * keras.random.uniform((1, 1, 1, 1),",
        (
            "test_every_image_has_draws_of_its_own_and_the_seed_says_which[shape1-color]",
            "test_color_by_its_three_factors",
        ),
    ),
    Bug(
        "augmentation: never the last shift",
        "ops/augment.py",
        "least, most + 1, seed=seed",
        "least, most, seed=seed",
        (
            "test_translation_moves_by_every_shift_up_to_an_eighth[16-24-2-3]",
            "test_cutout_clears_a_box_of_half_the_size[8-12]",
        ),
    ),
    Bug(
        "augmentation: a cross is cut out",
        "ops/augment.py",
        "image * (1 - inside[0] * inside[1])",
        "image * (1 - inside[0]) * (1 - inside[1])",
        ("test_cutout_clears_a_box_of_half_the_size[8-12]",),
    ),
    Bug(
        "augmentation: contrast about the middle",
        "ops/augment.py",
        "    return mean + (0.5",
        "    mean = 0.0 * mean\n    return mean + (0.5",
        ("test_color_by_its_three_factors",),
    ),
    Bug(
        "augmentation: no gradient",
        "ops/augment.py",
        "moved * _along(",
        "tf.stop_gradient(moved) * _along(",
        (
            "test_gradient_is_one_where_a_pixel_is_kept[translation]",
            "test_gradient_passes_to_the_image_once_and_twice[1-translation]",
        ),
    ),
)

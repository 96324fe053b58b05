import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import real_digits

from keras_gen.ops.attacks import pgd, robustness, search

EPSILON = 0.1


def images(count=32, inside=0.85):
    """Digits; by default no value is nearer to the border of the range than an attack reaches."""
    return (inside * real_digits(count)[0]).astype(np.float32)


def linear(seed=0):
    """Weights of a logit w.x of an 8x8 image, none of them 0."""
    w = np.random.default_rng(seed).normal(size=(8, 8, 1)).astype(np.float32)
    return np.where(np.abs(w) < 0.01, np.float32(0.5), w)


def source_loss(w):
    """Minus the log-likelihood of being real, of each image."""
    return lambda x: tf.nn.softplus(-tf.reduce_sum(x * w, axis=(1, 2, 3)))


def curved(w):
    """A loss whose slope turns within the reach of an attack."""
    return lambda x: tf.reduce_sum(tf.sin(20.0 * x * w), axis=(1, 2, 3))


@pytest.mark.parametrize("epsilon", [0.03, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("start", [False, True])
def test_attack_stays_within_epsilon_and_in_range_exactly(epsilon, start):
    x = images(inside=1.0)
    begin = np.random.default_rng(0).normal(size=x.shape).astype(np.float32) if start else None
    found = pgd(curved(linear()), x, epsilon, 0.7 * epsilon, 4, begin).numpy()
    assert found.min() >= -1 and found.max() <= 1
    assert (found <= x + np.float32(epsilon)).all() and (found >= x - np.float32(epsilon)).all()
    assert np.abs(found - x).max() == pytest.approx(min(epsilon, 2), abs=1e-6)


@pytest.mark.parametrize("step", [0.02, 0.03, 1.0])
def test_on_a_linear_discriminator_it_is_minus_epsilon_times_the_sign_and_the_margin_drops_by_epsilon_times_norm(step):
    w, x = linear(), images()
    found = pgd(source_loss(w), x, EPSILON, step, 5).numpy()
    np.testing.assert_allclose(found - x, np.broadcast_to(-EPSILON * np.sign(w), x.shape), atol=1e-6)
    drop = ((x - found).astype(np.float64) * w).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(drop, EPSILON * np.abs(w, dtype=np.float64).sum(), atol=1e-5)


def test_few_small_steps_go_as_far_as_they_can():
    w, x = linear(), images()
    found = pgd(source_loss(w), x, EPSILON, 0.01, 3).numpy()
    np.testing.assert_allclose(found - x, np.broadcast_to(-0.03 * np.sign(w), x.shape), atol=1e-6)


def test_no_epsilon_or_no_step_is_bit_equal():
    x = real_digits(32)[0]
    np.testing.assert_array_equal(pgd(source_loss(linear()), x, 0.0, 0.1, 3), x)
    np.testing.assert_array_equal(pgd(source_loss(linear()), x, 0.1, 0.1, 0), x)


def test_no_gradient_passes_through_the_attack():
    x, w = tf.constant(images(4)), tf.Variable(linear())
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        found = pgd(lambda image: source_loss(w)(image), x, EPSILON, 0.05, 2)
        loss = tf.reduce_sum(tf.square(found))
    assert tape.gradient(loss, w) is None and tape.gradient(loss, x) is None


def test_a_compiled_attack_of_any_batch_agrees():
    w = linear()
    compiled = tf.function(
        lambda x: pgd(curved(w), x, EPSILON, 0.05, 3), input_signature=[tf.TensorSpec((None, 8, 8, 1), tf.float32)]
    )
    for count in (1, 5, 32):
        np.testing.assert_allclose(compiled(images(count)), pgd(curved(w), images(count), EPSILON, 0.05, 3), atol=1e-6)


def linear_classes():
    """Class 0 or 1 by the sign of w.x, and the right classes of digits that no attack of `EPSILON` should miss."""
    w, x = linear(), images(64)
    logits = (x * w).sum(axis=(1, 2, 3))
    return w, x, (logits < 0).astype(np.int64)


def classify(w, gain=1.0):
    def logits(x):
        logit = gain * tf.reduce_sum(x * w, axis=(1, 2, 3))
        return tf.stack([logit, tf.zeros_like(logit)], axis=1)

    return logits


@pytest.mark.parametrize("epsilon", [0.02, 0.5])
def test_search_stays_within_epsilon_and_in_range_and_never_helps(epsilon):
    w, _, _ = linear_classes()
    x = real_digits(64)[0]
    logits = (x * w).sum(axis=(1, 2, 3))
    label = (logits < 0).astype(np.int64)
    found = search(classify(w), x, label, epsilon, 30)
    assert np.abs(found).max() <= 1
    assert (found <= x + np.float32(epsilon)).all() and (found >= x - np.float32(epsilon)).all()
    after = (found * w).sum(axis=(1, 2, 3))
    margin, was = np.where(label == 0, after, -after), np.where(label == 0, logits, -logits)
    assert (margin <= was + 1e-5).all() and (margin < was - 1e-3).mean() > 0.9
    np.testing.assert_array_equal(found, search(classify(w), x, label, epsilon, 30))
    assert (found != search(classify(w), x, label, epsilon, 30, seed=1)).any()


def test_search_leaves_alone_what_is_taken_for_another_class_already():
    w, x, label = linear_classes()
    np.testing.assert_array_equal(search(classify(w), x, 1 - label, EPSILON, 30), x)


def test_search_comes_near_to_the_best_attack_on_a_linear_classifier():
    """The best one is known: every margin drops by epsilon |w|_1."""
    w, x, label = linear_classes()
    margin = np.abs((x * w).sum(axis=(1, 2, 3)))
    best = float((margin > EPSILON * np.abs(w).sum()).mean())
    found = robustness(classify(w), x, label, EPSILON, queries=400)
    assert found["clean_accuracy"] == 1
    assert found["robust_accuracy"] == best and 0.1 < best < 0.9
    assert best <= found["robust_accuracy_search"] <= best + 0.1


def test_search_sees_through_masked_gradients():
    """Logits in whole steps: their slope is 0 everywhere, so that the first attack finds nothing."""
    w, x, label = linear_classes()

    def masked(image):
        return tf.round(50.0 * tf.stop_gradient(classify(w)(image))) + 0.0 * classify(w)(image)

    found = robustness(masked, x, label, 0.3, queries=400)
    honest = robustness(classify(w), x, label, 0.3, queries=400)
    assert found["robust_accuracy"] > honest["robust_accuracy"] + 0.2
    assert found["robust_accuracy_search"] < honest["robust_accuracy"] + 0.1


def test_figures_do_not_depend_on_the_batch_and_a_wrong_answer_is_not_robust():
    w, x, label = linear_classes()
    label = np.where(np.arange(len(x)) % 4 == 0, 1 - label, label)
    one, other = (robustness(classify(w), x, label, EPSILON, queries=20, batch_size=size) for size in (7, 250))
    assert one == other
    assert one["clean_accuracy"] == 0.75 and one["robust_accuracy"] <= 0.75


BUGS = (
    Bug(
        "Rob-GAN: wrong sign",
        "ops/attacks.py",
        "tf.clip_by_value(changed + step *",
        "tf.clip_by_value(changed - step *",
        ("test_few_small_steps_go_as_far_as_they_can",),
    ),
    Bug(
        "Rob-GAN: no projection",
        "ops/attacks.py",
        "tape.gradient(value, changed)), low, high)",
        "tape.gradient(value, changed)), -1.0, 1.0)",
        ("test_attack_stays_within_epsilon_and_in_range_exactly",),
    ),
    Bug(
        "Rob-GAN: gradient through the attack",
        "ops/attacks.py",
        "return tf.stop_gradient(changed)",
        "return changed",
        ("test_no_gradient_passes_through_the_attack",),
    ),
)

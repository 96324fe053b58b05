import numpy as np
import pytest
import tensorflow as tf
from planted import Bug

from keras_gen.ops import penalties


def linear(weight):
    weight = tf.convert_to_tensor(weight)
    return lambda image: tf.tensordot(image, weight, axes=weight.shape.rank)  # (B,)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# --- gradient penalty ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 7])
def test_gradient_penalty_of_a_linear_critic_is_that_of_its_norm(rows):
    weight, image = normal(4, 4, 3), tf.constant(normal(rows, 4, 4, 3, seed=1))
    norm = np.linalg.norm(weight)
    assert float(penalties.gradient_penalty(linear(weight), image)) == pytest.approx((norm - 1) ** 2, rel=1e-5)
    assert float(penalties.gradient_penalty(linear(weight), image, 2.0)) == pytest.approx((norm - 2) ** 2, rel=1e-5)


def test_gradient_penalty_of_twice_the_sum_of_four_is_nine():
    image = tf.constant(normal(5, 2, 2, 1))
    critic = linear(np.full((2, 2, 1), 2, np.float32))
    assert float(penalties.gradient_penalty(critic, image)) == pytest.approx(9, rel=1e-6)


def test_gradient_penalty_is_a_mean_over_examples_each_with_its_own_norm():
    image = tf.constant([[3.0, 4.0], [0.3, 0.4]])
    slopes = np.array([10.0, 1.0])  # of |x|^2: twice the norm
    found = penalties.gradient_penalty(lambda x: tf.reduce_sum(tf.square(x), axis=1), image)
    assert float(found) == pytest.approx(np.mean((slopes - 1) ** 2), rel=1e-5)


def test_gradient_penalty_moves_the_weights():
    """Its gradient is one of second order: 2 (|w| - 1) w / |w|. A critic that ignores its input gets a finite one."""
    weight, image = tf.Variable(normal(2, 2, 1)), tf.constant(normal(3, 2, 2, 1))
    for value in (weight.numpy(), 0 * weight.numpy()):
        weight.assign(value)
        with tf.GradientTape() as tape:
            loss = penalties.gradient_penalty(linear(weight), image)
        gradient = tape.gradient(loss, weight).numpy()
        norm = max(np.linalg.norm(value), 1e-6)
        np.testing.assert_allclose(gradient, 2 * (norm - 1) * value / norm, atol=1e-5)


@pytest.mark.parametrize(
    ("gap", "weight", "expected"), [(1.0, 10.0, 1.05), (2.0, 10.0, 2.2), (2.0, 0.1, 22.0)], ids=str
)
def test_a_linear_wasserstein_critic_ends_where_the_penalty_holds_it(gap, weight, expected):
    """At a slope of 1 + D / (2 lambda), where means are D apart."""
    offset = tf.constant([0.6, 0.8]) * gap
    fake = tf.constant(normal(50, 2))
    real, w = fake + offset, tf.Variable([0.1, -0.2])

    @tf.function
    def step():
        between = 0.3 * real + 0.7 * fake
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(linear(w)(fake)) - tf.reduce_mean(linear(w)(real))
            value += weight * penalties.gradient_penalty(linear(w), between)
        w.assign_sub(tape.gradient(value, w) * 0.25 / weight)

    for _ in range(400):
        step()
    assert float(tf.norm(w)) == pytest.approx(1 + gap / (2 * weight), rel=1e-4)
    assert float(tf.reduce_mean(linear(w)(real) - linear(w)(fake))) == pytest.approx(expected, rel=1e-4)


# --- R1 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 6])
def test_r1_of_a_linear_critic_is_half_of_its_squared_norm_and_its_gradient_the_weight(rows):
    weight = tf.Variable(normal(3, 3, 2))
    with tf.GradientTape() as tape:
        loss = penalties.r1(linear(weight), normal(rows, 3, 3, 2, seed=1))
    assert float(loss) == pytest.approx(0.5 * np.square(weight).sum(), rel=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, weight), weight, rtol=1e-6)


def test_r1_is_a_mean_over_examples_where_it_is_asked():
    """D(x) = |x|^2 / 2 has the slope x: the images that are given count, and no others."""

    def critic(image):
        return 0.5 * tf.reduce_sum(tf.square(image), axis=(1, 2, 3))[:, None]

    real = normal(5, 2, 2, 1)
    found = float(penalties.r1(critic, real))
    assert found == pytest.approx(0.5 * np.square(real).sum((1, 2, 3)).mean(), rel=1e-6)
    assert float(penalties.r1(critic, 0 * real)) == 0


def test_gradient_penalty_is_of_each_example():
    """D(x) = 2 x1 has slope 2, and (2 - 1)^2 = 1; of half the examples slope 3 gives (1 + 4) / 2."""
    image = tf.random.stateless_normal((6, 2, 2, 1), (1, 2))
    assert float(penalties.gradient_penalty(lambda x: 2.0 * x[:, 0, 0], image)) == pytest.approx(1.0, abs=1e-6)
    assert float(penalties.gradient_penalty(lambda x: 2.0 * tf.reduce_sum(x, (1, 2, 3)), image)) == pytest.approx(
        9.0, abs=1e-5
    )
    scale = tf.constant([2.0, 3.0] * 3)
    assert float(penalties.gradient_penalty(lambda x: scale * x[:, 0, 0, 0], image)) == pytest.approx(2.5, abs=1e-6)
    kernel = tf.Variable([[0.0]])  # a critic that ignores its input
    with tf.GradientTape() as tape:
        flat = penalties.gradient_penalty(lambda x: tf.reshape(x, (6, 4))[:, :1] @ kernel, image)
    assert float(flat) == pytest.approx(1.0, abs=1e-5) and np.isfinite(tape.gradient(flat, kernel)).all()


# --- orthogonal columns ----------------------------------------------------------------------------------------------


def test_orthogonal_columns_of_any_length_cost_nothing_and_others_their_products():
    assert float(penalties.orthogonal([tf.constant([[1.0, 1.0], [0.0, 1.0]])])) == 2
    rotation = np.linalg.qr(normal(3, 3))[0].astype(np.float32)
    assert float(penalties.orthogonal([rotation * [5, 0.1, 1]])) == pytest.approx(0, abs=1e-9)
    assert float(penalties.orthogonal([tf.eye(2), 2 * tf.constant([[1.0, 1.0], [0.0, 1.0]])])) == 2 * 2**4
    assert float(penalties.orthogonal([])) == 0


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 3, 2, 5), (1, 1, 2, 7)])
def test_orthogonal_of_a_kernel_is_that_of_its_matrix_and_so_is_its_gradient(shape):
    kernel = tf.Variable(normal(*shape))
    with tf.GradientTape() as tape:
        loss = penalties.orthogonal([kernel])
    matrix = kernel.numpy().reshape(-1, shape[-1]).astype(np.float64)
    products = matrix.T @ matrix * (1 - np.eye(shape[-1]))
    assert float(loss) == pytest.approx(np.square(products).sum(), rel=1e-5)
    np.testing.assert_allclose(tape.gradient(loss, kernel), (4 * matrix @ products).reshape(shape), atol=1e-3)


BUGS = (
    Bug(
        "orthogonal: the diagonal, too",
        "ops/penalties.py",
        "tf.linalg.set_diag(products, tf.zeros(columns))",
        "products",
        (
            "test_orthogonal_columns_of_any_length_cost_nothing_and_others_their_products",
            "test_orthogonal_of_a_kernel_is_that_of_its_matrix_and_so_is_its_gradient[shape0]",
        ),
    ),
    Bug(
        "orthogonal: the rows of a wide kernel",
        "ops/penalties.py",
        "lengths = tf.reduce_sum(tf.square(matrix), axis=0)",
        "lengths = tf.reduce_sum(tf.square(matrix), axis=1)",
        ("test_orthogonal_of_a_kernel_is_that_of_its_matrix_and_so_is_its_gradient[shape1]",),
    ),
    Bug(
        "gradient penalty: one norm for the batch",
        "ops/penalties.py",
        "squared = tf.reduce_sum(tf.square(tf.reshape(slope, (tf.shape(slope)[0], -1))), axis=1)",
        "squared = tf.reduce_sum(tf.square(slope))",
        (
            "test_gradient_penalty_of_a_linear_critic_is_that_of_its_norm[7]",
            "test_gradient_penalty_is_a_mean_over_examples_each_with_its_own_norm",
        ),
    ),
    Bug(
        "gradient penalty: first order only",
        "ops/penalties.py",
        "slope = tape.gradient(value, image)",
        "slope = tf.stop_gradient(tape.gradient(value, image))",
        (
            "test_gradient_penalty_moves_the_weights",
            "test_a_linear_wasserstein_critic_ends_where_the_penalty_holds_it[1.0-10.0-1.05]",
        ),
    ),
    Bug(
        "R1: the weight's factor twice",
        "ops/penalties.py",
        "return 0.5 * tf.reduce_mean(",
        "return tf.reduce_mean(",
        ("test_r1_of_a_linear_critic_is_half_of_its_squared_norm_and_its_gradient_the_weight[6]",),
    ),
    Bug(
        "R1: first order only",
        "ops/penalties.py",
        "slope = tape.gradient(value, real)",
        "slope = tf.stop_gradient(tape.gradient(value, real))",
        ("test_r1_of_a_linear_critic_is_half_of_its_squared_norm_and_its_gradient_the_weight[6]",),
    ),
)

"""Spectral normalization: layers whose kernel is divided by its largest singular value."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

from keras_gen.errors import positive


class _Spectral:
    """What a layer with a `kernel` needs to use `kernel / sigma` in its place; comes before it in the bases."""

    def __init__(self, *args, power_iterations: int = 1, **kwargs):
        super().__init__(*args, **kwargs)
        self.power_iterations = positive("power_iterations", power_iterations)

    def add_weight(self, *args, **kwargs):
        # A kernel rounded to half precision has another norm: everything is rounded after the division.
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def build(self, input_shape):
        """Makes the weights of the layer, and `u`."""
        super().build(input_shape)
        # Every replica computes the same values, so that any one of them may speak for all.
        self.u = self.add_weight(
            name="u",
            shape=self._kernel.shape[-1:],
            initializer=_unit_vector,
            dtype=keras.backend.result_type(self.variable_dtype, "float32"),
            trainable=False,
            aggregation="only_first_replica",
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "power_iterations": self.power_iterations}

    def save_own_variables(self, store):
        """Saves `u` too: Keras' own layers list what they save by name."""
        super().save_own_variables(store)
        if self.built:
            store["u"] = self.u

    def load_own_variables(self, store):
        """Undoes `save_own_variables`."""
        super().load_own_variables(store)
        if self.built:
            self.u.assign(store["u"])

    def moved_once(self) -> list:
        """Returns what a training call moves: `u`."""
        return [self.u]

    def sigma(self) -> tf.Tensor:
        """Returns the largest singular value of the kernel, estimated by power iteration."""
        return _stretch(self._matrix(), tf.convert_to_tensor(self.u))

    def call(self, inputs, training=False):
        matrix, u = self._matrix(), tf.convert_to_tensor(self.u)
        if training:
            u = _iterated(tf.stop_gradient(matrix), u, self.power_iterations)
            self.u.assign(u)
        # A kernel of zeros has no direction to divide by, and stays one.
        kernel = tf.reshape(matrix / tf.maximum(_stretch(matrix, u), 1e-12), self._kernel.shape)
        outputs = self._linear(inputs, tf.cast(kernel, self.compute_dtype))
        if self.bias is not None:
            outputs += self._beside(tf.cast(self.bias, self.compute_dtype))
        return self.activation(outputs)

    def _matrix(self):
        """Returns the kernel as a matrix, (inputs of an output, outputs)."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), self.u.dtype)
        return tf.reshape(kernel, (-1, kernel.shape[-1]))


@keras.saving.register_keras_serializable("keras_gen")
class SpectralDense(_Spectral, keras.layers.Dense):
    """`keras.layers.Dense` with its kernel divided by the kernel's largest singular value.

    The kernel itself is never written to: the division is part of the forward pass, and the gradient goes through it.
    The singular value is followed by power iteration from a state, the vector `u`, which moves in training calls only;
    an inference call after a training call gives the same output. A step that judges real images and fake ones moves it
    twice, as the authors' program does, and no more with `compile(accumulate=)`: each part of a batch meets the same.

    Args:
        *args: those of `keras.layers.Dense`.
        power_iterations: per training call.
        **kwargs: those of `keras.layers.Dense`.

    Raises:
        UsageError: `power_iterations` is not a whole number from 1 on.

    Example:
        ```python
        critic = keras.Sequential([SpectralDense(128, "leaky_relu"), SpectralDense(1)])  # (B, d) to (B, 1)
        ```

    Reference:
        Miyato, Kataoka, Koyama and Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
        arXiv:1802.05957. The paper's sigma takes u after and v before the iteration; here v is that of the new u.
    """

    def _linear(self, inputs, kernel):
        return keras.ops.matmul(inputs, kernel)

    def _beside(self, bias):
        return bias


@keras.saving.register_keras_serializable("keras_gen")
class SpectralConv2D(_Spectral, keras.layers.Conv2D):
    """`keras.layers.Conv2D` with its kernel divided by the largest singular value of the kernel as a matrix.

    The matrix is the kernel of shape (height, width, inputs, filters) as (height * width * inputs, filters), as in the
    paper. The map of whole images has a norm of its own, at most sqrt(height * width) with a stride of 1.
    All else is as in `SpectralDense`.

    Args:
        *args: those of `keras.layers.Conv2D`.
        power_iterations: per training call.
        **kwargs: those of `keras.layers.Conv2D`.

    Raises:
        UsageError: `power_iterations` is not a whole number from 1 on.

    Example:
        ```python
        features = SpectralConv2D(64, 4, strides=2, padding="same")(image)  # (B, H, W, C) to (B, H / 2, W / 2, 64)
        ```

    Reference:
        Miyato, Kataoka, Koyama and Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
        arXiv:1802.05957.
    """

    def _linear(self, inputs, kernel):
        return self.convolution_op(inputs, kernel)

    def _beside(self, bias):
        return bias if self.data_format == "channels_last" else bias[:, None, None]


def iterated(root: keras.layers.Layer) -> list:
    """Returns the variables below a layer that a step moves once, whatever the parts of its batch.

    They are those of the method `moved_once` of layers of ours, such as `u`; of `keras.layers.SpectralNormalization`,
    its `u` and the kernel, which it divides in place.
    """
    found = []
    for layer in root._flatten_layers():
        if hasattr(layer, "moved_once") and layer.built:
            found += layer.moved_once()
        elif isinstance(layer, keras.layers.SpectralNormalization) and layer.built:
            found += [layer.vector_u, layer.kernel]
    return found


@contextlib.contextmanager
def resting(root: keras.layers.Layer) -> Iterator[None]:
    """Lets training calls of the spectrally normalized layers below a layer have the kernels of inference calls."""
    layers = [layer for layer in root._flatten_layers() if isinstance(layer, _Spectral)]
    before = [layer.power_iterations for layer in layers]
    try:
        for layer in layers:
            layer.power_iterations = 0
        yield
    finally:
        for layer, times in zip(layers, before, strict=True):
            layer.power_iterations = times


def _unit_vector(shape, dtype=None):
    return tf.math.l2_normalize(keras.initializers.RandomNormal(stddev=1.0)(shape, dtype))


def _iterated(matrix, u, times):
    """Returns `u` (outputs,), nearer to the first right singular vector of a matrix (inputs, outputs)."""
    for _ in range(times):
        v = tf.math.l2_normalize(tf.linalg.matvec(matrix, u))  # (inputs,)
        following = tf.math.l2_normalize(tf.linalg.matvec(matrix, v, transpose_a=True))
        # From zeros and from NaN there would be no way back.
        u = tf.where(tf.norm(following) > 0.5, following, u)
    return u


def _stretch(matrix, u):
    """Returns how much a matrix stretches the unit vector `u`; the gradient goes to the matrix alone."""
    image = tf.linalg.matvec(matrix, tf.stop_gradient(u))  # (inputs,)
    return tf.reduce_sum(tf.stop_gradient(tf.math.l2_normalize(image)) * image)

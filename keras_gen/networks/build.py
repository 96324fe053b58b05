"""What every network shares: precision, named inputs and the rule for image sizes."""

import functools
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from keras_gen.errors import UsageError
from keras_gen.layers import ConditionalBatchNormalization, PixelShuffle, SpectralConv2D, SpectralDense
from keras_gen.signatures.law import Law


def network(make: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Lets a function that builds a network take `dtype`, the policy of all its layers (default: Keras' global one)."""

    @functools.wraps(make)
    def built(*args, dtype=None, **kwargs):
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(dtype or before)
        try:
            return make(*args, **kwargs)
        finally:
            keras.config.set_dtype_policy(before)

    return built


def in_float32(x: Any) -> Any:
    """Ends a network: whatever the precision inside, what comes out is float32."""
    return keras.layers.Activation("linear", dtype="float32")(x)


def input_names(net: keras.Model) -> tuple[str, ...] | None:
    """Returns the names of a network's dict inputs, or `None` when it takes one plain tensor."""
    inputs = getattr(net, "input", None) if hasattr(net, "inputs") and net.inputs else None
    return tuple(inputs) if isinstance(inputs, dict) else None


def call(net: keras.Model, tensors: Mapping[str, Any], training: bool) -> Any:
    """Calls a network on those of the named tensors that it takes; a network of one plain tensor gets the first."""
    names = input_names(net)
    if names is None:
        return net(next(iter(tensors.values())), training=training)
    missing = [name for name in names if name not in tensors]
    if missing:
        raise UsageError(f"network {net.name!r} takes {missing[0]!r}, which is not among {', '.join(tensors)}; add it")
    return net({name: tensors[name] for name in names}, training=training)


def labelled(x: Any, num_classes: int | None) -> tuple[dict[str, Any], Any]:
    """Gives a network the input `label`, int32 (B,).

    Args:
        x: tensor (B, d), which gets the one-hot code of the label beside it, or (B, H, W, C), which gets one more
            channel: a learned plane for each class.
        num_classes: number of classes; without it nothing is added.

    Returns:
        The new inputs by name, and the tensor.
    """
    if num_classes is None:
        return {}, x
    label = keras.Input((), dtype="int32", name="label")
    code = keras.ops.one_hot(label, num_classes)  # (B, num_classes)
    if len(x.shape) > 2:
        height, width = x.shape[1:3]
        code = keras.layers.Dense(height * width, use_bias=False)(code)
        code = keras.layers.Reshape((height, width, 1))(code)
    return {"label": label}, keras.layers.Concatenate()([x, code])


def labelling(label: Mapping[str, Any], num_classes: int | None, label_layers: str) -> Callable[[Any], Any]:
    """Returns what puts the label beside vectors (B, d) of later layers, too, where `label_layers` is `"all"`.

    Args:
        label: the inputs that `labelled` has made.
        num_classes: as for `labelled`.
        label_layers: one of `LABEL_LAYERS`; with `"first"`, or without labels, vectors stay as they are.
    """
    if not label or label_layers == "first":
        return lambda x: x
    code = keras.ops.one_hot(label["label"], num_classes)
    return lambda x: keras.layers.Concatenate()([x, code])


# Of a network's inputs: name to shape, batch first, and law. A law's text is understood, too.
Laws = Mapping[str, tuple[Sequence[int | None], Law | str]]


def joined(laws: Laws) -> tuple[dict[str, Any], Any]:
    """Gives a network the inputs of a sampler.

    Args:
        laws: of the inputs. Classes are int32 (B,), all others vectors (B, d).

    Returns:
        The inputs by name, and all of them beside each other (B, d): vectors as they are, classes one-hot.
    """
    inputs, parts = {}, []
    for name, (shape, law) in laws.items():
        classes = Law.parse(law).classes
        inputs[name] = keras.Input(tuple(shape[1:]), dtype="int32" if classes else None, name=name)
        parts.append(keras.ops.one_hot(inputs[name], classes) if classes else inputs[name])
    return inputs, layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


LABEL_LAYERS = ("all", "first")
GENERATOR_NORMS = ("batch", "sync_batch", "conditional_batch", "none")
DISCRIMINATOR_NORMS = ("batch", "sync_batch", "layer", "spectral", "none")
EPSILON = 1e-5  # added to variances, as in the programs of the papers


def normalized(
    x: Any,
    norm: str,
    label: Any = None,
    num_classes: int | None = None,
    epsilon: float = EPSILON,
    name: str | None = None,
) -> Any:
    """Normalizes a hidden layer's output: `"layer"` each example over all of its positions and channels.

    `"none"` and `"spectral"`, which is of kernels (`dense`, `conv2d`), leave it alone. `"conditional_batch"` scales and
    shifts by the class, `label` of `num_classes`. `epsilon` is added to the variances of `"layer"`.
    """
    if norm in ("none", "spectral"):
        return x
    if norm == "conditional_batch":
        return ConditionalBatchNormalization(num_classes, name=name)([x, label])
    if norm == "layer":
        # Of maps, scale and shift are of channels: a group of all channels, over all places.
        given = {"epsilon": epsilon, "name": name}
        return (layers.GroupNormalization(1, **given) if len(x.shape) > 2 else layers.LayerNormalization(**given))(x)
    synchronized = norm == "sync_batch"
    return layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, synchronized=synchronized, name=name)(x)


def conditioned(laws: Laws, norm: str) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Gives a generator its inputs, and with `"conditional_batch"` its normalizations the label that they depend on.

    Returns:
        The inputs by name, the vector that the first layer sees, and the arguments for `normalized`.

    Raises:
        UsageError: a condition on a label that is not among the inputs.
    """
    if norm != "conditional_batch":
        return *joined(laws), {}
    if "label" not in laws:
        raise UsageError("norm='conditional_batch' needs a model with labels, such as cgan; give another norm")
    inputs, x = joined({name: law for name, law in laws.items() if name != "label"})
    label = keras.Input((), dtype="int32", name="label")
    return {**inputs, "label": label}, x, {"label": label, "num_classes": Law.parse(laws["label"][1]).classes}


def biased(norm: str) -> bool:
    """Returns whether a layer wants a bias: one before a normalization over the batch would be subtracted again."""
    return norm in ("none", "spectral", "layer")


def dense(units: int, norm: str = "none", **more: Any) -> Any:
    """Returns a dense layer, spectrally normalized where that is the norm."""
    return (SpectralDense if norm == "spectral" else layers.Dense)(units, **more)


def hidden_layers(
    x: Any,
    hidden: Sequence[int],
    norm: str,
    activation: Callable[[], Any],
    dropout: float = 0.0,
    condition: Mapping[str, Any] = types.MappingProxyType({}),
    **more: Any,
) -> Any:
    """Maps vectors (B, d) to (B, hidden[-1]) by dense layers, each normalized and thinned; no layers leave them alone.

    Args:
        x: the vectors.
        hidden: widths of the layers.
        norm: as for `normalized`.
        activation: makes the layer after each normalization.
        dropout: share of the units that are left out in training.
        condition: further arguments of `normalized`.
        **more: of the dense layers, such as `kernel_initializer`.
    """
    for units in hidden:
        x = dense(units, norm, use_bias=biased(norm), **more)(x)
        x = activation()(normalized(x, norm, **condition))
        if dropout:
            x = layers.Dropout(dropout)(x)
    return x


def conv2d(filters: int, kernel: int, stride: int = 1, norm: str = "none", **more: Any) -> Any:
    """Returns a convolution of same padding, spectrally normalized where that is the norm."""
    kind = SpectralConv2D if norm == "spectral" else layers.Conv2D
    return kind(filters, kernel, stride, padding="same", **more)


def doubled(x: Any) -> Any:
    """Returns maps (B, h, w, C) of any size with each pixel in a square of four, (B, 2 h, 2 w, C).

    Keras' `UpSampling2D` does the same, but where the size is open it loses the channels in a file for TFLite.
    """
    return PixelShuffle(2)(layers.Concatenate()([x] * 4))


def halvings(height: int, width: int, smallest: int = 4) -> int:
    """Returns how often both sides can be halved without a remainder and without falling below `smallest`."""
    times = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= smallest:
        height, width, times = height // 2, width // 2, times + 1
    return times


def input_shape(net: keras.Model, name: str) -> tuple[int | None, ...] | None:
    """Returns the shape of a network's input of this name, or of the one plain tensor that it takes, if it tells."""
    if not getattr(net, "inputs", None):
        return None
    given = getattr(net, "input", None)  # a sequential network that was never called has none
    if isinstance(given, dict):
        return tuple(given[name].shape) if name in given else None
    return tuple(net.inputs[0].shape)


def check_fit(discriminator: keras.Model, image: Any) -> None:
    """Compares a discriminator with one generated image (1, H, W, C).

    It is shown the image if it takes nothing else, which makes the weights of a network that has none yet.

    Raises:
        UsageError: it is made for images of another shape.
    """
    shape = input_shape(discriminator, "image")
    if shape and any(want not in (None, have) for want, have in zip(shape[1:], image.shape[1:], strict=False)):
        raise UsageError(
            f"the generator makes images {tuple(image.shape[1:])}, the discriminator expects {tuple(shape[1:])}; "
            "give networks that fit"
        )
    if input_names(discriminator) is None:
        discriminator(image)


BOUNDED = ("sigmoid", "hardsigmoid", "logsigmoid", "softmax", "logsoftmax", "tanh", "hardtanh", "relu", "relu6")
_SHAPING = (layers.Reshape, layers.Flatten, layers.Dropout)


def final_activation(net: Any) -> str | None:
    """Returns which of the activations `BOUNDED` a network ends in, if it is one: then it gives no logits."""
    if not getattr(net, "outputs", None):  # a subclass of `keras.Model` does not tell what comes last
        return None
    tensor = net.outputs[0]
    while True:
        made = tensor._keras_history.operation
        if isinstance(made, keras.Model):
            return final_activation(made)
        name = getattr(getattr(made, "activation", None), "__name__", type(made).__name__)
        name = name.replace("_", "").lower()
        if name in BOUNDED:
            return name
        linear = isinstance(made, layers.Activation) or isinstance(made, _SHAPING)
        if not linear or not isinstance(made.input, keras.KerasTensor):
            return None
        tensor = made.input


def columns(net: Any, image: Any) -> tuple[int | None, ...]:
    """Returns the shape of a network's output, batch first, for one image (1, H, W, C) where it does not tell."""
    outputs = getattr(net, "outputs", None)
    return tuple(outputs[0].shape) if outputs else tuple(net(image).shape)


def image_of(generator: keras.Model, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns the image (1, H, W, C) that a generator makes of one row of inputs.

    Raises:
        UsageError: it cannot take them, or makes something else.
    """
    try:
        image = call(generator, inputs, training=False)
    except UsageError:
        raise
    except Exception as error:  # Keras and TensorFlow raise whatever a layer stumbles over
        given = ", ".join(f"{name} {tuple(value.shape)}" for name, value in inputs.items())
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"the generator cannot take {given}: {reason}; give one of latents, or latent_dim") from None
    if not tf.is_tensor(image) or image.shape.rank != 4:
        made = f"one of shape {tuple(image.shape)}" if tf.is_tensor(image) else f"{len(image)}, {type(image).__name__}"
        raise UsageError(f"the generator's outputs are {made}; expected one tensor of images (B, H, W, C)")
    return image

"""What every network shares: precision, named inputs and the rule for image sizes."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_gen.errors import UsageError


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


def halvings(height: int, width: int, smallest: int = 4) -> int:
    """Returns how often both sides can be halved without a remainder and without falling below `smallest`."""
    times = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= smallest:
        height, width, times = height // 2, width // 2, times + 1
    return times

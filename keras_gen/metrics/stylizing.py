"""How near images in another's style are to both, beside what needs no learning."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_gen.images import from_uint8
from keras_gen.ops.style import adapted, moments_apart, normalized

STYLED = 1000  # test images at most
AT_ONCE = 50
SHOWN = ("transferred", "content", "matched")


def of_styles(
    transfer: Callable[[np.ndarray, np.ndarray], np.ndarray],
    features: Callable[[np.ndarray], Sequence[tf.Tensor]],
    test: Any,
) -> dict[str, float]:
    """Returns distances of test images in the style of others, in the features of an encoder.

    Args:
        transfer: contents and as many styles (n, H, W, C), float32 in [-1, 1], to images.
        features: images (n, H, W, C) to features (n, h, w, c), one tensor for each level.
        test: examples with `source`, contents, of which the first 1,000 are measured, and `target`, styles in turn.

    Returns:
        Of what was made, `transferred_...`, and of the baselines `content_...`, the content as it is, and
        `matched_...`, the content with the mean and the deviation of each color channel made the style's:
        `structure`, the mean squared difference from the content's features of the last level, both normalized, so
        that style is no part of it: 0 of the content itself, 2 of features that have nothing in common, less where
        channels are constant; and `moments`, the squared differences of means and of deviations from the style's,
        summed over levels as in the loss.
    """
    contents, styles = (test.arrays[name][:STYLED] for name in ("source", "target"))
    sums = dict.fromkeys([f"{name}_{what}" for name in SHOWN for what in ("structure", "moments")], 0.0)
    for at in range(0, len(contents), AT_ONCE):
        content = from_uint8(contents[at : at + AT_ONCE])
        style = from_uint8(styles[np.arange(at, at + len(content)) % len(styles)])
        matched = np.clip(adapted(content, style).numpy(), -1, 1)
        kept, wanted = normalized(features(content)[-1]), features(style)
        for name, image in zip(SHOWN, (transfer(content, style), content, matched), strict=True):
            found = features(image)
            apart = tf.reduce_mean(tf.square(normalized(found[-1]) - kept))
            sums[f"{name}_structure"] += float(apart) * len(content)
            sums[f"{name}_moments"] += float(moments_apart(found, wanted)) * len(content)
    return {name: value / len(contents) for name, value in sums.items()}

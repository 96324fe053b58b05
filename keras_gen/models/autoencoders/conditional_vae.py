"""The conditional VAE."""

from typing import Any

import keras

from keras_gen.errors import choice, positive
from keras_gen.models.autoencoders.vae import VAE
from keras_gen.networks.build import LABEL_LAYERS


@keras.saving.register_keras_serializable("keras_gen")
class ConditionalVAE(VAE):
    """Conditional VAE: encoder and decoder are conditioned on the class.

    The code need not tell it, and keeps what the class leaves open.

    Args:
        num_classes: number of classes; a label is a whole number below it.
        label_layers: dense layers that see the label: `"all"`, or `"first"`. Of `"conv"`, the first convolution does.
        **kwargs: of `VAE`.

    Raises:
        UsageError: as for `VAE`; training without labels, or with one that is no class.

    Example:
        >>> model = keras_gen.ConditionalVAE(image_shape=(28, 28, 1), num_classes=10)
        >>> model.compile()
        >>> model.fit(images, labels, batch_size=100, epochs=20)
        >>> model.sample(16, seed=0, label=3).shape
        (16, 28, 28, 1)
        >>> code = model.encode(images[:1], label=labels[0])  # what a class leaves open: slant, width
        >>> same_hand = model.decode(code, label=3)

    Reference:
        Sohn, Lee and Yan, "Learning Structured Output Representation using Deep Conditional Generative Models", NeurIPS
        2015; the generative model M2, with labels known: Kingma et al., 2014, arXiv:1406.5298.

    Deviations: those of `VAE`; the prior of the code is the same for all classes, as in M2 (Sohn et al. learn one for
    each condition), and dense layers after the first see the label, too. `log_prob` bounds log p(x | label).
    """

    former = {"label_layers": "first"}  # of files that do not hold it

    def __init__(self, num_classes: int = 10, label_layers: str = "all", **kwargs: Any):
        self.num_classes = positive("num_classes", num_classes)  # first: the networks depend on both
        self.label_layers = choice("label_layers", label_layers, LABEL_LAYERS)
        super().__init__(**kwargs)

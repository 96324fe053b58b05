"""The conditional GAN."""

from typing import Any

import keras

from keras_gen.errors import positive
from keras_gen.models.adversarial.gan import GAN


@keras.saving.register_keras_serializable("keras_gen")
class CGAN(GAN):
    """Conditional GAN: generator and discriminator are conditioned on the class.

    Args:
        num_classes: number of classes; a label is a whole number below it.
        projection: the discriminator takes the class by an inner product with its features, in place of one more
            channel of the image.
        architecture: as for `GAN`; so are the following.
        norm: `"conditional_batch"` lets the class scale and shift the generator's maps, in place of standing beside the
            latents.
        dropout: share of the discriminator's hidden units that are left out in training.
        **kwargs: of `GAN`. Injected networks take `label`, int32 (B,), too.

    Raises:
        UsageError: as for `GAN`; training without labels, or with one that is no class.

    Example:
        >>> model = keras_gen.CGAN(image_shape=(28, 28, 1), num_classes=10)
        >>> model.compile()
        >>> model.fit(images, labels, batch_size=128, epochs=5)
        >>> model.sample(16, seed=0, label=3).shape
        (16, 28, 28, 1)

    Reference:
        Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv:1411.1784; projection: Miyato and
        Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637; conditional normalization: Dumoulin,
        Shlens and Kudlur, 2016, arXiv:1610.07629.

    Deviations: convolutions as in DCGAN in place of maxout layers. Fakes are made for the labels of the real images.
    """

    def __init__(
        self,
        num_classes: int = 10,
        projection: bool = False,
        architecture: str = "conv",
        norm: str = "batch",
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        self.num_classes, self.projection = positive("num_classes", num_classes), projection  # the networks need both
        super().__init__(architecture=architecture, norm=norm, dropout=dropout, **kwargs)

    def judged(self) -> dict[str, Any]:
        """Gives the discriminator labels."""
        return {"beside": {"label": self.laws()["label"]}, "projection": self.projection}

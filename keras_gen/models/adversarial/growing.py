"""What models share whose networks grow: stages of sizes, each of which fades in."""

from typing import Any

import keras
import tensorflow as tf

from keras_gen.errors import UsageError, positive
from keras_gen.game.batch import Batch
from keras_gen.networks import progressive


class Growing:
    """Part of a `GAN` whose networks grow: a stage for each size of images, `4x4`, `8x8`, ..., each begun small.

    `generator` and `discriminator` are whole from the start, by names of layers as in `networks.progressive`. A stage
    trains that part of them which has grown by then, and new layers fade in: with the weight min(1, t / fade_steps) in
    the discriminator's step t of the stage, which is a weight of the networks, `alpha`.

    Args:
        fade_steps: steps of the discriminator in a stage after which its new layers count in full.
        **kwargs: of the `GAN`.

    Raises:
        UsageError: `fade_steps` is not a whole number from 1 on.

    Example:
        ```python
        model = keras_gen.ProgressiveGAN(image_shape=(8, 8, 1), base=32, latent_dim=4)
        model.compile(stage="4x4")
        model.network("discriminator", training=True).input_shape  # {"image": (None, 4, 4, 1)}
        model.sample(2).shape  # (2, 8, 8, 1), with pixels repeated
        ```
    """

    smallest = 0  # number of the first size that is a stage
    smooth: type | None = None  # layer of the discriminator before it halves maps

    def __init__(self, fade_steps: int = 37_500, **kwargs: Any):
        self.__dict__["_parts"] = {}  # past Keras' tracking: parts share the layers of the networks
        super().__init__(**kwargs)
        self.fade_steps = positive("fade_steps", fade_steps)
        self.stages = progressive.sizes(self.image_shape)[self.smallest :]

    def fading(self) -> str | None:
        """Returns the size before that of this stage, with which it is blended, unless it is the first."""
        size = self.stage or self.stages[-1]
        return dict(zip(self.stages[1:], self.stages, strict=False)).get(size)

    def fade(self, net: keras.Model) -> keras.layers.Layer:
        """Returns the layer of a network that blends this stage's size with the one before."""
        name = f"fade_{self.stage or self.stages[-1]}"
        return next(layer for layer in net._flatten_layers() if layer.name == name)

    def grown(self, net: keras.Model, shown: bool = False) -> keras.Model:
        """Returns the part of a network that has grown by this stage, which shares its layers; without a stage, all.

        Args:
            net: the generator, its average or the discriminator.
            shown: images of the generator are of `image_shape` and in [-1, 1]; once they count in full, those of the
                size before take no part.
        """
        if self.stage is None and not shown:
            return net
        size, before = self.stage or self.stages[-1], self.fading()
        if shown and before:
            with tf.init_scope():  # a number, also where a function is traced
                before = before if float(tf.convert_to_tensor(self.fade(net).alpha)) < 1 else None
        key = id(net), size, before, shown
        if key not in self._parts:
            made = {"dtype": self.dtype_policy}
            if net is self.discriminator:
                shape = (*progressive.sides(size), self.image_shape[-1])
                made |= {"base": self.base, "largest": self.largest, "smooth": self.smooth}
                self._parts[key] = progressive.discriminator(shape, of=net, blended=before is not None, **made)
            else:
                self._parts[key] = self.cut(net, size, before, self.image_shape if shown else None, **made)
        return self._parts[key]

    def cut(self, net: keras.Model, *how: Any, **more: Any) -> keras.Model:
        """Returns a part of the generator, as `networks.progressive.grown` does."""
        return progressive.grown(net, *how, **more)

    def check_steps(self, steps: int) -> None:
        """Refuses stages that end before their layers have faded in.

        Raises:
            UsageError: with the number that would do.
        """
        if len(self.stages) > 1 and steps * self.n_critic < self.fade_steps:
            raise UsageError(
                f"{steps} steps of each stage end before its layers have faded in, after {self.fade_steps}; "
                f"give more --steps, or --set fade_steps={max(1, steps * self.n_critic // 2)}"
            )

    # --- of GenerativeModel and GAN ----------------------------------------------------------------------------------

    def network(self, name: str, training: bool) -> keras.Model:
        """Returns the part of a network that has grown, for images of this stage's size."""
        return self.grown(super().network(name, training))

    def inference(self, name: str) -> keras.Model:
        """Returns the part of a network that has grown, for images of `image_shape`, whose pixels are repeated."""
        return self.grown(super().network(name, False), shown=True)

    def networks_of(self, player: str) -> tuple:
        """Returns the parts of networks that a player updates."""
        return (self.network("discriminator" if player == "d" else "generator", True),)

    def images(self, batch: Batch) -> tf.Tensor:
        """Returns a batch's images in the size of this stage, blended with their own coarser selves as fakes are."""
        return batch.once("grown", lambda: self._shrunk(super(Growing, self).images(batch)))

    def _shrunk(self, image):
        size, before = self.stage or self.stages[-1], self.fading()
        factor = self.image_shape[0] // progressive.sides(size)[0]
        image = tf.nn.avg_pool2d(image, factor, factor, "VALID") if factor > 1 else image
        if before is None:
            return image
        coarse = tf.repeat(tf.repeat(tf.nn.avg_pool2d(image, 2, 2, "VALID"), 2, axis=1), 2, axis=2)
        return self.fade(self.generator)([coarse, image])

    def discriminator_loss(self, batch: Batch, training: bool) -> dict[str, tf.Tensor]:
        """Returns the terms of the loss; in training, with the new layers faded in as far as this step is."""
        if training and self.fading():
            done = tf.cast(self.d_optimizer.iterations, tf.float32) / self.fade_steps
            for net in (self.generator, self.discriminator):
                self.fade(net).alpha.assign(tf.minimum(1.0, done))
        return super().discriminator_loss(batch, training)

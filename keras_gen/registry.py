"""Which models there are: those that have a recipe. Known without importing TensorFlow."""

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from keras_gen import recipes
from keras_gen.errors import UsageError, near_misses

# The modules that our classes were in when earlier versions wrote files: the table only grows.
FORMER = {
    "ACGAN": ("keras_gen.models.acgan",),
    "ALI": ("keras_gen.models.ali",),
    "Autoencoder": ("keras_gen.models.autoencoder",),
    "BetaVAE": ("keras_gen.models.beta_vae",),
    "BiGAN": ("keras_gen.models.bigan",),
    "CGAN": ("keras_gen.models.cgan",),
    "ConditionalVAE": ("keras_gen.models.conditional_vae",),
    "DCGAN": ("keras_gen.models.dcgan",),
    "DenoisingAutoencoder": ("keras_gen.models.denoising_autoencoder",),
    "GAN": ("keras_gen.models.gan",),
    "GPT": ("keras_gen.models.gpt",),
    "InfoGAN": ("keras_gen.models.infogan",),
    "IWAE": ("keras_gen.models.iwae",),
    "PixelCNN": ("keras_gen.models.pixel_cnn",),
    "PixelRNN": ("keras_gen.models.pixel_rnn",),
    "RobGAN": ("keras_gen.models.rob_gan",),
    "SNGAN": ("keras_gen.models.sngan",),
    "StackedAutoencoder": ("keras_gen.models.stacked_autoencoder",),
    "VAE": ("keras_gen.models.vae",),
    "VQVAE": ("keras_gen.models.vq_vae",),
    "WGAN": ("keras_gen.models.wgan",),
    "WGANGP": ("keras_gen.models.wgan_gp",),
    "MatrixAdamW": ("keras_gen.optimizers",),
}


def names() -> tuple[str, ...]:
    """Returns the names of all models, sorted."""
    return recipes.names()


def class_path(name: str) -> tuple[str, str]:
    """Returns module and class of a model's name.

    The class's name is also what a saved file names: it is a file format.

    Raises:
        UsageError: no model has this name; the message names the near misses.
    """
    check_name(name)
    module, _, attribute = recipes.read(name)["class"].rpartition(".")
    return module, attribute


def family(name: str) -> str:
    """Returns the family of a model: the folder of its class."""
    return recipes.read(name)["family"]


@functools.cache
def classes() -> Mapping[str, str]:
    """Returns the names of all models' classes, and the modules that they are in."""
    return {cls: module for module, cls in map(class_path, names())}


def check_name(name: str) -> str:
    """Returns a model's name.

    Raises:
        UsageError: no model has this name; the message names the near misses.
    """
    if name not in names():
        raise UsageError(f"model {name!r} is not known; {near_misses(name, names())}")
    return name


def model_class(name: str) -> type:
    """Returns the class of a model's name.

    Raises:
        UsageError: no model has this name; the message names the near misses.
    """
    module, attribute = class_path(name)
    return getattr(importlib.import_module(module), attribute)


def get(name: str, /, **arguments: Any) -> Any:
    """Builds an untrained model by name.

    Args:
        name: one of `names()`.
        **arguments: of the model's constructor.

    Returns:
        The `keras_gen.GenerativeModel`, built and not compiled.

    Raises:
        UsageError: no model has this name, or its constructor no such argument.
    """
    return model_class(name)(**arguments)

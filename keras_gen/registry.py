"""The table of models: name to class, known without importing TensorFlow."""

import importlib
from typing import Any

from keras_gen.errors import UsageError, near_misses

# name: (module, class). The class name is also what a saved file names, so a row is a file format.
MODELS = {
    "acgan": ("keras_gen.models.acgan", "ACGAN"),
    "ali": ("keras_gen.models.ali", "ALI"),
    "autoencoder": ("keras_gen.models.autoencoder", "Autoencoder"),
    "beta_vae": ("keras_gen.models.beta_vae", "BetaVAE"),
    "bigan": ("keras_gen.models.bigan", "BiGAN"),
    "cgan": ("keras_gen.models.cgan", "CGAN"),
    "conditional_vae": ("keras_gen.models.conditional_vae", "ConditionalVAE"),
    "dcgan": ("keras_gen.models.dcgan", "DCGAN"),
    "denoising_autoencoder": ("keras_gen.models.denoising_autoencoder", "DenoisingAutoencoder"),
    "gan": ("keras_gen.models.gan", "GAN"),
    "gpt": ("keras_gen.models.gpt", "GPT"),
    "infogan": ("keras_gen.models.infogan", "InfoGAN"),
    "iwae": ("keras_gen.models.iwae", "IWAE"),
    "pixel_cnn": ("keras_gen.models.pixel_cnn", "PixelCNN"),
    "pixel_rnn": ("keras_gen.models.pixel_rnn", "PixelRNN"),
    "rob_gan": ("keras_gen.models.rob_gan", "RobGAN"),
    "sngan": ("keras_gen.models.sngan", "SNGAN"),
    "stacked_autoencoder": ("keras_gen.models.stacked_autoencoder", "StackedAutoencoder"),
    "vae": ("keras_gen.models.vae", "VAE"),
    "vq_vae": ("keras_gen.models.vq_vae", "VQVAE"),
    "wgan": ("keras_gen.models.wgan", "WGAN"),
    "wgan_gp": ("keras_gen.models.wgan_gp", "WGANGP"),
}


def names() -> tuple[str, ...]:
    """Returns the names of all models, sorted."""
    return tuple(sorted(MODELS))


def model_class(name: str) -> type:
    """Returns the class of a model's name.

    Raises:
        UsageError: no model has this name; the message names the near misses.
    """
    if name not in MODELS:
        raise UsageError(f"model {name!r} is not known; {near_misses(name, names())}")
    module, attribute = MODELS[name]
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

"""The table of models: name to class, known without importing TensorFlow."""

import importlib
from typing import Any

from keras_gen.errors import UsageError, near_misses

# name: (module, class). The class name is also what a saved file names, so a row is a file format.
MODELS = {
    "acgan": ("keras_gen.models.adversarial.acgan", "ACGAN"),
    "ali": ("keras_gen.models.adversarial.ali", "ALI"),
    "autoencoder": ("keras_gen.models.autoencoders.autoencoder", "Autoencoder"),
    "beta_vae": ("keras_gen.models.autoencoders.beta_vae", "BetaVAE"),
    "bigan": ("keras_gen.models.adversarial.bigan", "BiGAN"),
    "cgan": ("keras_gen.models.adversarial.cgan", "CGAN"),
    "conditional_vae": ("keras_gen.models.autoencoders.conditional_vae", "ConditionalVAE"),
    "dcgan": ("keras_gen.models.adversarial.dcgan", "DCGAN"),
    "denoising_autoencoder": ("keras_gen.models.autoencoders.denoising_autoencoder", "DenoisingAutoencoder"),
    "gan": ("keras_gen.models.adversarial.gan", "GAN"),
    "gpt": ("keras_gen.models.autoregressive.gpt", "GPT"),
    "infogan": ("keras_gen.models.adversarial.infogan", "InfoGAN"),
    "iwae": ("keras_gen.models.autoencoders.iwae", "IWAE"),
    "pixel_cnn": ("keras_gen.models.autoregressive.pixel_cnn", "PixelCNN"),
    "pixel_rnn": ("keras_gen.models.autoregressive.pixel_rnn", "PixelRNN"),
    "rob_gan": ("keras_gen.models.adversarial.rob_gan", "RobGAN"),
    "sngan": ("keras_gen.models.adversarial.sngan", "SNGAN"),
    "stacked_autoencoder": ("keras_gen.models.autoencoders.stacked_autoencoder", "StackedAutoencoder"),
    "vae": ("keras_gen.models.autoencoders.vae", "VAE"),
    "vq_vae": ("keras_gen.models.autoencoders.vq_vae", "VQVAE"),
    "wgan": ("keras_gen.models.adversarial.wgan", "WGAN"),
    "wgan_gp": ("keras_gen.models.adversarial.wgan_gp", "WGANGP"),
}

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

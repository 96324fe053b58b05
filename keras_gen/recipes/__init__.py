"""What `train` does when nobody says otherwise: plain data, for each model and, where it matters, each data set.

A recipe holds `batch_size` (images for one update) and `epochs` (of each stage, where a model has several) or, in their
place, `steps`. It may hold `optimizer` (Keras' configuration of one, for each player; without it the paper's),
`learning_rate` (a number, or one for each player, in place of the optimizer's) and `settings` (arguments of the
constructor).
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

DEFAULT: Mapping[str, Any] = {"batch_size": 64, "epochs": 20}

MODELS: Mapping[str, Mapping[str, Any]] = {
    "acgan": {"batch_size": 100, "epochs": 20},
    "ali": {"batch_size": 100, "epochs": 25},
    "autoencoder": {"batch_size": 128, "epochs": 20},
    "beta_vae": {"batch_size": 100, "epochs": 20},
    "bigan": {"batch_size": 128, "epochs": 25},
    "cgan": {"batch_size": 100, "epochs": 20},
    "conditional_vae": {"batch_size": 100, "epochs": 20},
    "dcgan": {"batch_size": 128, "epochs": 20},
    "denoising_autoencoder": {"batch_size": 128, "epochs": 20},
    "gan": {"batch_size": 128, "epochs": 50},
    "gpt": {"batch_size": 16, "steps": 5000, "settings": {"context": 128, "decay": 5000}},
    "infogan": {"batch_size": 128, "epochs": 20},
    "iwae": {"batch_size": 100, "epochs": 20},
    # Of all classes together, though the data may have labels: those are for `--set num_classes=10`.
    "pixel_cnn": {"batch_size": 64, "epochs": 20, "settings": {"num_classes": None}},
    "pixel_rnn": {"batch_size": 64, "epochs": 20, "settings": {"num_classes": None}},
    "rob_gan": {"batch_size": 64, "epochs": 20},
    "sngan": {"batch_size": 64, "epochs": 50},
    "stacked_autoencoder": {"batch_size": 128, "epochs": 10},
    "vae": {"batch_size": 100, "epochs": 20},
    "vq_vae": {"batch_size": 128, "epochs": 20},
    "wgan": {"batch_size": 64, "epochs": 50},
    "wgan_gp": {"batch_size": 64, "epochs": 50},
}

# A quarter of the width that DCGAN's paper gives to 64x64 scenes. The generator's rate is five times that of the
# discriminator, as in InfoGAN: in pilots of 1,500 steps the Frechet distance was two thirds of that with equal rates.
MINUTES: Mapping[str, Any] = {
    "batch_size": 64,
    "epochs": 5,
    "learning_rate": {"d": 2e-4, "g": 1e-3},
    "settings": {"width": 32, "ema": 0.99},
}

# Of thousands of photographs, which a discriminator would learn by heart.
FEW: Mapping[str, Any] = {**MINUTES, "settings": {**MINUTES["settings"], "augment": ("color", "translation")}}

# Fully connected, as the bidirectional GAN's authors have it on MNIST. In pilots the discriminators of pairs with
# convolutions, or with batch normalization, won within hundreds of steps; dropout holds them back.
PAIRS: Mapping[str, Any] = {
    "batch_size": 100,
    "epochs": 25,
    "learning_rate": {"d": 2e-4, "g": 1e-3},
    "settings": {"architecture": "mlp", "discriminator_norm": "none", "dropout": 0.3, "ema": 0.99},
}

# Where a data set is so small or so large that the model's own recipe does not fit it.
DATA: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # Algorithm 1 of the paper, with its momentum and half of its rate, at which pilots diverged (images here are in
    # [-1, 1], theirs in [0, 1]). Pilots of 3,000 steps without batch normalization left out classes.
    ("gan", "mnist"): {
        "batch_size": 100,
        "epochs": 25,
        "optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.05, "momentum": 0.5}},
        "settings": {
            **{"update": "alternating", "latent": "uniform", "norm": "batch", "discriminator_norm": "none"},
            **{"dropout": 0.5, "ema": 0.99},
        },
    },
    # With a dense layer on either side of the convolutions, which the paper leaves out: without it a digit changes into
    # another through shapes that are none, and the Frechet distance is ten times as large. In pilots a layer in the
    # discriminator alone gave four times as much, and one in the generator alone a collapse; so did both with the
    # discriminators of `sngan`, which see each image by itself, and `acgan`.
    ("dcgan", "mnist"): {**MINUTES, "settings": {"width": 32, "hidden": (256,), "ema": 0.999}},
    ("cgan", "mnist"): MINUTES,
    ("acgan", "mnist"): MINUTES,
    # The paper's sizes. With half of the width, and a quarter of the dense layers or none, categories mixed the digits
    # of more classes.
    ("infogan", "mnist"): {**MINUTES, "epochs": 3, "settings": {"width": 64, "hidden": (1024,), "ema": 0.99}},
    ("bigan", "mnist"): PAIRS,
    ("ali", "mnist"): PAIRS,
    ("rob_gan", "mnist"): {
        **MINUTES,
        "epochs": 2,
        "optimizer": {"class_name": "Adam", "config": {"learning_rate": 5e-4, "beta_1": 0.5}},
        "learning_rate": 5e-4,
        # 0.4 in units of [-1, 1] is 0.2 for pixels in [0, 1].
        "settings": {
            **{"architecture": "conv", "width": 32, "norm": "batch", "n_critic": 1, "ema": 0.99},
            **{"epsilon": 0.4, "attack_step_size": 0.1},
        },
    },
    # As many steps of the generator in both, each after five of the critic.
    ("wgan", "mnist"): {**MINUTES, "learning_rate": 5e-4},
    ("wgan_gp", "mnist"): {**MINUTES, "learning_rate": 5e-4},
    # The generator of a DCGAN without dense layers, for a comparison of discriminators, which learn more slowly with
    # bounded slopes.
    ("sngan", "mnist"): {
        **MINUTES,
        "optimizer": {"class_name": "Adam", "config": {"beta_1": 0.5}},
        "learning_rate": {"d": 4e-4, "g": 1e-3},
        "settings": {"architecture": "conv", "n_critic": 1, "width": 32, "ema": 0.99},
    },
    ("dcgan", "cifar10_subset"): {**FEW, "epochs": 40},
    # The paper's rates: with a faster generator, and colors that change too, faces were of a few kinds.
    ("dcgan", "lfw_faces"): {
        **MINUTES,
        "epochs": 20,
        "learning_rate": 2e-4,
        "settings": {**MINUTES["settings"], "augment": ("translation",)},
    },
    ("dcgan", "fashion_mnist"): {"settings": {"width": 64}},
    ("pixel_cnn", "mnist"): {"epochs": 3},
    # Two layers of the paper's seven, for a single pass over the data takes 12 minutes on a core.
    ("pixel_rnn", "mnist"): {"epochs": 1, "settings": {"num_classes": None, "blocks": 2}},
    # The small configuration of a well-known script (nanoGPT's, for a CPU): 4 blocks of 4 heads and 128 features.
    ("gpt", "tinyshakespeare"): {"batch_size": 12, "steps": 2000, "settings": {"context": 64, "decay": 2000}},
    ("dcgan", "digits"): {"batch_size": 64, "epochs": 100},
    ("autoencoder", "digits"): {"batch_size": 50, "epochs": 100},
    ("denoising_autoencoder", "digits"): {"batch_size": 50, "epochs": 100},
    ("gan", "digits"): {"batch_size": 64, "epochs": 300},
    ("stacked_autoencoder", "mnist"): {"epochs": 4, "settings": {"corruption": 0.5}},
    ("stacked_autoencoder", "digits"): {
        "batch_size": 50,
        "epochs": 40,
        "settings": {"hidden": (64, 32), "latent_dim": 16, "corruption": 0.25},
    },
    ("vae", "digits"): {"batch_size": 50, "epochs": 100},
    ("beta_vae", "digits"): {"batch_size": 50, "epochs": 100},
    ("conditional_vae", "digits"): {"batch_size": 50, "epochs": 100},
    ("iwae", "digits"): {"batch_size": 50, "epochs": 100},
    # An eighth of the paper's width and a quarter of its codes, at five times its learning rate: minutes on two cores.
    ("vq_vae", "mnist"): {
        "epochs": 5,
        "learning_rate": 1e-3,
        "settings": {"codes": 128, "code_dim": 16, "width": 32},
    },
    ("vq_vae", "digits"): {
        "batch_size": 64,
        "epochs": 60,
        "learning_rate": 1e-3,
        "settings": {"codes": 64, "code_dim": 8, "width": 32},
    },
}

# What `benchmark` expects of the median over seeds, by the recipe of this data set.
THRESHOLDS: Mapping[tuple[str, str], Mapping[str, tuple[str, float]]] = {
    # Squared error per test pixel in [0, 1]; 32 principal components reach 0.0168.
    ("autoencoder", "mnist"): {"mse_01": ("<=", 0.010)},
    # Decibels above the clipped noisy images; the mean image is at 2.5.
    ("denoising_autoencoder", "mnist"): {"psnr_gain": (">=", 5.0)},
    # Accuracy with 100 labels of each class, mean of 5 choices of them, above that of random weights.
    ("stacked_autoencoder", "mnist"): {"gain_100": (">=", 0.0)},
    # Minus the evidence lower bound in nats after 20 epochs, on stochastically binarized digits.
    ("vae", "mnist"): {"test_loss": ("<=", 102.5)},
    # Calibrated in one pilot, seed 0: 97.5 nats, and 94.4 with 100 samples.
    ("iwae", "mnist"): {"test_loss": ("<=", 99.0), "nll": ("<=", 95.5)},
    # Calibrated in one pilot, seed 0: a KL of 9.5 nats beside the VAE's 26.8, and a reconstruction of 108.6.
    ("beta_vae", "mnist"): {"test_kl": ("<=", 12.0), "test_reconstruction": ("<=", 115.0)},
    # Calibrated in one pilot, seed 0: 96.0 nats, the asked class in 81 % of the samples.
    ("conditional_vae", "mnist"): {"test_loss": ("<=", 98.0), "label_agreement": (">=", 0.75)},
    # Nats of binarized test images; below 75 something would have leaked.
    ("pixel_cnn", "mnist"): {"test_nll": ("<=", 92.0)},
    # Calibrated in one pilot, seed 0: 92.1.
    ("pixel_rnn", "mnist"): {"test_nll": ("<=", 95.0)},
    # Nats of the last tenth of the text; chance is 4.17, pairs of characters 2.49, five of them 1.67.
    ("gpt", "tinyshakespeare"): {"nats_per_character": ("<=", 1.92)},
    # The Frechet distances are calibrated by three seeds, whose medians were 25.0, 1.5, 18.2; 2.2 and 6.0 with labels;
    # 71 and 17.2 of the critics. That of the halves of the test images is 5.3. Variance within classes is a share of
    # that of real digits, of which prototypes would have none.
    ("gan", "mnist"): {"fd": ("<=", 40.0), "rarest_class": (">=", 0.02)},
    ("dcgan", "mnist"): {"fd": ("<=", 3.0), "rarest_class": (">=", 0.04), "coverage": (">=", 0.8)},
    ("sngan", "mnist"): {"fd": ("<=", 22.0), "rarest_class": (">=", 0.04)},
    ("cgan", "mnist"): {"fd": ("<=", 5.0), "label_agreement": (">=", 0.95), "class_variance": (">=", 0.6)},
    ("acgan", "mnist"): {"fd": ("<=", 12.0), "label_agreement": (">=", 0.97), "class_variance": (">=", 0.6)},
    # Calibrated by three seeds: 0.76 to 0.88; 0.75 to 0.88; 2.8 to 3.6.
    ("infogan", "mnist"): {"cluster_accuracy": (">=", 0.75), "slant_spearman": (">=", 0.6), "fd": ("<=", 6.0)},
    # Calibrated by one seed each: 21.5 and 0.50, 21.7 and 0.51.
    ("bigan", "mnist"): {"fd": ("<=", 32.0), "reconstruction_ratio": ("<=", 0.8)},
    ("ali", "mnist"): {"fd": ("<=", 32.0), "reconstruction_ratio": ("<=", 0.8)},
    ("wgan", "mnist"): {"fd": ("<=", 100.0)},
    ("wgan_gp", "mnist"): {"fd": ("<=", 30.0), "rarest_class": (">=", 0.04)},
    # Accuracy under 20 steps of projected gradient, by 0.2 for pixels in [0, 1]: 0.81, where ACGAN keeps 0.004. The
    # variance within classes was 0.62; after one epoch, 0.47.
    ("rob_gan", "mnist"): {
        "robust_accuracy": (">=", 0.6),
        "label_agreement": (">=", 0.97),
        "class_variance": (">=", 0.6),
    },
    # Calibrated in one pilot, seed 0: 0.00356 per pixel in [0, 1], and a perplexity of 91 of 128.
    ("vq_vae", "mnist"): {"mse_01": ("<=", 0.0042), "perplexity": (">=", 70.0)},
}


def recipe(model: str, data: str) -> dict[str, Any]:
    """Returns the recipe of a model on a data set.

    Args:
        model: name of the model.
        data: name of the data set, or of its file: `data/mnist.npz` is `mnist` here. One without a row of its own
            takes the model's recipe.
    """
    return {**DEFAULT, **MODELS.get(model, {}), **DATA.get((model, _called(data)), {})}


def thresholds(model: str, data: str) -> dict[str, tuple[str, float]]:
    """Returns the bounds of a model's metrics on a data set: name to (`"<="` or `">="`, number)."""
    return dict(THRESHOLDS.get((model, _called(data)), {}))


def _called(data):
    return PurePath(data).stem.partition(":")[0].lower()  # "mnist:3.*.*" names a version

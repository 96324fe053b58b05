"""The networks, the rule and the settings of TensorFlow's DCGAN tutorial, trained by `keras_gen.GAN`.

The tutorial (tensorflow.org/tutorials/generative/dcgan) trains on MNIST with batches of 256 for 50 epochs, both players
on one forward pass, Adam 1e-4 for each, and normal latents. Without MNIST at hand: `--data digits`, enlarged to 28x28.
"""

import argparse
from pathlib import Path

import keras
from keras import layers

import keras_gen
from keras_gen import images


def generator() -> keras.Model:
    """Maps plain latents (B, 100) to images (B, 28, 28, 1)."""
    return keras.Sequential(
        [
            keras.Input((100,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, 1, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(64, 5, 2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(1, 5, 2, padding="same", use_bias=False, activation="tanh"),
        ],
        name="generator",
    )


def discriminator() -> keras.Model:
    """Maps plain images (B, 28, 28, 1) to one logit."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, 2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Conv2D(128, 5, 2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ],
        name="discriminator",
    )


def main(argv: list[str] | None = None) -> None:
    """Trains, and writes `samples.png` and `model.keras` into the output folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="a name or path that keras_gen.data.load knows")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--steps", type=int, help="steps in an epoch (default: one pass)")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--output", type=Path, default=Path("saved_models/dcgan_tutorial"))
    options = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    data = keras_gen.data.load(options.data, image_size=28, channels=1, batch_size=options.batch_size)
    model = keras_gen.GAN(generator(), discriminator(), latent_dim=100, seed=0)
    model.compile(d_optimizer=keras.optimizers.Adam(1e-4), g_optimizer=keras.optimizers.Adam(1e-4))
    model.fit(
        data,
        epochs=options.epochs,
        steps_per_epoch=options.steps,
        callbacks=[keras_gen.callbacks.Checkpoint(options.output / "checkpoints")],
    )
    model.save(options.output / "model.keras")
    images.save_png(options.output / "samples.png", images.enlarged(images.grid(model.sample(64))))
    print(f"samples: {options.output / 'samples.png'}")


if __name__ == "__main__":
    main()

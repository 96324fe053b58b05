"""Takes the noise off images with two exported files alone, beside an autoencoder that never saw noise.

python examples/denoise.py --output denoise

It takes half a minute on two cores and needs no network; `--data mnist.npz --image-size 28` takes a minute. A denoising
autoencoder is trained and exported. What takes off the noise is onnxruntime alone: `encode.onnx` makes codes of noisy
test images, and `decode.onnx` makes images of these.

The table shows the peak signal-to-noise ratio of what each makes of noisy and of clean images, and of the noisy images
themselves, clipped. An ordinary autoencoder of the same networks copies clean images better, but has no good answer to
noise, which it was never shown.
"""

import argparse
from pathlib import Path

import keras
import numpy as np

import export.onnx
import keras_gen
from keras_gen import exported, images, metrics

SHOWN = 12


def main(argv: list[str] | None = None) -> None:
    """Trains, exports, denoises, prints the table and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", default="digits", help="digits (default), or an .npz file such as MNIST")
    parser.add_argument("--image-size", type=int, default=16, help="side of the images (default: 16)")
    parser.add_argument("--amount", type=float, default=0.5, help="noise, 1 is from black to white (default: 0.5)")
    parser.add_argument("--steps", type=int, default=2000, help="train steps of each model (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and noise (default: 0)")
    parser.add_argument("--output", type=Path, default=Path("denoise"), help="folder (default: denoise)")
    options = parser.parse_args(argv)
    size = {"image_size": options.image_size, "channels": 1}
    train = keras_gen.data.examples(options.data, "train", **size)
    test = keras_gen.data.load(options.data, "test", batch_size=1000, shuffle=False, **size)
    clean = next(iter(test))["image"].numpy()

    common = (options.steps, options.seed, clean.shape[1:])
    ordinary = trained("autoencoder", train, *common)
    export.onnx.export(trained("denoising_autoencoder", train, *common, amount=options.amount), options.output)
    encoder, decoder = (exported.open_file(options.output / name) for name in ("encode.onnx", "decode.onnx"))

    def denoised(given):
        return decoder.run("decode", latent=encoder.run("encode", image=given)["code"])["image"]

    noise = np.random.default_rng(options.seed).standard_normal(clean.shape, np.float32)
    noisy = clean + 2 * options.amount * noise  # black to white is 2 in [-1, 1]
    rows = {
        "none, but clipped": (noisy.clip(-1, 1), None),
        "denoising autoencoder": (denoised(noisy), denoised(clean)),
        "autoencoder": (ordinary.reconstruct(noisy.clip(-1, 1)), ordinary.reconstruct(clean)),
    }
    print(f"{f'PSNR in dB, {len(clean)} test images':<32} {'noisy':>8} {'clean':>8}")
    for name, pair in rows.items():
        figures = ["" if made is None else f"{np.mean(metrics.psnr(clean, made)):.2f}" for made in pair]
        print(f"{name:<32} {figures[0]:>8} {figures[1]:>8}".rstrip())
    shown = [clean, *(pair[0] for pair in rows.values())]
    sheet = images.grid(np.concatenate([part[:SHOWN] for part in shown]), SHOWN)
    images.save_png(options.output / "denoised.png", images.enlarged(sheet, 800))
    print(f"\nLook at {options.output / 'denoised.png'}: clean, noisy, denoised, and by the ordinary autoencoder.")


def trained(
    name: str, train: keras_gen.data.Examples, steps: int, seed: int, shape: tuple, **settings: float
) -> keras.Model:
    """Trains one of the two, with the same networks and as many steps."""
    keras.utils.set_random_seed(seed)
    model = keras_gen.get(name, image_shape=shape, latent_dim=32, hidden=(512, 256), seed=seed, **settings)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)))
    progress = keras_gen.callbacks.ProgressLine(f"training {name}")
    model.fit(train.stream(100, seed), steps_per_epoch=steps, verbose=0, callbacks=[progress])
    return model


if __name__ == "__main__":
    main()

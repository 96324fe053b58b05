"""A saved model that holds a bit of everything, from which hostile files are made."""

import re
import time
import zipfile

import keras
import pytest

from keras_gen.errors import DamagedError
from keras_gen.files import archive

LAYERS = keras.layers


def networks():
    """Returns a generator and a discriminator that hold a bit of everything Keras serializes."""
    latent = keras.Input((4,), name="latent")
    x = LAYERS.Dense(8 * 4 * 4, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=2**40))(latent)
    x = LAYERS.Reshape((4, 4, 8))(x)
    x = LAYERS.BatchNormalization(dtype="mixed_bfloat16")(x)
    x = LAYERS.Activation(keras.activations.gelu)(x)
    x = LAYERS.Conv2DTranspose(4, 4, strides=2, padding="same", kernel_regularizer=keras.regularizers.L2(1e-4))(x)
    x = keras.ops.tanh(LAYERS.Conv2D(1, 3, padding="same", kernel_constraint=keras.constraints.MaxNorm(2.0))(x) * 2 + 1)
    generator = keras.Model({"latent": latent}, x)

    image = keras.Input((8, 8, 1), name="image")
    x = keras.Sequential([keras.Input((8, 8, 1)), LAYERS.Conv2D(4, 3, dtype="bfloat16"), LAYERS.LeakyReLU(0.2)])(image)
    x = LAYERS.Dropout(0.3, seed=3)(keras.ops.reshape(x[:, ::2], (-1, 3 * 6 * 4)))
    x = LAYERS.Concatenate()([x, LAYERS.Flatten()(LAYERS.Embedding(16, 3)(LAYERS.Flatten()(image)))])
    x = LAYERS.SpectralNormalization(LAYERS.Dense(4))(x)
    discriminator = keras.Model({"image": image}, LAYERS.Dense(1, dtype="float32")(x))
    discriminator.compile(keras.optimizers.AdamW(1e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True))
    return generator, discriminator


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items() if isinstance(members, dict) else members:
            file.writestr(name, data)
    return path


def refused(path, words, **arguments):
    """Asserts that a file is refused in one short line that holds some words, and without a long search."""
    start = time.perf_counter()
    with pytest.raises(DamagedError) as caught:
        archive.check(path, **arguments)
    line = str(caught.value)
    assert time.perf_counter() - start < 10.0
    assert re.search(words, line), line
    assert len(line) <= 200
    assert line.isprintable()
    assert str(path)[-8:] in line
    assert "use another copy" in line or "only if you trust" in line
    return line


def thing(module, name, config=None, registered=None, **more):
    return {"module": module, "class_name": name, "config": config or {}, "registered_name": registered, **more}

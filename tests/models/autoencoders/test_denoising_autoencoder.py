import keras
import numpy as np
import pytest
import tensorflow as tf
from planted import Bug
from tiny import make, real_digits

import keras_gen
from keras_gen import metrics
from keras_gen.data import Examples
from keras_gen.errors import UsageError
from keras_gen.game.batch import Batch

ROWS = {
    "denoising_autoencoder": (
        "denoising_autoencoder",
        lambda: {
            "image_shape": (8, 8, 3),
            "latent_dim": 3,
            "hidden": (9, 8),
            "corruption": "masking",
            "amount": 0.3,
            "seed": 5,
        },
    ),
    "denoising_autoencoder-conv": (
        "denoising_autoencoder",
        lambda: {
            "image_shape": (8, 8, 1),
            "latent_dim": 3,
            "architecture": "conv",
            "width": 4,
            "loss": "cross_entropy",
            "amount": 0.2,
            "seed": 5,
            "ema": 0.9,
            "ema_statistics": "copied",
        },
    ),
}


def untrained(**arguments):
    keras.utils.set_random_seed(0)
    return keras_gen.DenoisingAutoencoder((8, 8, 3), 3, hidden=(9,), seed=0, **arguments)


def test_noise_has_its_amount_in_gray_levels_of_0_1():
    """Standard deviation 0.3 of [0, 1] is 0.6 of [-1, 1]; nothing is cut off."""
    images = np.tile(real_digits(200)[0], (1, 1, 1, 3))
    noise = untrained(amount=0.3).corrupt(images) - images
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.6, rel=0.01)
    assert noise[images == -1].std() == pytest.approx(noise[images == 1].std(), rel=0.03)


def test_masking_makes_whole_pixels_black():
    images = np.full((300, 8, 8, 3), 0.5, np.float32)
    masked = untrained(corruption="masking", amount=0.3).corrupt(images)
    assert set(np.unique(masked)) == {-1.0, 0.5}
    black = masked == -1
    assert black.mean() == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(black.all(axis=-1), black.any(axis=-1)), "all channels of a pixel, or none"
    assert np.array_equal(untrained(corruption="masking", amount=0.0).corrupt(images), images)
    assert (untrained(corruption="masking", amount=1.0).corrupt(images) == -1).all()


@pytest.mark.parametrize("corruption", ["gaussian", "masking"])
def test_corruption_is_drawn_anew_in_training_and_by_seed_for_people(corruption):
    images = np.tile(real_digits(20)[0], (1, 1, 1, 3))
    model = untrained(corruption=corruption)
    first, second = (np.asarray(model.seen(tf.constant(images), True)) for _ in range(2))
    assert not np.array_equal(first, second) and not np.array_equal(first[0] - images[0], first[1] - images[1])
    assert np.array_equal(model.corrupt(images, 3), model.corrupt(images, 3))
    assert not np.array_equal(model.corrupt(images, 3), model.corrupt(images, 4))


def test_the_target_is_the_clean_image():
    """A decoder that gives its bias is measured against images without noise, in training too."""
    images = np.tile(real_digits(32)[0], (1, 1, 1, 3))
    model = untrained(amount=2.0)
    for variable in model.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    for training in (True, False):
        loss = model.reconstruction_loss(Batch(image=images), training)["reconstruction"]
        assert float(loss) == pytest.approx(np.square(images).mean(), rel=1e-5)


@pytest.mark.parametrize("corruption", ["gaussian", "masking"])
def test_corruption_is_absent_everywhere_but_in_training(corruption, tmp_path):
    """With the same weights, a plain autoencoder gives the same losses, images and codes; and so do exported files."""
    from export import onnx
    from keras_gen.signatures.exported import open_file

    images = np.tile(real_digits(32)[0], (1, 1, 1, 3))
    model = untrained(corruption=corruption, amount=0.9)
    plain = keras_gen.Autoencoder((8, 8, 3), 3, hidden=(9,), seed=0)
    model.compile()
    model.fit(images, batch_size=16, verbose=0)
    plain.set_weights(model.get_weights())
    plain.compile()
    losses = [one.evaluate(images, verbose=0, return_dict=True)["loss"] for one in (model, plain)]
    assert losses[0] == losses[1]
    assert np.array_equal(model(images), plain(images))
    assert np.array_equal(model.reconstruct(images), plain.reconstruct(images))
    code = model.encode(images)
    assert np.array_equal(code, plain.encode(images))
    onnx.export(model, tmp_path)
    np.testing.assert_allclose(open_file(tmp_path / "encode.onnx").run("encode", image=images)["code"], code, atol=1e-4)
    # In training it is there: the same weights, a higher loss.
    trained, clean = (
        float(one.reconstruction_loss(Batch(image=images), True)["reconstruction"]) for one in (model, plain)
    )
    assert trained != pytest.approx(clean, rel=1e-3)


def test_without_corruption_it_is_the_autoencoder_bit_for_bit(digits):
    def weights(cls, **arguments):
        keras.utils.set_random_seed(0)
        model = cls((8, 8, 1), 3, hidden=(9,), seed=0, **arguments)
        model.compile()
        model.fit(digits, batch_size=64, epochs=2, verbose=0)
        return model.get_weights()

    none = weights(keras_gen.DenoisingAutoencoder, amount=0.0)
    assert all(np.array_equal(a, b) for a, b in zip(none, weights(keras_gen.Autoencoder), strict=True))
    some = weights(keras_gen.DenoisingAutoencoder, amount=0.1)
    assert not all(np.array_equal(a, b) for a, b in zip(none, some, strict=True))


def test_it_removes_noise_that_an_autoencoder_keeps():
    """Even where the code has as many coordinates as the image has pixels."""
    images, labels = real_digits(1200)
    train, test = (Examples({"image": images[part], "label": labels[part]}) for part in (slice(900), slice(900, 1200)))
    keras.utils.set_random_seed(0)
    model = keras_gen.DenoisingAutoencoder((8, 8, 1), 64, hidden=(128,), amount=0.5, seed=0)
    model.compile()
    model.fit(train.dataset(50, 0), epochs=15, verbose=0)
    found = model.measures(train, test)
    noisy = model.corrupt(test.arrays["image"], 0)
    denoised = model.reconstruct(noisy)
    before = metrics.psnr(test.arrays["image"], noisy.clip(-1, 1)).mean()
    assert found["psnr_denoised"] == pytest.approx(metrics.psnr(test.arrays["image"], denoised).mean(), abs=1e-3)
    assert found["psnr_gain"] == pytest.approx(found["psnr_denoised"] - before, abs=1e-3)
    assert found["psnr_gain"] > 3.5
    assert {"mse_01", "knn"} <= set(found)
    plain = keras_gen.Autoencoder((8, 8, 1), 64, hidden=(128,), seed=0)
    plain.compile()
    plain.fit(train.dataset(50, 0), epochs=15, verbose=0)
    kept = metrics.psnr(test.arrays["image"], plain.reconstruct(noisy)).mean() - before
    assert found["psnr_gain"] > kept + 1


def test_an_amount_that_does_not_exist_is_refused():
    for corruption, amount in (("gaussian", -0.1), ("masking", 1.1), ("masking", -0.1), ("gaussian", float("nan"))):
        with pytest.raises(UsageError, match="amount is"):
            make("denoising_autoencoder", corruption=corruption, amount=amount)
    with pytest.raises(UsageError, match="gaussian"):
        make("denoising_autoencoder", corruption="gausian")


BUGS = (
    Bug(
        "denoising autoencoder: corruption outside training",
        "models/autoencoders/denoising_autoencoder.py",
        "if training else image",
        "if True else image",
        ("test_corruption_is_absent_everywhere_but_in_training",),
    ),
)

"""Images as bytes: exact round trips of the code, rates that fall as they should, and errors in one line."""

import math
import re
import runpy
import struct
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tiny import make, real_digits

import export.onnx
import export.tflite
import keras_gen
from keras_gen import compression
from keras_gen.compression import compress, decompress, rate_distortion
from keras_gen.errors import DamagedError, UsageError


@pytest.fixture(scope="module")
def images():
    return real_digits(300)[0]


@pytest.fixture(scope="module")
def vae(images):
    keras.utils.set_random_seed(0)
    model = keras_gen.VAE(image_shape=(8, 8, 1), latent_dim=6, hidden=(64,), binarize="none", beta=0.1, seed=0)
    model.compile()
    model.fit(images, batch_size=50, epochs=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def vq_vae(images):
    keras.utils.set_random_seed(0)
    model = keras_gen.VQVAE(image_shape=(8, 8, 1), codes=32, code_dim=4, width=8, blocks=1, seed=0)
    model.compile()
    model.fit(images, batch_size=50, epochs=3, verbose=0)
    return model


def sealed(body):
    return body + struct.pack("<I", zlib.crc32(body))


# --- what comes back -------------------------------------------------------------------------------------------------


def test_a_code_comes_back_rounded_to_the_step(vae, images):
    data = compress(vae, images[:70], step=0.3)
    assert data == compress(vae, images[:70], step=0.3)
    again = decompress(vae, data)
    assert again.shape == (70, 8, 8, 1) and again.dtype == np.float32
    np.testing.assert_array_equal(again, decompress(vae, data))
    rounded = (np.rint(vae.encode(images[:70]) / np.float64(0.3)) * 0.3).astype(np.float32)
    np.testing.assert_array_equal(again, vae.decode(rounded))


def test_tokens_come_back_as_they_are(vq_vae, images):
    data = compress(vq_vae, images)
    np.testing.assert_array_equal(decompress(vq_vae, data), vq_vae.reconstruct(images))
    header = compression._HEADER.size + 3 * 4 + 4
    assert 8 * len(data) <= len(images) * 4 * math.log2(32) + 8 * header + 7
    (rate,) = rate_distortion(vq_vae, images)
    assert rate.bits_per_pixel == pytest.approx(8 * len(data) / (300 * 64))
    error = np.square(vq_vae.reconstruct(images) - images).mean()
    assert rate.psnr == pytest.approx(10 * math.log10(4 / error), abs=1e-4)


@pytest.mark.parametrize("shape", [(40, 3), (1, 2, 2), (7, 1), (500, 5)])
@pytest.mark.parametrize(
    "law",
    ["uniform", "constant", "rare", "wide", "negative"],
)
def test_numbers_survive_every_coder(shape, law):
    rng = np.random.default_rng(0)
    numbers = {
        "uniform": lambda: rng.integers(0, 128, shape),
        "constant": lambda: np.full(shape, 5),
        "rare": lambda: rng.poisson(0.05, shape),
        "wide": lambda: rng.integers(-(2**31) + 1, 2**31, shape),
        "negative": lambda: rng.integers(-300, -40, shape),
    }[law]()
    model = compression._Coder(None, None, shape[1:], b"12345678")
    for code, step in ((numbers.astype(np.int32), 1.0), (numbers.astype(np.float64) / 4, 0.25)):
        back = compression._unpacked(compression._packed(code, step, b"12345678"), model, "it")
        assert back.dtype == (np.int32 if code.dtype == np.int32 else np.float32)
        np.testing.assert_array_equal(back, code.astype(back.dtype))


def test_coders_use_what_is_frequent():
    """Near the entropy for frequent zeros, and never above log2 of the range, which is best where all are equal."""
    rng = np.random.default_rng(0)
    even = compression._packed(rng.integers(0, 128, (5000, 4), dtype=np.int32), 1.0, b"12345678")
    assert len(even) == 20_000 * 7 // 8 + compression._HEADER.size + 2 * 4 + 4
    rare = compression._packed((rng.random((5000, 4)) < 0.02).astype(np.int32), 1.0, b"12345678")
    entropy = -(0.02 * math.log2(0.02) + 0.98 * math.log2(0.98))
    assert 20_000 * entropy < 8 * len(rare) < 2 * 20_000 * entropy


def test_finer_steps_cost_more_and_keep_more(vae, images):
    rates = rate_distortion(vae, images, steps=(8.0, 2.0, 1.0, 0.5, 0.25, 0.01))
    bits, psnr = [rate.bits_per_pixel for rate in rates], [rate.psnr for rate in rates]
    assert all(a < b for a, b in zip(bits, bits[1:], strict=False))
    assert all(a < b + 0.05 for a, b in zip(psnr, psnr[1:], strict=False)) and psnr[-1] > psnr[0] + 1
    whole = 10 * math.log10(4 / np.square(vae.reconstruct(images) - images).mean())
    assert psnr[-1] == pytest.approx(whole, abs=0.01), "what is left is the autoencoder's own error"


@pytest.mark.slow
def test_files_and_copies_of_a_model_read_each_other(vae, vq_vae, images, tmp_path):
    for model in (vae, vq_vae):
        folder = tmp_path / model.name
        model.save(folder / "model.keras")
        data = compress(folder, images[:5], step=0.1)
        assert data == compress(model, images[:5], step=0.1) == compress(folder / "model.keras", images[:5], step=0.1)
        np.testing.assert_array_equal(decompress(folder / "model.keras", data), decompress(model, data))
        export.onnx.export(model, folder)
        export.tflite.export(model, folder)
        for name in ("encode.onnx", "model.tflite"):
            theirs = compress(folder / name, images[:5], step=0.1)
            np.testing.assert_allclose(decompress(folder / name, theirs), decompress(model, data), atol=0.05)
            with pytest.raises(UsageError, match="another model"):
                decompress(model, theirs)
        assert decompress(folder / "decode.onnx", compress(folder / "encode.onnx", images[:5])).shape == (5, 8, 8, 1)


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(kind, words, call):
    with pytest.raises(kind) as caught:
        call()
    text = str(caught.value)
    assert words in text and "\n" not in text and len(text) < 200, text


@pytest.mark.parametrize("count", [20, 300])
def test_truncated_and_changed_bytes_are_refused(vq_vae, images, count):
    data = compress(vq_vae, images[:count])
    for length in (*range(4, 60), len(data) - 1):
        refused(DamagedError, "truncated or changed", lambda length=length: decompress(vq_vae, data[:length]))
    for length in range(4):
        refused(DamagedError, "no images", lambda length=length: decompress(vq_vae, data[:length]))
    for place in (13, 20, len(data) // 2, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        refused(DamagedError, "truncated or changed", lambda changed=changed: decompress(vq_vae, bytes(changed)))
    refused(DamagedError, "no images", lambda: decompress(vq_vae, b"\x89PNG" + data[4:]))
    refused(DamagedError, "format 7", lambda: decompress(vq_vae, data[:4] + b"\x07" + data[5:]))
    # With a checksum that fits, sizes still have to agree.
    start = compression._HEADER.size
    for body in (
        data[:start] + struct.pack("<I", 2**32 - 1) + data[start + 4 : -4],
        data[:start] + struct.pack("<4I", count, 1, 4, 2) + data[start + 12 : -4],
        data[:-5],
        data[:start],
    ):
        refused(DamagedError, "truncated or changed", lambda body=body: decompress(vq_vae, sealed(body)))


def test_another_model_is_refused(vae, vq_vae, images):
    data = compress(vae, images[:3])
    refused(UsageError, "another model", lambda: decompress(vq_vae, data))
    copy = keras_gen.VAE.from_config(vae.get_config())
    copy.set_weights(vae.get_weights())
    np.testing.assert_array_equal(decompress(copy, data), decompress(vae, data))
    copy.decoder.trainable_variables[-1].assign(copy.decoder.trainable_variables[-1] + 1e-3)
    refused(UsageError, "another model", lambda: decompress(copy, data))


def test_usage_errors(vae, images, tmp_path):
    class Conditional(keras_gen.VAE):
        def signatures(self):
            found = super().signatures()
            inputs = {**found["encode"].inputs, "label": keras.ops.zeros((1,))}
            return {**found, "encode": found["encode"]._replace(inputs=inputs)}

    conditional = Conditional(image_shape=(8, 8, 1))
    export.onnx.export(make("gan", compiled=False), tmp_path)
    for words, call in (
        ("no 'encode' to compress with", lambda: compress(make("gan"), images)),
        ("no 'encode' to compress with", lambda: compress(tmp_path / "generate.onnx", images)),
        ("needs 'label' to encode", lambda: compress(conditional, images)),
        ("step is 0", lambda: compress(vae, images, step=0)),
        ("step is nan", lambda: rate_distortion(vae, images, steps=[float("nan")])),
        ("too fine", lambda: compress(vae, images, step=1e-12)),
        ("expected (n, H, W, C)", lambda: compress(vae, images[0])),
        ("expected float32 in [-1, 1]", lambda: compress(vae, images * 3)),
        ("expects (None, 8, 8, 1)", lambda: compress(vae, images[:, :4])),
        ("no run 'nothing'", lambda: compress("nothing", images)),
        ("has no signatures", lambda: compress(3, images)),
    ):
        refused(UsageError, words, call)


@pytest.mark.slow
def test_the_example_prints_the_table_and_draws_the_curve(tmp_path, capsys):
    path = Path(__file__).parents[1] / "examples" / "compression.py"
    runpy.run_path(str(path))["main"](["--steps", "300", "--output", str(tmp_path)])
    text = capsys.readouterr().out
    rows = re.findall(r"^  (autoencoder|JPEG).*? +([\d.]+) +([\d.]+)$", text, re.MULTILINE)
    ours, jpeg = ([(float(b), float(p)) for kind, b, p in rows if kind == name] for name in ("autoencoder", "JPEG"))
    assert len(ours) == 6 and len(jpeg) == 7
    bits, psnr = map(float, re.search(r"VQ-VAE.*? +([\d.]+) +([\d.]+)$", text, re.MULTILINE).groups())
    assert bits < 4 * 6 / 64 + 0.1 and psnr > 10, "four tokens of 64 codes for 64 pixels, and a header"
    assert ours == sorted(ours) and jpeg == sorted(jpeg), "more bits keep more"
    assert ours[-1][0] < jpeg[1][0] and ours[-1][1] > jpeg[1][1], "better than JPEG where bits are few"
    with Image.open(tmp_path / "curve.png") as curve, Image.open(tmp_path / "images.png") as shown:
        assert curve.size == (600, 390) and min(shown.size) > 100

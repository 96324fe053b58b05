"""The examples of denoising, styles and bounds: their tables say what is true, and their pictures show it."""

import re

import bounds
import denoise
import numpy as np
import onnxruntime
import pytest
import styles
from PIL import Image

import keras_gen
from keras_gen import metrics


def run(example, folder, capsys, *arguments):
    """Runs an example; returns what it printed."""
    example.main(["--output", str(folder), *map(str, arguments)])
    return capsys.readouterr().out


def numbers(text, pattern):
    """Returns the numbers at the end of the lines that begin with a name of this pattern."""
    rows = re.findall(rf"^({pattern}) +([-\d].*)$", text, re.MULTILINE)
    return {name: [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", rest)] for name, rest in rows}


def tiles(path, rows, columns, side):
    """Returns a picture's tiles at their own size, uint8 (rows, columns, side, side)."""
    with Image.open(path) as picture:
        sheet = np.asarray(picture)
    width = columns * (side + 1) - 1
    factor = sheet.shape[1] // width
    assert sheet.shape == (factor * (rows * (side + 1) - 1), factor * width)
    sheet = np.pad(sheet[::factor, ::factor], ((0, 1), (0, 1)))
    return sheet.reshape(rows, side + 1, columns, side + 1).swapaxes(1, 2)[:, :, :side, :side]


def levels(images):
    return np.clip(np.rint((images[..., 0] + 1) * 127.5), 0, 255)


def held_out():
    return keras_gen.data.examples("digits", "test", image_size=16, channels=1)


# --- denoise ---------------------------------------------------------------------------------------------------------


def test_what_is_denoised_comes_from_the_files(tmp_path, capsys):
    """The table and the picture, made again by numpy and onnxruntime."""
    table = numbers(run(denoise, tmp_path, capsys, "--steps", 60, "--seed", 3, "--amount", 0.4), r"[a-z].*?")
    assert list(table) == ["none, but clipped", "denoising autoencoder", "autoencoder"]
    clean = (held_out().arrays["image"] / 127.5 - 1).astype(np.float32)
    noisy = clean + np.float32(0.8) * np.random.default_rng(3).standard_normal(clean.shape, np.float32)
    encoder, decoder = (onnxruntime.InferenceSession(tmp_path / f"{name}.onnx") for name in ("encode", "decode"))

    def denoised(given):
        return decoder.run(["image"], {"latent": encoder.run(["code"], {"image": given})[0]})[0]

    def psnr(made):
        return np.mean(10 * np.log10(4 / np.square(made - clean).mean((1, 2, 3))))

    assert table["none, but clipped"] == [pytest.approx(psnr(noisy.clip(-1, 1)), abs=0.006)]
    assert table["denoising autoencoder"] == pytest.approx([psnr(denoised(noisy)), psnr(denoised(clean))], abs=0.006)
    assert table["denoising autoencoder"][0] > table["none, but clipped"][0] + 1
    shown = tiles(tmp_path / "denoised.png", 4, denoise.SHOWN, 16)
    for row, wanted in zip(shown, (clean, noisy.clip(-1, 1), denoised(noisy)), strict=False):
        assert np.abs(row - levels(wanted[: denoise.SHOWN])).max() <= 1
    assert np.abs(shown[3] - shown[2].astype(float)).mean() > 5, "the ordinary autoencoder's are other images"


@pytest.mark.slow
def test_denoising_is_learned_from_noise_alone(tmp_path, capsys):
    table = numbers(run(denoise, tmp_path, capsys), r"[a-z].*?")
    (noisy,), ours, ordinary = table.values()
    assert ours[0] > noisy + 8 and ours[0] > ordinary[0] + 4
    assert ordinary[1] > ours[1] + 5, "clean images are copied better by who learned to copy"


# --- styles ----------------------------------------------------------------------------------------------------------


def styled(folder, capsys, *arguments):
    """Runs the example; returns the share of test images that are seen right, and the table."""
    text = run(styles, folder / "styles.png", capsys, *arguments)
    return float(re.search(r"([\d.]+)% are seen as", text)[1]), numbers(text, r"\d|all")


@pytest.mark.slow
def test_styles_are_drawn_under_every_class(tmp_path, capsys):
    right, table = styled(tmp_path, capsys, "--steps", 600)
    train, test = keras_gen.data.examples("digits", "train", image_size=16), held_out()
    known, asked = (part.arrays["image"].reshape(len(part), -1) for part in (train, test))
    labels = test.arrays["label"][:200]
    judged = metrics.nearest_neighbors(known, train.arrays["label"], asked[:200], labels)
    assert right == pytest.approx(100 * judged, abs=0.06)
    assert list(table) == [*"0123456789", "all"]
    rows = np.array([table[name] for name in "0123456789"])
    assert table["all"] == [pytest.approx(rows[:, 0].mean(), abs=0.11)]
    assert table["all"][0] > 30, "chance is 10"
    assert 0 < rows[:, 1].mean() <= 1
    shown = tiles(tmp_path / "styles.png", 10, 12, 16)
    first = [np.flatnonzero(labels == label)[0] for label in range(10)]
    np.testing.assert_array_equal(shown[:, 0], test.arrays["image"][first, ..., 0])
    assert not shown[:, 1].any()
    photos, drawn = shown[:, :1].astype(float), shown[:, 2:]
    assert (np.square(drawn - photos).mean((2, 3)).argmin(axis=1) == np.arange(10)).sum() > 6, "most are as their own"


@pytest.mark.slow
def test_class_and_style_pull_against_each_other(tmp_path, capsys):
    found = {}
    for beta in (0.2, 0.5, 1):
        table = styled(tmp_path, capsys, "--beta", beta)[1]
        found[beta] = table.pop("all")[0], np.mean([ink for _, ink in table.values()])
    assert found[1][0] > 98 > found[0.5][0] > 94 and found[0.2][0] < 85
    assert found[0.5][1] > 0.6 and found[1][1] < 0.45


# --- bounds ----------------------------------------------------------------------------------------------------------


def bound(folder, capsys, *arguments):
    """Runs the example; returns bounds and active units of both models."""
    table = numbers(run(bounds, folder / "bounds.png", capsys, *arguments), r"VAE|IWAE, K = 5")
    return {name: (values[:4], values[4:]) for name, values in table.items()}


@pytest.mark.slow
def test_bounds_rise_with_samples(tmp_path, capsys):
    few = ("--steps", 20, "--count", 50, "--latent-dim", 12)
    table = bound(tmp_path, capsys, *few)
    assert bound(tmp_path, capsys, *few) == table, "one seed, one table"
    assert list(table) == ["VAE", "IWAE, K = 5"]
    for values, (active, units) in table.values():
        assert len(values) == 4 and all(low < high < 0 for low, high in zip(values, values[1:], strict=False))
        assert 0 <= active <= units == 12
    with Image.open(tmp_path / "bounds.png") as picture:
        pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (390, 600, 3)
    for color in ((31, 87, 165), (221, 110, 20)):
        assert np.sum(np.abs(pixels[80:] - color).max(axis=-1) < 40) > 300, "a curve across the picture"


def test_activity_by_hand():
    means = np.float32([[0, 5, 1], [0, 5.1, 3]])
    np.testing.assert_allclose(bounds.activity(means), [1, 0.0025, 0], rtol=1e-4)


@pytest.mark.slow
def test_an_iwae_is_tighter_with_many_samples_and_uses_more_units(tmp_path, capsys):
    table = bound(tmp_path, capsys)
    (vae, (used, _)), (iwae, (more, _)) = table["VAE"], table["IWAE, K = 5"]
    assert iwae[0] < vae[0] and iwae[3] > vae[3] + 0.3
    assert iwae[3] - iwae[0] > 1.5 * (vae[3] - vae[0])
    assert more > used + 10


# --- pixel_tables ----------------------------------------------------------------------------------------------------


def test_tables_of_pixels_are_laws_and_print_a_line_each(capsys):
    import pixel_tables

    every = np.array(list(np.ndindex(*[2] * 6))).reshape(-1, 2, 3)
    for neighbors, by_place in pixel_tables.TABLES.values():
        each = [pixel_tables.nats(every[3:9], image[None], neighbors, by_place) for image in every]
        assert np.exp(np.negative(each)).sum() == pytest.approx(1)
    # After nothing: on in two of three. After a pixel that is on: in none of one. Half a count is added to all.
    found = pixel_tables.nats(np.int64([[[1, 0]], [[0, 1]]]), np.int64([[[1, 0]]]), ((0, -1),), False)
    assert found == pytest.approx(-np.log(2.5 / 4) - np.log(1.5 / 2))
    pixel_tables.main([])
    lines = capsys.readouterr().out.splitlines()[1:]
    found = {line[:28].strip(): float(line[28:].split()[0]) for line in lines}
    assert set(found) == set(pixel_tables.TABLES) and found["the place and 4 neighbors"] == min(found.values())

"""The examples of the VAE family: their tables say what the theory says, and their pictures are drawn."""

import re

import faces
import numpy as np
import pytest
import vae_ablations
from PIL import Image
from tiny import shared

import keras_gen


def ablations(folder, steps, capsys):
    """Runs the example; returns its table: name to (reconstruction, KL), and the picture."""
    vae_ablations.main(["--steps", str(steps), "--output", str(folder / "a.png")])
    rows = re.findall(r"^(\S.*?) +(\d+\.\d+) +(\d+\.\d+)$", capsys.readouterr().out, re.MULTILINE)
    with Image.open(folder / "a.png") as picture:
        return {name: (float(first), float(second)) for name, first, second in rows}, np.asarray(picture)


def smiles(folder, steps, capsys):
    """Runs the example; returns the probability at each strength, and the picture."""
    faces.main(["--data", str(shared("lfw_faces.npz")), "--steps", str(steps), "--output", str(folder / "f.png")])
    found = re.findall(r"^ +([-+]\d+) +(\d\.\d+)$", capsys.readouterr().out, re.MULTILINE)
    with Image.open(folder / "f.png") as picture:
        return {int(strength): float(probability) for strength, probability in found}, np.asarray(picture)


def test_ablations_print_a_row_and_draw_a_band_for_each_model(tmp_path, capsys, monkeypatch):
    few = {name: vae_ablations.MODELS[name] for name in ("reconstruction only", "KL only")}
    monkeypatch.setattr(vae_ablations, "MODELS", few)
    table, picture = ablations(tmp_path, 10, capsys)
    assert list(table) == list(few)
    assert table["KL only"][0] == pytest.approx(256 * np.log(2), rel=0.01), "the decoder was never trained"
    assert picture.shape[0] == 3 * (vae_ablations.SIDE + 12) + 12
    colored = np.ptp(picture.astype(int), axis=-1).max(axis=1) > 50
    assert colored[: vae_ablations.SIDE].sum() == 0 < colored[vae_ablations.SIDE :].sum(), "codes have colors"


@pytest.mark.slow
def test_each_term_does_what_the_ablations_say(tmp_path, capsys):
    table, _ = ablations(tmp_path, 2000, capsys)
    reconstruction, kl = ({name: values[i] for name, values in table.items()} for i in (0, 1))
    in_order = ["reconstruction only", "VAE", "beta 4", "beta 16", "beta 1000"]
    assert [kl[name] for name in in_order] == sorted((kl[name] for name in in_order), reverse=True)
    assert kl["reconstruction only"] > 5 * kl["VAE"] and kl["VAE"] > 1.5 * kl["beta 4"] > 1
    assert reconstruction["reconstruction only"] < reconstruction["VAE"] < reconstruction["beta 4"]
    assert kl["beta 1000"] == kl["KL only"] == 0
    # What is left without a code: the entropy of the mean image, pixel by pixel.
    test = keras_gen.data.examples("digits", "test", image_size=16).arrays["image"] / 255
    train = keras_gen.data.examples("digits", "train", image_size=16).arrays["image"] / 255
    mean = np.clip(train.mean(axis=0), 1e-3, 1 - 1e-3)
    nats = -(test * np.log(mean) + (1 - test) * np.log(1 - mean)).sum(axis=(1, 2, 3)).mean()
    assert reconstruction["beta 1000"] == pytest.approx(nats, rel=0.01)


@pytest.mark.slow
def test_faces_smile_more_the_further_they_are_moved(tmp_path, capsys):
    found, picture = smiles(tmp_path, 2000, capsys)
    values = [found[strength] for strength in faces.STRENGTHS]
    assert values == sorted(values)
    assert found[-1] < 0.2 < found[0] < 0.5 < found[1] and found[2] > 0.8
    assert picture.shape[1] == 2 * (66 * (1 + len(values)) - 2)

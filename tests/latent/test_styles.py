"""Styles of models that work by them: interpolated, mixed and sought, of runs and of files."""

import numpy as np
import pytest
from planted import Bug
from tiny import make

import export.onnx
from keras_gen import latent
from keras_gen.cli.main import main
from keras_gen.errors import UsageError


@pytest.fixture(scope="module")
def model():
    made = make("stylegan2", compiled=False)
    for generator in (made.generator, made.ema_generator):
        generator.get_layer("synthesis").get_layer("noise_2").strength.assign(0.5)
    return made


def test_one_w_for_all_layers_makes_what_its_latent_makes(model):
    decode = latent.decoder(model, "style", seed=5)
    drawn = model.sample(3, seed=5, noise=decode._held["noise"])
    np.testing.assert_allclose(decode(decode.draw(3, seed=5)), drawn, atol=1e-6)
    assert isinstance(decode, latent.StyleDecoder) and (decode.dim, decode.layers, decode.law) == (5, 4, "")
    way = latent.interpolate(*decode.draw(2, seed=1), steps=3, how="lerp")
    np.testing.assert_allclose(way[1], decode.draw(2, seed=1).mean(axis=0), rtol=1e-5)
    assert decode(way[None]).shape == (1, 3, 8, 8, 1)


def test_of_a_file_it_is_the_same(model, tmp_path):
    export.onnx.export(model, tmp_path)
    ours, theirs = (latent.decoder(source, "style") for source in (model, tmp_path / "generate.onnx"))
    w = ours.draw(2, seed=3)
    np.testing.assert_allclose(theirs.draw(2, seed=3), w, atol=1e-5)
    crossed = latent.style_grid(*(np.repeat(w[:1, None], 4, axis=1), np.repeat(w[1:, None], 4, axis=1)), [2, 3])
    np.testing.assert_allclose(theirs.painted(crossed), ours.painted(crossed), atol=1e-4)


def test_projection_into_w_comes_near_an_image_of_it(model):
    decode = latent.decoder(model, "style")
    wanted = decode(decode.draw(1, seed=9))
    found = latent.project(model, wanted, steps=60, starts=2, name="style", record=2)
    first = np.square(decode(found.way[:, 0]) - wanted).mean()
    assert found.latents.shape == (1, 5) and found.errors[0] < 0.5 * first


def test_mix_has_coarse_styles_of_rows_and_fine_ones_of_columns(model, tmp_path, monkeypatch, capsys):
    from keras_gen.cli import explore

    seen = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(explore, "_write", lambda output, pictures: seen.update(sheet=pictures.sheet))
    model.save("run/model.keras")
    assert main(["explore", "run", "mix", "-n", "2", "--seed", "1"]) == 0
    assert "layers 2, 3 of the column's sample" in capsys.readouterr().out
    sheet, decode = seen["sheet"], latent.decoder(model, "style", seed=1)
    w = decode.draw(4, seed=1)
    assert sheet.shape == (3, 3, 8, 8, 1) and np.isnan(sheet[0, 0]).all()
    np.testing.assert_allclose(sheet[0, 1:], decode(w[2:]), atol=1e-5)
    np.testing.assert_allclose(sheet[1:, 0], decode(w[:2]), atol=1e-5)
    styles = np.stack([w[1], w[1], w[2], w[2]])
    np.testing.assert_allclose(sheet[2, 1], decode.painted(styles), atol=1e-5)
    assert main(["explore", "run", "mix", "--coordinates", "4"]) == 2
    assert "layer 4 does not exist; expected 0 to 3" in capsys.readouterr().err


def test_of_a_model_without_styles_it_says_so():
    gan = make("gan", compiled=False)
    with pytest.raises(UsageError, match="makes no images of an input 'style'"):
        latent.decoder(gan, "style")
    with pytest.raises(UsageError, match="'style' without a prior"):
        latent.directions(latent.decoder(make("stylegan2", compiled=False), "style"))


BUGS = [
    Bug(
        "explore mix: fine styles of the row",
        "cli/explore.py",
        "latent.style_grid(rows, columns, fine)",
        "latent.style_grid(columns, rows, fine)",
        ("test_mix_has_coarse_styles_of_rows_and_fine_ones_of_columns",),
    ),
]

"""README is true: its Python runs as it stands."""

import re
from pathlib import Path

import keras
import numpy as np
from tiny import real_digits

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_api_in_one_screen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(BLOCKS[0].replace("epochs=3", "epochs=1"), names)
    assert names["images"].shape == (16, 8, 8, 1)
    assert np.array_equal(names["model"].sample(16, seed=0), names["images"])


def test_a_model_of_your_own_trains_saves_and_exports(tmp_path):
    import keras_gen
    from export import onnx

    names: dict = {}
    exec(BLOCKS[1], names)
    cls = names["SparseAutoencoder"]
    keras.utils.set_random_seed(0)
    model = cls(latent_dim=5)
    model.compile()
    losses = model.fit(real_digits(256)[0], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    again = keras_gen.load(tmp_path / "model.keras", custom_objects={"SparseAutoencoder": cls})
    assert again.encoder.output_shape == (None, 5)
    assert onnx.export(again, tmp_path)["signatures"]["encode"]["max_error"] < 1e-4


def test_list_and_table_of_models_are_those_of_recipes_and_docstrings():
    import readme_models

    text = (ROOT / "README.md").read_text()
    assert text == readme_models.written(text), "write them anew: python tests/readme_models.py"


def test_pictures_and_links_exist():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)h][^)]*)\)", text):
        assert (ROOT / target).exists(), target


def test_every_model_and_every_example_is_named():
    import keras_gen

    text = (ROOT / "README.md").read_text()
    for name in keras_gen.names():
        assert f"`{name}`" in text, name
    for path in sorted((ROOT / "examples").glob("*.py")):
        assert path.name in text or path.name == "plot.py", path.name

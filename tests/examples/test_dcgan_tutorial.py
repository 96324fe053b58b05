import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_gen

EXAMPLE = Path(__file__).parents[2] / "examples" / "dcgan_tutorial.py"


@pytest.mark.slow
def test_the_tutorial_s_networks_train_save_and_sample(tmp_path):
    main = runpy.run_path(str(EXAMPLE))["main"]
    main(["--data", "digits", "--epochs", "1", "--steps", "2", "--batch-size", "8", "--output", str(tmp_path)])
    model = keras_gen.load(tmp_path)
    # The tutorial prints these sizes: 2,330,944 and 212,865 parameters with the moving statistics.
    assert (model.generator.count_params(), model.discriminator.count_params()) == (2_330_944, 212_865)
    assert model.sample(2).shape == (2, 28, 28, 1)
    assert float(model.d_optimizer.learning_rate) == np.float32(1e-4)
    assert int(model.d_optimizer.iterations) == int(model.g_optimizer.iterations) == 2
    assert Image.open(tmp_path / "samples.png").size == (2 * (8 * 29 - 1),) * 2

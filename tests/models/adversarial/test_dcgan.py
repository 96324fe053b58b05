import numpy as np
import pytest
from keras import layers

import keras_gen
from keras_gen.errors import UsageError

ROWS = {
    "dcgan": (
        "dcgan",
        lambda: {
            "image_shape": (8, 16, 3),
            "latent_dim": 7,
            "width": 4,
            "hidden": (6,),
            "latent": "normal",
            "norm": "sync_batch",
            "dropout": 0.2,
            "adversarial": "least_squares",
            "ema": 0.5,
            "seed": 2,
        },
    ),
}


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (48, 32, 3), (64, 64, 3), (24, 96, 1)])
def test_any_size_that_doubling_reaches(shape):
    model = keras_gen.DCGAN(image_shape=shape, latent_dim=5, width=2)
    assert model.generator.output_shape == (None, *shape)
    assert model.discriminator({"image": np.zeros((2, *shape), np.float32)}).shape == (2, 1)


@pytest.mark.parametrize("shape, nearest", [((50, 50, 1), "48x48"), ((7, 7, 1), "8x8"), ((28, 27, 1), "28x28")])
def test_other_sizes_are_refused_with_the_nearest(shape, nearest):
    with pytest.raises(UsageError, match=nearest):
        keras_gen.DCGAN(image_shape=shape)


def test_the_papers_64x64_networks():
    """Figure 1: 100 latents, a 4x4 map of 1024 channels, then 512, 256, 128 and the image; then in reverse."""
    model = keras_gen.DCGAN()
    maps = [layer.output.shape[1:] for layer in model.generator.layers if isinstance(layer, layers.Conv2DTranspose)]
    assert maps == [(8, 8, 512), (16, 16, 256), (32, 32, 128), (64, 64, 3)]
    convolutions = [layer for layer in model.discriminator.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [128, 256, 512, 1024]


def test_the_five_guidelines():
    model = keras_gen.DCGAN(image_shape=(32, 32, 3), width=4)
    both = model.generator.layers + model.discriminator.layers
    kinds = {type(layer) for layer in both}
    # 1: strided convolutions in place of pooling.
    assert not any("Pooling" in kind.__name__ for kind in kinds)
    assert all(layer.strides == (2, 2) for layer in both if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose)))
    # 2: batch normalization everywhere but at the generator's output and the discriminator's input.
    transposed = [layer for layer in model.generator.layers if isinstance(layer, layers.Conv2DTranspose)]
    assert sum(isinstance(layer, layers.BatchNormalization) for layer in model.generator.layers) == len(transposed)
    convolutions = [layer for layer in model.discriminator.layers if isinstance(layer, layers.Conv2D)]
    normalized = sum(isinstance(layer, layers.BatchNormalization) for layer in model.discriminator.layers)
    assert normalized == len(convolutions) - 1
    # 3: no fully connected hidden layers: one projects the latents, one judges.
    assert [
        sum(isinstance(layer, layers.Dense) for layer in net.layers) for net in (model.generator, model.discriminator)
    ] == [1, 1]
    # 4 and 5: ReLU and tanh in the generator, leaky ReLU of slope 0.2 in the discriminator.
    assert sum(isinstance(layer, layers.ReLU) for layer in model.generator.layers) == len(transposed)
    leaky = [layer for layer in model.discriminator.layers if isinstance(layer, layers.LeakyReLU)]
    assert len(leaky) == len(convolutions) and all(layer.negative_slope == pytest.approx(0.2) for layer in leaky)
    assert np.abs(model(np.full((3, 100), 1e4, np.float32))).max() <= 1


def test_dense_layers_are_there_when_asked_for_and_begin_as_small():
    model = keras_gen.DCGAN(image_shape=(16, 16, 1), width=32, hidden=(300,))
    for net, place in ((model.generator, 0), (model.discriminator, -2)):
        layer = [layer for layer in net.layers if isinstance(layer, layers.Dense)][place]
        assert layer.units == 300 and np.std(layer.kernel) == pytest.approx(0.02, rel=0.1)


def test_initial_weights_have_standard_deviation_002_and_the_papers_adam():
    model = keras_gen.DCGAN(image_shape=(16, 16, 1), width=32)
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel")]
    assert all(np.std(kernel) == pytest.approx(0.02, rel=0.25) for kernel in kernels if np.size(kernel) > 500)
    model.compile()
    for optimizer in (model.d_optimizer, model.g_optimizer):
        assert float(optimizer.learning_rate) == pytest.approx(2e-4) and optimizer.beta_1 == 0.5


def test_latents_are_uniform_as_in_the_paper():
    model = keras_gen.DCGAN(image_shape=(8, 8, 1), width=2)
    latents = model.random_input("latent", 4000, True).numpy()
    assert -1 <= latents.min() < -0.99 and 0.99 < latents.max() < 1
    assert latents.std() == pytest.approx(3**-0.5, rel=0.01)

"""A model that all of these tests export."""

import pytest
from exportable import Conditional


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(1)
    return Conditional()

"""Functions that return functional Keras models with named inputs."""

from keras_gen.errors import check_backend

check_backend()

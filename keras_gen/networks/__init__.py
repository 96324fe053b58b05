"""Functions that return functional Keras models with named inputs."""

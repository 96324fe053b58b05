"""`python -m keras_gen`."""

from keras_gen.cli.main import run

run()

"""How a model is trained: the players, the one step, `fit`, and what it asks of the data."""

from keras_gen.errors import check_backend

check_backend()
